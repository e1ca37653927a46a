// From a target in words (`service/shop-api:http`) to a connection: which pods, which port, which address.

import { fieldsOf, listOf, textOf } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { SmokeTarget } from '../project/model.ts';
import type { ClusterObject, SmokeAccess } from './access.ts';
import { AppFault, openSocket, type Way } from './ask.ts';
import { type NewRevision, newPods } from './newPods.ts';

export interface Surroundings {
  readonly access: SmokeAccess;
  readonly namespace: string;
  readonly revision: NewRevision;
}

/**
 * The way to a target, looked up afresh for each attempt: pods are replaced. Throws AppFault for what may still come
 * (no ready pod yet) and SlipwayError `config` for what does not exist.
 */
export async function wayTo(
  target: SmokeTarget,
  isTls: boolean,
  around: Surroundings,
  signal: AbortSignal,
): Promise<Way> {
  switch (target.kind) {
    case 'url': {
      const url = new URL(target.name);
      const port = Number(url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port);
      return socketWay(url.hostname.replace(/^\[|\]$/g, ''), port, url.host, url.origin);
    }
    case 'service':
      return serviceWay(target, around, signal);
    case 'pod':
      return podWay(target, around, signal);
    case 'nodeport':
      return nodePortWay(target, isTls, around, signal);
    case 'ingress':
      return ingressWay(target, isTls, around, signal);
  }
}

const socketWay = (address: string, port: number, host: string, url: string): Way => ({
  title: url,
  host,
  url,
  open: (signal) => openSocket(address, port, signal),
});

async function serviceWay(target: SmokeTarget, around: Surroundings, signal: AbortSignal): Promise<Way> {
  const service = await serviceOf(target.name, around, signal);
  const port = portOf(service, target.port);
  const selector = selectorOf(service);
  if (selector === undefined) {
    throw wrongTarget(`The service ${target.name} selects no pods, so there is nothing to forward to.`);
  }
  const pods = await newPods(around.access, around.namespace, selector, around.revision, signal);
  // Any of them: over the attempts of several checks every pod gets asked.
  const pod = pods[Math.floor(Math.random() * pods.length)];
  if (pod === undefined) throw new AppFault(`no ready pod of the new version behind service ${target.name}`);
  const number = containerPort(pod, port.targetPort ?? port.port);
  if (number === undefined) {
    throw wrongTarget(
      `Service ${target.name} sends to port ${String(port.targetPort)}, which no container of pod ${pod.metadata.name} names.`,
    );
  }
  return forwardWay(around, pod, number, target.name);
}

async function podWay(target: SmokeTarget, around: Surroundings, signal: AbortSignal): Promise<Way> {
  const ref = { apiVersion: 'v1', kind: 'Pod', namespace: around.namespace, name: target.name };
  const pod = await around.access.get(ref, signal);
  if (pod === undefined) throw new AppFault(`pod ${target.name} does not exist`);
  const number = containerPort(pod, portNumberOrName(target.port) ?? firstPort(pod));
  if (number === undefined)
    throw wrongTarget(`Pod ${target.name} has no port ${target.port ?? ''}; name one as pod/${target.name}:<port>.`);
  return forwardWay(around, pod, number, target.name);
}

function forwardWay(around: Surroundings, pod: ClusterObject, port: number, host: string): Way {
  const name = pod.metadata.name;
  return {
    title: `pod ${name} port ${port}`,
    host,
    open: (signal) => around.access.connect({ namespace: around.namespace, name }, port, signal),
  };
}

async function nodePortWay(
  target: SmokeTarget,
  isTls: boolean,
  around: Surroundings,
  signal: AbortSignal,
): Promise<Way> {
  const service = await serviceOf(target.name, around, signal);
  const port = portOf(service, target.port);
  if (typeof port.nodePort !== 'number') {
    throw wrongTarget(`The service ${target.name} has no node port (it is of type ${serviceType(service)}).`);
  }
  const address = nodeAddress(await around.access.list({ apiVersion: 'v1', kind: 'Node' }, signal));
  if (address === undefined) throw new AppFault('no node of the cluster has an address');
  return socketWay(address, port.nodePort, `${address}:${port.nodePort}`, urlOf(isTls, address, port.nodePort));
}

async function ingressWay(
  target: SmokeTarget,
  isTls: boolean,
  around: Surroundings,
  signal: AbortSignal,
): Promise<Way> {
  const query = { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', namespace: around.namespace };
  const ingresses = await around.access.list(query, signal);
  const ingress = ingresses.find((found) =>
    listOf(fieldsOf(found.spec).rules).some((rule) => rule.host === target.name),
  );
  if (ingress === undefined) {
    const hosts = ingresses.flatMap((found) =>
      listOf(fieldsOf(found.spec).rules).flatMap((rule) => textOf(rule.host) ?? []),
    );
    throw wrongTarget(
      `No ingress in ${around.namespace} has the host ${target.name}; there is ${hosts.join(', ') || 'none'}.`,
    );
  }
  const port = Number(target.port ?? (isTls ? 443 : 80));
  const [balancer] = listOf(fieldsOf(fieldsOf(ingress.status).loadBalancer).ingress);
  // By the balancer's own address: the name may not be in this machine's DNS, and need not be.
  const address = textOf(balancer?.ip) ?? textOf(balancer?.hostname) ?? target.name;
  return socketWay(address, port, target.name, urlOf(isTls, target.name, port));
}

async function serviceOf(name: string, around: Surroundings, signal: AbortSignal): Promise<ClusterObject> {
  const service = await around.access.get(
    { apiVersion: 'v1', kind: 'Service', namespace: around.namespace, name },
    signal,
  );
  if (service !== undefined) return service;
  const all = await around.access.list({ apiVersion: 'v1', kind: 'Service', namespace: around.namespace }, signal);
  const names = all.map((other) => other.metadata.name).join(', ');
  throw wrongTarget(`There is no service ${name} in namespace ${around.namespace}; there is ${names || 'none'}.`);
}

interface ServicePort {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: number | string;
  readonly nodePort?: number;
}

/** The port by name or number; without one, the first. */
function portOf(service: ClusterObject, wanted: string | undefined): ServicePort {
  const ports = listOf(fieldsOf(service.spec).ports) as readonly unknown[] as readonly ServicePort[];
  const found =
    wanted === undefined ? ports[0] : ports.find((port) => port.name === wanted || String(port.port) === wanted);
  if (found !== undefined) return found;
  const known = ports.map((port) => (port.name === undefined ? String(port.port) : `${port.name} (${port.port})`));
  throw wrongTarget(
    `The service ${service.metadata.name} has no port ${wanted ?? ''}; it has ${known.join(', ') || 'none'}.`,
  );
}

export function selectorOf(service: ClusterObject): string | undefined {
  const entries = Object.entries(fieldsOf(fieldsOf(service.spec).selector));
  return entries.length === 0 ? undefined : entries.map(([key, value]) => `${key}=${String(value)}`).join(',');
}

export const serviceType = (service: ClusterObject): string => textOf(fieldsOf(service.spec).type) ?? 'ClusterIP';

/** Port numbers are taken as they are; names are looked for in the pod's containers, sidecars included. */
function containerPort(pod: ClusterObject, port: number | string | undefined): number | undefined {
  if (typeof port === 'number') return port;
  const spec = fieldsOf(pod.spec);
  const all = [...listOf(spec.containers), ...listOf(spec.initContainers)].flatMap((container) =>
    listOf(container.ports),
  );
  const found = all.find((candidate) => candidate.name === port)?.containerPort;
  return typeof found === 'number' ? found : undefined;
}

function firstPort(pod: ClusterObject): number | undefined {
  const [port] = listOf(fieldsOf(pod.spec).containers).flatMap((container) => listOf(container.ports));
  return typeof port?.containerPort === 'number' ? port.containerPort : undefined;
}

const portNumberOrName = (text: string | undefined): number | string | undefined =>
  text === undefined ? undefined : /^\d+$/.test(text) ? Number(text) : text;

/** An address of a node that may be reached from outside: external first, ready nodes first. */
export function nodeAddress(nodes: readonly ClusterObject[]): string | undefined {
  const isReady = (node: ClusterObject) =>
    listOf(fieldsOf(node.status).conditions).some(({ type, status }) => type === 'Ready' && status === 'True');
  const addresses = [...nodes]
    .sort((a, b) => Number(isReady(b)) - Number(isReady(a)))
    .flatMap((node) => listOf(fieldsOf(node.status).addresses));
  for (const type of ['ExternalIP', 'InternalIP', 'Hostname']) {
    const found = addresses.find((address) => address.type === type);
    if (found !== undefined) return textOf(found.address);
  }
  return undefined;
}

export function urlOf(isTls: boolean, host: string, port: number): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return `${isTls ? 'https' : 'http'}://${name}${port === (isTls ? 443 : 80) ? '' : `:${port}`}`;
}

function wrongTarget(message: string): SlipwayError {
  return new SlipwayError({
    reason: 'config',
    code: 'smoke.target',
    message,
    fix: 'Correct the target of the smoke check.',
  });
}
