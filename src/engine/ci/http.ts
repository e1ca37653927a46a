// One way to ask a CI host: tokens, conditional requests, pages, rate limits, and each refusal in words with its fix.
import type { Secrets } from '../events/secrets.ts';
import { CancelledError, SlipwayError, throwIfCancelled } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { failureOf, type Refusal } from './failures.ts';
import type { CiRepository, RateLimit } from './model.ts';
import type { CiToken } from './token.ts';

export interface CiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface CiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the API's base, or an absolute URL of the same origin. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  readonly signal: AbortSignal;
  /** Statuses that the caller reads itself; others throw. */
  readonly also?: readonly number[];
  /** What is asked for, for messages: `run 42`. */
  readonly what: string;
}

const REQUEST_TIMEOUT_MS = 30_000;
/** For a whole file on a slow line. */
const DOWNLOAD_TIMEOUT_MS = 30 * 60_000;
/** GitHub's own limit of one artifact is 10 GB, which nobody wants in an editor. */
export const MOST_DOWNLOAD = 4 * 1024 ** 3;
const LONGEST_WAIT_MS = 20_000;
const MOST_ATTEMPTS = 4;
const MOST_CACHED = 300;
/** A log beyond this is cut at its beginning: an editor would not show it either. */
export const MOST_TEXT = 32 * 1024 * 1024;
/** Secondary limits without a header last about a minute, says GitHub's documentation. */
const SECONDARY_WAIT_MS = 60_000;

interface Cached {
  readonly etag: string;
  readonly answer: CiAnswer;
}

export class CiHttp {
  readonly repository: CiRepository;
  readonly #system: System;
  readonly #token: CiToken | undefined;
  readonly #hints: readonly string[];
  readonly #secrets: Secrets;
  readonly #headers: Readonly<Record<string, string>>;
  /** Answers by URL, least recently used first. The token never changes within one client, so it is no part of the key. */
  readonly #cache = new Map<string, Cached>();
  #rate: RateLimit | undefined;
  #blockedUntil = 0;
  #limitWords = '';

  constructor(options: {
    readonly system: System;
    readonly repository: CiRepository;
    readonly secrets: Secrets;
    readonly token?: CiToken;
    readonly hints?: readonly string[];
    readonly headers?: Readonly<Record<string, string>>;
  }) {
    this.#system = options.system;
    this.repository = options.repository;
    this.#secrets = options.secrets;
    this.#token = options.token;
    this.#hints = options.hints ?? [];
    this.#headers = options.headers ?? {};
    options.secrets.add(options.token?.token);
  }

  get credential(): string {
    return this.#token?.from ?? 'no token';
  }

  get rate(): RateLimit | undefined {
    return this.#rate;
  }

  /** The JSON of an answer; `undefined` for an empty body. Throws SlipwayError when it is not JSON. */
  async json(request: CiRequest): Promise<unknown> {
    return this.read(request, await this.send(request));
  }

  /** The JSON of an answer that is there already. */
  read(request: CiRequest, { text, status }: CiAnswer): unknown {
    if (text.trim() === '') return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw new SlipwayError(
        {
          reason: 'network',
          code: 'ci.not-json',
          message: `${this.repository.host} answered for ${request.what} with something that is not JSON (status ${status}).`,
          fix: 'A proxy or a login page may stand in between: open the repository in a browser on this machine.',
          evidence: [this.#secrets.mask(text.slice(0, 200))],
        },
        { cause: error },
      );
    }
  }

  /**
   * All elements over the pages, at most `most`. `pick` takes the list out of a page. Follows `Link: rel="next"`; where a
   * host sends none, the next page number while pages are full.
   */
  async list(
    request: CiRequest,
    pick: (body: unknown) => readonly unknown[],
    options: { readonly most: number; readonly sizeName: 'per_page' | 'limit'; readonly size?: number },
  ): Promise<readonly unknown[]> {
    const size = Math.min(options.size ?? 100, Math.max(1, options.most));
    const found: unknown[] = [];
    const seen = new Set<string>();
    let next: CiRequest | undefined = { ...request, query: { ...request.query, [options.sizeName]: size } };
    for (let page = 1; next !== undefined && found.length < options.most; page += 1) {
      const url = this.#url(next).href;
      // A server that links to where we have been would keep us for ever.
      if (seen.has(url)) break;
      seen.add(url);
      const answer = await this.send(next);
      const items = pick(this.read(next, answer));
      found.push(...items);
      const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(answer.headers.get('link') ?? '')?.[1];
      const total = Number(answer.headers.get('x-total-count') ?? answer.headers.get('x-total') ?? Number.NaN);
      if (link !== undefined) {
        const { query: _query, ...rest } = request;
        next = { ...rest, path: link };
      } else if (answer.headers.has('link') || items.length < size || found.length >= total) next = undefined;
      else next = { ...request, query: { ...request.query, [options.sizeName]: size, page: page + 1 } };
    }
    return found.slice(0, options.most);
  }

  /** Sends, waits out short limits and passing faults of reads, and throws for every status that was not asked for. */
  send(request: CiRequest): Promise<CiAnswer> {
    return this.#patiently(request, () => this.#once(request));
  }

  /** Writes the body of an answer to a file, however large. Nothing is left of one that was cut. */
  async download(request: CiRequest, file: string): Promise<void> {
    await this.#patiently(request, () => this.#save(request, file));
  }

  async #patiently(request: CiRequest, once: () => Promise<CiAnswer>): Promise<CiAnswer> {
    if (!this.#system.isTrusted()) {
      throw new SlipwayError({
        reason: 'untrusted',
        message: `${this.repository.host} was not asked: this workspace is not trusted.`,
        fix: 'Trust the workspace, then try again.',
      });
    }
    const isRead = (request.method ?? 'GET') === 'GET';
    for (let attempt = 1; ; attempt += 1) {
      throwIfCancelled(request.signal);
      this.#refuseBlocked();
      let answer: CiAnswer;
      try {
        answer = await once();
      } catch (error) {
        if (request.signal.aborted) throw new CancelledError();
        if (SlipwayError.is(error)) throw error;
        // What was sent may have been done: only reads are safe to send again.
        if (isRead && attempt < MOST_ATTEMPTS) {
          await this.#pause(500 * 2 ** attempt, request.signal);
          continue;
        }
        throw this.#unreachable(error, isRead);
      }
      if (answer.status < 300 || request.also?.includes(answer.status)) return answer;
      const limit = this.#limitOf(answer);
      if (limit !== undefined) {
        // Refused unseen, so even a write can wait and go again.
        if (limit.waitMs <= LONGEST_WAIT_MS && attempt < MOST_ATTEMPTS) {
          await this.#pause(limit.waitMs, request.signal);
          continue;
        }
        this.#blockedUntil = this.#system.clock.now() + limit.waitMs;
        this.#limitWords = limit.words;
        this.#refuseBlocked();
      }
      if (isRead && answer.status >= 500 && attempt < MOST_ATTEMPTS) {
        await this.#pause(500 * 2 ** attempt, request.signal);
        continue;
      }
      throw this.refused(request, answer);
    }
  }

  /** The error for an answer that the caller asked to see and has no use for. */
  refused(request: CiRequest, answer: CiAnswer): SlipwayError {
    return failureOf(this.#refusal(request, answer));
  }

  async #once(request: CiRequest): Promise<CiAnswer> {
    const url = this.#url(request);
    const method = request.method ?? 'GET';
    const cached = method === 'GET' ? this.#cache.get(url.href) : undefined;
    const answer = await this.#fetch(request, url, cached, AbortSignal.timeout(REQUEST_TIMEOUT_MS));
    if (answer.status === 304 && cached !== undefined) {
      await answer.body?.cancel();
      this.#keep(url.href, cached);
      // Links of pages may have moved on with the answer; its other headers are the ones we know.
      return cached.answer;
    }
    const whole = await answer.text();
    const text = whole.length > MOST_TEXT ? whole.slice(-MOST_TEXT) : whole;
    const result: CiAnswer = { status: answer.status, headers: answer.headers, text };
    const etag = answer.headers.get('etag');
    if (method === 'GET' && answer.status === 200 && etag !== null && text.length < 1024 * 1024)
      this.#keep(url.href, { etag, answer: result });
    return result;
  }

  async #save(request: CiRequest, file: string): Promise<CiAnswer> {
    const answer = await this.#fetch(request, this.#url(request), undefined, AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS));
    const { status, headers, body } = answer;
    if (status >= 300 || body === null) return { status, headers, text: await answer.text() };
    await this.#system.files.writeStream(file, body, MOST_DOWNLOAD);
    return { status, headers, text: '' };
  }

  async #fetch(request: CiRequest, url: URL, cached: Cached | undefined, late: AbortSignal): Promise<Response> {
    const answer = await this.#system.fetch(url, {
      method: request.method ?? 'GET',
      headers: {
        accept: 'application/json',
        'user-agent': 'slipway',
        ...this.#headers,
        ...(this.#token !== undefined && { authorization: authorization(this.repository, this.#token) }),
        ...(cached !== undefined && { 'if-none-match': cached.etag }),
        ...(request.body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
      signal: AbortSignal.any([request.signal, late]),
    });
    this.#note(answer.headers);
    return answer;
  }

  #keep(key: string, value: Cached): void {
    this.#cache.delete(key);
    this.#cache.set(key, value);
    const oldest = this.#cache.keys().next();
    if (this.#cache.size > MOST_CACHED && oldest.done !== true) this.#cache.delete(oldest.value);
  }

  #url(request: CiRequest): URL {
    const base = new URL(this.repository.api);
    const url = new URL(request.path, base);
    if (url.origin !== base.origin) {
      throw new SlipwayError({
        reason: 'refused',
        code: 'ci.link',
        message: `${this.repository.host} sends us to another host (${url.origin}) for ${request.what}; the token does not go there.`,
        fix: "Correct the external address in the host's settings (ROOT_URL, external_url).",
      });
    }
    for (const [name, value] of Object.entries(request.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    return url;
  }

  #note(headers: Headers): void {
    const read = (...names: readonly string[]): number | undefined => {
      for (const name of names) {
        const value = headers.get(name);
        if (value !== null && /^\d+$/.test(value)) return Number(value);
      }
      return undefined;
    };
    const limit = read('x-ratelimit-limit', 'ratelimit-limit');
    const remaining = read('x-ratelimit-remaining', 'ratelimit-remaining');
    const reset = read('x-ratelimit-reset', 'ratelimit-reset');
    if (limit !== undefined && remaining !== undefined && reset !== undefined)
      this.#rate = { limit, remaining, resetsAt: reset * 1000 };
  }

  /** How long the host wants us to wait; undefined when the answer is no limit. */
  #limitOf({ status, headers, text }: CiAnswer): { readonly waitMs: number; readonly words: string } | undefined {
    const now = this.#system.clock.now();
    const after = retryAfter(headers.get('retry-after'), now);
    const isOut = headers.get('x-ratelimit-remaining') === '0' || headers.get('ratelimit-remaining') === '0';
    const isSecondary = /secondary rate limit|abuse detection/i.test(text);
    if (status !== 429 && !(status === 403 && (isOut || isSecondary || after !== undefined))) {
      return status === 503 && after !== undefined ? { waitMs: after, words: 'is being worked on' } : undefined;
    }
    const reset = isOut && this.#rate !== undefined ? Math.max(0, this.#rate.resetsAt - now) : undefined;
    return {
      waitMs: after ?? reset ?? SECONDARY_WAIT_MS,
      words: isSecondary ? 'limits how fast it is asked' : 'limits how often it is asked',
    };
  }

  #refuseBlocked(): void {
    const now = this.#system.clock.now();
    if (now >= this.#blockedUntil) return;
    const until = new Date(this.#blockedUntil).toISOString().slice(11, 16);
    throw new SlipwayError({
      reason: 'network',
      code: 'ci.rate-limited',
      message: `${this.repository.host} ${this.#limitWords}: nothing more before ${until} UTC.`,
      fix:
        this.#token === undefined
          ? 'Sign in: requests without a token have a far lower limit.'
          : 'Wait until then; other programs that use the same account count too.',
    });
  }

  #refusal(request: CiRequest, answer: CiAnswer): Refusal {
    return {
      repository: this.repository,
      what: request.what,
      isWrite: (request.method ?? 'GET') !== 'GET',
      status: answer.status,
      headers: answer.headers,
      text: this.#secrets.mask(answer.text),
      credential: this.#token?.from,
      hints: this.#hints,
    };
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#system.clock.sleep(ms, signal);
  }

  #unreachable(error: unknown, isRead: boolean): SlipwayError {
    const cause = (error as { readonly cause?: { readonly code?: string; readonly message?: string } }).cause;
    const code = cause?.code ?? '';
    const isTls = /CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO/.test(code);
    const isLate = error instanceof Error && error.name === 'TimeoutError';
    const words = isTls
      ? 'shows a certificate that is not trusted'
      : isLate
        ? `did not answer within ${REQUEST_TIMEOUT_MS / 1000} s`
        : 'cannot be reached';
    const text = cause?.message ?? (error instanceof Error ? error.message : String(error));
    return new SlipwayError(
      {
        reason: 'network',
        code: isTls ? 'ci.tls' : 'ci.unreachable',
        message: `${this.repository.host} ${words}: ${this.#secrets.mask(text)}.${isRead ? '' : ' It may have done what was asked all the same.'}`,
        fix: isTls
          ? 'Set NODE_EXTRA_CA_CERTS to the certificate of its CA.'
          : isRead
            ? 'Check the network and the proxy (HTTPS_PROXY).'
            : 'Look at the list of runs before you try again.',
      },
      { cause: error },
    );
  }
}

/** GitLab takes access tokens as bearer tokens too, and fetch drops this header when a redirect leaves the origin. */
const authorization = ({ kind }: CiRepository, { token }: CiToken): string =>
  kind === 'gitea' ? `token ${token}` : `Bearer ${token}`;

/** ms, from seconds or a date. */
function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
