// Logs of a workload: all its pods and containers as one stream.
import { findPodLog, type KubeObject, type LogQuery } from '../cluster/index.ts';
import { findObject, podsOf, type Scope } from './find.ts';
import { compareTimes, type LogLine, type LogsRequest, MOST_STREAMS, namesOf, TAIL, timed } from './logLines.ts';

/** Logs as they are now, all lines in the order of their times. */
export async function readLogs(request: LogsRequest, scope: Scope): Promise<readonly LogLine[]> {
  const object = await findObject(request.workload, scope);
  const pods = await podsOf(object, scope);
  const sources = pods.flatMap((pod) =>
    namesOf(pod, request.container)
      .filter((container) => container.hasStarted || request.container !== undefined)
      .map((container) => ({ pod, container: container.name })),
  );
  const isPrevious = request.isPrevious === true;
  const logs = await Promise.all(
    sources.slice(0, MOST_STREAMS).map(async ({ pod, container }) => {
      const text = await findPodLog(scope.cluster, queryOf(pod, container, request), scope.signal);
      const lines = (text ?? '').split('\n').filter((line) => line !== '');
      return lines.map((line): LogLine => ({ pod: pod.metadata.name, container, isPrevious, ...timed(line) }));
    }),
  );
  // A stable sort: lines without a time stay where they were.
  return logs.flat().sort((a, b) => compareTimes(a.time, b.time));
}

function queryOf(pod: KubeObject, container: string, request: LogsRequest): LogQuery {
  return {
    namespace: pod.metadata.namespace ?? '',
    pod: pod.metadata.name,
    container,
    isPrevious: request.isPrevious === true,
    hasTimestamps: true,
    tail: request.tail ?? TAIL,
    ...(request.sinceSeconds !== undefined && { sinceSeconds: request.sinceSeconds }),
  };
}
