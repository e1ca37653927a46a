import { isIP } from 'node:net';
import { SlipwayError } from '../problems/index.ts';
import type { Credential } from './credentials.ts';
import { TRANSIENT } from './registryErrors.ts';

export interface Challenge {
  readonly scheme: 'bearer' | 'basic';
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * All challenges in one `WWW-Authenticate` value: several may stand in it, and commas inside quotes (scopes) separate
 * nothing. Unknown schemes are left out.
 */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /\s*,?\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,]+))?/gy;
  for (let match = token.exec(header); match !== null; match = token.exec(header)) {
    const [, name = '', value] = match;
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: {} });
    else {
      const last = challenges.at(-1);
      if (last !== undefined)
        last.parameters[name.toLowerCase()] = value.startsWith('"')
          ? value.slice(1, -1).replace(/\\(.)/g, '$1')
          : value;
    }
  }
  return challenges.filter(
    (item): item is Challenge & { parameters: Record<string, string> } =>
      item.scheme === 'bearer' || item.scheme === 'basic',
  );
}

interface Token {
  readonly value: string;
  /** ms since the epoch. */
  readonly until: number;
}

const EARLY_MS = 10_000;
/** Code of a failure that another try may change. */
export const TOKEN_BUSY = 'registry.token-server';

/** Gets and keeps the tokens of one registry; requests for the same scopes at the same time share one exchange. */
export class TokenSource {
  readonly #fetch: typeof fetch;
  readonly #now: () => number;
  readonly #tokens = new Map<string, Promise<Token>>();
  #refresh: string | undefined;

  constructor(options: { readonly fetch: typeof fetch; readonly now: () => number }) {
    this.#fetch = options.fetch;
    this.#now = options.now;
  }

  /** The Authorization header for a challenge, undefined when nothing can be offered. `fresh` refuses a kept token. */
  async authorize(
    registry: URL,
    challenge: Challenge,
    credential: Credential,
    scopes: readonly string[],
    options: { readonly isFresh: boolean; readonly signal?: AbortSignal },
  ): Promise<string | undefined> {
    if (challenge.scheme === 'basic') {
      return credential.kind === 'basic' ? basic(credential.username, credential.password) : undefined;
    }
    if (credential.kind === 'bearer') return `Bearer ${credential.token}`;
    // The server's own scope first: some look at the first only.
    const wanted = [
      ...new Set([...(challenge.parameters.scope === undefined ? [] : [challenge.parameters.scope]), ...scopes]),
    ];
    const key = wanted.join(' ');
    const kept = this.#tokens.get(key);
    if (kept !== undefined && !options.isFresh) {
      const token = await kept;
      if (token.until - EARLY_MS > this.#now()) return `Bearer ${token.value}`;
    }
    const asked = this.#exchange(registry, challenge, credential, wanted, options.signal);
    this.#tokens.set(key, asked);
    asked.catch(() => this.#tokens.delete(key));
    return `Bearer ${(await asked).value}`;
  }

  async #exchange(
    registry: URL,
    challenge: Challenge,
    credential: Credential,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const realm = acceptRealm(registry, challenge.parameters.realm);
    const service = challenge.parameters.service;
    const identity = this.#refresh ?? (credential.kind === 'identity' ? credential.token : undefined);
    const init: RequestInit = signal === undefined ? {} : { signal };
    if (identity !== undefined) {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: identity,
        client_id: 'slipway',
        ...(service !== undefined && { service }),
        scope: scopes.join(' '),
      });
      const answer = await this.#fetch(realm, { ...init, method: 'POST', body: form });
      if (answer.status !== 404 && answer.status !== 405) return this.#read(answer, registry);
    }
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    const headers: Record<string, string> = {};
    if (credential.kind === 'basic') headers.authorization = basic(credential.username, credential.password);
    else if (credential.kind === 'identity')
      headers.authorization = basic(credential.username || 'oauth2accesstoken', credential.token);
    return this.#read(await this.#fetch(url, { ...init, headers }), registry);
  }

  async #read(answer: Response, registry: URL): Promise<Token> {
    const text = await answer.text();
    if (TRANSIENT.has(answer.status)) {
      throw new SlipwayError({
        reason: 'registry',
        code: TOKEN_BUSY,
        message: `The token server of ${registry.host} fails (status ${answer.status}).`,
        fix:
          answer.status === 429
            ? 'It limits requests: wait, or log in.'
            : 'Try again; the registry itself may be well.',
        evidence: [text.slice(0, 500)],
      });
    }
    if (!answer.ok) {
      throw new SlipwayError({
        reason: 'registry',
        code: answer.status === 401 || answer.status === 403 ? 'registry.denied' : 'registry.token',
        message: `The token server of ${registry.host} refused the credentials (status ${answer.status}).`,
        fix: `Log in again: docker login ${registry.host}.`,
        evidence: [text.slice(0, 500)],
      });
    }
    let body: { token?: unknown; access_token?: unknown; expires_in?: unknown; refresh_token?: unknown } = {};
    try {
      body = JSON.parse(text);
    } catch {
      // Handled below: no token in it.
    }
    const value = typeof body.token === 'string' && body.token !== '' ? body.token : body.access_token;
    if (typeof value !== 'string') {
      throw new SlipwayError({
        reason: 'registry',
        code: 'registry.token',
        message: `The token server of ${registry.host} answered without a token.`,
        evidence: [text.slice(0, 200)],
      });
    }
    if (typeof body.refresh_token === 'string') this.#refresh = body.refresh_token;
    const seconds = typeof body.expires_in === 'number' && body.expires_in > 0 ? body.expires_in : 60;
    return { value, until: this.#now() + seconds * 1000 };
  }
}

/**
 * A realm is a place we are about to send credentials to: https only (http when the registry itself is http), and no
 * private, loopback or link-local address unless it is the registry's own host. Throws SlipwayError `refused`.
 */
export function acceptRealm(registry: URL, realm: string | undefined): URL {
  let url: URL;
  try {
    url = new URL(realm ?? '');
  } catch {
    throw refused(registry, `its token address "${realm ?? ''}" is not a URL`);
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && registry.protocol === 'http:')) {
    throw refused(registry, `its token address ${url.origin} is not https`);
  }
  if (url.hostname !== registry.hostname && isPrivate(url.hostname)) {
    throw refused(registry, `its token address ${url.origin} is a private address`);
  }
  return url;
}

function refused(registry: URL, why: string): SlipwayError {
  return new SlipwayError({
    reason: 'refused',
    code: 'registry.realm',
    message: `No credentials were sent to ${registry.host}: ${why}.`,
    fix: 'Correct the address that the registry announces (for Gitea: ROOT_URL).',
  });
}

function isPrivate(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  if (isIP(host) === 4)
    return /^(10\.|127\.|0\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(
      host,
    );
  if (isIP(host) === 6) return /^(::1?$|f[cd]|fe[89ab]|::ffff:)/.test(host);
  return false;
}

const basic = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
