import * as v from 'valibot';
import { SlipwayError } from '../problems/index.ts';
import { Remembered } from '../problems/remembered.ts';
import { ActionsClient } from './actionsClient.ts';
import { listIn, readShape, time, toRun } from './actionsShape.ts';
import { findStarted } from './dispatched.ts';
import { provenSteps, stepsByLog } from './giteaSteps.ts';
import { DEFAULT_MOST, nullish } from './hostClient.ts';
import { logAnnotations } from './logText.ts';
import type {
  Ability,
  CiAction,
  CiAnnotation,
  CiClient,
  CiJob,
  CiLog,
  CiRun,
  CiStep,
  CiWorkflow,
  DispatchRequest,
  RunFilter,
} from './model.ts';
import { isFinished } from './model.ts';
import { stateOfPair } from './state.ts';
import { type GiteaVersion, giteaAbility, parseGiteaVersion } from './version.ts';

/** Servers hand out at most this many in a page unless configured otherwise (MAX_RESPONSE_ITEMS). */
const PAGE = 50;

const taskShape = v.object({
  id: v.union([v.string(), v.number()]),
  name: nullish(v.string()),
  display_title: nullish(v.string()),
  head_branch: nullish(v.string()),
  head_sha: nullish(v.string()),
  event: nullish(v.string()),
  run_number: nullish(v.number()),
  status: nullish(v.string()),
  workflow_id: nullish(v.string()),
  url: nullish(v.string()),
  created_at: nullish(v.string()),
  updated_at: nullish(v.string()),
  run_started_at: nullish(v.string()),
});

const workflowShape = v.object({
  id: v.union([v.string(), v.number()]),
  name: nullish(v.string()),
  path: nullish(v.string()),
  state: nullish(v.string()),
});

/** Gitea and Forgejo: GitHub's shapes, with what the server's version has. */
export class GiteaClient extends ActionsClient implements CiClient {
  protected readonly pages = { sizeName: 'limit', size: PAGE } as const;
  readonly #version = new Remembered<GiteaVersion | undefined>();

  async runs(filter: RunFilter, signal: AbortSignal): Promise<readonly CiRun[]> {
    const most = filter.most ?? DEFAULT_MOST;
    const can = giteaAbility(await this.#versionOf(signal), 'runs');
    if (!can.isAble) return this.#tasks(filter, signal);
    // The list has no filter for the workflow before 28: more are fetched and chosen from.
    const found = await this.http.list(
      {
        path: this.path('actions/runs'),
        query: { branch: filter.branch, head_sha: filter.commit },
        signal,
        what: 'runs',
      },
      listIn('workflow_runs'),
      { most: filter.workflow === undefined ? most : most * 5, sizeName: 'limit', size: PAGE },
    );
    const runs = found.map((run) => toRun(run, this.repository));
    if (filter.workflow === undefined) return runs;
    return runs.filter(({ file }) => file?.split('/').at(-1) === filter.workflow).slice(0, most);
  }

  override async jobs(run: string, signal: AbortSignal): Promise<readonly CiJob[]> {
    return (await super.jobs(run, signal)).map(provenSteps);
  }

  override async job(id: string, run: string, signal: AbortSignal): Promise<CiJob> {
    return provenSteps(await super.job(id, run, signal));
  }

  async steps(job: CiJob, signal: AbortSignal): Promise<readonly CiStep[]> {
    if (!job.steps.some(({ state }) => state === 'unknown')) return job.steps;
    const log = await this.log(job.id, signal);
    return log.state === 'text' ? stepsByLog(job, log.text) : job.steps;
  }

  async log(job: string, signal: AbortSignal): Promise<CiLog> {
    const answer = await this.http.send({
      path: this.path(`actions/jobs/${encodeURIComponent(job)}/logs`),
      signal,
      what: `the log of job ${job}`,
      also: [404, 500],
    });
    if (answer.status === 200) return { state: 'text', text: answer.text };
    const { state } = await this.job(job, '', signal);
    return isFinished(state)
      ? { state: 'gone', why: 'the server no longer keeps the log, or the job never wrote one' }
      : { state: 'pending', why: 'the job has not begun to write' };
  }

  /** The server keeps none: they are read from the workflow commands in the log. */
  async annotations(job: CiJob, signal: AbortSignal): Promise<readonly CiAnnotation[]> {
    const log = await this.log(job.id, signal);
    return log.state === 'text' ? logAnnotations(log.text, job.id) : [];
  }

  async workflows(signal: AbortSignal): Promise<readonly CiWorkflow[]> {
    const what = 'workflows';
    const found = listIn('workflows')(await this.http.json({ path: this.path('actions/workflows'), signal, what }));
    return found.map((value) => {
      const workflow = readShape(workflowShape, value, this.repository, what);
      const file = workflow.path ?? String(workflow.id);
      const id = String(workflow.id);
      return { id, name: workflow.name ?? id, file, isEnabled: (workflow.state ?? 'active') === 'active' };
    });
  }

  async ability(action: CiAction, signal: AbortSignal): Promise<Ability> {
    return giteaAbility(await this.#versionOf(signal), action);
  }

  async dispatch(request: DispatchRequest, signal: AbortSignal): Promise<CiRun | undefined> {
    await this.#refuseUnable('dispatch', signal);
    const isForgejo = (await this.#versionOf(signal))?.flavour === 'forgejo';
    const since = this.system.clock.now();
    const what = `starting ${request.workflow} at ${request.ref}`;
    const path = this.path(`actions/workflows/${encodeURIComponent(request.workflow)}/dispatches`);
    const answer = await this.http.json({
      method: 'POST',
      path,
      // Gitea wants it in the query, Forgejo in the body; each ignores what it does not know.
      ...(!isForgejo && { query: { return_run_details: 'true' } }),
      body: { ref: request.ref, inputs: request.inputs, ...(isForgejo && { return_run_info: true }) },
      signal,
      what,
    });
    const told = (answer ?? {}) as { readonly workflow_run_id?: unknown; readonly id?: unknown };
    const id = told.workflow_run_id ?? told.id;
    if (id !== undefined) return this.run(String(id), signal);
    return findStarted(this, this.system, request, since, signal);
  }

  override async rerun(run: string, which: 'all' | 'failed', signal: AbortSignal): Promise<void> {
    await this.#refuseUnable(which === 'failed' ? 'rerun-failed' : 'rerun', signal, run);
    await super.rerun(run, which, signal);
  }

  async cancel(run: string, signal: AbortSignal): Promise<void> {
    await this.#refuseUnable('cancel', signal, run);
    await this.post({
      path: this.path(`actions/runs/${encodeURIComponent(run)}/cancel`),
      signal,
      what: `cancelling run ${run}`,
    });
  }

  async #refuseUnable(action: CiAction, signal: AbortSignal, run?: string): Promise<void> {
    const can = await this.ability(action, signal);
    if (can.isAble) return;
    // Only the server knows the page of a run: its address counts otherwise than its id.
    const page = run === undefined ? '' : (await this.run(run, signal)).url;
    throw new SlipwayError({
      reason: 'refused',
      code: 'ci.unsupported',
      message: `${can.why}.`,
      fix: `Do it on its web page: ${page === '' ? `${this.repository.web}${this.repository.path}/actions` : page}`,
    });
  }

  /** Servers before 1.25 list tasks, which are jobs: those of one run number are put together. */
  async #tasks(filter: RunFilter, signal: AbortSignal): Promise<readonly CiRun[]> {
    const most = filter.most ?? DEFAULT_MOST;
    const found = await this.http.list(
      { path: this.path('actions/tasks'), signal, what: 'tasks' },
      listIn('workflow_runs'),
      { most: most * 5, sizeName: 'limit', size: PAGE },
    );
    const tasks = found.map((task) => readShape(taskShape, task, this.repository, 'a task'));
    const runs = [...Map.groupBy(tasks, (task) => task.run_number ?? Number(task.id)).entries()].map(
      ([number, group]): CiRun => {
        const states = group.map(({ status }) => stateOfPair(status, undefined));
        const [first] = group;
        const startedAt = time(first?.run_started_at);
        return {
          id: String(number),
          number: String(number),
          title: first?.display_title ?? first?.name ?? `Run ${number}`,
          workflow: first?.workflow_id ?? 'workflow',
          ...(typeof first?.workflow_id === 'string' && { file: first.workflow_id }),
          event: first?.event ?? 'unknown',
          ref: first?.head_branch ?? '',
          commit: first?.head_sha ?? '',
          state:
            states.find((state) => state === 'running' || state === 'queued') ??
            states.find((state) => state === 'failed' || state === 'cancelled') ??
            states[0] ??
            'unknown',
          detail: group.map(({ status }) => status ?? '').join(', '),
          createdAt: time(first?.created_at) ?? startedAt ?? '',
          ...(startedAt !== undefined && { startedAt }),
          attempt: 1,
          url: first?.url ?? '',
        };
      },
    );
    const isWanted = (run: CiRun) =>
      (filter.branch === undefined || run.ref === filter.branch) &&
      (filter.commit === undefined || run.commit === filter.commit) &&
      (filter.workflow === undefined || run.file === filter.workflow);
    return runs.filter(isWanted).slice(0, most);
  }

  #versionOf(signal: AbortSignal): Promise<GiteaVersion | undefined> {
    return this.#version.get(async () => {
      const { version } = ((await this.http.json({ path: 'version', signal, what: 'its version' })) ?? {}) as {
        readonly version?: unknown;
      };
      return typeof version === 'string' ? parseGiteaVersion(version) : undefined;
    });
  }
}
