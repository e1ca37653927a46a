import * as v from 'valibot';
import { SlipwayError } from '../problems/index.ts';
import { readShape, time } from './actionsShape.ts';
import { DEFAULT_MOST, HostClient, nullish } from './hostClient.ts';
import { gitlabSections } from './logText.ts';
import type {
  Ability,
  CiAction,
  CiAnnotation,
  CiArtifact,
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
import { stateOfGitlab } from './state.ts';

const id = v.pipe(v.union([v.string(), v.number()]), v.transform(String));

const pipelineShape = v.object({
  id,
  iid: nullish(id),
  name: nullish(v.string()),
  status: v.string(),
  source: nullish(v.string()),
  ref: nullish(v.string()),
  sha: nullish(v.string()),
  user: nullish(v.object({ username: nullish(v.string()) })),
  created_at: nullish(v.string()),
  updated_at: nullish(v.string()),
  started_at: nullish(v.string()),
  finished_at: nullish(v.string()),
  web_url: nullish(v.string()),
  yaml_errors: nullish(v.string()),
  detailed_status: nullish(v.object({ group: nullish(v.string()) })),
});

const jobShape = v.object({
  id,
  name: v.string(),
  stage: nullish(v.string()),
  status: v.string(),
  allow_failure: nullish(v.boolean()),
  failure_reason: nullish(v.string()),
  started_at: nullish(v.string()),
  finished_at: nullish(v.string()),
  erased_at: nullish(v.string()),
  web_url: nullish(v.string()),
  runner: nullish(v.object({ description: nullish(v.string()) })),
  pipeline: nullish(v.object({ id })),
  tag_list: nullish(v.array(v.string())),
  artifacts: nullish(
    v.array(v.object({ file_type: nullish(v.string()), size: nullish(v.number()), filename: nullish(v.string()) })),
  ),
  artifacts_expire_at: nullish(v.string()),
});

type Job = v.InferOutput<typeof jobShape>;

const qualityShape = v.array(
  v.object({
    description: nullish(v.string()),
    check_name: nullish(v.string()),
    severity: nullish(v.string()),
    location: nullish(
      v.object({
        path: nullish(v.string()),
        lines: nullish(v.object({ begin: nullish(v.number()), end: nullish(v.number()) })),
        positions: nullish(v.object({ begin: nullish(v.object({ line: nullish(v.number()) })) })),
      }),
    ),
  }),
);

/** GitLab: its pipelines are runs, and sections of a log are steps. */
export class GitlabClient extends HostClient implements CiClient {
  async runs(filter: RunFilter, signal: AbortSignal): Promise<readonly CiRun[]> {
    const found = await this.http.list(
      { path: this.path('pipelines'), query: { ref: filter.branch, sha: filter.commit }, signal, what: 'pipelines' },
      asList,
      { most: filter.most ?? DEFAULT_MOST, sizeName: 'per_page' },
    );
    return found.map((pipeline) => this.#run(pipeline));
  }

  async run(run: string, signal: AbortSignal): Promise<CiRun> {
    const path = this.path(`pipelines/${encodeURIComponent(run)}`);
    return this.#run(await this.http.json({ path, signal, what: `pipeline ${run}` }));
  }

  async jobs(run: string, signal: AbortSignal): Promise<readonly CiJob[]> {
    const jobs = (await this.#jobs(run, signal)).map((job) => this.#job(job, run));
    // Triggers of other pipelines are jobs, too; a server without them answers 404.
    const bridges = await this.http.send({
      path: this.path(`pipelines/${encodeURIComponent(run)}/bridges`),
      query: { per_page: 100 },
      signal,
      what: `the triggers of pipeline ${run}`,
      also: [403, 404],
    });
    const triggers = bridges.status === 200 ? asList(JSON.parse(bridges.text || '[]')) : [];
    const all = [
      ...jobs,
      ...triggers.map((bridge) => this.#job(readShape(jobShape, bridge, this.repository, 'a trigger'), run)),
    ];
    // The API gives the newest first; people think in the order in which things run.
    return all.toSorted((a, b) => Number(a.id) - Number(b.id));
  }

  async job(job: string, run: string, signal: AbortSignal): Promise<CiJob> {
    const path = this.path(`jobs/${encodeURIComponent(job)}`);
    const what = `job ${job}`;
    const read = readShape(jobShape, await this.http.json({ path, signal, what }), this.repository, what);
    return this.#job(read, read.pipeline?.id ?? run);
  }

  async steps(job: CiJob, signal: AbortSignal): Promise<readonly CiStep[]> {
    const log = await this.log(job.id, signal);
    if (log.state !== 'text') return [];
    return gitlabSections(log.text).map(
      (section, index): CiStep => ({
        number: index + 1,
        name: section.title,
        state: section.finishedAt !== undefined ? 'succeeded' : job.state,
        startedAt: section.startedAt,
        ...(section.finishedAt !== undefined && { finishedAt: section.finishedAt }),
      }),
    );
  }

  async log(job: string, signal: AbortSignal): Promise<CiLog> {
    const answer = await this.http.send({
      path: this.path(`jobs/${encodeURIComponent(job)}/trace`),
      signal,
      what: `the log of job ${job}`,
      also: [404],
    });
    if (answer.status === 200 && answer.text !== '') return { state: 'text', text: answer.text };
    const path = this.path(`jobs/${encodeURIComponent(job)}`);
    const what = `job ${job}`;
    const read = readShape(jobShape, await this.http.json({ path, signal, what }), this.repository, what);
    if (time(read.erased_at) !== undefined) return { state: 'gone', why: `the log was erased at ${read.erased_at}` };
    return isFinished(stateOfGitlab(read.status, false))
      ? { state: 'gone', why: 'the job wrote nothing, or its log was removed' }
      : { state: 'pending', why: 'the job has not begun to write' };
  }

  async artifacts(run: string, signal: AbortSignal): Promise<readonly CiArtifact[]> {
    const jobs = await this.#jobs(run, signal);
    return jobs.flatMap((job) =>
      (job.artifacts ?? [])
        .filter(({ file_type: type }) => type === 'archive')
        .map(({ size, filename }) => ({
          id: job.id,
          name: `${job.name}: ${filename ?? 'artifacts.zip'}`,
          ...(typeof size === 'number' && { bytes: size }),
          isExpired:
            time(job.artifacts_expire_at) !== undefined &&
            Date.parse(job.artifacts_expire_at ?? '') < this.system.clock.now(),
          url: `${this.repository.api}${this.path(`jobs/${job.id}/artifacts`)}`,
        })),
    );
  }

  /** The archive of a job, a zip file. */
  async download({ id, name }: CiArtifact, file: string, signal: AbortSignal): Promise<void> {
    const path = this.path(`jobs/${encodeURIComponent(id)}/artifacts`);
    await this.http.download({ path, signal, what: `the artifacts ${name}` }, file);
  }

  /** The job's code quality report. Needs the report to be among the browsable artifacts; else there are none. */
  async annotations(job: CiJob, signal: AbortSignal): Promise<readonly CiAnnotation[]> {
    const answer = await this.http.send({
      path: this.path(`jobs/${encodeURIComponent(job.id)}/artifacts/gl-code-quality-report.json`),
      signal,
      what: `the code quality report of job ${job.id}`,
      also: [400, 403, 404],
    });
    if (answer.status !== 200) return [];
    let body: unknown;
    try {
      body = JSON.parse(answer.text);
    } catch {
      // A report is written by the job: one that is no JSON says nothing.
      return [];
    }
    const read = v.safeParse(qualityShape, body);
    if (!read.success) return [];
    return read.output.flatMap(({ description, check_name: check, severity, location }): readonly CiAnnotation[] => {
      const path = location?.path;
      if (typeof path !== 'string') return [];
      const line = location?.lines?.begin ?? location?.positions?.begin?.line ?? 1;
      const end = location?.lines?.end;
      return [
        {
          path: path.replace(/^\.\//, ''),
          line,
          ...(typeof end === 'number' && end >= line && { endLine: end }),
          severity: QUALITY[severity ?? ''] ?? 'warning',
          ...(typeof check === 'string' && { title: check }),
          message: description ?? check ?? '',
          job: job.id,
        },
      ];
    });
  }

  workflows(): Promise<readonly CiWorkflow[]> {
    return Promise.resolve([{ id: 'pipeline', name: 'Pipeline', file: '.gitlab-ci.yml', isEnabled: true }]);
  }

  ability(action: CiAction): Promise<Ability> {
    return Promise.resolve(action === 'rerun' ? { isAble: false, why: ONLY_FAILED } : { isAble: true });
  }

  /** Inputs that the pipeline declares (17.11 and newer) are sent as inputs by the prefix `input:`, all others as variables. */
  async dispatch(request: DispatchRequest, signal: AbortSignal): Promise<CiRun> {
    const entries = Object.entries(request.inputs);
    const inputs = entries.filter(([key]) => key.startsWith('input:')).map(([key, value]) => [key.slice(6), value]);
    const variables = entries.filter(([key]) => !key.startsWith('input:')).map(([key, value]) => ({ key, value }));
    return this.#run(
      await this.http.json({
        method: 'POST',
        path: this.path('pipeline'),
        body: {
          ref: request.ref,
          ...(variables.length > 0 && { variables }),
          ...(inputs.length > 0 && { inputs: Object.fromEntries(inputs) }),
        },
        signal,
        what: `starting a pipeline at ${request.ref}`,
      }),
    );
  }

  /** GitLab tries failed and cancelled jobs again; all of them only in a new pipeline. */
  async rerun(run: string, which: 'all' | 'failed', signal: AbortSignal): Promise<void> {
    if (which === 'all') {
      throw new SlipwayError({
        reason: 'refused',
        code: 'ci.unsupported',
        message: `${ONLY_FAILED}.`,
        fix: 'Run the failed ones again, or start a new pipeline on the same branch.',
      });
    }
    await this.post({
      path: this.path(`pipelines/${encodeURIComponent(run)}/retry`),
      signal,
      what: `running the failed jobs of pipeline ${run} again`,
    });
  }

  async cancel(run: string, signal: AbortSignal): Promise<void> {
    await this.post({
      path: this.path(`pipelines/${encodeURIComponent(run)}/cancel`),
      signal,
      what: `cancelling pipeline ${run}`,
    });
  }

  async #jobs(run: string, signal: AbortSignal): Promise<readonly Job[]> {
    const what = `the jobs of pipeline ${run}`;
    const found = await this.http.list(
      { path: this.path(`pipelines/${encodeURIComponent(run)}/jobs`), signal, what },
      asList,
      { most: 1000, sizeName: 'per_page' },
    );
    return found.map((job) => readShape(jobShape, job, this.repository, what));
  }

  #run(value: unknown): CiRun {
    const pipeline = readShape(pipelineShape, value, this.repository, 'a pipeline');
    const isWarning = pipeline.detailed_status?.group === 'success-with-warnings';
    const state = isWarning ? 'warning' : stateOfGitlab(pipeline.status, false);
    const startedAt = time(pipeline.started_at);
    const finishedAt = isFinished(state) ? (time(pipeline.finished_at) ?? time(pipeline.updated_at)) : undefined;
    const actor = pipeline.user?.username;
    const name = pipeline.name ?? '';
    const ref = pipeline.ref ?? '';
    // A merge request's pipeline runs at refs/merge-requests/7/head.
    const request = /^refs\/merge-requests\/(\d+)\//.exec(ref)?.[1];
    return {
      id: pipeline.id,
      number: pipeline.id,
      title: name === '' ? `Pipeline ${pipeline.id}` : name,
      workflow: name === '' ? 'Pipeline' : name,
      event: pipeline.source ?? 'unknown',
      ref: request === undefined ? ref : `!${request}`,
      commit: pipeline.sha ?? '',
      ...(typeof actor === 'string' && { actor }),
      state,
      detail: pipeline.yaml_errors ?? pipeline.status,
      createdAt: time(pipeline.created_at) ?? '',
      ...(startedAt !== undefined && { startedAt }),
      ...(finishedAt !== undefined && { finishedAt }),
      attempt: 1,
      url: pipeline.web_url ?? '',
    };
  }

  #job(job: Job, run: string): CiJob {
    const state = stateOfGitlab(job.status, job.allow_failure === true);
    const startedAt = time(job.started_at);
    const finishedAt = time(job.finished_at);
    const tags = (job.tag_list ?? []).join(', ');
    const why = job.failure_reason ?? '';
    const reason =
      why !== ''
        ? (FAILURES[why] ?? why.replaceAll('_', ' '))
        : state === 'queued' && job.status === 'pending'
          ? `no runner${tags === '' ? '' : ` with ${tags}`} has taken it`
          : job.status === 'manual'
            ? 'waits to be started by hand'
            : undefined;
    const runner = job.runner?.description ?? '';
    return {
      id: job.id,
      run,
      name: job.name,
      ...(typeof job.stage === 'string' && { stage: job.stage }),
      state,
      detail: job.status,
      ...(reason !== undefined && { reason }),
      ...(startedAt !== undefined && { startedAt }),
      ...(finishedAt !== undefined && { finishedAt }),
      ...(runner !== '' && { runner }),
      url: job.web_url ?? '',
      steps: [],
    };
  }

  protected path(rest: string): string {
    return `projects/${encodeURIComponent(this.repository.path)}/${rest}`;
  }
}

const ONLY_FAILED = 'GitLab runs only the failed and cancelled jobs of a pipeline again';

const asList = (body: unknown): readonly unknown[] => (Array.isArray(body) ? body : []);

const QUALITY: Readonly<Record<string, CiAnnotation['severity']>> = {
  info: 'info',
  minor: 'warning',
  major: 'warning',
  critical: 'error',
  blocker: 'error',
};

/** GitLab's reasons as people would say them; others are shown with their underscores taken out. */
const FAILURES: Readonly<Record<string, string>> = {
  script_failure: 'the script failed',
  runner_system_failure: 'the runner itself failed',
  stuck_or_timeout_failure: 'it was stuck, or no runner took it in time',
  job_execution_timeout: 'it took longer than its time-out',
  missing_dependency_failure: 'artifacts of an earlier job are gone',
  runner_unsupported: 'the runner is too old for it',
  unmet_prerequisites: 'something it needs could not be made ready',
  ci_quota_exceeded: 'the compute minutes are used up',
  image_pull_failure: 'its image could not be pulled',
};
