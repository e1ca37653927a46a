// Builders beside dockerd's own: a BuildKit daemon on the host for buildx's remote driver, and what the container and
// kubernetes drivers need. The builders themselves are made by the tests that use them, with `docker buildx create`.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { attempt } from './command.ts';
import { pidOf, startDaemon, stopDaemon } from './daemon.ts';
import { build, type GoProgram, isBuilt } from './gobuild.ts';
import { unmountBelow } from './network.ts';
import type { Part } from './part.ts';
import { addresses, paths } from './paths.ts';

const version = '0.29.0';
const program = (name: string): GoProgram => ({
  name,
  module: 'buildkit',
  target: `github.com/moby/buildkit/cmd/${name}`,
  variables: { 'github.com/moby/buildkit/version.Version': `v${version}` },
});
export const buildkitPrograms: readonly GoProgram[] = [program('buildkitd'), program('buildctl')];

const root = join(paths.state, 'buildkit');
const argv = [
  join(paths.bin, 'buildkitd'),
  ...['--root', root, '--addr', `unix://${addresses.buildkitSocket}`],
  ...['--oci-worker=true', '--containerd-worker=false'],
] as const;

export const buildkitPart: Part = {
  name: 'buildkitd',
  what: `BuildKit's daemon for buildx's remote driver, unix://${addresses.buildkitSocket}`,
  version,
  group: 'builders',
  needs: ['packages', 'emulation'],
  isPrepared: () => buildkitPrograms.every(isBuilt),
  prepare: async (report) => {
    for (const one of buildkitPrograms) await build(one, report);
  },
  service: {
    isReady: async () => pidOf('buildkitd') !== undefined && isServing(),
    pid: () => pidOf('buildkitd'),
    start: async () => {
      await startDaemon({ name: 'buildkitd', argv, isReady: isServing });
    },
    stop: async () => {
      await stopDaemon('buildkitd');
      await unmountBelow(root);
    },
    wipe: async () => rmSync(root, { recursive: true, force: true }),
  },
};

async function isServing(): Promise<boolean> {
  const args = ['--addr', `unix://${addresses.buildkitSocket}`, 'debug', 'workers'];
  return (await attempt(join(paths.bin, 'buildctl'), args, { timeoutMs: 5_000 })).code === 0;
}

const door = { host: addresses.node, port: 5001 } as const;
const doorArgv = [
  '/usr/bin/socat',
  `TCP-LISTEN:${door.port},bind=${door.host},fork,reuseaddr`,
  `TCP:${addresses.registry.replace('localhost', '127.0.0.1')}`,
] as const;

/** The registry listens on loopback only; a builder in a pod pushes to it under its own name, through here. */
export const registryDoorPart: Part = {
  name: 'registry-door',
  what: `the registry for builders in pods, ${door.host}:${door.port}`,
  version: 'socat',
  group: 'builders',
  needs: ['registry', 'network'],
  isPrepared: () => true,
  prepare: async () => {},
  service: {
    isReady: async () => pidOf('registry-door') !== undefined,
    pid: () => pidOf('registry-door'),
    start: async () => {
      await startDaemon({
        name: 'registry-door',
        argv: doorArgv,
        isReady: async () =>
          fetch(`http://${door.host}:${door.port}/v2/`, { signal: AbortSignal.timeout(1_000) }).then(
            ({ ok }) => ok,
            () => false,
          ),
      });
    },
    stop: async () => {
      await stopDaemon('registry-door');
    },
  },
};
