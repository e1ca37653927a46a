// Whose log was read: the kubelet gives "the current" and "the previous" container's, and which those are may change
// between the question and the answer. Pure.
import { at, type KubeObject, listOf, textOf } from '../cluster/object.ts';

/** When a container ran, by its node's clock in whole seconds: ms since the epoch. */
export interface RunSpan {
  readonly from: number;
  readonly to: number;
}

/**
 * Whether the log of a container's run is the previous one's now, or the current one's; undefined when the kubelet gives
 * it no more. As the kubelet chooses (`validateContainerLogStatus`, 1.20 and later).
 */
export function logOf(pod: KubeObject, container: string, id: string): 'previous' | 'current' | undefined {
  const statuses = ['initContainerStatuses', 'containerStatuses'].flatMap((name) => listOf(at(pod, 'status', name)));
  const status = statuses.find(({ name }) => name === container);
  if (status === undefined) return undefined;
  if (textOf(at(status, 'lastState', 'terminated', 'containerID')) === id) return 'previous';
  return textOf(at(status, 'state', 'terminated', 'containerID')) === id ? 'current' : undefined;
}

/**
 * The lines of a log with timestamps, without them; undefined when they were written outside of the run: then it is
 * another run's, whatever the status said. Times of log lines and of containers are of the same clock.
 */
export function linesOfRun(text: string, span: RunSpan | undefined): string | undefined {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const end = line.indexOf(' ');
    const stamp = end === -1 ? line : line.slice(0, end);
    const time = /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(stamp) ? Date.parse(stamp) : Number.NaN;
    if (Number.isNaN(time)) {
      // Not from the runtime: a broken last line, or a note of the kubelet.
      if (line !== '') lines.push(line);
      continue;
    }
    // What finished within a second counts to its end.
    if (span !== undefined && (time < span.from || time >= span.to + 1000)) return undefined;
    lines.push(end === -1 ? '' : line.slice(end + 1));
  }
  return lines.join('\n');
}
