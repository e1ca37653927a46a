// What a diagnosis holds besides its texts: the same facts as data, for a page that folds and filters them.

import { at, fieldsOf, type KubeObject, listOf, nameOf, refOf, textOf } from '../cluster/index.ts';
import type { Failure } from '../problems/index.ts';
import type { EventLine, LogText, PodState } from './diagnoseFacts.ts';
import type { Trouble } from './troubles.ts';

/** A workload's own account of itself. */
export interface WorkloadFacts {
  /** `Deployment shop/web`. */
  readonly name: string;
  readonly desired: string;
  readonly updated: string;
  readonly ready: string;
  readonly available: string;
  /** `Available=False (MinimumReplicasUnavailable)`. */
  readonly conditions: readonly string[];
}

export interface RevisionFacts {
  readonly number: number;
  /** ISO time. */
  readonly at: string;
  readonly name: string;
  readonly images: readonly string[];
  readonly isVerified: boolean;
}

/** Revisions of a workload, or of a Helm release, newest first. */
export interface HistoryFacts {
  readonly of: string;
  readonly revisions: readonly RevisionFacts[];
}

export interface NodeFacts {
  readonly name: string;
  /** Allocatable, as the API writes quantities. */
  readonly cpu: string;
  readonly memory: string;
  readonly pods: string;
  /** What is wrong with it: pressures, and that it is not ready. */
  readonly troubles: readonly string[];
  readonly taints: readonly string[];
}

/** `diagnosis.json` beside the report. Every text in it is masked. */
export interface DiagnosisData {
  readonly version: 1;
  readonly environment: string;
  readonly namespace: string;
  /** ISO time at which it was collected. */
  readonly time: string;
  readonly failure?: Failure;
  readonly troubles: readonly Trouble[];
  readonly workloads: readonly WorkloadFacts[];
  readonly pods: readonly PodState[];
  readonly events: readonly EventLine[];
  readonly logs: readonly LogText[];
  readonly history: readonly HistoryFacts[];
  readonly nodes: readonly NodeFacts[];
  readonly files: readonly string[];
  readonly missing: readonly string[];
}

export function workloadFacts(workload: KubeObject): WorkloadFacts {
  const status = (name: string) => String(at(workload, 'status', name) ?? 0);
  return {
    name: nameOf(refOf(workload)),
    desired: String(at(workload, 'spec', 'replicas') ?? at(workload, 'status', 'desiredNumberScheduled') ?? '-'),
    updated: status('updatedReplicas'),
    ready: status('readyReplicas'),
    available: status('availableReplicas'),
    conditions: listOf(at(workload, 'status', 'conditions')).map(
      ({ type, status: value, reason }) => `${String(type)}=${String(value)} (${textOf(reason) ?? ''})`,
    ),
  };
}

/** By the ReplicaSets and ControllerRevisions that the workloads own. */
export function historyFacts(
  workloads: readonly KubeObject[],
  sets: readonly KubeObject[],
  revisions: readonly KubeObject[],
): readonly HistoryFacts[] {
  return workloads.flatMap((workload) => {
    const isOwned = (object: KubeObject) =>
      listOf(object.metadata.ownerReferences).some((owner) => owner.uid === workload.metadata.uid);
    const own = [...sets, ...revisions].filter(isOwned).map((object): RevisionFacts => {
      const annotations = object.metadata.annotations;
      const template = at(object, 'spec', 'template') ?? at(object, 'data', 'spec', 'template');
      return {
        number: Number(annotations?.['deployment.kubernetes.io/revision'] ?? object.revision ?? 0),
        at: textOf(object.metadata.creationTimestamp) ?? '?',
        name: object.metadata.name,
        images: listOf(at(template, 'spec', 'containers')).map((container) => textOf(container.image) ?? '?'),
        isVerified: annotations?.['slipway.dev/verified'] !== undefined,
      };
    });
    if (own.length === 0) return [];
    return [{ of: `${workload.kind} ${workload.metadata.name}`, revisions: own.sort((a, b) => b.number - a.number) }];
  });
}

export function nodeFacts(node: KubeObject): NodeFacts {
  const allocatable = fieldsOf(at(node, 'status', 'allocatable'));
  return {
    name: node.metadata.name,
    cpu: String(allocatable.cpu ?? '?'),
    memory: String(allocatable.memory ?? '?'),
    pods: String(allocatable.pods ?? '?'),
    // Ready is good when true; every other condition of a node is bad when true.
    troubles: listOf(at(node, 'status', 'conditions'))
      .filter(({ type, status }) => (type === 'Ready') !== (status === 'True'))
      .map(({ type, message }) => `${type === 'Ready' ? 'not Ready' : String(type)}: ${textOf(message) ?? ''}`),
    taints: listOf(at(node, 'spec', 'taints')).map(({ key, effect }) => `${String(key)}:${String(effect)}`),
  };
}

export const historyText = (history: readonly HistoryFacts[]): string =>
  history
    .flatMap(({ of, revisions }) => [
      of,
      ...revisions.map(
        ({ number, at: time, name, images, isVerified }) =>
          `  ${number}\t${time}\t${name}\t${images.join(' ')}${isVerified ? '\tverified' : ''}`,
      ),
    ])
    .join('\n');

export const nodeText = ({ name, cpu, memory, pods, troubles, taints }: NodeFacts): string =>
  [
    name,
    `cpu ${cpu}, memory ${memory}, pods ${pods}`,
    troubles.length === 0 ? 'no pressure' : troubles.join('; '),
    ...(taints.length === 0 ? [] : [`taints ${taints.join(' ')}`]),
  ].join('\t');
