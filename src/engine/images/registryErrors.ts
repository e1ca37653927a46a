import { SlipwayError } from '../problems/index.ts';
import type { Reference } from './reference.ts';

/** A whole answer: the body has been read, so a connection that broke in the middle of it has been tried again. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** Statuses that another try may change. */
export const TRANSIENT: ReadonlySet<number> = new Set([408, 429, 499, 500, 502, 503, 504, 522]);

/** Throws unless the status is one of those wanted, in words for the person. `now` is ms since the epoch. */
export function expectStatus(answer: Answer, ref: Reference, wanted: readonly number[], now: number): void {
  if (wanted.includes(answer.status)) return;
  const text = Buffer.from(answer.body)
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
    const wait = retryAfter(answer, now);
    const until = wait === undefined ? '' : ` until ${new Date(now + wait).toISOString().slice(11, 16)} UTC`;
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

/** ms to wait, from seconds or a date; undefined without the header. */
export function retryAfter(answer: Pick<Answer, 'headers'>, now: number): number | undefined {
  const header = answer.headers.get('retry-after');
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** No answer at all, in words; `silentMs` when it let us wait so long for nothing. */
export function unreachable(base: URL, silentMs: number | undefined, error: unknown): SlipwayError {
  if (silentMs !== undefined) {
    return new SlipwayError(
      {
        reason: 'registry',
        code: 'registry.slow',
        message: `${base.host} did not answer within ${silentMs / 1000} s, four times in a row.`,
        fix: 'Try again later; a proxy in between may hold the connection (HTTPS_PROXY, NO_PROXY).',
      },
      { cause: error },
    );
  }
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
