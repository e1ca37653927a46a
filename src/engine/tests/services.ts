import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type Docker from 'dockerode';
import type { Emit } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { SlipwayError, throwIfCancelled } from '../problems/index.ts';
import type { ServiceConfig } from '../project/model.ts';
import type { System } from '../system/index.ts';
import { isProcessAlive } from '../system/processTree.ts';
import { pullIfMissing } from './pullImage.ts';

/** Marks everything we make, so that what a killed run left is found and removed by the next one. */
const LABEL = 'dev.slipway.run';
const PID_LABEL = 'dev.slipway.pid';
const HOST_LABEL = 'dev.slipway.host';
const READY_MS = 120_000;

export interface RunningService {
  readonly name: string;
  /** Where it is reached from this machine. */
  readonly host: string;
  readonly port?: number;
  /** Where it is reached from containers on the network. */
  readonly innerPort?: number;
}

export interface Services {
  readonly network: string;
  readonly running: readonly RunningService[];
  remove(): Promise<void>;
}

/** Starts the services on a network of their own and waits until all are healthy. What was started is removed on failure. */
export async function startServices(
  docker: Docker,
  system: System,
  services: readonly ServiceConfig[],
  options: {
    readonly run: string;
    readonly secrets: Secrets | undefined;
    readonly emit: Emit;
    readonly signal: AbortSignal;
  },
): Promise<Services> {
  await removeLeftovers(docker, system);
  const labels = { [LABEL]: options.run, [PID_LABEL]: String(system.pid), [HOST_LABEL]: system.host };
  const network = `slipway-${options.run.slice(-6)}-${randomBytes(3).toString('hex')}`;
  const containers: Docker.Container[] = [];
  const created = await docker.createNetwork({ Name: network, Labels: labels });
  const remove = async (): Promise<void> => {
    await Promise.all(containers.map((container) => container.remove({ force: true, v: true }).catch(ignoreGone)));
    await created.remove().catch(ignoreGone);
  };
  try {
    const starting = services.map(async (service) => {
      await pullIfMissing(docker, service.image, 'service image', { ...options, system });
      throwIfCancelled(options.signal);
      const image = await docker.getImage(service.image).inspect();
      const ports =
        service.ports.length > 0
          ? service.ports.map((port) => `${port}/tcp`)
          : Object.keys(image.Config?.ExposedPorts ?? {});
      const container = await docker.createContainer({
        Image: service.image,
        Labels: labels,
        Env: Object.entries(service.env).map(([key, value]) => `${key}=${value}`),
        ...(service.command !== undefined && { Cmd: [...service.command] }),
        ...(service.health !== undefined && {
          Healthcheck: {
            Test: ['CMD', ...service.health],
            // Asked often while it starts (Engine 25 and later), rarely while the tests run.
            StartPeriod: READY_MS * 1_000_000,
            StartInterval: 250_000_000,
            Interval: 1_000_000_000,
            Timeout: 5_000_000_000,
            Retries: 240,
          },
        }),
        ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])),
        HostConfig: {
          NetworkMode: network,
          PortBindings: Object.fromEntries(ports.map((port) => [port, [{ HostIp: '127.0.0.1', HostPort: '' }]])),
        },
        NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: [service.name] } } },
      });
      containers.push(container);
      throwIfCancelled(options.signal);
      await container.start();
      return awaitHealthy(container, service, ports[0], options);
    });
    // All are waited for, also when one fails: a container made after the removal would stay for ever.
    await Promise.allSettled(starting);
    const running = await Promise.all(starting);
    return { network, running, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function awaitHealthy(
  container: Docker.Container,
  service: ServiceConfig,
  port: string | undefined,
  options: { readonly emit: Emit; readonly signal: AbortSignal },
): Promise<RunningService> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    throwIfCancelled(options.signal);
    const { State: state, NetworkSettings: settings } = await container.inspect();
    const bound = port === undefined ? undefined : Number(settings.Ports[port]?.[0]?.HostPort);
    if (!state.Running && state.ExitCode !== undefined && state.Status === 'exited') {
      throw await unhealthy(container, service, `it ended with code ${state.ExitCode}`);
    }
    const health = state.Health?.Status;
    const isReady =
      health === undefined || health === 'none' ? bound === undefined || (await answers(bound)) : health === 'healthy';
    if (isReady) {
      return {
        name: service.name,
        host: '127.0.0.1',
        ...(bound !== undefined && { port: bound }),
        ...(port !== undefined && { innerPort: Number.parseInt(port, 10) }),
      };
    }
    if (health === 'unhealthy' || Date.now() > deadline)
      throw await unhealthy(container, service, `it is not healthy after ${READY_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

async function unhealthy(container: Docker.Container, service: ServiceConfig, why: string): Promise<SlipwayError> {
  const log = await container.logs({ stdout: true, stderr: true, tail: 20 }).catch(() => Buffer.alloc(0));
  return new SlipwayError({
    reason: 'test',
    code: 'service.unhealthy',
    message: `Service ${service.name} (${service.image}) does not come up: ${why}.`,
    fix: 'See its last lines; check its environment and "health".',
    evidence: plainLog(log),
  });
}

/** Frames of a multiplexed log have an 8-byte head: stream, three zeros, length. */
export function plainLog(bytes: Buffer): readonly string[] {
  let text = '';
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4);
    text += bytes.subarray(at + 8, at + 8 + length).toString('utf8');
    at += 8 + length;
  }
  return text.split('\n').filter((line) => line.trim() !== '');
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1_000 });
    // docker's proxy accepts before the service listens and then closes: only a connection that stays counts.
    const settled = setTimeout(() => finish(true), 200);
    const finish = (isOpen: boolean): void => {
      clearTimeout(settled);
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('error', () => finish(false));
    socket.once('timeout', () => finish(false));
    socket.once('close', () => finish(false));
  });
}

/** Containers and networks of runs on this machine whose process is gone. */
async function removeLeftovers(docker: Docker, system: System): Promise<void> {
  const isDead = (labels: Readonly<Record<string, string>> | undefined): boolean =>
    labels?.[HOST_LABEL] === system.host && !isProcessAlive(Number(labels[PID_LABEL]));
  const filters = JSON.stringify({ label: [LABEL] });
  for (const container of await docker.listContainers({ all: true, filters })) {
    if (isDead(container.Labels))
      await docker.getContainer(container.Id).remove({ force: true, v: true }).catch(ignoreGone);
  }
  for (const network of await docker.listNetworks({ filters })) {
    if (isDead(network.Labels)) await docker.getNetwork(network.Id).remove().catch(ignoreGone);
  }
}

/** Somebody else removed it first: that is what was wanted. */
function ignoreGone(error: unknown): void {
  const status = (error as { readonly statusCode?: number }).statusCode;
  if (status !== 404 && status !== 409) throw error;
}
