// Logs that are followed, across restarts and replaced pods.
import { at, findPodLog, followPodLog, type KubeObject, listOf, textOf, WatchCache } from '../cluster/index.ts';
import { CancelledError, isCancelled, toFailure } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import { containerOf, findObject, noPods, podQuery, podsOf, type Scope } from './find.ts';
import {
  type ContainerName,
  compareTimes,
  type LogLine,
  type LogNote,
  type LogsRequest,
  MOST_STREAMS,
  namesOf,
  TAIL,
  type Timed,
  timed,
} from './logLines.ts';

/** How long the watch may take to tell that a container has ended whose log has. */
const END_MS = 3_000;

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

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
