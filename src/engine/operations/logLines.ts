// What a log is made of: containers that have one, lines, and their times.
import { at, type Fields, type KubeObject, listOf, numberOf, textOf } from '../cluster/index.ts';
import type { Named } from './find.ts';

export interface LogsRequest {
  readonly workload: Named;
  /** Absent = every container that has a log. */
  readonly container?: string;
  /** Of the container before its last restart. */
  readonly isPrevious?: boolean;
  /** Lines of each container, from the end. Default 200. */
  readonly tail?: number;
  /** Only lines of so many seconds before now. */
  readonly sinceSeconds?: number;
}

export interface LogLine {
  readonly pod: string;
  readonly container: string;
  /** RFC 3339 with nanoseconds, by the node's clock; absent when the runtime gave none. */
  readonly time?: string;
  readonly text: string;
  readonly isPrevious: boolean;
}

/** What happened to a log that is followed, for people. */
export interface LogNote {
  readonly pod: string;
  readonly container: string;
  readonly kind: 'follows' | 'restarted' | 'ended' | 'reconnecting' | 'left-out';
  readonly message: string;
}

export const TAIL = 200;
/** Each followed log holds a connection; beyond this the API server and the person have enough of it. */
export const MOST_STREAMS = 40;

export interface ContainerName {
  readonly name: string;
  readonly restarts: number;
  readonly hasStarted: boolean;
  readonly isRunning: boolean;
  readonly isInit: boolean;
  /** Ended, and an init container: it will not run again. */
  readonly isDone: boolean;
}

/** Containers of a pod, or the one that is wanted. Init containers count while they are what the pod waits for. */
export function namesOf(pod: KubeObject, wanted: string | undefined): readonly ContainerName[] {
  const isInitialized = listOf(at(pod, 'status', 'conditions')).some(
    ({ type, status }) => type === 'Initialized' && status === 'True',
  );
  const part = (specs: string, statuses: string): readonly ContainerName[] =>
    listOf(at(pod, 'spec', specs)).flatMap((spec) => {
      const name = textOf(spec.name) ?? '';
      const status: Fields = listOf(at(pod, 'status', statuses)).find((one) => one.name === name) ?? {};
      const isInit = specs === 'initContainers' && spec.restartPolicy !== 'Always';
      if (wanted === undefined ? isInit && isInitialized : name !== wanted) return [];
      const restarts = numberOf(status.restartCount) ?? 0;
      const isRunning = at(status, 'state', 'running') !== undefined;
      const code = numberOf(at(status, 'state', 'terminated', 'exitCode'));
      const hasStarted = isRunning || code !== undefined || restarts > 0;
      return [{ name, restarts, hasStarted, isRunning, isInit, isDone: code === 0 }];
    });
  return [...part('initContainers', 'initContainerStatuses'), ...part('containers', 'containerStatuses')];
}

export type Timed = Pick<LogLine, 'time' | 'text'>;

/** Takes the time off a line as the API server puts it before it. */
export function timed(line: string): Timed {
  const space = line.indexOf(' ');
  const time = space === -1 ? line : line.slice(0, space);
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(time)
    ? { time, text: space === -1 ? '' : line.slice(space + 1) }
    : { text: line };
}

/** Order of two RFC 3339 times with up to nanoseconds, which a Date cannot hold. */
export function compareTimes(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return 0;
  const seconds = Date.parse(wholeSeconds(a)) - Date.parse(wholeSeconds(b));
  return seconds !== 0 ? seconds : fraction(a) - fraction(b);
}

const wholeSeconds = (time: string): string => time.replace(/\.\d+/, '');
const fraction = (time: string): number => Number(`0${/\.\d+/.exec(time)?.[0] ?? ''}`);
