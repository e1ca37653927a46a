// Where the lab keeps things: built programs and images in a cache that survives everything, running state beside it.
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const home = process.env.HOME ?? homedir();
const cache = process.env.SLIPWAY_LAB_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(home, '.cache'), 'slipway-lab');
const state = process.env.SLIPWAY_LAB_STATE ?? join(cache, 'state');

export const paths = {
  /** Built programs, image layouts, advisory databases: keyed by version, never needed twice. */
  cache,
  bin: join(cache, 'bin'),
  images: join(cache, 'images'),
  /** What belongs to the running lab: data, certificates, pids, logs. */
  state,
  logs: join(state, 'logs'),
  pids: join(state, 'pids'),
  certs: join(state, 'certs'),
  /** Sockets. A fixed short place, because a socket's path may hold 107 bytes only; one lab per machine (its ports are fixed too). */
  run: '/run/slipway-lab',
  /** Sources of the Go programs: one module per part. */
  parts: join(import.meta.dirname, 'parts'),
} as const;

export const kubeconfigPath = join(state, 'kubeconfig');

export const addresses = {
  /** The node, its kubelet, the API server's advertised address and the cluster's DNS: the bridge all pods hang on. */
  node: '10.244.0.1',
  podRange: '10.244.0.0/24',
  serviceRange: '10.96.0.0/16',
  registry: 'localhost:5000',
  apiServer: 'https://127.0.0.1:6443',
  dockerSocket: `${paths.run}/docker.sock`,
  containerdSocket: `${paths.run}/containerd.sock`,
  buildkitSocket: `${paths.run}/buildkitd.sock`,
} as const;

/** True when the person named a cluster to use instead of ours. */
export const hasOtherCluster =
  process.env.SLIPWAY_LAB_KUBECONFIG !== undefined || process.env.SLIPWAY_LAB_CONTEXT !== undefined;

export function makeFolders(): void {
  for (const folder of [paths.bin, paths.images, paths.logs, paths.pids, paths.certs, paths.run])
    mkdirSync(folder, { recursive: true });
}
