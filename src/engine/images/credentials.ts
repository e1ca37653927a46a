import { join } from 'node:path';
import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { credentialKey } from './reference.ts';

export type Credential =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  /** A refresh token that is exchanged at the token server. */
  | { readonly kind: 'identity'; readonly username: string; readonly token: string }
  | { readonly kind: 'bearer'; readonly token: string };

interface AuthEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, AuthEntry>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

const HELPER_TIMEOUT_MS = 15_000;

/**
 * What docker and podman would use for a registry, in their order: DOCKER_AUTH_CONFIG, docker's config.json with its
 * helpers, podman's auth files, else anonymous. Secrets are registered before they are returned. Throws SlipwayError
 * `registry` when a configured helper is missing or fails, naming the file that names it.
 */
export async function findCredential(system: System, registry: string, secrets?: Secrets): Promise<Credential> {
  const { env } = system;
  const inline = env.DOCKER_AUTH_CONFIG;
  if (inline !== undefined) {
    const found = fromAuths(parse(inline, 'DOCKER_AUTH_CONFIG').auths, registry);
    if (found !== undefined) return remember(found, secrets);
  }
  const home = env.HOME ?? env.USERPROFILE ?? '';
  const dockerFile = join(env.DOCKER_CONFIG ?? join(home, '.docker'), 'config.json');
  const text = await system.files.readText(dockerFile);
  if (text !== undefined) {
    const config = parse(text, dockerFile);
    const helper = config.credHelpers?.[credentialKey(registry)] ?? config.credHelpers?.[registry] ?? config.credsStore;
    const found =
      helper === undefined || helper === ''
        ? fromAuths(config.auths, registry)
        : await fromHelper(system, helper, registry, dockerFile);
    if (found !== undefined) return remember(found, secrets);
  }
  const podmanFiles = [
    env.REGISTRY_AUTH_FILE,
    env.XDG_RUNTIME_DIR === undefined ? undefined : join(env.XDG_RUNTIME_DIR, 'containers/auth.json'),
    join(home, '.config/containers/auth.json'),
  ];
  for (const file of podmanFiles) {
    const content = file === undefined ? undefined : await system.files.readText(file);
    if (file === undefined || content === undefined) continue;
    const found = fromAuths(parse(content, file).auths, registry);
    if (found !== undefined) return remember(found, secrets);
  }
  return { kind: 'anonymous' };
}

function parse(text: string, source: string): DockerConfig {
  try {
    return JSON.parse(text) as DockerConfig;
  } catch (error) {
    throw new SlipwayError(
      {
        reason: 'registry',
        code: 'credentials.broken',
        message: `${source} is not valid JSON: ${error instanceof Error ? error.message : String(error)}`,
        fix: 'Mend it, or log in again with: docker login.',
        ...(source.includes('/') || source.includes('\\') ? { place: { file: source } } : {}),
      },
      { cause: error },
    );
  }
}

/** Keys may be a host, a URL or (podman) host/path: compared by host name. */
function fromAuths(auths: DockerConfig['auths'], registry: string): Credential | undefined {
  const hostOf = (key: string): string => key.replace(/^https?:\/\//, '').split('/')[0] ?? '';
  const wanted = new Set([hostOf(credentialKey(registry)), registry]);
  for (const [key, entry] of Object.entries(auths ?? {})) {
    if (!wanted.has(hostOf(key))) continue;
    const found = fromEntry(entry);
    if (found !== undefined) return found;
  }
  return undefined;
}

function fromEntry(entry: AuthEntry): Credential | undefined {
  if (entry.registrytoken) return { kind: 'bearer', token: entry.registrytoken };
  const decoded =
    entry.auth === undefined ? '' : Buffer.from(entry.auth, 'base64').toString('utf8').replace(/\0+$/, '');
  // Only the first colon separates: passwords contain more.
  const colon = decoded.indexOf(':');
  const username = entry.username ?? (colon > 0 ? decoded.slice(0, colon) : '');
  if (entry.identitytoken) return { kind: 'identity', username, token: entry.identitytoken };
  const password = entry.password ?? (colon > 0 ? decoded.slice(colon + 1) : '');
  return username === '' ? undefined : { kind: 'basic', username, password };
}

async function fromHelper(
  system: System,
  helper: string,
  registry: string,
  file: string,
): Promise<Credential | undefined> {
  const program = `docker-credential-${helper}`;
  const fail = (why: string, fix: string): SlipwayError =>
    new SlipwayError({
      reason: 'registry',
      code: 'credentials.helper',
      message: `The credential helper ${program}, named in ${file}, ${why}.`,
      fix,
      place: { file },
    });
  let result: Awaited<ReturnType<typeof system.processes.run>>;
  try {
    result = await system.processes.run({
      file: program,
      args: ['get'],
      stdin: credentialKey(registry),
      timeoutMs: HELPER_TIMEOUT_MS,
    });
  } catch (error) {
    if (SlipwayError.is(error, 'tool-missing')) {
      throw fail(
        'is not on PATH',
        `Install it, or remove it from ${file} and log in again with: docker login ${registry}.`,
      );
    }
    if (SlipwayError.is(error, 'timeout'))
      throw fail('did not answer in 15 s', 'It may wait for a dialog: unlock the keychain and try again.');
    throw error;
  }
  if (result.code !== 0) {
    // The helper protocol says "not found" on stdout with a non-zero code.
    if (/credentials not found in native keychain/i.test(result.stdout + result.stderr)) return undefined;
    throw fail(`failed with exit code ${result.code}`, `Log in again with: docker login ${registry}.`);
  }
  const answer = JSON.parse(result.stdout) as { readonly Username?: string; readonly Secret?: string };
  if (!answer.Secret) return undefined;
  return answer.Username === '<token>'
    ? { kind: 'identity', username: '', token: answer.Secret }
    : { kind: 'basic', username: answer.Username ?? '', password: answer.Secret };
}

function remember(credential: Credential, secrets: Secrets | undefined): Credential {
  if (credential.kind === 'basic') {
    secrets?.add(credential.password);
    secrets?.add(Buffer.from(`${credential.username}:${credential.password}`).toString('base64'));
  } else if (credential.kind !== 'anonymous') secrets?.add(credential.token);
  return credential;
}
