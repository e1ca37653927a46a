// containerd (one for dockerd and the kubelet), dockerd with buildx, emulation of other processors, and the registry.
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { attempt, run } from './command.ts';
import { commandLineOf, isOutdated, killQuietly, parentOf, pidOf, startDaemon, stopDaemon } from './daemon.ts';
import { readLedger, record, recordSysctl } from './ledger.ts';
import { rememberForwardPolicy, rememberNetwork, removeFirewallRules, unmountBelow } from './network.ts';
import type { Part } from './part.ts';
import { addresses, hasOtherCluster, paths } from './paths.ts';

export const pauseImage = `${addresses.registry}/base/pause:3.9`;
const nothingToPrepare = { isPrepared: () => true, prepare: async () => {} };

const hasOtherDocker = process.env.SLIPWAY_LAB_DOCKER_HOST !== undefined;
/** Docker's own address where ours should be used: the one the person named, or the lab's. */
export const dockerHost = process.env.SLIPWAY_LAB_DOCKER_HOST ?? `unix://${addresses.dockerSocket}`;
const containerdArgv = ['/usr/bin/containerd', '--config', join(paths.state, 'containerd.toml')] as const;

/** `restrict_oom_score_adj`: without CAP_SYS_RESOURCE no pod sandbox can lower its score, and none would start. */
const containerdConfig = `version = 2
root = "${paths.state}/containerd"
state = "${paths.run}/containerd"
oom_score = 0
[grpc]
  address = "${addresses.containerdSocket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${paths.state}/cni"
`;

/** `ctr` against the lab's containerd, in a namespace (k8s.io: the kubelet's, moby: dockerd's). */
const ctr = (namespace: string, ...args: readonly string[]) =>
  attempt('/usr/bin/ctr', ['--address', addresses.containerdSocket, '--namespace', namespace, ...args], {
    timeoutMs: 20_000,
  });

/** Kills and forgets every container of a namespace: shims outlive containerd, so `down` must not leave that to it. */
async function removeContainers(namespace: string): Promise<void> {
  const tasks = lines((await ctr(namespace, 'tasks', 'list', '--quiet')).stdout);
  await Promise.all(tasks.map((id) => ctr(namespace, 'tasks', 'delete', '--force', id)));
  const containers = lines((await ctr(namespace, 'containers', 'list', '--quiet')).stdout);
  if (containers.length > 0) await ctr(namespace, 'containers', 'delete', ...containers);
}

const lines = (text: string) => text.split('\n').filter((line) => line !== '');

/**
 * Ends the shims that serve our containerd, and all they hold. They outlive containerd, and a container outlives its
 * shim, so what a crash left is found by its descent.
 */
function endShims(): void {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const isShim = (pid: number) => {
    const argv = commandLineOf(pid);
    return argv[0]?.includes('containerd-shim') === true && argv.includes(addresses.containerdSocket);
  };
  const doomed = new Set(pids.filter(isShim));
  const shims = [...doomed];
  // Parents have been seen before their children after as many rounds as the tree is deep.
  for (let size = -1; size !== doomed.size; ) {
    size = doomed.size;
    for (const pid of pids) if (doomed.has(parentOf(pid) ?? -1)) doomed.add(pid);
  }
  for (const pid of [...doomed].filter((candidate) => !shims.includes(candidate))) killQuietly(pid);
  for (const pid of shims) killQuietly(pid);
}

export const containerdPart: Part = {
  name: 'containerd',
  ...(hasOtherDocker && hasOtherCluster && { external: 'what the named Docker and cluster bring' }),
  what: 'container runtime of both dockerd and the kubelet',
  version: '1.6',
  group: 'core',
  needs: ['packages'],
  ...nothingToPrepare,
  service: {
    isReady: async () => pidOf('containerd') !== undefined && canConnect(addresses.containerdSocket),
    pid: () => pidOf('containerd'),
    start: async () => {
      mkdirSync(join(paths.state, 'cni'), { recursive: true });
      writeFileSync(join(paths.state, 'containerd.toml'), containerdConfig);
      if (isOutdated('containerd', containerdArgv)) await stopDaemon('containerd');
      await startDaemon({
        name: 'containerd',
        argv: containerdArgv,
        isReady: async () => (await ctr('k8s.io', 'version')).code === 0,
      });
    },
    stop: async () => {
      if (pidOf('containerd') !== undefined)
        for (const namespace of ['k8s.io', 'moby']) await removeContainers(namespace);
      await stopDaemon('containerd');
      endShims();
      await unmountBelow(join(paths.run, 'containerd'));
      await unmountBelow(join(paths.state, 'containerd'));
    },
  },
};

const dockerArgv = ['/usr/sbin/dockerd', '--config-file', join(paths.state, 'dockerd.json')] as const;
const commonSocket = '/var/run/docker.sock';

export const docker = (args: readonly string[], log?: string) =>
  run('/usr/bin/docker', args, { env: { DOCKER_HOST: dockerHost }, ...(log !== undefined && { log }) });

async function isDockerReady(): Promise<boolean> {
  const version = await attempt('/usr/bin/docker', ['version', '--format', '{{.Server.Version}}'], {
    env: { DOCKER_HOST: dockerHost },
    timeoutMs: 5_000,
  });
  return version.code === 0;
}

export const dockerPart: Part = {
  name: 'docker',
  what: 'dockerd with buildx, images in containerd',
  version: '26.1',
  group: 'core',
  needs: ['containerd'],
  ...(hasOtherDocker && { external: dockerHost }),
  // The package's client goes first on the lab's PATH: some machines have a client of another origin in /usr/local.
  isPrepared: () => existsSync(join(paths.bin, 'docker')),
  prepare: async () => {
    rmSync(join(paths.bin, 'docker'), { force: true });
    symlinkSync('/usr/bin/docker', join(paths.bin, 'docker'));
  },
  service: {
    isReady: async () => pidOf('docker') !== undefined && canConnect(addresses.dockerSocket),
    pid: () => pidOf('docker'),
    start: async () => {
      const hosts = [`unix://${addresses.dockerSocket}`];
      // Where nobody else serves Docker's usual address, tools that know no other find the lab too.
      if (pidOf('docker') === undefined && !(await canConnect(commonSocket))) hosts.push(`unix://${commonSocket}`);
      if (pidOf('docker') === undefined) {
        rememberNetwork();
        await rememberForwardPolicy();
        for (const name of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding', 'net/ipv6/conf/default/forwarding'])
          recordSysctl(name);
        writeFileSync(
          join(paths.state, 'dockerd.json'),
          JSON.stringify({
            hosts,
            containerd: addresses.containerdSocket,
            'data-root': join(paths.state, 'docker'),
            'exec-root': join(paths.run, 'docker'),
            pidfile: join(paths.run, 'docker.pid'),
            features: { 'containerd-snapshotter': true },
            'insecure-registries': [addresses.registry],
            'shutdown-timeout': 2,
          }),
        );
      }
      await startDaemon({ name: 'docker', argv: dockerArgv, isReady: isDockerReady });
    },
    stop: async () => {
      await stopDaemon('docker', 20_000);
      await unmountBelow(join(paths.run, 'docker'));
      await unmountBelow(join(paths.state, 'docker'));
      await removeFirewallRules('docker');
    },
  },
};

const binfmt = '/proc/sys/fs/binfmt_misc';

export const emulationPart: Part = {
  name: 'emulation',
  what: 'programs for arm64 and arm/v7 run through qemu',
  version: 'qemu 7.2',
  group: 'core',
  needs: ['packages'],
  ...nothingToPrepare,
  service: {
    isReady: async () => existsSync(`${binfmt}/qemu-aarch64`) && existsSync(`${binfmt}/qemu-arm`),
    pid: () => undefined,
    start: async () => {
      if (!existsSync(`${binfmt}/register`)) {
        record(({ mounts }) => ({ mounts: [...new Set([...mounts, binfmt])] }));
        await run('mount', ['-t', 'binfmt_misc', 'binfmt_misc', binfmt]);
      }
      for (const name of ['qemu-aarch64', 'qemu-arm'])
        if (!existsSync(`${binfmt}/${name}`)) await run('update-binfmts', ['--enable', name]);
    },
    stop: async () => {
      if (!readLedger().mounts.includes(binfmt)) return;
      if (existsSync(`${binfmt}/register`)) {
        // Registrations belong to the kernel, not to the mount; ours came with it and go with it.
        writeFileSync(`${binfmt}/status`, '-1');
        await run('umount', [binfmt]);
      }
      record(({ mounts }) => ({ mounts: mounts.filter((mount) => mount !== binfmt) }));
    },
  },
};

const registryConfig = join(paths.state, 'registry.json');

export const registryPart: Part = {
  name: 'registry',
  what: `image registry on ${addresses.registry}, deletes allowed`,
  version: '2.8',
  group: 'core',
  needs: ['packages'],
  ...nothingToPrepare,
  service: {
    isReady: async () => pidOf('registry') !== undefined && answers(`http://${addresses.registry}/v2/`),
    pid: () => pidOf('registry'),
    start: async () => {
      // JSON is YAML. The tag and manifest answers must show a push at once, so nothing is cached.
      writeFileSync(
        registryConfig,
        JSON.stringify({
          version: 0.1,
          log: { level: 'warn', accesslog: { disabled: true } },
          storage: {
            filesystem: { rootdirectory: join(paths.state, 'registry') },
            delete: { enabled: true },
            maintenance: { uploadpurging: { enabled: false } },
          },
          http: { addr: '127.0.0.1:5000', secret: 'lab' },
        }),
      );
      await startDaemon({
        name: 'registry',
        argv: ['/usr/bin/docker-registry', 'serve', registryConfig],
        isReady: () => answers(`http://${addresses.registry}/v2/`),
      });
    },
    stop: async () => {
      await stopDaemon('registry');
    },
    wipe: async () => rmSync(join(paths.state, 'registry'), { recursive: true, force: true }),
  },
};

function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
