// Runs, jobs and steps as GitHub's API writes them; Gitea and Forgejo follow it, with parts left out.
import * as v from 'valibot';
import { SlipwayError } from '../problems/index.ts';
import type { CiArtifact, CiJob, CiRepository, CiRun, CiStep } from './model.ts';
import { stateOfPair } from './state.ts';

const text = v.optional(v.nullable(v.string()));
/** Ids are numbers in one host and strings in another; beyond 2^53 they come as strings. */
const id = v.pipe(v.union([v.string(), v.number()]), v.transform(String));
const person = v.optional(v.nullable(v.object({ login: text })));

const runShape = v.object({
  id,
  name: text,
  display_title: text,
  path: text,
  run_number: v.optional(v.nullable(id)),
  run_attempt: v.optional(v.nullable(v.number())),
  event: text,
  status: text,
  conclusion: text,
  head_branch: text,
  head_sha: text,
  actor: person,
  trigger_actor: person,
  triggering_actor: person,
  created_at: text,
  run_started_at: text,
  started_at: text,
  updated_at: text,
  completed_at: text,
  html_url: text,
});

const stepShape = v.object({
  number: v.optional(v.nullable(v.number())),
  name: text,
  status: text,
  conclusion: text,
  started_at: text,
  completed_at: text,
});

const jobShape = v.object({
  id,
  run_id: v.optional(v.nullable(id)),
  name: text,
  status: text,
  conclusion: text,
  started_at: text,
  completed_at: text,
  runner_name: text,
  labels: v.optional(v.nullable(v.array(v.string()))),
  html_url: text,
  steps: v.optional(v.nullable(v.array(stepShape))),
});

const artifactShape = v.object({
  id,
  name: v.string(),
  size_in_bytes: v.optional(v.nullable(v.number())),
  expired: v.optional(v.nullable(v.boolean())),
  archive_download_url: text,
});

/** Reads one object, naming host and subject when it is not of the documented shape. */
export function readShape<T extends v.GenericSchema>(
  schema: T,
  value: unknown,
  repository: CiRepository,
  what: string,
): v.InferOutput<T> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new SlipwayError({
    reason: 'network',
    code: 'ci.shape',
    message: `${repository.host} answered for ${what} with something unexpected: ${v.getDotPath(issue) ?? 'the answer'}: ${issue.message}.`,
    fix: 'Update Slipway, or the server if it is very old.',
  });
}

/** The list in a page: `{ total_count, <name>: [...] }`; Gitea writes null for an empty one. */
export const listIn =
  (name: string) =>
  (body: unknown): readonly unknown[] => {
    const list = (body as Readonly<Record<string, unknown>> | undefined)?.[name];
    return Array.isArray(list) ? list : [];
  };

/** Undefined for null, empty, and the year 1 that Go writes for "no time". */
export const time = (value: string | null | undefined): string | undefined =>
  value === null || value === undefined || value === '' || /^(0001|1970)-01-01T/.test(value) ? undefined : value;

const finished = (status: string | null | undefined, value: string | null | undefined) =>
  status === 'completed' ? time(value) : undefined;

export function toRun(value: unknown, repository: CiRepository): CiRun {
  const run = readShape(runShape, value, repository, 'a run');
  // Gitea writes `build.yml@refs/heads/main`, Forgejo and GitHub the path.
  const file = run.path?.replace(/@.*$/, '') ?? undefined;
  const startedAt = time(run.run_started_at) ?? time(run.started_at);
  const createdAt = time(run.created_at) ?? startedAt ?? time(run.updated_at) ?? '';
  const state = stateOfPair(run.status, run.conclusion);
  const finishedAt = finished(run.status, run.completed_at ?? run.updated_at);
  const actor = run.triggering_actor?.login ?? run.trigger_actor?.login ?? run.actor?.login ?? undefined;
  const number = run.run_number ?? run.id;
  return {
    id: run.id,
    number,
    title: run.display_title ?? run.name ?? `Run ${number}`,
    workflow: run.name ?? file?.split('/').at(-1) ?? 'workflow',
    ...(file !== undefined && file !== '' && { file }),
    event: run.event ?? 'unknown',
    ref: (run.head_branch ?? '').replace(/^refs\/(heads|tags)\//, ''),
    commit: run.head_sha ?? '',
    ...(actor !== undefined && { actor }),
    state,
    detail: [run.status, run.conclusion]
      .filter((word) => word !== null && word !== undefined && word !== '')
      .join(': '),
    createdAt,
    ...(startedAt !== undefined && { startedAt }),
    ...(finishedAt !== undefined && { finishedAt }),
    attempt: run.run_attempt ?? 1,
    url: run.html_url ?? '',
  };
}

export function toJob(value: unknown, run: string, repository: CiRepository): CiJob {
  const job = readShape(jobShape, value, repository, 'a job');
  const state = stateOfPair(job.status, job.conclusion);
  const startedAt = state === 'queued' || state === 'waiting' ? undefined : time(job.started_at);
  const finishedAt = time(job.completed_at);
  const labels = (job.labels ?? []).join(', ');
  const reason = state === 'queued' && labels !== '' ? `no runner with ${labels} has taken it` : undefined;
  const runner = job.runner_name ?? '';
  return {
    id: job.id,
    run: job.run_id ?? run,
    name: job.name ?? `job ${job.id}`,
    state,
    detail: [job.status, job.conclusion]
      .filter((word) => word !== null && word !== undefined && word !== '')
      .join(': '),
    ...(reason !== undefined && { reason }),
    ...(startedAt !== undefined && { startedAt }),
    ...(finishedAt !== undefined && { finishedAt }),
    ...(runner !== '' && { runner }),
    url: job.html_url ?? '',
    steps: (job.steps ?? []).map((step, index): CiStep => {
      const begun = time(step.started_at);
      const ended = time(step.completed_at);
      return {
        // Gitea counts from 0.
        number: index + 1,
        name: step.name ?? `Step ${index + 1}`,
        state: stateOfPair(step.status, step.conclusion),
        ...(begun !== undefined && { startedAt: begun }),
        ...(ended !== undefined && { finishedAt: ended }),
      };
    }),
  };
}

export function toArtifact(value: unknown, repository: CiRepository): CiArtifact {
  const artifact = readShape(artifactShape, value, repository, 'an artifact');
  return {
    id: artifact.id,
    name: artifact.name,
    ...(typeof artifact.size_in_bytes === 'number' && { bytes: artifact.size_in_bytes }),
    isExpired: artifact.expired === true,
    url: artifact.archive_download_url ?? '',
  };
}
