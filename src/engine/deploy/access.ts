import type { KubeObject } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { StepContext } from '../plan/step.ts';
import type { Baseline, RolloutResult } from '../rollout/index.ts';

/** Our name in `metadata.managedFields`. */
export const FIELD_MANAGER = 'slipway';

export interface ListQuery {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent = all namespaces, or a cluster-scoped kind. */
  readonly namespace?: string;
  readonly labels?: string;
  readonly fields?: string;
  /** Only apiVersion, kind and metadata: for kinds whose content is large or secret. */
  readonly isMetadataOnly?: boolean;
}

export interface WriteOptions {
  readonly signal: AbortSignal;
  /** The server answers with what it would have stored, and stores nothing. */
  readonly isDryRun?: boolean;
}

export interface LogRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly isPrevious: boolean;
  /** Lines from the end. */
  readonly tail: number;
}

export interface WatchOptions extends Pick<StepContext, 'system' | 'secrets' | 'signal' | 'emit'> {
  readonly baseline: Baseline;
  /** ms since the epoch: just before the first write. */
  readonly startedAt: number;
  /** `applying`: the write goes on beside the watch, so what is not there yet, or unchanged yet, is not judged. */
  readonly phase?: 'applying' | 'applied';
}

/**
 * What a deployer needs of a cluster. All methods throw SlipwayError `cluster`; its `code` is `api.<reason>` in the
 * API server's words (`api.Forbidden`, `api.Conflict`, …) and `evidence` holds its message.
 */
export interface ClusterAccess {
  readonly context: string;
  /** Path of the kubeconfig file when the environment names one; tools that are started get it as well. */
  readonly kubeconfig?: string;
  /**
   * The kubeconfig itself, for a tool that runs for up to `forMs`, where the file will not do: it came from a variable, or its
   * exec plugin has been asked already. The tool gets it as a file that lives as long as it does.
   */
  readonly kubeconfigForTool?: (forMs: number) => Promise<string | undefined>;
  /** Undefined when the object, its namespace or its kind does not exist. */
  get(ref: ObjectRef, signal: AbortSignal): Promise<KubeObject | undefined>;
  /** Empty when the kind does not exist. */
  list(query: ListQuery, signal: AbortSignal): Promise<readonly KubeObject[]>;
  /** Server-side apply as {@link FIELD_MANAGER}. A conflict throws {@link ApplyConflict} unless `isForced`. */
  apply(object: KubeObject, options: WriteOptions & { readonly isForced?: boolean }): Promise<KubeObject>;
  /** Create; used with a dry run for asking admission about a pod. */
  create(object: KubeObject, options: WriteOptions): Promise<KubeObject>;
  /** JSON merge patch. `metadata.resourceVersion` in the patch makes it conditional. */
  merge(ref: ObjectRef, patch: object, options: WriteOptions): Promise<KubeObject>;
  /** JSON patch: for values that must be replaced as a whole, which a merge would mix with what is there. */
  patch(ref: ObjectRef, operations: readonly PatchOperation[], options: WriteOptions): Promise<KubeObject>;
  /** False when it was not there. Dependents go in the background. */
  remove(ref: ObjectRef, options: WriteOptions & { readonly graceSeconds?: number }): Promise<boolean>;
  /** The log of a container; empty when it has none. Absent where logs cannot be had. */
  readonly readLog?: (request: LogRequest, signal: AbortSignal) => Promise<string>;
  /**
   * The verdict of the rollout room on these objects; absent where nothing can be watched. What must be seen as new is
   * told from what was there by `baseline`.
   */
  readonly watch?: (targets: readonly ObjectRef[], options: WatchOptions) => Promise<RolloutResult>;
  /** Whether a kind has namespaces; undefined when the cluster has no such kind. */
  isNamespaced(apiVersion: string, kind: string, signal: AbortSignal): Promise<boolean | undefined>;
}

export interface PatchOperation {
  readonly op: 'add' | 'replace' | 'test' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

/** One field that another manager owns, from the causes of the API server's 409. */
export interface FieldConflict {
  readonly manager: string;
  /** As the server writes it: `.spec.replicas`. */
  readonly field: string;
}

export class ApplyConflict extends Error {
  override readonly name = 'ApplyConflict';
  readonly conflicts: readonly FieldConflict[];

  constructor(message: string, conflicts: readonly FieldConflict[]) {
    super(message);
    this.conflicts = conflicts;
  }
}

/** Conflicts in a Status answer (`reason: Conflict`, causes of type `FieldManagerConflict`). */
export function conflictsFrom(status: unknown): readonly FieldConflict[] {
  const causes = (status as { readonly details?: { readonly causes?: unknown } } | undefined)?.details?.causes;
  if (!Array.isArray(causes)) return [];
  return causes.flatMap(
    (cause: { readonly reason?: unknown; readonly message?: unknown; readonly field?: unknown }) => {
      if (cause.reason !== 'FieldManagerConflict') return [];
      // `conflict with "kubectl-client-side-apply" using apps/v1`, also `… with subresource "scale" using …`.
      const manager = /conflict with "([^"]*)"/.exec(String(cause.message ?? ''))?.[1] ?? 'unknown';
      return [{ manager, field: String(cause.field ?? '') }];
    },
  );
}
