// Pods without a node, and nodes that went away under a pod.
import { at, type KubeObject, listOf, textOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import { claimNames } from './attribution.ts';
import { afterWait, asWarning, cleanText, type Finding, type Scene } from './causes.ts';
import { obstacle } from './fits.ts';
import { conditionOf } from './readiness.ts';

const MINUTE = 60_000;

export function schedulingFindings(scene: Scene, pod: KubeObject): readonly Finding[] {
  const node = textOf(at(pod, 'spec', 'nodeName'));
  if (node !== undefined && node !== '') return lostNode(scene, pod, node);
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status !== 'False') return [];
  const uid = pod.metadata.uid ?? '';
  const common = { scope: 'pod' as const, pod: uid, ref: podRef(pod), evidence: [cleanText(scheduled.message)] };
  if (scheduled.reason === 'SchedulingGated') {
    const gates = listOf(at(pod, 'spec', 'schedulingGates')).map((gate) => textOf(gate.name) ?? '');
    const sighting = scene.draft.see(`gated ${uid}`, '');
    return [
      {
        ...common,
        code: 'sched.gate',
        ...asWarning(sighting),
        warnAt: sighting.first + 10_000,
        message: `The scheduler leaves the pod alone until ${gates.join(', ') || 'its scheduling gates'} are removed.`,
        fix: 'Look at the controller that set the gate.',
      },
    ];
  }
  const claims = claimFindings(scene, pod);
  if (claims.length > 0) return claims;
  const sighting = scene.draft.see(`sched ${uid}`, scheduled.message);
  const never = impossible(scene, pod, sighting);
  if (never !== undefined) return [{ ...common, ...never }];
  const isGrowing = (scene.index.events.get(uid) ?? []).some(({ reason }) =>
    ['TriggeredScaleUp', 'Nominated', 'Preempted'].includes(reason),
  );
  return [
    {
      ...common,
      code: 'sched',
      ...asWarning(sighting),
      warnAt: sighting.first + 10_000,
      message: isGrowing
        ? `The pod waits for a node that is being made. ${plainScheduler(scheduled.message)}`
        : `No node takes the pod: ${plainScheduler(scheduled.message)}`,
      fix: 'Lower its requests, free room, or correct nodeSelector, affinity and tolerations.',
    },
  ];
}

/** Not even an empty node of this cluster could take the pod, and nothing makes other nodes. */
function impossible(
  scene: Scene,
  pod: KubeObject,
  sighting: ReturnType<Scene['draft']['see']>,
): Omit<Finding, 'scope' | 'ref' | 'evidence'> | undefined {
  const { nodes } = scene.snapshot;
  if (nodes.length === 0) return undefined;
  const obstacles = nodes.map((node) => ({ node: node.metadata.name, why: obstacle(pod, node) }));
  if (obstacles.some(({ why }) => why === undefined)) return undefined;
  const events = scene.index.events.get(pod.metadata.uid ?? '') ?? [];
  const grows = events.some(({ reason }) => reason === 'TriggeredScaleUp' || reason === 'Nominated');
  const refuses = events.some(({ reason }) => reason === 'NotTriggerScaleUp');
  if (grows) return undefined;
  const answer = scene.ask({ kind: 'autoscaler' }, Number.POSITIVE_INFINITY);
  if (answer === undefined || answer.state === 'unknown') return undefined;
  if (answer.state === 'present' && !refuses) return undefined;
  const [first] = obstacles;
  const others = obstacles.length > 1 ? ` None of the other ${obstacles.length - 1} nodes can either.` : '';
  return {
    code: 'sched.impossible',
    pod: pod.metadata.uid ?? '',
    ...afterWait(sighting, answer.state === 'present' ? 2 * MINUTE : MINUTE / 2, scene.now),
    warnAt: sighting.first,
    message: `No node of this cluster can ever run the pod. Node ${first?.node ?? ''}: ${first?.why ?? ''}.${others}`,
    fix: 'Lower the requests below what a node has, label a node or add a toleration; or add such a node.',
  };
}

function claimFindings(scene: Scene, pod: KubeObject): readonly Finding[] {
  const namespace = pod.metadata.namespace ?? '';
  const found: Finding[] = [];
  for (const name of claimNames(pod)) {
    const claim = scene.index.claims.get(`${namespace}/${name}`);
    if (claim === undefined || at(claim, 'status', 'phase') === 'Bound') continue;
    const finding = claimFinding(scene, claim, pod);
    if (finding !== undefined) found.push(finding);
  }
  return found;
}

/** What holds up a claim, from its events; undefined when nothing does (it waits for its first consumer, say). */
export function claimFinding(scene: Scene, claim: KubeObject, pod?: KubeObject): Finding | undefined {
  const uid = claim.metadata.uid ?? '';
  const events = scene.index.events.get(uid) ?? [];
  const ref: ObjectRef = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    name: claim.metadata.name,
    ...(claim.metadata.namespace !== undefined && { namespace: claim.metadata.namespace }),
  };
  const bad = events.find(({ reason }) => reason === 'ProvisioningFailed' || reason === 'FailedBinding');
  if (bad === undefined) return undefined;
  const sighting = scene.draft.see(`claim ${uid}`, bad.message);
  const wanted = textOf(at(claim, 'spec', 'storageClassName'));
  const isClass =
    /storageclass[^ ]* "([^"]*)" not found/i.test(bad.message) || /no storage class is set/i.test(bad.message);
  const common = {
    scope: 'pod' as const,
    ...(pod?.metadata.uid !== undefined && { pod: pod.metadata.uid }),
    ref,
    evidence: [`${bad.reason}: ${cleanText(bad.message)}`],
    warnAt: sighting.first,
  };
  if (isClass) {
    return {
      ...common,
      code: 'pvc.class',
      ...afterWait(sighting, MINUTE, scene.now),
      message:
        wanted === undefined || wanted === ''
          ? `The claim ${claim.metadata.name} names no storage class, and the cluster has no default one.`
          : `The storage class "${wanted}" of claim ${claim.metadata.name} does not exist.`,
      fix: 'Set storageClassName to a class of this cluster (kubectl get storageclass), or make one the default.',
    };
  }
  return {
    ...common,
    code: 'pvc.provision',
    ...asWarning(sighting),
    message: `The volume of claim ${claim.metadata.name} cannot be made yet: ${cleanText(bad.message)}.`,
    fix: 'Look at the storage provisioner and its quota.',
  };
}

function lostNode(scene: Scene, pod: KubeObject, node: string): readonly Finding[] {
  const object = scene.snapshot.nodes.find((one) => one.metadata.name === node);
  if (object === undefined || scene.target.object.kind === 'DaemonSet') return [];
  const ready = conditionOf(object, 'Ready');
  if (ready === undefined || ready.status === 'True') return [];
  const sighting = scene.draft.see(`node ${pod.metadata.uid ?? ''}`, ready.message);
  return [
    {
      code: 'node.lost',
      scope: 'pod',
      pod: pod.metadata.uid ?? '',
      ref: podRef(pod),
      // The cluster itself replaces the pod after 5 minutes; only if that does not help either, it is over.
      ...asWarning(sighting),
      message: `Node ${node} under the pod is not ready: ${cleanText(ready.message)}.`,
      fix: 'The pod is replaced after about 5 minutes; look at the node.',
      evidence: [`${ready.reason}: ${cleanText(ready.message)}`],
    },
  ];
}

/** `0/3 nodes are available: 1 Insufficient cpu, …. preemption: …` without the part on preemption. */
function plainScheduler(text: string): string {
  return cleanText(text.replace(/\s*preemption:.*$/s, ''));
}

export const podRef = (pod: KubeObject): ObjectRef => ({
  apiVersion: 'v1',
  kind: 'Pod',
  name: pod.metadata.name,
  ...(pod.metadata.namespace !== undefined && { namespace: pod.metadata.namespace }),
});
