// Whether there is a place for the pods: ports of nodes that are taken, and volumes that only one node may have.

import { at, type KubeObject, listOf, nameOf, refOf, textOf } from '../cluster/index.ts';
import { obstacle } from '../rollout/index.ts';
import type { ClusterAccess } from './access.ts';
import type { Answer } from './answers.ts';
import { type PlacedObject, type PodTemplate, podTemplateOf } from './objects.ts';

interface Workload {
  readonly placed: PlacedObject;
  readonly template: PodTemplate;
  readonly namespace: string;
}

interface Claim {
  readonly name: string;
  readonly mode: 'ReadWriteOnce' | 'ReadWriteOncePod';
}

/**
 * Suspicions only: a pod that is in the way may go, and a node may come. Looks at nodes and pods only when a template asks
 * for a port of its node or for a claim.
 */
export async function checkPlacement(
  objects: readonly PlacedObject[],
  access: ClusterAccess,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const workloads = objects.flatMap((placed): readonly Workload[] => {
    const template = podTemplateOf(placed.object);
    if (template === undefined || placed.object.kind === 'CronJob') return [];
    return [{ placed, template, namespace: placed.object.metadata.namespace ?? namespace }];
  });
  const withPorts = workloads.filter(({ template }) => hostPortsOf(template.spec).length > 0);
  const claims = new Map(
    await Promise.all(
      workloads.map(async (workload) => [workload, await claimsOf(workload, objects, access, signal)] as const),
    ),
  );
  const withClaims = workloads.filter((workload) => (claims.get(workload) ?? []).length > 0);
  if (withPorts.length === 0 && withClaims.length === 0) return [];
  const list = (kind: string, place?: string) =>
    access.list({ apiVersion: 'v1', kind, ...(place !== undefined && { namespace: place }) }, signal);
  // A port of a node is taken by pods of any namespace; a claim only by those of its own.
  const places = withPorts.length > 0 ? [undefined] : [...new Set(withClaims.map((workload) => workload.namespace))];
  const [nodes, pods] = await Promise.all([
    list('Node'),
    Promise.all(places.map((place) => list('Pod', place))).then((all) => all.flat()),
  ]);
  const living = pods.filter((pod) => !['Succeeded', 'Failed'].includes(String(at(pod, 'status', 'phase'))));
  return [
    ...withPorts.flatMap((workload) => portAnswers(workload, nodes, living)),
    ...withClaims.flatMap((workload) => claimAnswers(workload, claims.get(workload) ?? [], nodes, living)),
  ];
}

/** Nodes that the scheduler may choose, apart from how full they are. */
function candidates({ template, namespace }: Workload, nodes: readonly KubeObject[]): readonly KubeObject[] {
  const pod: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: '', namespace }, spec: template.spec };
  const wanted = textOf(template.spec.nodeName);
  return nodes.filter(
    (node) =>
      at(node, 'spec', 'unschedulable') !== true &&
      (wanted === undefined || wanted === node.metadata.name) &&
      obstacle(pod, node) === undefined,
  );
}

/** Whether a pod is of the workload, this version or an older one. */
function isOwn({ placed, template, namespace }: Workload, pod: KubeObject): boolean {
  if (pod.metadata.namespace !== namespace) return false;
  const labels = Object.entries(
    (at(placed.object, 'spec', 'selector', 'matchLabels') ?? template.metadata.labels ?? {}) as object,
  );
  return labels.length > 0 && labels.every(([key, value]) => pod.metadata.labels?.[key] === value);
}

const portsText = (port: HostPort): string => `${port.port}/${port.protocol}`;

interface HostPort {
  readonly port: number;
  readonly protocol: string;
  readonly address: string;
}

/** With `hostNetwork` the server sets hostPort to containerPort (defaults of core/v1). */
function hostPortsOf(spec: PodTemplate['spec']): readonly HostPort[] {
  const isOnHost = spec.hostNetwork === true;
  return [...listOf(spec.initContainers).filter((one) => one.restartPolicy === 'Always'), ...listOf(spec.containers)]
    .flatMap((container) => listOf(container.ports))
    .flatMap((port) => {
      const number = Number(port.hostPort ?? (isOnHost ? port.containerPort : 0));
      if (!(number > 0)) return [];
      const address = textOf(port.hostIP) ?? '';
      return [
        { port: number, protocol: textOf(port.protocol) ?? 'TCP', address: address === '' ? '0.0.0.0' : address },
      ];
    });
}

/** As the scheduler's NodePorts filter: one of the two addresses is all of them, or both are the same. */
const collide = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port &&
  a.protocol === b.protocol &&
  (a.address === b.address || a.address === '0.0.0.0' || b.address === '0.0.0.0');

function portAnswers(workload: Workload, nodes: readonly KubeObject[], pods: readonly KubeObject[]): readonly Answer[] {
  const { object } = workload.placed;
  const possible = candidates(workload, nodes);
  // Without a node the look at the nodes themselves, or the scheduler, says more.
  if (possible.length === 0) return [];
  const wanted = hostPortsOf(workload.template.spec);
  const holders = (node: KubeObject) =>
    pods.filter(
      (pod) =>
        at(pod, 'spec', 'nodeName') === node.metadata.name &&
        !isOwn(workload, pod) &&
        hostPortsOf(pod.spec as PodTemplate['spec']).some((port) => wanted.some((own) => collide(own, port))),
    );
  const free = possible.filter((node) => holders(node).length === 0);
  const name = nameOf(refOf(object));
  const ports = wanted.map(portsText).join(', ');
  const replicas = object.kind === 'DaemonSet' ? possible.length : Number(at(object, 'spec', 'replicas') ?? 1);
  const base = {
    certainty: 'suspicious' as const,
    code: 'schedule.ports',
    object: refOf(object),
    ...(workload.placed.place !== undefined && { place: workload.placed.place }),
  };
  if (free.length < Math.min(replicas, possible.length)) {
    const taken = possible.flatMap((node) =>
      holders(node).map((pod) => `${nameOf(refOf(pod))} on node ${node.metadata.name}`),
    );
    return [
      {
        ...base,
        message: `${name} wants port ${ports} of its node, and ${free.length === 0 ? 'every node it may run on has' : `only ${free.length} of ${possible.length} nodes it may run on have`} it ${free.length === 0 ? 'taken' : 'free'}: ${taken.slice(0, 3).join(', ')}.`,
        fix: 'Take another hostPort, use a Service (NodePort or LoadBalancer) instead, or remove the pod that has it.',
        evidence: taken,
      },
    ];
  }
  if (replicas > free.length) {
    return [
      {
        ...base,
        message: `${name} wants ${replicas} pods with port ${ports} of their node, and may run on ${free.length}: one pod a node.`,
        fix: `Set replicas to ${free.length}, or use a Service instead of a hostPort.`,
      },
    ];
  }
  const isUpdate = pods.some((pod) => isOwn(workload, pod));
  if (isUpdate && object.kind === 'Deployment' && surgesOnly(object, replicas) && replicas + 1 > free.length) {
    return [
      {
        ...base,
        message: `${name} replaces its pods by making a new one first, but the old one holds port ${ports} on ${free.length === 1 ? 'the only node' : 'every node'} it may run on: the new pod would wait for ever.`,
        fix: 'Set strategy.rollingUpdate to maxSurge: 0 and maxUnavailable: 1, or the strategy to Recreate.',
      },
    ];
  }
  return [];
}

/** A rolling update that takes no pod away before a new one serves (defaults 25 % and 25 %, rounded down and up). */
function surgesOnly(deployment: KubeObject, replicas: number): boolean {
  const strategy = at(deployment, 'spec', 'strategy');
  if (at(strategy, 'type') === 'Recreate') return false;
  const value = at(strategy, 'rollingUpdate', 'maxUnavailable') ?? '25%';
  const text = String(value);
  const most = text.endsWith('%') ? Math.floor((replicas * Number(text.slice(0, -1))) / 100) : Number(text);
  const surge = String(at(strategy, 'rollingUpdate', 'maxSurge') ?? '25%');
  return most === 0 && surge !== '0' && surge !== '0%';
}

/** Claims of the template that only one node, or one pod, may use at a time. */
async function claimsOf(
  { template, namespace }: Workload,
  objects: readonly PlacedObject[],
  access: ClusterAccess,
  signal: AbortSignal,
): Promise<readonly Claim[]> {
  const names = listOf(template.spec.volumes).flatMap(
    (volume) => textOf(at(volume, 'persistentVolumeClaim', 'claimName')) ?? [],
  );
  const found = await Promise.all(
    [...new Set(names)].map(async (name): Promise<Claim | undefined> => {
      const ref = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace };
      const own = objects.find(({ object }) => object.kind === ref.kind && object.metadata.name === name);
      const modes = at(own?.object ?? (await access.get(ref, signal)), 'spec', 'accessModes');
      if (!Array.isArray(modes) || modes.length === 0) return undefined;
      if (modes.every((mode) => mode === 'ReadWriteOncePod')) return { name, mode: 'ReadWriteOncePod' };
      return modes.every((mode) => mode === 'ReadWriteOnce') ? { name, mode: 'ReadWriteOnce' } : undefined;
    }),
  );
  return found.filter((claim) => claim !== undefined);
}

function claimAnswers(
  workload: Workload,
  claims: readonly Claim[],
  nodes: readonly KubeObject[],
  pods: readonly KubeObject[],
): readonly Answer[] {
  const { object } = workload.placed;
  const possible = candidates(workload, nodes);
  const name = nameOf(refOf(object));
  const replicas = Number(at(object, 'spec', 'replicas') ?? 1);
  return claims.flatMap(({ name: claim, mode }): readonly Answer[] => {
    const base = {
      certainty: 'suspicious' as const,
      code: 'volume.attach',
      object: refOf(object),
      ...(workload.placed.place !== undefined && { place: workload.placed.place }),
    };
    // On one node any number of pods may share it; ReadWriteOncePod is one pod anywhere.
    const isOneNode = mode === 'ReadWriteOnce' && possible.length < 2;
    const users = pods.filter(
      (pod) =>
        pod.metadata.namespace === workload.namespace &&
        listOf(at(pod, 'spec', 'volumes')).some((volume) => at(volume, 'persistentVolumeClaim', 'claimName') === claim),
    );
    const others = users.filter(
      (pod) =>
        !isOwn(workload, pod) &&
        (mode === 'ReadWriteOncePod' || possible.some((node) => node.metadata.name !== at(pod, 'spec', 'nodeName'))),
    );
    const [other] = others.filter((pod) => textOf(at(pod, 'spec', 'nodeName')) !== undefined);
    if (other !== undefined) {
      return [
        {
          ...base,
          message: `${name} uses the claim ${claim}, which is ${mode} and mounted by ${nameOf(refOf(other))} on node ${String(at(other, 'spec', 'nodeName'))}: ${mode === 'ReadWriteOncePod' ? 'a second pod waits for it' : 'a pod on another node waits for it'}.`,
          fix: 'Keep both on one node (pod affinity), give each a claim of its own, or use a class with ReadWriteMany.',
          evidence: others.map((pod) => `${nameOf(refOf(pod))} on ${String(at(pod, 'spec', 'nodeName') ?? 'no node')}`),
        },
      ];
    }
    if (isOneNode) return [];
    if (replicas > 1 || object.kind === 'DaemonSet') {
      return [
        {
          ...base,
          message: `${name} has ${object.kind === 'DaemonSet' ? 'a pod on each node' : `${replicas} pods`} and one claim, ${claim}, which is ${mode}: pods ${mode === 'ReadWriteOncePod' ? 'after the first' : 'on other nodes than the first'} wait for it.`,
          fix: 'Use a StatefulSet with volumeClaimTemplates, a class with ReadWriteMany, or one replica.',
        },
      ];
    }
    if (object.kind !== 'Deployment' || !surgesOnly(object, replicas) || !users.some((pod) => isOwn(workload, pod))) {
      return [];
    }
    return [
      {
        ...base,
        message: `${name} replaces its pod by making a new one first, and its claim ${claim} is ${mode}: ${mode === 'ReadWriteOncePod' ? 'the new pod waits for the old one, which waits for the new one' : 'a new pod on another node waits for the volume that the old one keeps'}.`,
        fix: 'Set strategy.type to Recreate.',
      },
    ];
  });
}
