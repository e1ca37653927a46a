import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { CiKind, CiRepository } from './model.ts';
import type { Remote } from './remote.ts';

/** Hosts that are known by name. Everything else has to be told or asked. */
export function kindByName(host: string): CiKind | undefined {
  if (host === 'github.com' || host.endsWith('.ghe.com')) return 'github';
  if (host === 'gitlab.com') return 'gitlab';
  if (host === 'gitea.com' || host === 'codeberg.org') return 'gitea';
  return undefined;
}

/** What is known about hosts beyond their names: by settings, or by an earlier {@link probeHost}. */
export type KnownHosts = Readonly<Record<string, KnownHost>>;

export interface KnownHost {
  readonly kind: CiKind;
  /** Path below which the host is installed, `gitea` or empty. */
  readonly prefix?: string;
  /** `http` when an ssh remote's host has no https. */
  readonly protocol?: 'http' | 'https';
}

/** Host and port, the key for tokens and settings. */
export const hostKey = (remote: Remote): string =>
  remote.port === undefined ? remote.host : `${remote.host}:${remote.port}`;

/** The repository that a remote names, when the kind of its host is known. Asks nobody. */
export function repositoryOf(remote: Remote, known: KnownHosts = {}): CiRepository | undefined {
  const host = hostKey(remote);
  const told = known[host] ?? known[remote.host];
  const kind = told?.kind ?? kindByName(remote.host);
  if (kind === undefined) return undefined;
  const protocol = told?.protocol ?? (remote.protocol === 'http' ? 'http' : 'https');
  const prefix = (told?.prefix ?? '').split('/').filter((part) => part !== '');
  const isBelow = remote.protocol !== 'ssh' && prefix.every((part, index) => remote.segments[index] === part);
  const segments = isBelow ? remote.segments.slice(prefix.length) : remote.segments;
  if (segments.length < 2) return undefined;
  // GitLab nests groups; the others have exactly an owner and a name.
  const path = (kind === 'gitlab' ? segments : segments.slice(-2)).join('/');
  const web = `${protocol}://${host}/${prefix.map((part) => `${part}/`).join('')}`;
  return { kind, host, web, api: apiOf(kind, remote.host, web), path };
}

function apiOf(kind: CiKind, host: string, web: string): string {
  if (kind === 'gitlab') return `${web}api/v4/`;
  if (kind === 'gitea') return `${web}api/v1/`;
  if (host === 'github.com') return 'https://api.github.com/';
  if (host.endsWith('.ghe.com')) return `https://api.${host}/`;
  return `${web}api/v3/`;
}

const PROBE_TIMEOUT_MS = 10_000;

/**
 * Asks a host what it is, without any token. Only on the person's word: it contacts a host that was never named to us.
 * Undefined when it answers like none of them. Throws SlipwayError `untrusted`, `network`.
 */
export async function probeHost(system: System, remote: Remote, signal: AbortSignal): Promise<KnownHost | undefined> {
  if (!system.isTrusted()) {
    throw new SlipwayError({
      reason: 'untrusted',
      message: `${hostKey(remote)} was not asked: this workspace is not trusted.`,
      fix: 'Trust the workspace, then try again.',
    });
  }
  const protocols = remote.protocol === 'ssh' ? (['https', 'http'] as const) : ([remote.protocol] as const);
  // The installation may lie below a path; only a web address shows it.
  const deepest = remote.protocol === 'ssh' ? 0 : Math.max(0, remote.segments.length - 2);
  let reached: unknown = new Error('no answer');
  for (const protocol of protocols) {
    for (let depth = 0; depth <= deepest; depth += 1) {
      const prefix = remote.segments.slice(0, depth).join('/');
      const base = `${protocol}://${hostKey(remote)}/${prefix === '' ? '' : `${prefix}/`}`;
      try {
        const kind = await probeBase(system, base, signal);
        reached = undefined;
        if (kind !== undefined)
          return { kind, ...(prefix !== '' && { prefix }), ...(remote.protocol === 'ssh' && { protocol }) };
      } catch (error) {
        if (signal.aborted) throw error;
        reached = error;
        break;
      }
    }
    if (reached === undefined) return undefined;
  }
  const cause = (reached as { readonly cause?: { readonly message?: string } }).cause;
  throw new SlipwayError(
    {
      reason: 'network',
      code: 'ci.unreachable',
      message: `${hostKey(remote)} cannot be reached: ${cause?.message ?? (reached instanceof Error ? reached.message : String(reached))}.`,
      fix: 'Check the host name, network and proxy (HTTPS_PROXY).',
    },
    { cause: reached },
  );
}

async function probeBase(system: System, base: string, signal: AbortSignal): Promise<CiKind | undefined> {
  const ask = async (path: string) => {
    const answer = await system.fetch(new URL(path, base), {
      headers: { accept: 'application/json', 'user-agent': 'slipway' },
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]),
    });
    const text = (await answer.text()).slice(0, 4096);
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      body = undefined;
    }
    return { answer, body: (body ?? {}) as Readonly<Record<string, unknown>> };
  };
  const gitea = await ask('api/v1/version');
  if (gitea.answer.status === 200 && typeof gitea.body.version === 'string') return 'gitea';
  // An installation that shows nothing to strangers says so in these words (REQUIRE_SIGNIN_VIEW).
  if (gitea.answer.status === 403 && /signed in user/i.test(String(gitea.body.message ?? ''))) return 'gitea';
  const gitlab = await ask('api/v4/version');
  const isGitlab =
    gitlab.answer.headers.has('x-gitlab-meta') ||
    (gitlab.answer.status === 200 && typeof gitlab.body.revision === 'string') ||
    (gitlab.answer.status === 401 && /unauthorized/i.test(String(gitlab.body.message ?? '')));
  if (isGitlab) return 'gitlab';
  const github = await ask('api/v3/meta');
  if (github.answer.headers.has('x-github-request-id')) return 'github';
  return undefined;
}
