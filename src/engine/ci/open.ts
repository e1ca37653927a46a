import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { hostKey, type KnownHosts, probeHost, repositoryOf } from './detect.ts';
import { chooseRemote, type GitRemotes, readRemotes } from './gitConfig.ts';
import { GiteaClient } from './gitea.ts';
import { GITHUB_HEADERS, GithubClient } from './github.ts';
import { GitlabClient } from './gitlab.ts';
import { CiHttp } from './http.ts';
import type { CiClient, CiRepository } from './model.ts';
import type { Remote } from './remote.ts';
import { type CiToken, findToken } from './token.ts';

export interface FoundRepository {
  readonly git: GitRemotes;
  readonly remote: Remote;
  /** Undefined when the kind of the host is not known yet: it may be asked by {@link probeHost}. */
  readonly repository: CiRepository | undefined;
}

/** The repository of a folder on its CI host, from git's files alone. Undefined without a remote on a network host. */
export async function findRepository(
  system: System,
  folder: string,
  options: { readonly remote?: string; readonly hosts?: KnownHosts } = {},
): Promise<FoundRepository | undefined> {
  const git = await readRemotes(system, folder);
  const remote = git === undefined ? undefined : chooseRemote(git, options.remote);
  if (git === undefined || remote === undefined) return undefined;
  return { git, remote, repository: repositoryOf(remote, options.hosts) };
}

/** A client of a repository. Without `token`, the one of the environment or of the host's command line; else none. */
export async function openCi(
  system: System,
  repository: CiRepository,
  secrets: Secrets,
  token?: CiToken,
): Promise<CiClient> {
  const search = token === undefined ? await findToken(system, repository, secrets) : { token, hints: [] };
  const http = new CiHttp({
    system,
    repository,
    secrets,
    hints: search.hints,
    ...(search.token !== undefined && { token: search.token }),
    ...(repository.kind === 'github' && { headers: GITHUB_HEADERS }),
  });
  if (repository.kind === 'github') return new GithubClient(http, system);
  if (repository.kind === 'gitlab') return new GitlabClient(http, system);
  return new GiteaClient(http, system);
}

/**
 * From a folder to a client, for callers whom the person told to go ahead: a host of unknown kind is asked what it is.
 * Throws SlipwayError `usage` when there is no remote or no CI host behind it.
 */
export async function connectCi(
  system: System,
  folder: string,
  secrets: Secrets,
  options: { readonly remote?: string; readonly hosts?: KnownHosts; readonly signal: AbortSignal },
): Promise<{ readonly client: CiClient; readonly git: GitRemotes }> {
  const found = await findRepository(system, folder, options);
  if (found === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.no-remote',
      message:
        options.remote === undefined
          ? `No git remote of ${folder} leads to a CI host.`
          : `There is no git remote "${options.remote}" in ${folder}.`,
      fix: 'Add one: git remote add origin URL; or name one with --remote.',
    });
  }
  const { git, remote } = found;
  let { repository } = found;
  if (repository === undefined) {
    const host = await probeHost(system, remote, options.signal);
    repository = host === undefined ? undefined : repositoryOf(remote, { ...options.hosts, [hostKey(remote)]: host });
  }
  if (repository === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.unknown-host',
      message: `${hostKey(remote)} (remote ${remote.name}) is no GitHub, GitLab, Gitea or Forgejo that answers here.`,
      fix: 'Name the remote of your CI host with --remote.',
    });
  }
  return { client: await openCi(system, repository, secrets), git };
}
