import * as v from 'valibot';
import { SlipwayError } from '../problems/index.ts';
import { ActionsClient } from './actionsClient.ts';
import { listIn, readShape, toRun } from './actionsShape.ts';
import { findStarted, inputCountRefused } from './dispatched.ts';
import { DEFAULT_MOST, nullish } from './hostClient.ts';
import type {
  Ability,
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

/** The version that github.com and every supported Enterprise server know. */
export const GITHUB_HEADERS = {
  accept: 'application/vnd.github+json',
  'x-github-api-version': '2022-11-28',
} as const;

const annotationShape = v.object({
  path: v.string(),
  start_line: nullish(v.number()),
  end_line: nullish(v.number()),
  start_column: nullish(v.number()),
  annotation_level: nullish(v.string()),
  title: nullish(v.string()),
  message: nullish(v.string()),
});

const workflowShape = v.object({
  path: v.string(),
  name: nullish(v.string()),
  state: nullish(v.string()),
});

/** github.com, *.ghe.com and Enterprise Server. */
export class GithubClient extends ActionsClient implements CiClient {
  protected readonly pages = { sizeName: 'per_page' } as const;

  async runs(filter: RunFilter, signal: AbortSignal): Promise<readonly CiRun[]> {
    const below = filter.workflow === undefined ? '' : `workflows/${encodeURIComponent(filter.workflow)}/`;
    const found = await this.http.list(
      {
        path: this.path(`actions/${below}runs`),
        query: { branch: filter.branch, head_sha: filter.commit },
        signal,
        what: 'runs',
      },
      listIn('workflow_runs'),
      { most: filter.most ?? DEFAULT_MOST, sizeName: 'per_page' },
    );
    return found.map((run) => toRun(run, this.repository));
  }

  steps(job: CiJob): Promise<readonly CiStep[]> {
    return Promise.resolve(job.steps);
  }

  async log(job: string, signal: AbortSignal): Promise<CiLog> {
    const answer = await this.http.send({
      path: this.path(`actions/jobs/${encodeURIComponent(job)}/logs`),
      signal,
      what: `the log of job ${job}`,
      also: [404, 410],
    });
    if (answer.status === 410) return { state: 'gone', why: 'GitHub keeps logs 90 days unless told otherwise' };
    if (answer.status !== 404) return { state: 'text', text: answer.text };
    // 404 is what a job under way answers, and one whose log was removed, too.
    const { state } = await this.job(job, '', signal);
    return isFinished(state)
      ? { state: 'gone', why: 'the log was removed, or the job never wrote one' }
      : { state: 'pending', why: 'GitHub gives the log of a job when the job has ended' };
  }

  /** The id of a job is that of its check run. */
  async annotations(job: CiJob, signal: AbortSignal): Promise<readonly CiAnnotation[]> {
    const what = `the annotations of job ${job.id}`;
    const found = await this.http.list(
      { path: this.path(`check-runs/${encodeURIComponent(job.id)}/annotations`), signal, what },
      (body) => (Array.isArray(body) ? body : []),
      { most: 200, sizeName: 'per_page' },
    );
    return found.flatMap((value): readonly CiAnnotation[] => {
      const read = readShape(annotationShape, value, this.repository, what);
      // Remarks about the run itself ("Process completed with exit code 1") stand at the folder .github.
      if (read.path === '.github') return [];
      const line = read.start_line ?? 1;
      return [
        {
          path: read.path,
          line,
          ...(typeof read.end_line === 'number' && read.end_line >= line && { endLine: read.end_line }),
          ...(typeof read.start_column === 'number' && { column: read.start_column }),
          severity: SEVERITY[read.annotation_level ?? ''] ?? 'info',
          ...(typeof read.title === 'string' && read.title !== '' && { title: read.title }),
          message: read.message ?? read.title ?? '',
          job: job.id,
        },
      ];
    });
  }

  async workflows(signal: AbortSignal): Promise<readonly CiWorkflow[]> {
    const what = 'workflows';
    const found = await this.http.list({ path: this.path('actions/workflows'), signal, what }, listIn('workflows'), {
      most: 300,
      sizeName: 'per_page',
    });
    return found.map((value) => {
      const { path, name, state } = readShape(workflowShape, value, this.repository, what);
      const id = path.split('/').at(-1) ?? path;
      return { id, name: name ?? id, file: path, isEnabled: (state ?? 'active') === 'active' };
    });
  }

  ability(): Promise<Ability> {
    return Promise.resolve({ isAble: true });
  }

  async dispatch(request: DispatchRequest, signal: AbortSignal): Promise<CiRun | undefined> {
    inputCountRefused(request, 25);
    const since = this.system.clock.now();
    const path = this.path(`actions/workflows/${encodeURIComponent(request.workflow)}/dispatches`);
    const what = `starting ${request.workflow} at ${request.ref}`;
    const body = { ref: request.ref, inputs: request.inputs };
    const full = { method: 'POST', path, body: { ...body, return_run_details: true }, signal, what } as const;
    let answer = await this.http.send({ ...full, also: [422] });
    if (answer.status === 422) {
      // Enterprise servers of before 2026 know no such field; any other 422 says what is wrong with the request.
      if (!/return_run_details|not a permitted key/i.test(answer.text)) throw this.http.refused(full, answer);
      answer = await this.http.send({ ...full, body });
    }
    const told = (this.http.read({ path, signal, what }, answer) ?? {}) as { readonly workflow_run_id?: unknown };
    if (told.workflow_run_id !== undefined) return this.run(String(told.workflow_run_id), signal);
    return findStarted(this, this.system, request, since, signal);
  }

  async cancel(run: string, signal: AbortSignal): Promise<void> {
    const answer = await this.http.send({
      method: 'POST',
      path: this.path(`actions/runs/${encodeURIComponent(run)}/cancel`),
      signal,
      what: `cancelling run ${run}`,
      also: [409],
    });
    if (answer.status !== 409) return;
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.finished',
      message: `Run ${run} cannot be cancelled: it has ended.`,
      fix: 'Look at its result with: slipway ci show.',
    });
  }
}

const SEVERITY: Readonly<Record<string, CiAnnotation['severity']>> = {
  failure: 'error',
  warning: 'warning',
  notice: 'info',
};
