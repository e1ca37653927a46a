import { join } from 'node:path';
import * as v from 'valibot';
import { SlipwayError } from '../problems/index.ts';
import { Remembered } from '../problems/remembered.ts';
import type { Platform } from '../project/model.ts';
import type { System } from '../system/index.ts';

/** A buildx builder as far as a build depends on it. */
export interface Builder {
  readonly name: string;
  readonly driver: string;
  /** Empty when it does not say (a builder that was not started yet). */
  readonly platforms: readonly Platform[];
}

const known = new WeakMap<System, Remembered<Builder>>();

const Current = v.object({ Name: v.optional(v.string()) });

/**
 * The builder of the docker context, when that is what buildx takes without a name: then there is nothing to ask, and a
 * question costs a start of docker and of buildx before every build. buildx keeps a choice in `current`, or for an endpoint
 * in `defaults` (store of buildx 0.13 to 0.36). Undefined when somebody chose a builder, or when that is not sure.
 */
export async function contextBuilder({ env, files, platform }: System): Promise<Builder | undefined> {
  if (env.BUILDX_BUILDER) return undefined;
  const home = platform === 'win32' ? env.USERPROFILE : env.HOME;
  const docker = env.DOCKER_CONFIG || (home && join(home, '.docker'));
  const store = env.BUILDX_CONFIG || (docker && join(docker, 'buildx'));
  if (!store) return undefined;
  try {
    if (((await files.list(join(store, 'defaults'))) ?? []).length > 0) return undefined;
    const text = await files.readText(join(store, 'current'));
    const isChosen = text !== undefined && v.parse(Current, JSON.parse(text)).Name;
    return isChosen ? undefined : { name: 'default', driver: 'docker', platforms: [] };
  } catch {
    return undefined;
  }
}

/** As {@link inspectBuilder}, asked once per process: two images on one builder are one question. */
export function builderOf(system: System, name: string | undefined, signal: AbortSignal): Promise<Builder> {
  const asked = known.get(system) ?? new Remembered<Builder>();
  known.set(system, asked);
  return asked.get(() => inspectBuilder(system, name, signal), name);
}

/**
 * Asks buildx about a builder; without a name, about the current one. Throws SlipwayError `tool-missing` without buildx,
 * `tool-failed` when there is no such builder or no daemon.
 */
export async function inspectBuilder(system: System, name: string | undefined, signal: AbortSignal): Promise<Builder> {
  const { code, stdout, stderr } = await system.processes.run({
    file: 'docker',
    args: ['buildx', 'inspect', ...(name === undefined ? [] : [name])],
    timeoutMs: 30_000,
    signal,
  });
  const words = stderr.trim().split('\n').at(-1) ?? '';
  if (/is not a docker command|unknown command/.test(stderr)) {
    throw new SlipwayError({
      reason: 'tool-missing',
      code: 'tool.buildx',
      message: 'docker has no buildx plugin.',
      fix: 'Install docker-buildx 0.12 or later.',
      evidence: [words],
    });
  }
  const builder = readBuilder(stdout);
  if (code !== 0 || builder === undefined) {
    const isDaemon = /Cannot connect|connection refused|no such file|daemon/i.test(stderr + stdout);
    throw new SlipwayError({
      reason: 'tool-failed',
      code: isDaemon ? 'docker.unreachable' : 'build.builder',
      message: `The builder ${name ?? ''} cannot be used: ${words || stdout.trim()}`.replace('builder  ', 'builder '),
      fix: isDaemon
        ? 'Start Docker, or set DOCKER_HOST or the docker context.'
        : 'docker buildx ls shows the builders there are.',
      evidence: [words],
    });
  }
  return builder;
}

/** Reads the text of `docker buildx inspect`: it has no other form. */
export function readBuilder(text: string): Builder | undefined {
  const name = /^Name:\s*(\S+)/m.exec(text)?.[1];
  const driver = /^Driver:\s*(\S+)/m.exec(text)?.[1];
  if (name === undefined || driver === undefined) return undefined;
  return {
    name,
    driver,
    platforms: [...text.matchAll(/^\s*Platforms:\s*(.+)$/gm)].flatMap(([, list = '']) =>
      list
        .split(',')
        .map((platform) => platform.trim().replace(/\*$/, ''))
        .filter((platform) => platform !== ''),
    ),
  };
}
