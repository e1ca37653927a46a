// The shapes of inputs and outputs that several operations share.
import { isAbsolute, relative } from 'node:path';
import * as v from 'valibot';
import type { PlanRequest, RunView } from '../engine/main.ts';
import type { Failure, Place } from '../engine/problems/index.ts';
import { failedStep } from '../engine/run/projection.ts';

const described = <S extends v.GenericSchema>(schema: S, text: string) => v.pipe(schema, v.description(text));
const text = v.pipe(v.string(), v.minLength(1));

export const environmentName = described(text, 'Name of an environment in slipway.yaml.');
export const runId = described(text, 'Run id, for example 20260131T093015Z-4f2a9c. Default: the newest run.');
export const waitSeconds = described(
  v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(600)), 45),
  'How long to wait for the end, in seconds. When the run goes on longer, the answer has state "running"; ask show_run for more.',
);

export const planInput = {
  environment: v.optional(described(text, 'Environment to deploy to. Without it the run ends with publish.')),
  images: v.optional(described(v.array(text), 'Only these images.')),
  until: v.optional(
    described(v.picklist(['test', 'build', 'scan', 'publish', 'deploy', 'smoke']), 'Stop after this stage.'),
  ),
  only: v.optional(
    described(
      v.array(v.picklist(['test', 'build', 'scan', 'publish', 'deploy', 'smoke'])),
      'Only these stages, with what was built before.',
    ),
  ),
  tag: v.optional(described(text, 'Deploy this existing tag instead of building.')),
  force: v.optional(described(v.boolean(), 'Run also what is unchanged.')),
};

export interface PlanInput {
  readonly environment?: string | undefined;
  readonly images?: readonly string[] | undefined;
  readonly until?: PlanRequest['until'] | undefined;
  readonly only?: PlanRequest['only'] | undefined;
  readonly tag?: string | undefined;
  readonly force?: boolean | undefined;
}

export function toRequest({ environment, images, until, only, tag, force }: PlanInput): PlanRequest {
  return {
    ...(environment !== undefined && { environment }),
    ...(images !== undefined && { images }),
    ...(until !== undefined && { until }),
    ...(only !== undefined && { only }),
    ...(tag !== undefined && { tag }),
    ...(force === true && { isForced: true }),
  };
}

export const problem = v.object({
  severity: v.string(),
  message: v.string(),
  place: v.optional(v.string()),
  fix: v.optional(v.string()),
});

export const failure = v.object({
  reason: v.string(),
  code: v.optional(v.string()),
  message: v.string(),
  fix: v.optional(v.string()),
  place: v.optional(v.string()),
  evidence: v.optional(v.array(v.string())),
});

const MOST_EVIDENCE = 6;
const LONGEST_LINE = 400;

/** `file:line:column` counted from 1, relative to the root where it lies below. */
export function placeText(place: Place, root: string): string {
  const path = relative(root, place.file);
  const below = path.startsWith('..') || isAbsolute(path) ? place.file : path.replaceAll('\\', '/');
  return place.range === undefined
    ? below
    : `${below}:${place.range.start.line + 1}:${place.range.start.character + 1}`;
}

export function failureOf(found: Failure, root: string): v.InferOutput<typeof failure> {
  const { reason, code, message, fix, place, evidence } = found;
  return {
    reason,
    code,
    message: cut(message),
    fix,
    place: place === undefined ? undefined : placeText(place, root),
    evidence: evidence?.slice(0, MOST_EVIDENCE).map(cut),
  };
}

export const cut = (line: string): string =>
  line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}… (${line.length} characters)` : line;

const cause = v.object({
  code: v.string(),
  object: v.string(),
  message: v.string(),
  fix: v.string(),
  evidence: v.array(v.string()),
});

/** A run in the little that is needed to judge it and to go on. */
export const runOutput = v.object({
  run: v.string(),
  state: v.picklist(['running', 'succeeded', 'failed', 'cancelled', 'interrupted']),
  environment: v.nullable(v.string()),
  tag: v.optional(v.string()),
  commit: v.optional(v.string()),
  startedAt: v.string(),
  durationMs: v.optional(v.number()),
  rolledBack: v.boolean(),
  steps: v.array(
    v.object({
      id: v.string(),
      state: v.string(),
      durationMs: v.optional(v.number()),
      message: v.optional(v.string()),
    }),
  ),
  images: v.array(
    v.object({ image: v.string(), repository: v.string(), digest: v.string(), tags: v.array(v.string()) }),
  ),
  scans: v.array(v.object({ image: v.string(), platform: v.string(), outcome: v.string(), message: v.string() })),
  verdict: v.optional(v.object({ state: v.string(), message: v.string(), causes: v.array(cause) })),
  smoke: v.array(v.object({ check: v.string(), isOk: v.boolean(), message: v.string() })),
  rollback: v.optional(v.string()),
  failure: v.optional(failure),
  endpoints: v.array(v.string()),
  next: v.optional(v.string()),
});

/** @param isLive whether a process still works on it; a `running` run without one was interrupted. */
export function runOf(view: RunView, isLive: boolean, root: string): v.InferInput<typeof runOutput> {
  const state = view.state === 'running' && !isLive ? 'interrupted' : view.state;
  return {
    run: view.id,
    state,
    environment: view.environment,
    tag: view.tag,
    commit: view.commit?.slice(0, 12),
    startedAt: view.startedAt,
    durationMs: view.durationMs,
    rolledBack: view.rolledBack,
    steps: view.steps.map((step) => ({
      id: step.id,
      state: step.state,
      durationMs: step.durationMs,
      message: step.failure === undefined ? (step.message === undefined ? undefined : cut(step.message)) : undefined,
    })),
    images: view.published.map(({ image, repository, digest, tags }) => ({
      image,
      repository,
      digest,
      tags: [...tags],
    })),
    scans: view.scans.map(({ image, platform, outcome, message }) => ({ image, platform, outcome, message })),
    verdict:
      view.verdict === undefined
        ? undefined
        : {
            state: view.verdict.state,
            message: view.verdict.message,
            causes: view.verdict.causes.slice(0, 5).map(({ code, object, message, fix, evidence }) => ({
              code,
              object: `${object.kind} ${object.name}`,
              message: cut(message),
              fix,
              evidence: evidence.slice(0, MOST_EVIDENCE).map(cut),
            })),
          },
    smoke: view.smoke.map(({ check, isOk, message }) => ({ check, isOk, message: cut(message) })),
    rollback: view.rollback === undefined ? undefined : (view.rollback.finished?.message ?? 'did not finish'),
    failure: view.failure === undefined ? undefined : failureOf(view.failure, root),
    endpoints: view.endpoints.map(({ url }) => url),
    next: nextOf(state, view),
  };
}

function nextOf(state: string, view: RunView): string | undefined {
  switch (state) {
    case 'running':
      return `It goes on: show_run with run "${view.id}" waits for it.`;
    case 'interrupted':
      return 'Its process is gone: resume goes on with it.';
    case 'failed': {
      const failed = failedStep(view);
      const log = failed === undefined ? '' : `logs with step "${failed.id}" shows its output. `;
      return view.environment === null ? log || undefined : `${log}diagnose collects the state of the cluster.`;
    }
    default:
      return undefined;
  }
}
