import type { IncomingMessage } from 'node:http';
import { isCancelled, type SlipwayError, toFailure } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import { ApiError } from './api.ts';
import type { Cluster, ListQuery } from './cluster.ts';
import { at, fieldsOf, isFields, type KubeObject, textOf } from './object.ts';

export type Contact =
  | { readonly state: 'connecting' }
  | { readonly state: 'connected' }
  /** `since` and `lastSeen` in ms since the epoch by our clock. */
  | { readonly state: 'reconnecting'; readonly since: number; readonly attempt: number; readonly why: string }
  /** Asking again cannot help: the right is missing, or the credentials are refused. */
  | { readonly state: 'lost'; readonly since: number; readonly error: SlipwayError };

export interface WatchOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** After every change of the objects; changes that arrive together are told once. */
  readonly onChange: (cache: WatchCache) => void;
  readonly onContact?: (contact: Contact) => void;
  /** Keeps only what is needed of an object; memory for 5,000 pods is mostly what nobody reads. */
  readonly project?: (object: KubeObject) => KubeObject;
}

/** A watch that is silent so long is dead: the API server sends bookmarks about once a minute. */
const SILENCE_MS = 150_000;
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 10_000;

/**
 * The objects of one kind in one namespace, kept true by one list and one watch: bookmarks, a new list after 410 Gone,
 * reconnecting with back-off and jitter. Starts at once and ends with the signal.
 */
export class WatchCache {
  readonly query: ListQuery;
  readonly #cluster: Cluster;
  readonly #options: WatchOptions;
  readonly #objects = new Map<string, KubeObject>();
  #contact: Contact = { state: 'connecting' };
  #isTold = true;
  readonly #ready: Promise<void>;
  #onReady: () => void = () => {};

  constructor(cluster: Cluster, query: ListQuery, options: WatchOptions) {
    this.#cluster = cluster;
    this.query = query;
    this.#options = options;
    this.#ready = new Promise((resolve) => {
      this.#onReady = resolve;
    });
    void this.#run();
  }

  /** Resolves after the first complete list, or when contact is lost for good or the signal aborts. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  get contact(): Contact {
    return this.#contact;
  }

  get size(): number {
    return this.#objects.size;
  }

  objects(): IterableIterator<KubeObject> {
    return this.#objects.values();
  }

  byUid(uid: string): KubeObject | undefined {
    return this.#objects.get(uid);
  }

  async #run(): Promise<void> {
    const { signal, clock } = this.#options;
    let version = '';
    let attempt = 0;
    let since = clock.now();
    while (!signal.aborted) {
      try {
        if (version === '') {
          version = await this.#list();
          attempt = 0;
        }
        const began = clock.now();
        version = await this.#watch(version, (sign) => {
          // An answer that begins is contact; only an event shows that it lasts.
          attempt = sign === 'event' ? 0 : Math.min(attempt, 2);
        });
        const ended = clock.now();
        // Servers end watches every few minutes; one that ends them at once must not be asked in a tight loop.
        if (ended - began < FIRST_DELAY_MS) await clock.sleep(FIRST_DELAY_MS, signal);
      } catch (error) {
        if (signal.aborted || isCancelled(error)) break;
        if (isGone(error)) {
          version = '';
          continue;
        }
        if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
          this.#setContact({ state: 'lost', since: clock.now(), error });
          break;
        }
        if (this.#contact.state !== 'reconnecting') since = clock.now();
        attempt += 1;
        this.#setContact({ state: 'reconnecting', since, attempt, why: toFailure(error).message });
        // Full jitter: many watches that lost one server must not come back in step.
        const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 10));
        await clock.sleep(ceiling / 2 + Math.random() * (ceiling / 2), signal).catch(() => {});
      }
    }
    this.#onReady();
  }

  async #list(): Promise<string> {
    const { items, resourceVersion } = await this.#cluster.listWithVersion(this.query, this.#options.signal);
    this.#objects.clear();
    for (const item of items) this.#put(item);
    this.#setContact({ state: 'connected' });
    this.#onReady();
    this.#tell();
    if (resourceVersion === '') {
      // The kind does not exist (yet): there is nothing to watch, so look again later.
      await this.#options.clock.sleep(LONGEST_DELAY_MS, this.#options.signal);
    }
    return resourceVersion;
  }

  /** Watches until the server ends it (it does so every few minutes) and gives the version to go on from. */
  async #watch(from: string, onAlive: (sign: 'answer' | 'event') => void): Promise<string> {
    const { signal } = this.#options;
    const { apiVersion, kind, namespace, labels, fields } = this.query;
    const base = await this.#cluster.collection(apiVersion, kind, namespace, signal);
    if (base === undefined || from === '') return '';
    const parameters = new URLSearchParams({ watch: '1', allowWatchBookmarks: 'true', resourceVersion: from });
    if (labels !== undefined) parameters.set('labelSelector', labels);
    if (fields !== undefined) parameters.set('fieldSelector', fields);
    const answer = await this.#cluster.api.stream({ method: 'GET', path: `${base}?${parameters}`, signal });
    this.#setContact({ state: 'connected' });
    onAlive('answer');
    let version = from;
    await readLines(answer, SILENCE_MS, (line) => {
      onAlive('event');
      const event = fieldsOf(JSON.parse(line));
      const object = event.object;
      if (event.type === 'ERROR') throw new WatchError(object);
      if (!isFields(object)) return;
      version = textOf(at(object, 'metadata', 'resourceVersion')) ?? version;
      if (event.type === 'BOOKMARK') return;
      if (event.type === 'DELETED') this.#objects.delete(textOf(at(object, 'metadata', 'uid')) ?? '');
      else this.#put({ ...object, apiVersion, kind } as unknown as KubeObject);
      this.#tell();
    });
    return version;
  }

  #put(object: KubeObject): void {
    const { managedFields: _managed, ...metadata } = object.metadata;
    const slim: KubeObject = { ...object, metadata };
    this.#objects.set(object.metadata.uid ?? object.metadata.name, this.#options.project?.(slim) ?? slim);
  }

  /** One call for all lines of one network packet: a burst of pods is one change for who evaluates it. */
  #tell(): void {
    if (!this.#isTold) return;
    this.#isTold = false;
    queueMicrotask(() => {
      this.#isTold = true;
      if (!this.#options.signal.aborted) this.#options.onChange(this);
    });
  }

  #setContact(contact: Contact): void {
    if (contact.state === 'connected' && this.#contact.state === 'connected') return;
    this.#contact = contact;
    this.#options.onContact?.(contact);
    if (contact.state === 'lost') this.#onReady();
  }
}

/** The `Status` object of an ERROR event, which ends a watch. */
class WatchError extends Error {
  readonly status: unknown;
  constructor(status: unknown) {
    super(textOf(at(status, 'message')) ?? 'the watch ended with an error');
    this.status = status;
  }
}

/** 410 Gone: the version is older than what the server still remembers; only a new list helps. */
function isGone(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 410;
  return error instanceof WatchError && at(error.status, 'code') === 410;
}

function readLines(answer: IncomingMessage, silenceMs: number, onLine: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let rest: Buffer[] = [];
    const fail = (error: Error): void => {
      clearTimeout(timer);
      answer.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error(`no sign of life for ${silenceMs / 1000} s`)), silenceMs);
    answer.on('data', (chunk: Buffer) => {
      timer.refresh();
      let start = 0;
      try {
        for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
          const line = Buffer.concat([...rest, chunk.subarray(start, end)]).toString('utf8');
          rest = [];
          start = end + 1;
          if (line !== '') onLine(line);
        }
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      if (start < chunk.length) rest.push(chunk.subarray(start));
    });
    answer.on('end', () => {
      clearTimeout(timer);
      resolve();
    });
    answer.on('error', fail);
    answer.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
