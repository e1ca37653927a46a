// Logs of a workload: all its pods and containers as one stream, across restarts and replaced pods.
import {
  at,
  type Fields,
  findPodLog,
  followPodLog,
  type KubeObject,
  type LogQuery,
  listOf,
  numberOf,
  textOf,
  WatchCache,
} from '../cluster/index.ts';
import { CancelledError, isCancelled, toFailure } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import { containerOf, findObject, type Named, noPods, podQuery, podsOf, type Scope } from './find.ts';

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

const TAIL = 200;
/** Each followed log holds a connection; beyond this the API server and the person have enough of it. */
const MOST_STREAMS = 40;
/** How long the watch may take to tell that a container has ended whose log has. */
const END_MS = 3_000;

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

/**
 * Follows until the signal aborts (then it resolves), or until a Job or bare pod has ended. New pods and restarted
 * containers are taken up by themselves; a broken connection is made again where the last line was.
 */
export async function followLogs(
  request: LogsRequest,
  scope: Scope,
  options: {
    readonly clock: Clock;
    readonly onLine: (line: LogLine) => void;
    readonly onNote?: (note: LogNote) => void;
  },
): Promise<void> {
  const object = await findObject(request.workload, scope);
  const query = await podQuery(object, scope);
  if (query === undefined) throw noPods(object);
  if (request.container !== undefined) {
    const [pod] = await podsOf(object, scope);
    if (pod !== undefined) containerOf(pod, request.container);
  }
  const ending = new AbortController();
  const signal = AbortSignal.any([scope.signal, ending.signal]);
  const follower = new Follower(request, object, { ...scope, signal }, options, () => ending.abort());
  const watch = new WatchCache(
    scope.cluster,
    { apiVersion: 'v1', kind: 'Pod', namespace: object.metadata.namespace ?? scope.namespace, ...query },
    { clock: options.clock, signal, onChange: (cache) => follower.look([...cache.objects()]) },
  );
  await watch.ready;
  if (watch.contact.state === 'lost') throw watch.contact.error;
  await aborted(signal);
  await follower.settled();
  if (follower.fault !== undefined && !scope.signal.aborted) throw follower.fault;
}

interface Followed {
  readonly pod: KubeObject;
  readonly container: string;
  restarts: number;
  state: 'open' | 'waiting' | 'ended';
  /** Time of the last line, and how many lines had it: where a new connection goes on. */
  last: string | undefined;
  lastCount: number;
}

class Follower {
  readonly #request: LogsRequest;
  readonly #object: KubeObject;
  readonly #scope: Scope;
  readonly #o: Parameters<typeof followLogs>[2];
  readonly #end: () => void;
  readonly #followed = new Map<string, Followed>();
  readonly #streams = new Set<Promise<void>>();
  readonly #lookers = new Set<() => void>();
  #pods: readonly KubeObject[] = [];
  #isFirst = true;
  #isChecking = false;
  #leftOut = false;
  fault: unknown;

  constructor(
    request: LogsRequest,
    object: KubeObject,
    scope: Scope,
    options: Parameters<typeof followLogs>[2],
    end: () => void,
  ) {
    this.#request = request;
    this.#object = object;
    this.#scope = scope;
    this.#o = options;
    this.#end = end;
  }

  /** All streams have ended. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#streams);
  }

  look(pods: readonly KubeObject[]): void {
    this.#pods = pods;
    for (const pod of pods) {
      for (const container of namesOf(pod, this.#request.container)) {
        if (container.hasStarted) this.#consider(pod, container);
      }
    }
    this.#isFirst = false;
    for (const told of this.#lookers) told();
    this.#lookers.clear();
    this.#endIfOver();
  }

  #consider(pod: KubeObject, container: ContainerName): void {
    const key = `${pod.metadata.uid ?? ''}/${container.name}`;
    const known = this.#followed.get(key);
    if (known === undefined) {
      if (this.#followed.size >= MOST_STREAMS) {
        if (!this.#leftOut) {
          this.#leftOut = true;
          this.#note(pod, container.name, 'left-out', `more than ${MOST_STREAMS} logs; the others are not followed`);
        }
        return;
      }
      const followed: Followed = {
        pod,
        container: container.name,
        restarts: container.restarts,
        state: 'open',
        last: undefined,
        lastCount: 0,
      };
      this.#followed.set(key, followed);
      this.#open(key, followed, this.#isFirst ? { tail: this.#request.tail ?? TAIL } : {});
      return;
    }
    if (known.state === 'ended' && container.restarts > known.restarts) {
      known.restarts = container.restarts;
      known.state = 'open';
      this.#note(pod, container.name, 'restarted', `${container.name} was restarted (${container.restarts}×)`);
      this.#open(key, known, {});
    }
  }

  #open(key: string, followed: Followed, from: { readonly tail?: number }): void {
    const work = this.#follow(followed, from)
      .catch((error: unknown) => {
        if (isCancelled(error) || this.#scope.signal.aborted) return;
        this.fault ??= error;
        this.#end();
      })
      .finally(() => {
        this.#streams.delete(work);
        if (this.#scope.signal.aborted) return;
        // The container may have been restarted while its old log was still read.
        const pod = this.#pods.find(({ metadata }) => metadata.uid === followed.pod.metadata.uid);
        const container = pod && namesOf(pod, followed.container).find(({ name }) => name === followed.container);
        if (pod !== undefined && container !== undefined && this.#followed.has(key)) this.#consider(pod, container);
        this.#endIfOver();
      });
    this.#streams.add(work);
  }

  /** One container's life, over as many connections as it takes. */
  async #follow(followed: Followed, from: { readonly tail?: number }): Promise<void> {
    const { signal, cluster } = this.#scope;
    const name = followed.pod.metadata.name;
    const restarts = followed.restarts;
    // The last words of the container before, when they came too late for the stream that was open then.
    if (followed.last !== undefined) await this.#previous(followed);
    this.#note(followed.pod, followed.container, 'follows', `${name}/${followed.container}`);
    let pause = 200;
    for (let isFirst = true; ; isFirst = false) {
      const resume = followed.last;
      let skip = resume === undefined ? 0 : followed.lastCount;
      let lines = 0;
      let broken: unknown;
      await followPodLog(
        cluster,
        {
          namespace: followed.pod.metadata.namespace ?? '',
          pod: name,
          container: followed.container,
          hasTimestamps: true,
          ...(resume !== undefined && { sinceTime: resume }),
          ...(isFirst && resume === undefined && from.tail !== undefined && { tail: from.tail }),
          ...(isFirst &&
            resume === undefined &&
            this.#request.sinceSeconds !== undefined && { sinceSeconds: this.#request.sinceSeconds }),
        },
        (text) => {
          const line = timed(text);
          if (resume !== undefined && line.time !== undefined) {
            const order = compareTimes(line.time, resume);
            if (order < 0) return;
            if (order === 0 && skip > 0) {
              skip -= 1;
              return;
            }
          }
          lines += 1;
          this.#tell(followed, line, false);
        },
        signal,
      ).catch((error: unknown) => {
        if (signal.aborted) throw new CancelledError();
        broken = error;
      });
      if (signal.aborted) throw new CancelledError();
      const now = broken === undefined ? await this.#afterEnd(followed, restarts) : this.#now(followed);
      if (now === 'gone' || now === 'ended' || (typeof now === 'number' && now > restarts)) {
        followed.state = 'ended';
        if (now === 'ended')
          this.#note(followed.pod, followed.container, 'ended', `${name}/${followed.container} ended`);
        return;
      }
      if (broken !== undefined && lines === 0 && pause > 200) {
        this.#note(followed.pod, followed.container, 'reconnecting', toFailure(broken).message);
      }
      pause = lines > 0 ? 200 : Math.min(pause * 2, 5_000);
      await this.#o.clock.sleep(pause, signal);
    }
  }

  /**
   * A stream that ends by itself ends with its container, of which the watch tells a moment later; one whose container
   * goes on running was closed by the server.
   */
  async #afterEnd(followed: Followed, restarts: number): Promise<number | 'ended' | 'gone'> {
    const { signal } = this.#scope;
    const until = this.#o.clock.now() + END_MS;
    for (;;) {
      const now = this.#now(followed);
      if (typeof now !== 'number' || now > restarts) return now;
      const isRunning = this.#container(followed)?.isRunning === true;
      if (isRunning && this.#o.clock.now() >= until) return now;
      const looked = new Promise<void>((resolve) => this.#lookers.add(resolve));
      // A container that waits for its restart tells by the watch when it runs again.
      await Promise.race([looked, isRunning ? this.#o.clock.sleep(END_MS / 10, signal) : aborted(signal)]);
      if (signal.aborted) throw new CancelledError();
    }
  }

  #container(followed: Followed): ContainerName | undefined {
    const pod = this.#pods.find(({ metadata }) => metadata.uid === followed.pod.metadata.uid);
    return pod && namesOf(pod, followed.container).find(({ name }) => name === followed.container);
  }

  async #previous(followed: Followed): Promise<void> {
    const since = followed.last ?? '';
    const text = await findPodLog(
      this.#scope.cluster,
      {
        namespace: followed.pod.metadata.namespace ?? '',
        pod: followed.pod.metadata.name,
        container: followed.container,
        isPrevious: true,
        hasTimestamps: true,
        sinceTime: since,
      },
      this.#scope.signal,
    ).catch((error: unknown) => {
      if (this.#scope.signal.aborted) throw error;
      return undefined;
    });
    let skip = followed.lastCount;
    for (const raw of (text ?? '').split('\n')) {
      const line = timed(raw);
      if (line.time === undefined) continue;
      const order = compareTimes(line.time, since);
      if (order < 0 || (order === 0 && skip-- > 0)) continue;
      this.#tell(followed, line, true);
    }
  }

  #tell(followed: Followed, line: Timed, isPrevious: boolean): void {
    if (line.time !== undefined) {
      followed.lastCount = line.time === followed.last ? followed.lastCount + 1 : 1;
      followed.last = line.time;
    }
    this.#o.onLine({ pod: followed.pod.metadata.name, container: followed.container, isPrevious, ...line });
  }

  /** Restarts of a container that runs or waits for its restart; `ended` when it will not run again. */
  #now(followed: Followed): number | 'ended' | 'gone' {
    const pod = this.#pods.find(({ metadata }) => metadata.uid === followed.pod.metadata.uid);
    if (pod === undefined) return 'gone';
    if (isOver(pod)) return 'ended';
    const found = this.#container(followed);
    if (found === undefined) return 'gone';
    if (found.isInit && found.isDone) return 'ended';
    return found.restarts;
  }

  /** A Job or bare pod that is over has no more logs to come. */
  #endIfOver(): void {
    if (this.#streams.size > 0 || this.#isChecking || this.#scope.signal.aborted) return;
    if (this.#object.kind !== 'Job' && this.#object.kind !== 'Pod') return;
    if (!this.#pods.every(isOver)) return;
    if (this.#object.kind === 'Pod') {
      this.#end();
      return;
    }
    this.#isChecking = true;
    const { namespace = '', name } = this.#object.metadata;
    void this.#scope.cluster
      .get({ apiVersion: 'batch/v1', kind: 'Job', namespace, name }, this.#scope.signal)
      .then((job) => {
        const isDone = listOf(at(job, 'status', 'conditions')).some(
          ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
        );
        if (job === undefined || isDone) this.#end();
      })
      .catch(() => {})
      .finally(() => {
        this.#isChecking = false;
      });
  }

  #note(pod: KubeObject, container: string, noteKind: LogNote['kind'], message: string): void {
    this.#o.onNote?.({ pod: pod.metadata.name, container, kind: noteKind, message });
  }
}

const isOver = (pod: KubeObject): boolean => ['Succeeded', 'Failed'].includes(textOf(at(pod, 'status', 'phase')) ?? '');

interface ContainerName {
  readonly name: string;
  readonly restarts: number;
  readonly hasStarted: boolean;
  readonly isRunning: boolean;
  readonly isInit: boolean;
  /** Ended, and an init container: it will not run again. */
  readonly isDone: boolean;
}

/** Containers of a pod, or the one that is wanted. Init containers count while they are what the pod waits for. */
function namesOf(pod: KubeObject, wanted: string | undefined): readonly ContainerName[] {
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

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

type Timed = Pick<LogLine, 'time' | 'text'>;

/** Takes the time off a line as the API server puts it before it. */
function timed(line: string): Timed {
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
