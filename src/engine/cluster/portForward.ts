import { createServer, type Server, type Socket } from 'node:net';
import { Duplex, PassThrough, Writable } from 'node:stream';
import { CancelledError, isCancelled, SlipwayError } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import type { Cluster } from './cluster.ts';
import { at, type Fields, type KubeObject, listOf, numberOf, textOf } from './object.ts';

export interface ForwardTarget {
  /** `workload`: the pods that `labels` selects. */
  readonly kind: 'service' | 'pod' | 'workload';
  readonly namespace: string;
  readonly name: string;
  /** Port name or number of the service, or of the pod's containers. Absent = the only or first one. */
  readonly port?: string;
  /** Of a workload: its selector as the API takes it. */
  readonly labels?: string;
}

export interface PortForward {
  /** Local port on 127.0.0.1. */
  readonly port: number;
  close(): Promise<void>;
}

/** How long a connection waits for a ready pod: a rollout or a restart of the API server is bridged. */
const POD_WAIT_MS = 30_000;

/**
 * Listens on 127.0.0.1 and carries each connection to a pod. The pod is chosen anew for every connection among those
 * that are ready, so the forward survives replaced pods and a restarted API server; a connection waits half a minute for
 * a ready pod. `accepts` narrows the choice, to the pods of the new revision for example. Throws SlipwayError `cluster`
 * when service or port do not exist, `usage` when the local port is taken.
 */
export async function forwardPort(
  cluster: Cluster,
  target: ForwardTarget,
  options: {
    readonly signal: AbortSignal;
    readonly clock: Clock;
    readonly accepts?: (pod: KubeObject) => boolean;
    /** Local port; 0 or absent = any free one. */
    readonly localPort?: number;
    readonly onProblem?: (message: string) => void;
    /** Told when connections go to another pod than before. */
    readonly onPod?: (pod: string, port: number) => void;
  },
): Promise<PortForward> {
  await resolveTarget(cluster, target, options);
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const sockets = new Set<Socket>();
  let last: string | undefined;
  const carry = async (socket: Socket): Promise<void> => {
    const gone = new AbortController();
    socket.once('close', () => gone.abort());
    const both = AbortSignal.any([signal, gone.signal]);
    const { pod, port } = await readyTarget(cluster, target, { ...options, signal: both });
    const name = pod.metadata.name;
    if (name !== last) {
      last = name;
      options.onPod?.(name, port);
    }
    const way = await connectPod(cluster, { namespace: target.namespace, name }, port, both);
    way.once('error', (error: Error) => {
      if (!both.aborted) options.onProblem?.(error.message);
      socket.destroy();
    });
    way.once('close', () => socket.end());
    socket.once('close', () => way.destroy());
    socket.pipe(way).pipe(socket);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A browser or curl that goes away is no problem of ours.
    socket.on('error', () => socket.destroy());
    carry(socket).catch((error: unknown) => {
      if (!isCancelled(error)) options.onProblem?.(error instanceof Error ? error.message : String(error));
      socket.destroy();
    });
  });
  await listen(server, options.localPort ?? 0);
  const close = async (): Promise<void> => {
    options.signal.removeEventListener('abort', onAbort);
    ending.abort();
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  const onAbort = (): void => void close();
  options.signal.addEventListener('abort', onAbort, { once: true });
  if (options.signal.aborted) {
    await close();
    throw new CancelledError();
  }
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, close };
}

/** A ready pod, waited for where there is none now or the API server cannot be asked. */
async function readyTarget(
  cluster: Cluster,
  target: ForwardTarget,
  options: {
    readonly signal: AbortSignal;
    readonly clock: Clock;
    readonly accepts?: (pod: KubeObject) => boolean;
  },
): Promise<{ readonly pod: KubeObject; readonly port: number }> {
  const until = options.clock.now() + POD_WAIT_MS;
  for (let pause = 200; ; pause = Math.min(pause * 2, 2_000)) {
    let fault: unknown;
    try {
      const { pod, port } = await resolveTarget(cluster, target, options);
      if (pod !== undefined) return { pod, port };
    } catch (error) {
      // What does not exist will not come by waiting; a server that is away will.
      if (!SlipwayError.is(error) || !/^(cluster\.unreachable|api\.ServiceUnavailable)/.test(error.code ?? ''))
        throw error;
      fault = error;
    }
    if (options.clock.now() + pause >= until) {
      throw fault ?? new Error(`no pod of ${target.kind} ${target.name} is ready`);
    }
    await options.clock.sleep(pause, options.signal);
  }
}

/** The pod to connect to now, and its port; no pod when none is ready. */
async function resolveTarget(
  cluster: Cluster,
  target: ForwardTarget,
  options: { readonly signal: AbortSignal; readonly accepts?: (pod: KubeObject) => boolean },
): Promise<{ readonly pod: KubeObject | undefined; readonly port: number }> {
  const { signal } = options;
  if (target.kind === 'pod') {
    const pod = await cluster.get(
      { apiVersion: 'v1', kind: 'Pod', name: target.name, namespace: target.namespace },
      signal,
    );
    if (pod === undefined) throw absent(target, 'There is no such pod.');
    return { pod, port: podPort(pod, target.port) ?? throwAbsent(target) };
  }
  if (target.kind === 'workload') return workloadPod(cluster, target, options);
  const service = await cluster.get(
    { apiVersion: 'v1', kind: 'Service', name: target.name, namespace: target.namespace },
    signal,
  );
  if (service === undefined)
    throw absent(target, `There is no Service "${target.name}" in namespace ${target.namespace}.`);
  const ports = listOf(at(service, 'spec', 'ports'));
  const port =
    target.port === undefined
      ? ports[0]
      : ports.find((item) => item.name === target.port || String(item.port) === target.port);
  if (port === undefined) {
    const known = ports.map((item) => `${textOf(item.name) ?? ''} ${String(item.port)}`.trim());
    throw absent(target, `Service "${target.name}" has no port "${target.port ?? ''}"; it has ${known.join(', ')}.`);
  }
  const selector = Object.entries((at(service, 'spec', 'selector') ?? {}) as Record<string, string>);
  const pods = await cluster.list(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      namespace: target.namespace,
      labels: selector.map(([key, value]) => `${key}=${value}`).join(','),
    },
    signal,
  );
  const pod = newestReady(pods, options.accepts);
  const wanted = port.targetPort ?? port.port;
  const any = pod ?? pods[0];
  const number =
    typeof wanted === 'number' ? wanted : any === undefined ? 0 : (podPort(any, String(wanted)) ?? throwAbsent(target));
  return { pod, port: number };
}

async function workloadPod(
  cluster: Cluster,
  target: ForwardTarget,
  { signal, accepts }: { readonly signal: AbortSignal; readonly accepts?: (pod: KubeObject) => boolean },
): Promise<{ readonly pod: KubeObject | undefined; readonly port: number }> {
  const { namespace, labels = '' } = target;
  const pods = await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace, labels }, signal);
  const pod = newestReady(pods, accepts);
  const any = pod ?? pods[0];
  return { pod, port: any === undefined ? 0 : (podPort(any, target.port) ?? throwAbsent(target)) };
}

/** The newest: during a rollout the old ones are about to go. */
function newestReady(
  pods: readonly KubeObject[],
  accepts: ((pod: KubeObject) => boolean) | undefined,
): KubeObject | undefined {
  return pods
    .filter((pod) => isReady(pod) && (accepts?.(pod) ?? true))
    .sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? 1 : -1))[0];
}

function podPort(pod: KubeObject, wanted: string | undefined): number | undefined {
  if (wanted !== undefined && /^\d+$/.test(wanted)) return Number(wanted);
  const ports: readonly Fields[] = listOf(at(pod, 'spec', 'containers')).flatMap((container) =>
    listOf(container.ports),
  );
  const found = wanted === undefined ? ports[0] : ports.find((port) => port.name === wanted);
  return numberOf(found?.containerPort);
}

export function isReady(pod: KubeObject): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  return listOf(at(pod, 'status', 'conditions')).some(
    (condition) => condition.type === 'Ready' && condition.status === 'True',
  );
}

function throwAbsent(target: ForwardTarget): never {
  throw absent(target, `No container of ${target.kind} "${target.name}" has a port "${target.port ?? ''}".`);
}

function absent(target: ForwardTarget, message: string): SlipwayError {
  return new SlipwayError({
    reason: 'cluster',
    code: `forward.${target.kind}`,
    message,
    fix: `Look at it with: slipway describe ${target.name}.`,
  });
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new SlipwayError({
          reason: error.code === 'EADDRINUSE' ? 'usage' : 'io',
          code: 'forward.local-port',
          message: `Local port ${port} cannot be used: ${error.message}`,
          fix: 'Choose another local port, or none to get a free one.',
        }),
      ),
    );
    server.listen(port, '127.0.0.1', () => resolve());
  });
}

/**
 * One connection to a port of a pod, as a stream. It ends with SlipwayError `cluster`: code `forward.refused` when
 * nothing in the pod listens there, `forward.broken` when the way to the pod broke.
 */
export async function connectPod(
  cluster: Cluster,
  pod: { readonly namespace: string; readonly name: string },
  port: number,
  signal: AbortSignal,
): Promise<Duplex> {
  const { PortForward: Forwarder } = await import('@kubernetes/client-node');
  const toPod = new PassThrough();
  const fromPod = new PassThrough();
  const stream = Duplex.from({ writable: toPod, readable: fromPod });
  // What goes wrong before the caller listens must not end the program; it is thrown below.
  stream.on('error', () => {});
  const fail = (code: string, words: string): void => {
    stream.destroy(
      new SlipwayError({
        reason: 'cluster',
        code,
        message: `Port ${port} of pod ${pod.name} ${code === 'forward.refused' ? 'does not answer' : 'was lost'}: ${words}`,
      }),
    );
  };
  const errors = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const words = chunk.toString('utf8').trim();
      if (words !== '') fail(/refused/i.test(words) ? 'forward.refused' : 'forward.broken', words);
      done();
    },
  });
  const opened = await new Forwarder(cluster.config, true).portForward(
    pod.namespace,
    pod.name,
    [port],
    fromPod,
    errors,
    toPod,
  );
  const socket = typeof opened === 'function' ? opened() : opened;
  if (socket === null)
    throw new SlipwayError({
      reason: 'cluster',
      code: 'forward.broken',
      message: `Pod ${pod.name} cannot be reached.`,
    });
  socket.onclose = () => fromPod.end();
  socket.onerror = (event: { readonly message: string }) => fail('forward.broken', event.message);
  const onAbort = (): void => void stream.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  stream.once('close', () => {
    signal.removeEventListener('abort', onAbort);
    socket.close();
  });
  if (stream.destroyed) {
    socket.close();
    throw stream.errored ?? new CancelledError();
  }
  return stream;
}
