// What a CI host refuses, in words: what, why as far as it says, and the fix for that host.
import { SlipwayError } from '../problems/index.ts';
import type { CiKind, CiRepository } from './model.ts';

export interface Refusal {
  readonly repository: CiRepository;
  readonly what: string;
  readonly isWrite: boolean;
  readonly status: number;
  readonly headers: Headers;
  /** Secrets are masked already. */
  readonly text: string;
  /** Where the token came from; undefined without one. */
  readonly credential: string | undefined;
  readonly hints: readonly string[];
}

/** What a token has to be allowed, as each host calls it. */
const SCOPES: Readonly<Record<CiKind, { readonly read: string; readonly write: string }>> = {
  github: {
    read: 'scope repo (fine-grained: Actions read)',
    write: 'scopes repo and workflow (fine-grained: Actions read and write)',
  },
  gitlab: { read: 'scope read_api', write: 'scope api and the role Developer' },
  gitea: { read: 'scope read:repository', write: 'scope write:repository' },
};

const SIGN_IN: Readonly<Record<CiKind, string>> = {
  github: 'Sign in to GitHub in VS Code, run gh auth login, or set GH_TOKEN',
  gitlab: 'Run glab auth login, or set GITLAB_TOKEN (and GITLAB_HOST for your own server)',
  gitea: 'Run tea login add, or set GITEA_TOKEN and GITEA_HOST',
};

export function failureOf(refusal: Refusal): SlipwayError {
  const { repository, what, status, headers, credential, isWrite } = refusal;
  const { host, kind, path } = repository;
  const said = wordsOf(refusal.text);
  const fail = (code: string, message: string, fix: string): SlipwayError =>
    new SlipwayError({
      reason: 'network',
      code,
      message: `${message}${said === undefined ? '' : ` (${host} says: ${said})`}.`,
      fix,
      ...(said !== undefined && { evidence: [`${status} ${said}`] }),
    });
  const scope = isWrite ? SCOPES[kind].write : SCOPES[kind].read;
  const hint = refusal.hints[0] === undefined ? '' : ` ${refusal.hints[0]}.`;
  if (status === 401) {
    return credential === undefined
      ? fail('ci.sign-in', `${host} wants a token for ${what}`, `${SIGN_IN[kind]}.${hint}`)
      : fail(
          'ci.token-refused',
          `${host} does not accept the token from ${credential}: it has expired, was revoked, or is for another host`,
          `${SIGN_IN[kind]} anew.`,
        );
  }
  if (status === 403) {
    const single = /required;\s*url=(\S+)/.exec(headers.get('x-github-sso') ?? '')?.[1];
    if (single !== undefined)
      return fail(
        'ci.sso',
        `The organisation of ${path} wants the token authorised for single sign-on`,
        `Open ${single}`,
      );
    if (/archived/i.test(refusal.text))
      return fail(
        'ci.archived',
        `${path} is archived: nothing can be started there`,
        'Unarchive it, or use another one.',
      );
    if (credential === undefined)
      return fail('ci.sign-in', `${host} does not let strangers see ${what}`, `${SIGN_IN[kind]}.${hint}`);
    const has = headers.get('x-oauth-scopes');
    return fail(
      'ci.scope',
      `The token from ${credential} may not ${isWrite ? 'do this' : 'see this'}: ${what}${has === null ? '' : `; it has ${has === '' ? 'no scopes' : has}`}`,
      `Use a token with ${scope}, of an account that may ${isWrite ? 'write to' : 'read'} ${path}.`,
    );
  }
  if (status === 404 && isWrite && credential !== undefined)
    return fail(
      'ci.not-found',
      `${host} did not find what it takes for ${what} in ${path}`,
      `Check the names (slipway ci workflows lists what can be started; a branch or tag must have been pushed) and that the token has ${scope}.`,
    );
  if (status === 404) {
    return credential === undefined
      ? fail(
          'ci.not-found',
          `${host} shows no ${what} of ${path}: it is not there, or it is private`,
          `${SIGN_IN[kind]} if it is private.${hint}`,
        )
      : fail(
          'ci.not-found',
          `${host} shows no ${what} of ${path} to the token from ${credential}`,
          `Check the name and that Actions or CI/CD is on there; private repositories need a token with ${scope}.`,
        );
  }
  if (status === 410) return fail('ci.gone', `${what} of ${path} is no longer kept`, 'Run it again to get a new one.');
  if (status === 405 || status === 501)
    return fail('ci.unsupported', `${host} cannot do this: ${what}`, 'Do it on its web page, or update the server.');
  if (status === 409 || status === 422 || status === 400)
    return fail('ci.refused', `${host} refuses: ${what}`, 'Change what it complains of, and try again.');
  if (status === 429)
    return fail('ci.rate-limited', `${host} limits how often it is asked`, 'Wait a minute, then try again.');
  if (status >= 500)
    return fail(
      'ci.server',
      `${host} failed with status ${status} for ${what}`,
      kind === 'github' && host === 'github.com'
        ? 'Try again later; https://www.githubstatus.com says whether it is known.'
        : 'Try again later, or ask who runs the server.',
    );
  return fail('ci.error', `${host} answered with status ${status} for ${what}`, 'Open the repository in a browser.');
}

/** The sentence in an error body: GitHub and Gitea `message` (and `errors`), GitLab `message`, `error` or lists of them. */
function wordsOf(text: string): string | undefined {
  try {
    const body = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const words = [body.message, body.error, body.error_description, body.errors]
      .flatMap(flatten)
      .filter((word, index, all) => word !== '' && all.indexOf(word) === index);
    return words.length === 0 ? undefined : words.join('; ').replace(/\.$/, '').slice(0, 300);
  } catch {
    // Proxies answer in HTML; the status is what counts then.
    return undefined;
  }
}

function flatten(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(flatten);
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, inner]) =>
      key === 'message' || Number.isInteger(Number(key))
        ? flatten(inner)
        : flatten(inner).map((word) => `${key}: ${word}`),
    );
  return [];
}
