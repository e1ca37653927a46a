import { fieldsOf, listOf, textOf } from '../cluster/index.ts';
import type { Clock } from '../system/index.ts';
import type { ClusterObject } from './access.ts';
import { ask, openSocket, type Way } from './ask.ts';
import { newPods } from './newPods.ts';
import { nodeAddress, type Surroundings, selectorOf, serviceType, urlOf } from './reach.ts';

export interface Endpoint {
  readonly title: string;
  readonly url: string;
}

const TIMEOUT_MS = 2_000;
/** Node ports and load balancers follow ready pods after a moment (kube-proxy syncs, health checks of the balancer). */
const TRIES = 6;
const PAUSE_MS = 500;
/** One look at each is cheap, but a namespace may hold hundreds of services. */
const MOST = 10;

/**
 * URLs of what was rolled out that answer from this machine: node ports and load balancers of services that select the
 * new pods, and ingress hosts. Whatever does not answer HTTP within a few seconds is left out.
 */
export async function findEndpoints(
  around: Surroundings,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Endpoint[]> {
  const { access, namespace } = around;
  const [services, ingresses, nodes] = await Promise.all([
    access.list({ apiVersion: 'v1', kind: 'Service', namespace }, signal),
    access.list({ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', namespace }, signal).catch(() => []),
    access.list({ apiVersion: 'v1', kind: 'Node' }, signal).catch(() => []),
  ]);
  const mine: ClusterObject[] = [];
  for (const service of services.filter((found) => serviceType(found) !== 'ClusterIP').slice(0, MOST)) {
    const selector = selectorOf(service);
    if (selector === undefined) continue;
    if ((await newPods(access, namespace, selector, around.revision, signal)).length > 0) mine.push(service);
  }
  const candidates = [
    ...mine.flatMap((service) => serviceEndpoints(service, nodeAddress(nodes))),
    ...ingresses.slice(0, MOST).flatMap(ingressEndpoints),
  ];
  const answering = await Promise.all(
    candidates.map(async ({ endpoint, way }) =>
      (await answers(way, endpoint.url, clock, signal)) ? endpoint : undefined,
    ),
  );
  return answering.filter((endpoint) => endpoint !== undefined);
}

interface Candidate {
  readonly endpoint: Endpoint;
  readonly way: Way;
}

function serviceEndpoints(service: ClusterObject, node: string | undefined): readonly Candidate[] {
  const name = service.metadata.name;
  const [balancer] = listOf(fieldsOf(fieldsOf(service.status).loadBalancer).ingress);
  const outside = textOf(balancer?.ip) ?? textOf(balancer?.hostname);
  return listOf(fieldsOf(service.spec).ports).flatMap((port) => {
    if (port.protocol !== undefined && port.protocol !== 'TCP') return [];
    const isTls = port.name === 'https' || port.port === 443 || port.appProtocol === 'https';
    const title = `service ${name}${textOf(port.name) === undefined ? '' : ` (${textOf(port.name)})`}`;
    if (outside !== undefined && typeof port.port === 'number') return [candidate(title, isTls, outside, port.port)];
    if (node !== undefined && typeof port.nodePort === 'number') return [candidate(title, isTls, node, port.nodePort)];
    return [];
  });
}

function ingressEndpoints(ingress: ClusterObject): readonly Candidate[] {
  const spec = fieldsOf(ingress.spec);
  const secured = new Set(listOf(spec.tls).flatMap((tls) => (Array.isArray(tls.hosts) ? tls.hosts : [])));
  return listOf(spec.rules).flatMap((rule) => {
    const host = textOf(rule.host);
    // A wildcard is no address.
    if (host === undefined || host.includes('*')) return [];
    const isTls = secured.has(host);
    return [candidate(`ingress ${ingress.metadata.name}`, isTls, host, isTls ? 443 : 80)];
  });
}

function candidate(title: string, isTls: boolean, host: string, port: number): Candidate {
  const url = urlOf(isTls, host, port);
  return {
    endpoint: { title, url },
    way: { title: url, host: new URL(url).host, url, open: (signal) => openSocket(host, port, signal) },
  };
}

async function answers(way: Way, url: string, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const isTls = url.startsWith('https:');
  for (let tries = 1; ; tries += 1) {
    try {
      await ask(way, { method: 'GET', path: '/', isTls, headers: {}, timeoutMs: TIMEOUT_MS }, signal);
      return true;
    } catch (error) {
      if (signal.aborted) throw error;
      if (tries === TRIES) return false;
      await clock.sleep(PAUSE_MS, signal);
    }
  }
}
