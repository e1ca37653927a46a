import type { Secrets } from '../events/secrets.ts';
import { CancelledError, SlipwayError } from '../problems/index.ts';
import { Remembered } from '../problems/remembered.ts';
import type { System } from '../system/index.ts';
import { type Credential, findCredential } from './credentials.ts';
import { apiHost } from './reference.ts';
import { type Challenge, parseChallenges, TOKEN_BUSY, TokenSource } from './registryAuth.ts';
import { type Answer, retryAfter, TRANSIENT, unreachable } from './registryErrors.ts';

interface Host {
  readonly base: URL;
  readonly tokens: TokenSource;
  readonly credential: Credential;
  /** The challenge of the last 401: sent along from the first request on. */
  challenge?: Challenge;
}

export interface Call {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Below the repository; or whole, where the registry itself said where to go on. */
  readonly path: string | URL;
  readonly repository: string;
  readonly actions: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

const MOST_BODY = 8 * 1024 * 1024;
const LONGEST_WAIT_MS = 60_000;
const MOST_RETRIES = 3;
/** For one attempt, body included. Registries that scan or assemble on demand take seconds, not half a minute. */
const ATTEMPT_MS = 30_000;

/** Requests to registries: where they answer, who we are there, and another try where that may help. All calls may repeat. */
export class Transport {
  readonly #system: System;
  readonly #secrets: Secrets | undefined;
  readonly #attemptMs: number;
  readonly #hosts = new Remembered<Host>();

  constructor(system: System, secrets: Secrets | undefined, attemptMs = ATTEMPT_MS) {
    this.#system = system;
    this.#secrets = secrets;
    this.#attemptMs = attemptMs;
  }

  async call(registry: string, call: Call): Promise<Answer> {
    const host = await this.#host(registry);
    return this.#again(host.base, call.signal, (signal) => this.#authorized(host, { ...call, signal }));
  }

  /** Where the registry answers. */
  async base(registry: string): Promise<URL> {
    return (await this.#host(registry)).base;
  }

  /** Does it until it is answered for good: lost connections, silence and passing faults are tried again, up to three times. */
  async #again(
    base: URL,
    signal: AbortSignal | undefined,
    send: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      const limit = AbortSignal.timeout(this.#attemptMs);
      let answer: Answer;
      try {
        answer = await send(signal === undefined ? limit : AbortSignal.any([signal, limit]));
      } catch (error) {
        if (signal?.aborted) throw new CancelledError();
        const isFinal = attempt > MOST_RETRIES;
        if (SlipwayError.is(error) && (isFinal || error.code !== TOKEN_BUSY)) throw error;
        if (isFinal) throw unreachable(base, limit.aborted ? this.#attemptMs : undefined, error);
        await this.#pause(1000 * attempt, signal);
        continue;
      }
      if (!TRANSIENT.has(answer.status) || attempt > MOST_RETRIES) return answer;
      const wait = retryAfter(answer, this.#system.clock.now());
      if (wait !== undefined && wait > LONGEST_WAIT_MS) return answer;
      await this.#pause(wait ?? 1000 * 3 ** (attempt - 1) * (0.75 + Math.random() / 2), signal);
    }
  }

  #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#system.clock.sleep(ms, signal);
  }

  /** One request with what authorisation we have, and exactly one more after a 401. */
  async #authorized(host: Host, call: Call): Promise<Answer> {
    const first = await this.#send(host, call, false);
    if (first.status !== 401) return first;
    const challenges = parseChallenges(first.headers.get('www-authenticate') ?? '');
    const challenge =
      challenges.find(({ scheme }) => scheme === 'bearer') ??
      challenges.find(({ scheme }) => scheme === 'basic' && host.credential.kind === 'basic');
    if (challenge === undefined) return first;
    host.challenge = challenge;
    return this.#send(host, call, true);
  }

  async #send(host: Host, call: Call, isFresh: boolean): Promise<Answer> {
    const url = call.path instanceof URL ? call.path : new URL(`v2/${call.repository}/${call.path}`, host.base);
    const headers: Record<string, string> = { 'user-agent': 'slipway', ...call.headers };
    if (host.challenge !== undefined) {
      const { scope: _scope, ...parameters } = host.challenge.parameters;
      const challenge = isFresh ? host.challenge : { ...host.challenge, parameters };
      const authorization = await host.tokens.authorize(
        host.base,
        challenge,
        host.credential,
        [`repository:${call.repository}:${call.actions}`],
        { isFresh, ...(call.signal !== undefined && { signal: call.signal }) },
      );
      if (authorization !== undefined) headers.authorization = authorization;
    }
    // fetch drops Authorization by itself when a redirect leaves the origin, as blob stores need.
    const answer = await this.#system.fetch(url, {
      method: call.method,
      headers,
      ...(call.body !== undefined && { body: Buffer.from(call.body) }),
      ...(call.signal !== undefined && { signal: call.signal }),
    });
    return { status: answer.status, headers: answer.headers, body: await readBody(answer) };
  }

  #host(registry: string): Promise<Host> {
    return this.#hosts.get(() => this.#open(registry), registry);
  }

  async #open(registry: string): Promise<Host> {
    if (!this.#system.isTrusted()) {
      throw new SlipwayError({
        reason: 'untrusted',
        message: `${registry} was not asked: this workspace is not trusted.`,
        fix: 'Trust the workspace, then try again.',
      });
    }
    const credential = await findCredential(this.#system, registry, this.#secrets);
    const tokens = new TokenSource({ fetch: this.#system.fetch, now: () => this.#system.clock.now() });
    return { base: await this.#base(registry), tokens, credential };
  }

  /** https, but for this machine's own addresses http when https does not answer. Never for any other host. */
  async #base(registry: string): Promise<URL> {
    const https = new URL(`https://${apiHost(registry)}/`);
    if (!/^(localhost|[a-z0-9.-]+\.localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/i.test(registry)) return https;
    const http = new URL(`http://${registry}/`);
    const answers = async (base: URL): Promise<boolean> => {
      try {
        const answer = await this.#system.fetch(new URL('v2/', base), { signal: AbortSignal.timeout(3000) });
        await answer.body?.cancel();
        return true;
      } catch {
        return false;
      }
    };
    // Both at once: a plain server may let a TLS handshake hang.
    const plain = answers(http);
    if (await Promise.race([answers(https), plain.then((isPlain) => (isPlain ? false : answers(https)))])) return https;
    return (await plain) ? http : https;
  }
}

async function readBody(answer: Response): Promise<Uint8Array> {
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length <= MOST_BODY) return bytes;
  throw new SlipwayError({
    reason: 'registry',
    code: 'registry.too-large',
    message: `An answer of ${bytes.length} bytes is too large to be a manifest.`,
  });
}
