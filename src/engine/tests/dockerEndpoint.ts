import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';

/**
 * The Docker daemon that the docker CLI would use: DOCKER_HOST, else the context of DOCKER_CONTEXT or config.json, else
 * the usual sockets. dockerode itself knows no contexts. Throws SlipwayError `tool-missing` when none answers.
 */
export async function openDocker(system: System): Promise<Docker> {
  if (!system.isTrusted()) {
    throw new SlipwayError({
      reason: 'untrusted',
      message: 'Docker was not contacted: this workspace is not trusted.',
      fix: 'Trust the workspace, then try again.',
    });
  }
  const { default: Client } = await import('dockerode');
  const tried: string[] = [];
  for (const host of await candidates(system)) {
    const options = optionsFor(host, system);
    if (options === undefined) {
      tried.push(`${host} (this kind of address is not supported here)`);
      continue;
    }
    const client = new Client(options);
    try {
      await client.ping();
      return client;
    } catch (error) {
      tried.push(`${host} (${error instanceof Error ? error.message : String(error)})`);
    }
  }
  throw new SlipwayError({
    reason: 'tool-missing',
    code: 'docker.unreachable',
    message: `No Docker daemon answers: ${tried.join(', ') || 'no socket was found'}.`,
    fix: 'Start Docker, or set DOCKER_HOST or the docker context.',
  });
}

async function candidates(system: System): Promise<readonly string[]> {
  const { env, platform } = system;
  if (env.DOCKER_HOST) return [env.DOCKER_HOST];
  const home = env.HOME ?? env.USERPROFILE ?? '';
  const folder = env.DOCKER_CONFIG ?? join(home, '.docker');
  const context = env.DOCKER_CONTEXT ?? (await currentContext(system, folder));
  if (context !== undefined && context !== 'default') {
    const meta = join(folder, 'contexts', 'meta', createHash('sha256').update(context).digest('hex'), 'meta.json');
    const text = await system.files.readText(meta);
    const host =
      text === undefined
        ? undefined
        : (JSON.parse(text) as { Endpoints?: { docker?: { Host?: string } } }).Endpoints?.docker?.Host;
    if (host !== undefined) return [host];
    throw new SlipwayError({
      reason: 'tool-missing',
      code: 'docker.context',
      message: `The docker context "${context}" does not exist.`,
      fix: 'docker context ls shows those there are.',
    });
  }
  if (platform === 'win32') return ['npipe:////./pipe/docker_engine'];
  return [
    'unix:///var/run/docker.sock',
    `unix://${join(home, '.docker/run/docker.sock')}`,
    ...(env.XDG_RUNTIME_DIR === undefined ? [] : [`unix://${join(env.XDG_RUNTIME_DIR, 'docker.sock')}`]),
  ];
}

async function currentContext(system: System, folder: string): Promise<string | undefined> {
  try {
    return (
      JSON.parse((await system.files.readText(join(folder, 'config.json'))) ?? '{}') as { currentContext?: string }
    ).currentContext;
  } catch {
    // docker itself would complain about a broken file; the default context is what it falls back to.
    return undefined;
  }
}

function optionsFor(host: string, system: System): Docker.DockerOptions | undefined {
  if (host.startsWith('unix://')) return { socketPath: host.slice('unix://'.length) };
  if (host.startsWith('npipe://')) return { socketPath: host.slice('npipe://'.length).replaceAll('/', '\\') };
  const tcp = /^(?:tcp|https?):\/\/(\[[^\]]+\]|[^:/]+)(?::(\d+))?/.exec(host);
  if (tcp === null) return undefined;
  const isTls = Boolean(system.env.DOCKER_TLS_VERIFY) || tcp[2] === '2376' || host.startsWith('https://');
  return { host: tcp[1] ?? '', port: Number(tcp[2] ?? (isTls ? 2376 : 2375)), protocol: isTls ? 'https' : 'http' };
}
