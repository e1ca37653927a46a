import { CancelledError } from '../problems/index.ts';
import { ApiError } from './api.ts';
import type { Cluster } from './cluster.ts';

export interface LogQuery {
  readonly namespace: string;
  readonly pod: string;
  readonly container?: string;
  /** The container before its last restart. */
  readonly isPrevious?: boolean;
  /** Lines from the end. */
  readonly tail?: number;
  readonly hasTimestamps?: boolean;
  /** Only lines of so many seconds before now, by the node's clock. */
  readonly sinceSeconds?: number;
  /** Only lines from this time on (RFC 3339); whole seconds count. */
  readonly sinceTime?: string;
}

/** The longest timer there is: a container that says nothing has not begun its answer, and that is no fault. */
const NEVER_MS = 2 ** 31 - 1;

/** The log as it is now. Undefined when it cannot be had: the container has not started, or its log is gone. */
export async function findPodLog(cluster: Cluster, query: LogQuery, signal: AbortSignal): Promise<string | undefined> {
  try {
    const text = await cluster.api.text({ method: 'GET', path: path(query, false), accept: '*/*', signal });
    // The kubelet's answer, with status 200, when the runtime has removed the container.
    return /^unable to retrieve container logs for/.test(text) ? undefined : text;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 400 || error.status === 404 || error.status === 500)) {
      return undefined;
    }
    throw error;
  }
}

/** As {@link findPodLog}, and empty when there is none: a missing log is an answer, not a failure. */
export async function readPodLog(cluster: Cluster, query: LogQuery, signal: AbortSignal): Promise<string> {
  return (await findPodLog(cluster, query, signal)) ?? '';
}

/** Follows a log until the container ends or the signal aborts. `onText` gets whole lines. */
export async function followPodLog(
  cluster: Cluster,
  query: LogQuery,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const answer = await cluster.api.stream({
    method: 'GET',
    path: path(query, true),
    accept: '*/*',
    signal,
    timeoutMs: NEVER_MS,
  });
  let rest = '';
  answer.setEncoding('utf8');
  return new Promise((resolve, reject) => {
    answer.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    });
    answer.on('end', () => {
      if (rest !== '') onLine(rest);
      resolve();
    });
    answer.on('error', (error) => reject(signal.aborted ? new CancelledError() : error));
    // A connection that is cut ends with `close` alone; what was lost is asked for again by the caller.
    answer.on('close', () => reject(signal.aborted ? new CancelledError() : new Error('the connection was closed')));
  });
}

function path(query: LogQuery, isFollowed: boolean): string {
  const parameters = new URLSearchParams();
  if (query.container !== undefined) parameters.set('container', query.container);
  if (query.isPrevious === true) parameters.set('previous', 'true');
  if (query.tail !== undefined) parameters.set('tailLines', String(query.tail));
  if (query.hasTimestamps === true) parameters.set('timestamps', 'true');
  if (query.sinceSeconds !== undefined) parameters.set('sinceSeconds', String(query.sinceSeconds));
  if (query.sinceTime !== undefined) parameters.set('sinceTime', query.sinceTime);
  if (isFollowed) parameters.set('follow', 'true');
  return `/api/v1/namespaces/${encodeURIComponent(query.namespace)}/pods/${encodeURIComponent(query.pod)}/log?${parameters}`;
}
