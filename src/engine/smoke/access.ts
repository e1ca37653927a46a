import type { Duplex } from 'node:stream';
import type { ObjectRef } from '../events/index.ts';

/** An object as JSON; smoke checks look at Services, Pods, Nodes, Ingresses, ReplicaSets and workloads. */
export interface ClusterObject {
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

export interface PodRef {
  readonly namespace: string;
  readonly name: string;
}

/** What smoke checks need of a cluster. Methods throw SlipwayError `cluster` or `network` when the cluster is not reached. */
export interface SmokeAccess {
  /** Undefined when it does not exist. */
  get(ref: ObjectRef, signal: AbortSignal): Promise<ClusterObject | undefined>;
  list(
    query: {
      readonly apiVersion: string;
      readonly kind: string;
      readonly namespace?: string;
      readonly labels?: string;
    },
    signal: AbortSignal,
  ): Promise<readonly ClusterObject[]>;
  /**
   * A connection to a port of a pod through the API server. Rejects, or ends with an error, as SlipwayError: with code
   * `forward.refused` when nothing in the pod listens there, with any other when the way to the pod broke.
   */
  connect(pod: PodRef, port: number, signal: AbortSignal): Promise<Duplex>;
  exec(
    pod: PodRef,
    container: string | undefined,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
}
