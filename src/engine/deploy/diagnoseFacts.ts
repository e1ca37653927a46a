import { at, type Fields, fieldsOf, type KubeObject, listOf, textOf } from '../cluster/index.ts';

export interface ContainerState {
  readonly name: string;
  readonly image: string;
  /** `running`, or the reason it waits or ended for. */
  readonly state: string;
  readonly message: string;
  readonly exitCode?: number;
  readonly lastReason?: string;
  readonly lastExitCode?: number;
  readonly restarts: number;
  /** It ran at least once, so it may have a log. */
  readonly hasStarted: boolean;
}

export interface PodState {
  readonly name: string;
  readonly node: string;
  readonly phase: string;
  readonly isReady: boolean;
  readonly containers: readonly ContainerState[];
  /** Why it is not scheduled. */
  readonly unschedulable?: string;
}

export function podStates(pods: readonly KubeObject[]): readonly PodState[] {
  return pods.map((pod) => {
    const conditions = listOf(at(pod, 'status', 'conditions'));
    const scheduled = conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
    const unschedulable = textOf(scheduled?.message);
    return {
      name: pod.metadata.name,
      node: textOf(at(pod, 'spec', 'nodeName')) ?? '',
      phase: pod.metadata.deletionTimestamp === undefined ? (textOf(at(pod, 'status', 'phase')) ?? '?') : 'Terminating',
      isReady: conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
      containers: [
        ...listOf(at(pod, 'status', 'initContainerStatuses')),
        ...listOf(at(pod, 'status', 'containerStatuses')),
      ].map(containerState),
      ...(unschedulable !== undefined && { unschedulable }),
    };
  });
}

function containerState(status: Fields): ContainerState {
  const state = fieldsOf(status.state);
  const waiting = fieldsOf(state.waiting);
  const ended = fieldsOf(state.terminated);
  const last = fieldsOf(at(status, 'lastState', 'terminated'));
  const isRunning = state.running !== undefined;
  const restarts = Number(status.restartCount ?? 0);
  return {
    name: textOf(status.name) ?? '',
    image: textOf(status.image) ?? '',
    state: isRunning ? 'running' : (textOf(waiting.reason) ?? textOf(ended.reason) ?? 'waiting'),
    message: textOf(waiting.message) ?? textOf(ended.message) ?? '',
    restarts,
    hasStarted: isRunning || restarts > 0 || ended.exitCode !== undefined || last.exitCode !== undefined,
    ...(typeof ended.exitCode === 'number' && { exitCode: ended.exitCode }),
    ...(typeof last.reason === 'string' && { lastReason: last.reason }),
    ...(typeof last.exitCode === 'number' && { lastExitCode: last.exitCode }),
  };
}

export interface EventLine {
  /** ISO time of the last one. */
  readonly at: string;
  readonly type: string;
  readonly reason: string;
  /** `Pod web-1`. */
  readonly object: string;
  readonly message: string;
  readonly count: number;
}

const MOST_EVENTS = 200;

/** Events that speak of the given objects (by uid), newest last. */
export function eventLines(events: readonly KubeObject[], uids: ReadonlySet<unknown>): readonly EventLine[] {
  return events
    .filter((event) => uids.has(at(event, 'involvedObject', 'uid')))
    .map((event) => ({
      at:
        textOf(at(event, 'series', 'lastObservedTime')) ??
        textOf(event.lastTimestamp) ??
        textOf(event.eventTime) ??
        textOf(event.metadata.creationTimestamp) ??
        '',
      type: textOf(event.type) ?? '',
      reason: textOf(event.reason) ?? '',
      object: `${textOf(at(event, 'involvedObject', 'kind')) ?? ''} ${textOf(at(event, 'involvedObject', 'name')) ?? ''}`,
      message: (textOf(event.message) ?? '').replace(/\s+/g, ' ').trim(),
      count: Number(at(event, 'series', 'count') ?? event.count ?? 1),
    }))
    .sort((a, b) => a.at.localeCompare(b.at))
    .slice(-MOST_EVENTS);
}

export interface LogText {
  readonly name: string;
  readonly pod: string;
  readonly container: string;
  readonly isPrevious: boolean;
  readonly text: string;
}
