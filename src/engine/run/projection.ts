import type {
  CauseView,
  EventBody,
  Outputs,
  RunEvent,
  RunId,
  RunOutcome,
  StepOutcome,
  StepSummary,
  VerdictState,
  WorkloadView,
} from '../events/index.ts';
import type { Diagnostic, Failure } from '../problems/index.ts';

type Body<T extends EventBody['type']> = Extract<EventBody, { readonly type: T }>;

export interface StepView extends StepSummary {
  readonly state: 'waiting' | 'running' | StepOutcome;
  /** ISO times. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly durationMs?: number;
  /** What it does now, why it was skipped, or what it achieved. */
  readonly message?: string;
  readonly progress?: { readonly done: number; readonly total: number; readonly unit?: string };
  readonly failure?: Failure;
  readonly outputs?: Outputs;
  readonly vertexes: readonly Body<'build.vertex'>[];
  readonly intent?: { readonly effect: string; readonly subject: string; readonly detail?: Outputs };
  /** What it found in files, each once: warnings of a build, misconfiguration, findings of the person's own tools. */
  readonly problems?: readonly Diagnostic[];
}

/** Of one step; its report has all of them. */
const MOST_PROBLEMS = 500;

/** A run as every view shows it: folded from its events, nothing else. */
export interface RunView {
  readonly id: RunId;
  readonly state: 'running' | RunOutcome;
  readonly environment: string | null;
  readonly startedBy: Body<'run.started'>['startedBy'];
  readonly pid: number;
  readonly host: string;
  readonly startedAt: string;
  readonly finishedAt?: string;
  readonly durationMs?: number;
  readonly commit?: string;
  readonly branch?: string;
  readonly isDirty?: boolean;
  readonly tag?: string;
  readonly failure?: Failure;
  readonly rolledBack: boolean;
  /** Cancelled because the window in which it ran was closed; nobody wanted that. */
  readonly hostEnded?: boolean;
  readonly steps: readonly StepView[];
  readonly workloads: readonly WorkloadView[];
  readonly verdict?: {
    readonly state: VerdictState;
    readonly message: string;
    readonly causes: readonly CauseView[];
    readonly elapsedMs: number;
  };
  readonly warnings: readonly CauseView[];
  readonly contact?: Body<'rollout.contact'>;
  readonly smoke: readonly Body<'smoke.result'>[];
  readonly scans: readonly Body<'scan.result'>[];
  readonly published: readonly Body<'image.published'>[];
  readonly deployed?: Body<'deploy.applied'>;
  readonly endpoints: readonly Body<'endpoint'>[];
  readonly reports: readonly Body<'report'>[];
  readonly rollback?: { readonly why: string; readonly target: string; readonly finished?: Body<'rollback.finished'> };
  readonly lastSeq: number;
}

/** Folds events into a view; undefined until the first `run.started`. Pass an earlier view to go on from it. */
export function project(events: readonly RunEvent[], from?: RunView): RunView | undefined {
  let view = from;
  for (const event of events) {
    if (event.type === 'run.started') view = begin(event);
    else if (view !== undefined) view = fold(view, event);
  }
  return view;
}

/**
 * The step that the run failed by: not an optional one that failed on the way, nor one that was pulled down with it. While
 * the run goes on, the first that has failed.
 */
export function failedStep(view: Pick<RunView, 'steps' | 'failure'>): StepView | undefined {
  const failed = view.steps.filter(({ state }) => state === 'failed');
  const { failure } = view;
  const isIt = (step: StepView) => step.failure?.message === failure?.message && step.failure?.code === failure?.code;
  return (failure === undefined ? undefined : failed.find(isIt)) ?? failed[0];
}

function begin(event: Extract<RunEvent, { readonly type: 'run.started' }>): RunView {
  return {
    id: event.run,
    state: 'running',
    environment: event.environment,
    startedBy: event.startedBy,
    pid: event.pid,
    host: event.host,
    startedAt: event.time,
    ...(event.commit !== undefined && { commit: event.commit }),
    ...(event.branch !== undefined && { branch: event.branch }),
    ...(event.isDirty !== undefined && { isDirty: event.isDirty }),
    ...(event.tag !== undefined && { tag: event.tag }),
    rolledBack: false,
    steps: event.steps.map((step) => ({ ...step, state: 'waiting', vertexes: [] })),
    workloads: [],
    warnings: [],
    smoke: [],
    scans: [],
    published: [],
    endpoints: [],
    reports: [],
    lastSeq: event.seq,
  };
}

function fold(before: RunView, event: RunEvent): RunView {
  // Log events are numbered per step and stored apart, so they never move the run's own position.
  const view = event.type === 'log' ? before : { ...before, lastSeq: event.seq };
  switch (event.type) {
    case 'run.resumed': {
      const {
        finishedAt: _f,
        durationMs: _d,
        failure: _x,
        hostEnded: _h,
        rollback: _r,
        verdict,
        contact: _c,
        ...rest
      } = view;
      return {
        ...rest,
        // What the attempt before came to is not what this one comes to.
        ...(verdict?.state === 'ready' && { verdict }),
        state: 'running',
        rolledBack: false,
        pid: event.pid,
        host: event.host,
        steps: view.steps.map((step) =>
          step.state === 'succeeded' || step.state === 'skipped' ? step : { ...step, state: 'waiting' },
        ),
      };
    }
    case 'run.finished':
      return {
        ...view,
        state: event.outcome,
        finishedAt: event.time,
        durationMs: event.durationMs,
        rolledBack: event.rolledBack ?? false,
        ...(event.hostEnded === true && { hostEnded: true }),
        ...(event.failure !== undefined && { failure: event.failure }),
        // A killed writer may have left steps running; the end of the run is their end as well.
        steps: view.steps.map((step) => (step.state === 'running' ? { ...step, state: 'cancelled' } : step)),
      };
    case 'step.started':
      return onStep(view, event, (step) => {
        const { failure: _f, message: _m, progress: _p, finishedAt: _t, durationMs: _d, problems: _x, ...rest } = step;
        return { ...rest, state: 'running', startedAt: event.time, vertexes: [] };
      });
    case 'step.intent':
      return onStep(view, event, (step) => ({
        ...step,
        intent: {
          effect: event.effect,
          subject: event.subject,
          ...(event.detail !== undefined && { detail: event.detail }),
        },
      }));
    case 'step.progress':
      return onStep(view, event, (step) => ({
        ...step,
        message: event.message,
        ...(event.done !== undefined &&
          event.total !== undefined && {
            progress: { done: event.done, total: event.total, ...(event.unit !== undefined && { unit: event.unit }) },
          }),
      }));
    case 'step.finished':
      return onStep(view, event, (step) => {
        const { progress: _p, message: _m, intent: _i, ...rest } = step;
        return {
          ...rest,
          state: event.outcome,
          finishedAt: event.time,
          durationMs: event.durationMs,
          ...(event.message !== undefined && { message: event.message }),
          ...(event.failure !== undefined && { failure: event.failure }),
          ...(event.outputs !== undefined && { outputs: event.outputs }),
        };
      });
    case 'build.vertex':
      return onStep(view, event, (step) => {
        const at = step.vertexes.findIndex((vertex) => vertex.digest === event.digest);
        const vertexes = at === -1 ? [...step.vertexes, event] : step.vertexes.with(at, event);
        return { ...step, vertexes };
      });
    case 'scan.result':
      return {
        ...view,
        scans: [...view.scans.filter((scan) => scan.image !== event.image || scan.platform !== event.platform), event],
      };
    case 'image.published':
      return { ...view, published: [...view.published.filter((other) => other.image !== event.image), event] };
    case 'deploy.applied':
      return { ...view, deployed: event };
    case 'rollout.progress':
      return { ...view, workloads: event.workloads };
    case 'rollout.warning':
      return {
        ...view,
        warnings: [
          ...view.warnings.filter(
            (other) => other.code !== event.warning.code || other.object.name !== event.warning.object.name,
          ),
          event.warning,
        ],
      };
    case 'rollout.contact':
      return { ...view, contact: event };
    case 'rollout.verdict':
      return {
        ...view,
        workloads: event.workloads,
        verdict: { state: event.state, message: event.message, causes: event.causes, elapsedMs: event.elapsedMs },
      };
    case 'smoke.result':
      return { ...view, smoke: [...view.smoke.filter((other) => other.check !== event.check), event] };
    case 'rollback.started':
      return { ...view, rollback: { why: event.why, target: event.target } };
    case 'rollback.finished':
      return {
        ...view,
        rollback: { why: view.rollback?.why ?? event.message, target: event.target, finished: event },
      };
    case 'endpoint':
      return { ...view, endpoints: [...view.endpoints.filter((other) => other.url !== event.url), event] };
    case 'diagnostic':
      return onStep(view, event, (step) => withProblem(step, event.diagnostic));
    case 'report':
      return { ...view, reports: [...view.reports.filter((other) => other.path !== event.path), event] };
    default:
      return view;
  }
}

function withProblem(step: StepView, found: Diagnostic): StepView {
  const problems = step.problems ?? [];
  const isSame = (other: Diagnostic) =>
    other.code === found.code &&
    other.message === found.message &&
    other.place.file === found.place.file &&
    other.place.range?.start.line === found.place.range?.start.line;
  return problems.length >= MOST_PROBLEMS || problems.some(isSame) ? step : { ...step, problems: [...problems, found] };
}

function onStep(view: RunView, event: RunEvent, change: (step: StepView) => StepView): RunView {
  const at = view.steps.findIndex((step) => step.id === event.step);
  const step = view.steps[at];
  if (step !== undefined) return { ...view, steps: view.steps.with(at, change(step)) };
  if (event.step === undefined || event.type !== 'step.started') return view;
  // A step that was not planned: the rollback after a failed rollout.
  const [kind, ...name] = event.step.split(':');
  const added: StepView = {
    id: event.step,
    kind: kind as StepView['kind'],
    title: kind === 'rollback' ? `Roll back ${name.join(':')}` : event.step,
    needs: [],
    environment: name.join(':'),
    state: 'waiting',
    vertexes: [],
  };
  return { ...view, steps: [...view.steps, change(added)] };
}
