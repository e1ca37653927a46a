// Tokens for a CI host: from the caller (VS Code's session or secret storage), the environment, or the host's own command line.
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Secrets } from '../events/secrets.ts';
import { isCancelled, SlipwayError } from '../problems/index.ts';
import { findTool, type System } from '../system/index.ts';
import type { CiKind, CiRepository } from './model.ts';

export interface CiToken {
  readonly token: string;
  /** For people: `GITHUB_TOKEN`, `gh (~/.config/gh/hosts.yml)`, `VS Code's GitHub account`. Never the value. */
  readonly from: string;
}

export interface TokenSearch {
  readonly token?: CiToken;
  /** Why a token that is there is not used. */
  readonly hints: readonly string[];
}

const CLI_TIMEOUT_MS = 10_000;

/**
 * The token for a host, registered as a secret before it is returned. A token of the environment goes only to the host
 * that the environment names (or to the public one): a repository's remote must not choose who gets it.
 */
export async function findToken(system: System, repository: CiRepository, secrets: Secrets): Promise<TokenSearch> {
  const hints: string[] = [];
  const token = fromEnvironment(system.env, repository, hints) ?? (await fromCli(system, repository)) ?? undefined;
  secrets.add(token?.token);
  return { ...(token !== undefined && { token }), hints };
}

interface Variables {
  /** In the order in which they count. */
  readonly tokens: readonly string[];
  /** Variables that say which host the tokens are for, as host or URL. */
  readonly hosts: readonly string[];
  /** Whose the tokens are when none of those is set. */
  readonly otherwise: string | undefined;
}

function variables(kind: CiKind, host: string): Variables {
  if (kind === 'gitlab')
    return {
      tokens: ['GITLAB_TOKEN', 'GITLAB_ACCESS_TOKEN', 'OAUTH_TOKEN'],
      hosts: ['GITLAB_HOST', 'GITLAB_URI', 'GL_HOST', 'CI_SERVER_FQDN', 'CI_SERVER_HOST'],
      otherwise: 'gitlab.com',
    };
  if (kind === 'gitea')
    return {
      tokens: ['GITEA_TOKEN', 'GITEA_SERVER_TOKEN', 'FORGEJO_TOKEN'],
      hosts: ['GITEA_HOST', 'GITEA_URL', 'GITEA_SERVER_URL', 'FORGEJO_HOST', 'FORGEJO_URL', 'GITHUB_SERVER_URL'],
      otherwise: undefined,
    };
  if (host === 'github.com' || host.endsWith('.ghe.com'))
    return { tokens: ['GH_TOKEN', 'GITHUB_TOKEN'], hosts: ['GH_HOST', 'GITHUB_SERVER_URL'], otherwise: 'github.com' };
  return {
    tokens: ['GH_ENTERPRISE_TOKEN', 'GITHUB_ENTERPRISE_TOKEN', 'GITHUB_TOKEN'],
    hosts: ['GH_HOST', 'GITHUB_SERVER_URL'],
    otherwise: undefined,
  };
}

function fromEnvironment(env: System['env'], repository: CiRepository, hints: string[]): CiToken | undefined {
  const { tokens, hosts, otherwise } = variables(repository.kind, repository.host);
  const named = hosts.flatMap((name) => {
    const host = hostOf(env[name]);
    return host === undefined ? [] : [host];
  });
  const allowed = named.length > 0 ? named : otherwise === undefined ? [] : [otherwise];
  for (const name of tokens) {
    const token = env[name]?.trim();
    if (token === undefined || token === '') continue;
    // Inside a Gitea job GITHUB_TOKEN is Gitea's own; outside it is GitHub's.
    if (allowed.includes(repository.host)) return { token, from: name };
    hints.push(
      `${name} is not sent to ${repository.host}: set ${hosts[0]}=${repository.host} to say that it is for that host`,
    );
  }
  return undefined;
}

/** Host and port of `https://git.acme.example/gitea` or `git.acme.example`. */
function hostOf(value: string | undefined): string | undefined {
  const host = /^(?:https?:\/\/)?(?:[^@/]*@)?([^/]+)/.exec(value?.trim() ?? '')?.[1];
  return host === undefined || host === '' ? undefined : host.toLowerCase();
}

async function fromCli(system: System, repository: CiRepository): Promise<CiToken | undefined> {
  if (repository.kind === 'github') return fromGh(system, repository.host);
  if (repository.kind === 'gitlab') return fromGlab(system, repository.host);
  return fromTea(system, repository);
}

/** Folders where a command line keeps its configuration, by platform. */
function configFolders(system: System, name: string, override: string | undefined): readonly string[] {
  if (override !== undefined && override !== '') return [override];
  const { env, platform } = system;
  const home = env.HOME ?? env.USERPROFILE;
  const folders: string[] = [];
  if (env.XDG_CONFIG_HOME !== undefined && env.XDG_CONFIG_HOME !== '') folders.push(join(env.XDG_CONFIG_HOME, name));
  if (platform === 'win32') {
    if (env.APPDATA !== undefined) folders.push(join(env.APPDATA, name === 'gh' ? 'GitHub CLI' : name));
    if (env.LOCALAPPDATA !== undefined) folders.push(join(env.LOCALAPPDATA, name));
  }
  if (home !== undefined) {
    folders.push(join(home, '.config', name));
    if (platform === 'darwin') folders.push(join(home, 'Library', 'Application Support', name));
  }
  return folders;
}

type Data = Readonly<Record<string, unknown>>;
const asData = (value: unknown): Data => (typeof value === 'object' && value !== null ? (value as Data) : {});
const asText = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;

async function readYaml(system: System, file: string): Promise<Data | undefined> {
  const text = await system.files.readText(file).catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    // glab writes `token: !!null glpat-…` before version 1.50; the tag is no null.
    return asData(parse(text.replaceAll(/!!null (?=\S)/g, ''), { logLevel: 'silent' }));
  } catch {
    // Somebody else's file: what cannot be read holds nothing for us.
    return undefined;
  }
}

async function fromGh(system: System, host: string): Promise<CiToken | undefined> {
  for (const folder of configFolders(system, 'gh', system.env.GH_CONFIG_DIR)) {
    const file = join(folder, 'hosts.yml');
    const entry = asData((await readYaml(system, file))?.[host]);
    if (Object.keys(entry).length === 0) continue;
    const user = asText(entry.user);
    const token = asText(entry.oauth_token) ?? asText(asData(asData(entry.users)[user ?? '']).oauth_token);
    if (token !== undefined) return { token, from: `gh (${file})` };
    // Newer versions keep it in the keyring of the system, which only gh itself can open.
    return askGh(system, host);
  }
  return undefined;
}

async function askGh(system: System, host: string): Promise<CiToken | undefined> {
  if (!system.isTrusted() || findTool('gh', system.env as Record<string, string>) === undefined) return undefined;
  try {
    const { code, stdout } = await system.processes.run({
      file: 'gh',
      args: ['auth', 'token', '--hostname', host],
      timeoutMs: CLI_TIMEOUT_MS,
    });
    const token = stdout.trim();
    return code === 0 && token !== '' ? { token, from: 'gh auth token' } : undefined;
  } catch (error) {
    if (isCancelled(error) || !SlipwayError.is(error)) throw error;
    return undefined;
  }
}

async function fromGlab(system: System, host: string): Promise<CiToken | undefined> {
  for (const folder of configFolders(system, 'glab-cli', system.env.GLAB_CONFIG_DIR)) {
    const file = join(folder, 'config.yml');
    const entry = asData(asData((await readYaml(system, file))?.hosts)[host]);
    const token = asText(entry.token);
    if (token !== undefined) return { token, from: `glab (${file})` };
  }
  return undefined;
}

async function fromTea(system: System, repository: CiRepository): Promise<CiToken | undefined> {
  const home = system.env.HOME ?? system.env.USERPROFILE;
  const files = [
    ...configFolders(system, 'tea', undefined).map((folder) => join(folder, 'config.yml')),
    ...(home === undefined ? [] : [join(home, '.tea', 'tea.yml')]),
  ];
  for (const file of files) {
    const logins = (await readYaml(system, file))?.logins;
    for (const login of Array.isArray(logins) ? logins.map(asData) : []) {
      const token = asText(login.token);
      if (token !== undefined && hostOf(asText(login.url)) === repository.host) return { token, from: `tea (${file})` };
    }
  }
  return undefined;
}
