import { createHash } from 'node:crypto';
import type { Secrets } from '../events/secrets.ts';
import { CancelledError, SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { type Credential, findCredential } from './credentials.ts';
import { classify, MANIFEST_TYPES, type Manifest } from './manifest.ts';
import { apiHost, parseReference, type Reference } from './reference.ts';
import { type Challenge, parseChallenges, TokenSource } from './registryAuth.ts';

interface Host {
  readonly base: URL;
  readonly tokens: TokenSource;
  readonly credential: Credential;
  /** The challenge of the last 401: sent along from the first request on. */
  challenge?: Challenge;
}

interface Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE' | 'POST' | 'PATCH';
  readonly path: string;
  readonly repository: string;
  readonly actions: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

const MOST_PAGES = 50;
const MOST_BODY = 8 * 1024 * 1024;
const TRANSIENT = new Set([408, 429, 499, 500, 502, 503, 504, 522]);
const LONGEST_WAIT_MS = 60_000;

/**
 * Client of the registry HTTP API (distribution-spec 1.1) for any registry. Reads docker's credentials on first need.
 * Throws SlipwayError `registry` with codes `registry.denied`, `registry.not-found`, `registry.rate-limited`,
 * `registry.unreachable`, `registry.immutable`, `registry.error`; and CancelledError.
 */
export class Registry {
  readonly #system: System;
  readonly #secrets: Secrets | undefined;
  readonly #hosts = new Map<string, Promise<Host>>();
  /** Manifests by digest never change. */
  readonly #byDigest = new Map<string, Manifest>();

  constructor(system: System, secrets?: Secrets) {
    this.#system = system;
    this.#secrets = secrets;
  }

  /** The digest a reference points at now; undefined when it does not exist. */
  async digestOf(reference: string | Reference, signal?: AbortSignal): Promise<string | undefined> {
    const ref = read(reference);
    const answer = await this.#call(ref.registry, {
      method: 'HEAD',
      path: `manifests/${ref.digest ?? ref.tag ?? 'latest'}`,
      repository: ref.repository,
      actions: 'pull',
      headers: { accept: MANIFEST_TYPES.join(', ') },
      signal,
    });
    if (answer.status === 404) return undefined;
    await this.#expect(answer, ref, [200]);
    // Old servers leave the header out: then only the bytes say it.
    return answer.headers.get('docker-content-digest') ?? (await this.manifest(ref, signal))?.digest;
  }

  /** The manifest or index of a reference, with its exact bytes; undefined when it does not exist. */
  async manifest(reference: string | Reference, signal?: AbortSignal): Promise<Manifest | undefined> {
    const ref = read(reference);
    const known = ref.digest === undefined ? undefined : this.#byDigest.get(ref.digest);
    if (known !== undefined) return known;
    const answer = await this.#call(ref.registry, {
      method: 'GET',
      path: `manifests/${ref.digest ?? ref.tag ?? 'latest'}`,
      repository: ref.repository,
      actions: 'pull',
      headers: { accept: MANIFEST_TYPES.join(', ') },
      signal,
    });
    if (answer.status === 404) return undefined;
    await this.#expect(answer, ref, [200]);
    const bytes = await readBody(answer);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    if (ref.digest?.startsWith('sha256:') && ref.digest !== digest) {
      throw new SlipwayError({
        reason: 'registry',
        code: 'registry.corrupt',
        message: `${ref.registry} answered for ${ref.digest} with other content (${digest}).`,
        fix: 'A proxy or the registry damages content; pull again past the proxy.',
      });
    }
    const manifest = classify(bytes, digest, answer.headers.get('content-type') ?? '');
    this.#byDigest.set(digest, manifest);
    return manifest;
  }

  /** Stores the exact bytes under a tag (or digest) of a repository. The digest stays what it was. */
  async putManifest(
    registry: string,
    repository: string,
    tagOrDigest: string,
    manifest: Manifest,
    signal?: AbortSignal,
  ): Promise<void> {
    const answer = await this.#call(registry, {
      method: 'PUT',
      path: `manifests/${tagOrDigest}`,
      repository,
      actions: 'pull,push',
      headers: { 'content-type': manifest.mediaType },
      body: manifest.bytes,
      signal,
    });
    await this.#expect(answer, { registry, repository, tag: tagOrDigest }, [200, 201, 202]);
  }

  /** All tags in the registry's order (lexical); undefined when the repository does not exist. */
  async tags(registry: string, repository: string, signal?: AbortSignal): Promise<readonly string[] | undefined> {
    const tags: string[] = [];
    const seen = new Set<string>();
    let path: string | undefined = 'tags/list?n=1000';
    for (let page = 0; path !== undefined && page < MOST_PAGES; page += 1) {
      // A server that links to where we have been would keep us for ever.
      if (seen.has(path)) break;
      seen.add(path);
      const answer: Response = await this.#call(registry, { method: 'GET', path, repository, actions: 'pull', signal });
      if (answer.status === 400 && path.includes('?n=')) {
        path = 'tags/list';
        continue;
      }
      if (answer.status === 404) return tags.length > 0 ? tags : undefined;
      await this.#expect(answer, { registry, repository }, [200]);
      const body = JSON.parse(Buffer.from(await readBody(answer)).toString('utf8')) as {
        readonly tags?: readonly string[] | null;
      };
      tags.push(...(body.tags ?? []));
      path = await this.#nextPage(registry, repository, answer);
    }
    return tags;
  }

  /** A small JSON blob, such as an image's configuration. */
  async blob(registry: string, repository: string, digest: string, signal?: AbortSignal): Promise<unknown> {
    const answer = await this.#call(registry, {
      method: 'GET',
      path: `blobs/${digest}`,
      repository,
      actions: 'pull',
      signal,
    });
    await this.#expect(answer, { registry, repository, digest }, [200]);
    return JSON.parse(Buffer.from(await readBody(answer)).toString('utf8'));
  }

  /** Deletes a manifest by digest, and with it every tag on it. False when the server does not allow deletes. */
  async remove(registry: string, repository: string, digest: string, signal?: AbortSignal): Promise<boolean> {
    const answer = await this.#call(registry, {
      method: 'DELETE',
      path: `manifests/${digest}`,
      repository,
      actions: 'pull,push,delete',
      signal,
    });
    if (answer.status === 405 || answer.status === 400) return false;
    if (answer.status === 404) return true;
    await this.#expect(answer, { registry, repository, digest }, [200, 202]);
    return true;
  }

  /** Descriptors that refer to a digest (signatures, SBOMs); by the API, else by the fallback tag. */
  async referrers(
    registry: string,
    repository: string,
    digest: string,
    signal?: AbortSignal,
  ): Promise<readonly { readonly digest: string; readonly artifactType?: string }[]> {
    const answer = await this.#call(registry, {
      method: 'GET',
      path: `referrers/${digest}`,
      repository,
      actions: 'pull',
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
      signal,
    });
    const isSupported =
      answer.status === 200 && (answer.headers.get('content-type') ?? '').startsWith('application/vnd.oci.image.index');
    const index = isSupported
      ? classify(await readBody(answer), '', answer.headers.get('content-type') ?? '')
      : await this.manifest({ registry, repository, tag: digest.replace(':', '-') }, signal);
    return (index?.children ?? []).map(({ digest: child, artifactType }) => ({
      digest: child,
      ...(artifactType !== undefined && { artifactType }),
    }));
  }

  async #nextPage(registry: string, repository: string, answer: Response): Promise<string | undefined> {
    const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(answer.headers.get('link') ?? '')?.[1];
    if (link === undefined) return undefined;
    const { base } = await this.#host(registry);
    const here = new URL(`v2/${repository}/tags/list`, base);
    const next = new URL(link, here);
    if (next.origin !== here.origin) {
      throw new SlipwayError({
        reason: 'refused',
        code: 'registry.link',
        message: `${registry} sends us to another host (${next.origin}) for the next page of tags.`,
        fix: 'Correct the external address of the registry.',
      });
    }
    return `tags/list${next.search}`;
  }

  async #call(registry: string, call: Call): Promise<Response> {
    const host = await this.#host(registry);
    for (let attempt = 1; ; attempt += 1) {
      let answer: Response;
      try {
        answer = await this.#authorized(host, call);
      } catch (error) {
        if (call.signal?.aborted) throw new CancelledError();
        if (SlipwayError.is(error)) throw error;
        if (attempt <= 3 && call.method !== 'POST') {
          await this.#pause(1000 * attempt, call.signal);
          continue;
        }
        throw unreachable(host.base, error);
      }
      if (!TRANSIENT.has(answer.status) || attempt > 3) return answer;
      const wait = retryAfter(answer, this.#system.clock.now());
      if (wait !== undefined && wait > LONGEST_WAIT_MS) return answer;
      await answer.body?.cancel();
      await this.#pause(wait ?? 1000 * 3 ** (attempt - 1) * (0.75 + Math.random() / 2), call.signal);
    }
  }

  #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#system.clock.sleep(ms, signal);
  }

  /** One request with what authorisation we have, and exactly one more after a 401. */
  async #authorized(host: Host, call: Call): Promise<Response> {
    const first = await this.#send(host, call, false);
    if (first.status !== 401) return first;
    const challenges = parseChallenges(first.headers.get('www-authenticate') ?? '');
    await first.body?.cancel();
    const challenge =
      challenges.find(({ scheme }) => scheme === 'bearer') ??
      challenges.find(({ scheme }) => scheme === 'basic' && host.credential.kind === 'basic');
    if (challenge === undefined) return first;
    host.challenge = challenge;
    return this.#send(host, call, true);
  }

  async #send(host: Host, call: Call, isFresh: boolean): Promise<Response> {
    const url = new URL(`v2/${call.repository}/${call.path}`, host.base);
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
    return this.#system.fetch(url, {
      method: call.method,
      headers,
      ...(call.body !== undefined && { body: Buffer.from(call.body) }),
      ...(call.signal !== undefined && { signal: call.signal }),
    });
  }

  #host(registry: string): Promise<Host> {
    let host = this.#hosts.get(registry);
    if (host === undefined) {
      host = this.#open(registry);
      this.#hosts.set(registry, host);
      host.catch(() => this.#hosts.delete(registry));
    }
    return host;
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

  /** Throws unless the status is one of those wanted, in words for the person. */
  async #expect(answer: Response, ref: Reference, wanted: readonly number[]): Promise<void> {
    if (wanted.includes(answer.status)) return;
    const text = Buffer.from(await readBody(answer).catch(() => new Uint8Array()))
      .toString('utf8')
      .slice(0, 64 * 1024);
    let codes: readonly { readonly code?: string; readonly message?: string }[] = [];
    try {
      codes = (JSON.parse(text) as { readonly errors?: typeof codes }).errors ?? [];
    } catch {
      // Proxies answer in HTML; the status is what counts then.
    }
    const name = `${ref.registry}/${ref.repository}${ref.tag === undefined ? '' : `:${ref.tag}`}`;
    const said =
      codes.map(({ code, message }) => [code, message].filter(Boolean).join(': ')).join('; ') ||
      `status ${answer.status}`;
    const has = (...known: readonly string[]) => codes.some(({ code }) => known.includes(code ?? ''));
    const make = (code: string, message: string, fix: string) =>
      new SlipwayError({ reason: 'registry', code, message: `${message} (${said}).`, fix, evidence: [said] });
    if (/immutable|ImageTagAlreadyExists|TAG_INVALID/i.test(text) || (answer.status === 412 && ref.tag !== undefined)) {
      throw make('registry.immutable', `${name} exists and the registry does not let it change`, 'Use another tag.');
    }
    if (answer.status === 429 || has('TOOMANYREQUESTS')) {
      const wait = retryAfter(answer, this.#system.clock.now());
      const until =
        wait === undefined ? '' : ` until ${new Date(this.#system.clock.now() + wait).toISOString().slice(11, 16)} UTC`;
      throw make(
        'registry.rate-limited',
        `${ref.registry} limits requests${until}`,
        `Log in (docker login ${ref.registry}) or wait.`,
      );
    }
    if (answer.status === 401 || answer.status === 403 || has('UNAUTHORIZED', 'DENIED')) {
      throw make(
        'registry.denied',
        `${ref.registry} denies access to ${ref.repository}, or it does not exist`,
        `Log in with an account that may use it: docker login ${ref.registry}.`,
      );
    }
    if (answer.status === 404)
      throw make(
        'registry.not-found',
        `${name} is not there`,
        'Check the name; some registries want the repository created first.',
      );
    throw make(
      'registry.error',
      `${ref.registry} failed for ${name}`,
      'Try again; if it stays, ask who runs the registry.',
    );
  }
}

const read = (reference: string | Reference): Reference =>
  typeof reference === 'string' ? parseReference(reference) : reference;

async function readBody(answer: Response): Promise<Uint8Array> {
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length > MOST_BODY)
    throw new SlipwayError({
      reason: 'registry',
      code: 'registry.too-large',
      message: `An answer of ${bytes.length} bytes is too large to be a manifest.`,
    });
  return bytes;
}

/** ms to wait, from seconds or a date; undefined without the header. */
export function retryAfter(answer: Response, now: number): number | undefined {
  const header = answer.headers.get('retry-after');
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function unreachable(base: URL, error: unknown): SlipwayError {
  const cause = (error as { readonly cause?: { readonly code?: string; readonly message?: string } }).cause;
  const code = cause?.code ?? (error as NodeJS.ErrnoException).code ?? '';
  const isTls = /CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO/.test(code);
  return new SlipwayError(
    {
      reason: 'registry',
      code: isTls ? 'registry.tls' : 'registry.unreachable',
      message: `${base.host} ${isTls ? 'shows a certificate that is not trusted' : 'cannot be reached'}: ${cause?.message ?? (error instanceof Error ? error.message : String(error))}.`,
      fix: isTls
        ? 'Set NODE_EXTRA_CA_CERTS to the certificate of its CA.'
        : 'Check the host name, network and proxy (HTTPS_PROXY).',
    },
    { cause: error },
  );
}
