// What the rollout page and its host say to each other: one closed union per direction, checked on arrival by both.
// No vscode and no Node here: the page's program imports this too.
import * as v from 'valibot';
import type { RunView } from '../../engine/run/projection.ts';
import { diagnosisSchema } from './diagnosis.ts';

export const PROTOCOL_VERSION = 1;

export interface HistoryEntry {
  readonly run: string;
  readonly condition: string;
  readonly startedAt: string;
  readonly durationMs?: number;
  readonly tag?: string;
}

/** Everything the page shows, whole: hidden pages lose messages, so there are no deltas. */
export interface RolloutState {
  readonly project: string;
  /** Absolute folder of the workspace root: what a restored page is found by. */
  readonly folder: string;
  readonly run: RunView;
  /** A process works on the run. */
  readonly isLive: boolean;
  /** What the host would do for the person now; buttons appear by this. */
  readonly offers: readonly Offer[];
  /** Ways out of a failure, shown beside its cause. */
  readonly fixes: readonly Offer[];
  /** Runs of the same environment, oldest first, the shown one among them. */
  readonly history: readonly HistoryEntry[];
  /** The host's clock, ISO: durations of running steps count from it. */
  readonly now: string;
  /** Step to show the log of, when somebody came for it. */
  readonly focus?: string;
}

const offers = ['cancel', 'runAgain', 'resume', 'rollBack', 'deploy', 'smoke', 'diagnose', 'unlock'] as const;

export type Offer = (typeof offers)[number];

export interface LogLine {
  readonly seq: number;
  readonly time: string;
  readonly stream: 'out' | 'err';
  readonly text: string;
}

const stepId = v.pipe(v.string(), v.maxLength(300));
const runId = v.pipe(v.string(), v.maxLength(60));

/** The page asks by intent; the host decides, and checks trust and that what is named exists in the run. */
const toHost = v.variant('kind', [
  v.strictObject({ kind: v.literal('ready'), version: v.literal(PROTOCOL_VERSION) }),
  v.strictObject({ kind: v.literal('do'), offer: v.picklist(offers) }),
  v.strictObject({ kind: v.literal('showRun'), run: runId }),
  /** Whose log is on screen; absent = none. */
  v.strictObject({ kind: v.literal('followLog'), step: v.optional(stepId) }),
  v.strictObject({ kind: v.literal('openLog'), step: stepId }),
  v.strictObject({ kind: v.literal('openEndpoint'), url: v.pipe(v.string(), v.maxLength(2000)) }),
  v.strictObject({ kind: v.literal('openFailure'), step: v.optional(stepId) }),
  v.strictObject({
    kind: v.literal('openFinding'),
    image: v.string(),
    platform: v.string(),
    id: v.string(),
    package: v.string(),
    what: v.picklist(['advisory', 'dockerfile']),
  }),
  /** The diagnosis on screen, as a document. */
  v.strictObject({ kind: v.literal('openDiagnosis') }),
  v.strictObject({ kind: v.literal('openReport'), path: v.pipe(v.string(), v.maxLength(500)) }),
]);

export type ToHost = v.InferOutput<typeof toHost>;

const logLine = v.object({
  seq: v.number(),
  time: v.string(),
  stream: v.picklist(['out', 'err']),
  text: v.string(),
});

const isState = (value: unknown): boolean => {
  const state = value as Partial<RolloutState> | null;
  return (
    typeof state === 'object' &&
    state !== null &&
    Array.isArray(state.history) &&
    Array.isArray(state.offers) &&
    Array.isArray(state.fixes) &&
    typeof state.now === 'string' &&
    typeof state.run === 'object' &&
    Array.isArray(state.run?.steps)
  );
};

const toView = v.variant('kind', [
  v.object({ kind: v.literal('snapshot'), seq: v.number(), state: v.custom<RolloutState>(isState) }),
  /** Lines that follow those sent before; with `isFirst` they replace them. `dropped` lines were left out before these. */
  v.object({
    kind: v.literal('log'),
    run: v.string(),
    step: v.string(),
    isFirst: v.boolean(),
    dropped: v.number(),
    lines: v.array(logLine),
  }),
  /**
   * What was collected after the failure of the run (`run`), or when somebody asked for it (`now`); it stays until the
   * page shows another run. `isAsked`: somebody waits to see it.
   */
  v.object({
    kind: v.literal('diagnosis'),
    run: v.string(),
    origin: v.picklist(['run', 'now']),
    isAsked: v.boolean(),
    data: diagnosisSchema,
  }),
  /** There is no such run any more. */
  v.object({ kind: v.literal('gone'), message: v.string() }),
]);

export type ToView = v.InferOutput<typeof toView>;

/** The message, or undefined for anything that is not one. */
export function parseToHost(value: unknown): ToHost | undefined {
  const result = v.safeParse(toHost, value);
  return result.success ? result.output : undefined;
}

export function parseToView(value: unknown): ToView | undefined {
  const result = v.safeParse(toView, value);
  return result.success ? result.output : undefined;
}
