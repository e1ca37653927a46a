// The lab for tests: where it is, that it is up, and its faults.
import { existsSync } from 'node:fs';
import { dockerHost } from './docker.ts';
import { giteaAccount, giteaPart } from './gitea.ts';
import { grypeEnvironment, grypePart } from './grype.ts';
import { cluster, hasKubeconfig } from './kubernetes.ts';
import { select, status, up } from './lifecycle.ts';
import { withLock } from './lock.ts';
import { addresses, paths } from './paths.ts';
import { LabError } from './problem.ts';
import { trivyCache } from './tools.ts';
import { chromium, vscodePart, vscodeServer } from './vscode.ts';

export { restartPart, startPart, stopPart } from './lifecycle.ts';
export { LabError } from './problem.ts';

export interface LabEnvironment {
  /** What a process that uses the lab gets over its own environment: PATH with the lab's programs first, KUBECONFIG, DOCKER_HOST, TRIVY_… */
  readonly env: Readonly<Record<string, string>>;
  readonly kubeconfig: string;
  /** Undefined when a kubeconfig was named without a context: its current one counts. */
  readonly context: string | undefined;
  readonly dockerHost: string;
  /** Host and port of the registry, plain http. */
  readonly registry: string;
  /** Where NodePort services answer. */
  readonly nodeAddress: string;
  /** Folder of the lab's programs: docker, kubectl, helm, trivy … */
  readonly bin: string;
  /** Folder of the daemons' logs. */
  readonly logs: string;
}

/** The environment as it is when the lab is up; asks nothing. */
export function environment(): LabEnvironment {
  return {
    env: {
      PATH: `${paths.bin}:${process.env.PATH ?? '/usr/bin:/bin'}`,
      KUBECONFIG: cluster.kubeconfig,
      DOCKER_HOST: dockerHost,
      SLIPWAY_LAB_REGISTRY: addresses.registry,
      SLIPWAY_LAB_NODE_ADDRESS: addresses.node,
      TRIVY_CACHE_DIR: trivyCache(),
      TRIVY_SKIP_DB_UPDATE: 'true',
      TRIVY_SKIP_JAVA_DB_UPDATE: 'true',
      TRIVY_SKIP_CHECK_UPDATE: 'true',
      TRIVY_SKIP_VEX_REPO_UPDATE: 'true',
      TRIVY_OFFLINE_SCAN: 'true',
      TRIVY_SKIP_VERSION_CHECK: 'true',
      TRIVY_DISABLE_TELEMETRY: 'true',
      ...(grypePart.isPrepared() && grypeEnvironment()),
      ...(giteaPart.isPrepared() && {
        SLIPWAY_LAB_GITEA_URL: giteaAccount.url,
        SLIPWAY_LAB_GITEA_USER: giteaAccount.user,
        SLIPWAY_LAB_GITEA_PASSWORD: giteaAccount.password,
      }),
      ...(vscodePart.isPrepared() && {
        SLIPWAY_LAB_VSCODE_SERVER: vscodeServer,
        SLIPWAY_LAB_NODE: process.execPath,
        SLIPWAY_LAB_CHROMIUM: chromium,
      }),
    },
    kubeconfig: cluster.kubeconfig,
    context: cluster.context,
    dockerHost,
    registry: addresses.registry,
    nodeAddress: addresses.node,
    bin: paths.bin,
    logs: paths.logs,
  };
}

/** The lab's environment. Throws LabError, saying what to run, when a part of the groups (default: core) is not ready. */
export async function labEnv(groups: readonly string[] = ['core']): Promise<LabEnvironment> {
  const wanted = new Set(select(groups).map(({ name }) => name));
  const states = await status();
  const missing = states.filter(({ name, state }) => wanted.has(name) && state !== 'ready' && state !== 'external');
  if (missing.length > 0 || !hasKubeconfig() || !existsSync(paths.bin)) {
    const list = missing.map(({ name, state }) => `${name} is ${state}`).join(', ');
    throw new LabError(`The lab is not up (${list}). Run: npm run lab -- up ${groups.join(' ')}`);
  }
  return environment();
}

/** Brings the groups (or parts) up unless they are, and gives the environment. Minutes on a cold machine. */
export async function ensureLab(
  groups: readonly string[] = ['core'],
  say: (line: string) => void = () => {},
): Promise<LabEnvironment> {
  await up(groups, say);
  return environment();
}

/** Runs a test that disturbs the lab (stops the registry, restarts the API server) while no other such test runs, in any process. */
export function disruptive<T>(name: string, fn: () => Promise<T>): Promise<T> {
  return withLock('disruptive', name, fn);
}
