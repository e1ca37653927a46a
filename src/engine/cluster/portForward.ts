import { createServer, type Server, type Socket } from 'node:net';
import { Duplex, PassThrough, Writable } from 'node:stream';
import { SlipwayError } from '../problems/index.ts';
import type { Cluster } from './cluster.ts';
import { at, type Fields, type KubeObject, listOf, numberOf, textOf } from './object.ts';

export interface ForwardTarget {
  readonly kind: 'service' | 'pod';
  readonly namespace: string;
  readonly name: string;
  /** Port name or number of the service, or of the pod's containers. Absent = the only or first one. */
  readonly port?: string;
}

export interface PortForward {
  /** Local port on 127.0.0.1. */
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens on 127.0.0.1 and carries each connection to a pod. The pod is chosen anew for every connection among those
 * that are ready, so the forward survives replaced pods. `accepts` narrows the choice, to the pods of the new revision
 * for example. Throws SlipwayError `cluster` when service or port do not exist; a connection for which no pod is ready
 * is closed.
 */
export async function forwardPort(
  cluster: Cluster,
  target: ForwardTarget,
  options: {
    readonly signal: AbortSignal;
    readonly accepts?: (pod: KubeObject) => boolean;
    /** Local port; 0 or absent = any free one. */
    readonly localPort?: number;
    readonly onProblem?: (message: string) => void;
  },
): Promise<PortForward> {
  const { PortForward: Forwarder } = await import('@kubernetes/client-node');
  await resolveTarget(cluster, target, options);
  const forwarder = new Forwarder(cluster.config, true);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A browser or curl that goes away is no problem of ours.
    socket.on('error', () => socket.destroy());
    void (async () => {
      const { pod, port } = await resolveTarget(cluster, target, options);
      if (pod === undefined) throw new Error(`no pod of ${target.kind} ${target.name} is ready`);
      const opened = await forwarder.portForward(target.namespace, pod.metadata.name, [port], socket, null, socket);
      const connection = typeof opened === 'function' ? opened() : opened;
      if (connection !== null) connection.onclose = () => socket.end();
    })().catch((error: unknown) => {
      options.onProblem?.(error instanceof Error ? error.message : String(error));
      socket.destroy();
    });
  });
  await listen(server, options.localPort ?? 0);
  const close = async (): Promise<void> => {
    options.signal.removeEventListener('abort', onAbort);
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  const onAbort = (): void => void close();
  options.signal.addEventListener('abort', onAbort, { once: true });
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, close };
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
  const ready = pods.filter((pod) => isReady(pod) && (options.accepts?.(pod) ?? true));
  // The newest first: during a rollout the old ones are about to go.
  const pod = [...ready].sort((a, b) =>
    (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? 1 : -1,
  )[0];
  const wanted = port.targetPort ?? port.port;
  const any = pod ?? pods[0];
  const number =
    typeof wanted === 'number' ? wanted : any === undefined ? 0 : (podPort(any, String(wanted)) ?? throwAbsent(target));
  return { pod, port: number };
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
    fix: `Compare with: kubectl -n ${target.namespace} get ${target.kind} ${target.name}.`,
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
  return stream;
}
