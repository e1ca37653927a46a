/** Argo CD's Application object (argoproj.io/v1alpha1, Argo CD 2.x and 3.x) as far as we read it. Pure. */
import { at, fieldsOf, isFields, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';

export const APPLICATION = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Application' } as const;

/** Where Argo CD runs unless it was installed elsewhere. */
export const ARGOCD_NAMESPACE = 'argocd';

/** `[namespace/]name` as people write it. */
export function parseApplication(text: string): { readonly namespace: string; readonly name: string } {
  const slash = text.indexOf('/');
  return slash === -1
    ? { namespace: ARGOCD_NAMESPACE, name: text }
    : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

export const applicationRef = (app: { readonly namespace: string; readonly name: string }): ObjectRef => ({
  ...APPLICATION,
  name: app.name,
  namespace: app.namespace,
});

/** One entry of `spec.source` or `spec.sources`. */
export interface ApplicationSource {
  readonly repoUrl: string;
  readonly path?: string;
  readonly chart?: string;
  /** Name under which other sources refer to it as `$name/…`. */
  readonly ref?: string;
  /** Empty = the default branch of the repository. */
  readonly targetRevision: string;
  readonly tool: 'helm' | 'kustomize' | 'plugin' | 'unsaid';
  readonly valueFiles: readonly string[];
  readonly parameters: readonly { readonly name: string; readonly value: string; readonly forceString: boolean }[];
  readonly kustomizeImages: readonly string[];
}

export interface AppResource {
  readonly ref: ObjectRef;
  readonly sync?: string;
  readonly health?: string;
  readonly message?: string;
  readonly isHook: boolean;
  readonly requiresPruning: boolean;
}

export interface OperationResult {
  readonly ref: ObjectRef;
  /** Synced, SyncFailed, Pruned, PruneSkipped. */
  readonly status?: string;
  readonly message?: string;
  readonly hook?: string;
  readonly hookPhase?: string;
}

export interface OperationState {
  readonly phase: 'Running' | 'Terminating' | 'Succeeded' | 'Failed' | 'Error' | 'Unknown';
  readonly message: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly retryCount: number;
  readonly retryLimit: number;
  /** What was synced, else what was asked for; one entry for each source. */
  readonly revisions: readonly string[];
  /** `info` of the operation that was asked for: name → value. */
  readonly info: ReadonlyMap<string, string>;
  readonly initiatedBy?: string;
  readonly isAutomated: boolean;
  readonly results: readonly OperationResult[];
}

export interface HistoryEntry {
  readonly id: number;
  readonly revisions: readonly string[];
  readonly deployedAt?: string;
  readonly initiatedBy?: string;
  readonly isAutomated: boolean;
  /** `source` or `sources` of the entry, as a rollback sends them back. */
  readonly source?: unknown;
  readonly sources?: readonly unknown[];
}

export interface Application {
  readonly name: string;
  readonly namespace: string;
  readonly object: KubeObject;
  readonly sources: readonly ApplicationSource[];
  readonly isMultiSource: boolean;
  /** `spec.sourceHydrator`: what is synced is a rendered branch that nobody edits. */
  readonly isHydrated: boolean;
  readonly destination: { readonly server?: string; readonly name?: string; readonly namespace?: string };
  readonly automated: {
    readonly state: 'on' | 'off';
    readonly prune: boolean;
    readonly selfHeal: boolean;
  };
  readonly sync: { readonly status: string; readonly revisions: readonly string[] };
  readonly health: { readonly status: string; readonly message?: string; readonly since?: string };
  /** End of the last comparison with git. */
  readonly reconciledAt?: string;
  readonly conditions: readonly { readonly type: string; readonly message: string; readonly at?: string }[];
  readonly images: readonly string[];
  readonly resources: readonly AppResource[];
  /** An operation that waits to be taken up. */
  readonly isOperationWaiting: boolean;
  readonly operation?: OperationState;
  /** Newest first. */
  readonly history: readonly HistoryEntry[];
  readonly refresh?: 'normal' | 'hard';
  readonly isSkipped: boolean;
  readonly isDeleting: boolean;
  /** Who writes this object itself: an ApplicationSet or a parent Application. */
  readonly parent?: { readonly kind: 'ApplicationSet' | 'Application'; readonly name: string };
}

export const REFRESH = 'argocd.argoproj.io/refresh';
const SKIP_RECONCILE = 'argocd.argoproj.io/skip-reconcile';
const TRACKING = 'argocd.argoproj.io/tracking-id';

/** Reads an Application leniently: what is missing is empty, never an error. */
export function readApplication(object: KubeObject): Application {
  const annotations = object.metadata.annotations ?? {};
  const spec = fieldsOf(object.spec);
  const status = fieldsOf(object.status);
  const many = listOf(spec.sources);
  const single = isFields(spec.source) ? [spec.source] : [];
  const automated = at(spec, 'syncPolicy', 'automated');
  const health = fieldsOf(status.health);
  const refresh = annotations[REFRESH];
  const parent = parentOf(object);
  const operation = operationOf(status.operationState);
  return {
    name: object.metadata.name,
    namespace: object.metadata.namespace ?? ARGOCD_NAMESPACE,
    object,
    sources: (many.length > 0 ? many : single).map(sourceOf),
    isMultiSource: many.length > 0,
    isHydrated: isFields(spec.sourceHydrator),
    destination: destinationOf(spec.destination),
    automated: {
      // `enabled` exists since Argo CD 3.2; the block alone means on.
      state: isFields(automated) && automated.enabled !== false ? 'on' : 'off',
      prune: at(automated, 'prune') === true,
      selfHeal: at(automated, 'selfHeal') === true,
    },
    sync: { status: textOf(at(status, 'sync', 'status')) ?? 'Unknown', revisions: revisionsOf(status.sync) },
    health: {
      status: textOf(health.status) ?? 'Unknown',
      ...optional('message', textOf(health.message)),
      ...optional('since', textOf(health.lastTransitionTime)),
    },
    ...optional('reconciledAt', textOf(status.reconciledAt)),
    conditions: listOf(status.conditions).map((condition) => ({
      type: textOf(condition.type) ?? '',
      message: textOf(condition.message) ?? '',
      ...optional('at', textOf(condition.lastTransitionTime)),
    })),
    images: textsOf(at(status, 'summary', 'images')),
    resources: listOf(status.resources).map(resourceOf),
    isOperationWaiting: isFields(object.operation),
    ...(operation !== undefined && { operation }),
    history: listOf(status.history).map(historyOf).toReversed(),
    ...((refresh === 'normal' || refresh === 'hard') && { refresh }),
    isSkipped: annotations[SKIP_RECONCILE] === 'true',
    isDeleting: object.metadata.deletionTimestamp !== undefined,
    ...(parent !== undefined && { parent }),
  };
}

function optional<Key extends string>(key: Key, value: string | undefined): { readonly [K in Key]?: string } {
  return (value === undefined || value === '' ? {} : { [key]: value }) as { readonly [K in Key]?: string };
}

const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];

/** `revisions` of a multi-source Application, else the one `revision`. */
function revisionsOf(value: unknown): readonly string[] {
  const many = textsOf(at(value, 'revisions'));
  if (many.length > 0) return many;
  const one = textOf(at(value, 'revision'));
  return one === undefined || one === '' ? [] : [one];
}

function sourceOf(source: unknown): ApplicationSource {
  const helm = at(source, 'helm');
  const kustomize = at(source, 'kustomize');
  const isHelm = isFields(helm) || textOf(at(source, 'chart')) !== undefined;
  return {
    repoUrl: textOf(at(source, 'repoURL')) ?? '',
    ...optional('path', textOf(at(source, 'path'))),
    ...optional('chart', textOf(at(source, 'chart'))),
    ...optional('ref', textOf(at(source, 'ref'))),
    targetRevision: textOf(at(source, 'targetRevision')) ?? '',
    tool: isHelm ? 'helm' : isFields(kustomize) ? 'kustomize' : isFields(at(source, 'plugin')) ? 'plugin' : 'unsaid',
    valueFiles: textsOf(at(helm, 'valueFiles')),
    parameters: listOf(at(helm, 'parameters')).map((parameter) => ({
      name: textOf(parameter.name) ?? '',
      value: textOf(parameter.value) ?? '',
      forceString: parameter.forceString === true,
    })),
    kustomizeImages: textsOf(at(kustomize, 'images')),
  };
}

const destinationOf = (value: unknown): Application['destination'] => ({
  ...optional('server', textOf(at(value, 'server'))),
  ...optional('name', textOf(at(value, 'name'))),
  ...optional('namespace', textOf(at(value, 'namespace'))),
});

/** Argo CD writes group and version apart; the core group is the empty one. */
function refOf(value: unknown): ObjectRef {
  const group = textOf(at(value, 'group')) ?? '';
  const version = textOf(at(value, 'version')) ?? 'v1';
  return {
    apiVersion: group === '' ? version : `${group}/${version}`,
    kind: textOf(at(value, 'kind')) ?? '',
    name: textOf(at(value, 'name')) ?? '',
    ...optional('namespace', textOf(at(value, 'namespace'))),
  };
}

const resourceOf = (value: unknown): AppResource => ({
  ref: refOf(value),
  ...optional('sync', textOf(at(value, 'status'))),
  ...optional('health', textOf(at(value, 'health', 'status'))),
  ...optional('message', textOf(at(value, 'health', 'message'))),
  isHook: at(value, 'hook') === true,
  requiresPruning: at(value, 'requiresPruning') === true,
});

const PHASES = ['Running', 'Terminating', 'Succeeded', 'Failed', 'Error'] as const;

function operationOf(state: unknown): OperationState | undefined {
  if (!isFields(state)) return undefined;
  const asked = at(state, 'operation', 'sync');
  const synced = revisionsOf(state.syncResult);
  const info = listOf(at(state, 'operation', 'info'));
  return {
    phase: PHASES.find((phase) => phase === state.phase) ?? 'Unknown',
    message: textOf(state.message) ?? '',
    ...optional('startedAt', textOf(state.startedAt)),
    ...optional('finishedAt', textOf(state.finishedAt)),
    retryCount: numberOf(state.retryCount) ?? 0,
    retryLimit: numberOf(at(state, 'operation', 'retry', 'limit')) ?? 0,
    revisions: synced.length > 0 ? synced : revisionsOf(asked),
    info: new Map(info.map((entry) => [textOf(entry.name) ?? '', textOf(entry.value) ?? ''])),
    ...optional('initiatedBy', textOf(at(state, 'operation', 'initiatedBy', 'username'))),
    isAutomated: at(state, 'operation', 'initiatedBy', 'automated') === true,
    results: listOf(at(state, 'syncResult', 'resources')).map((result) => ({
      ref: refOf(result),
      ...optional('status', textOf(result.status)),
      ...optional('message', textOf(result.message)),
      ...optional('hook', textOf(result.hookType)),
      ...optional('hookPhase', textOf(result.hookPhase)),
    })),
  };
}

const historyOf = (entry: unknown): HistoryEntry => ({
  id: numberOf(at(entry, 'id')) ?? 0,
  revisions: revisionsOf(entry),
  ...optional('deployedAt', textOf(at(entry, 'deployedAt'))),
  ...optional('initiatedBy', textOf(at(entry, 'initiatedBy', 'username'))),
  isAutomated: at(entry, 'initiatedBy', 'automated') === true,
  ...(isFields(at(entry, 'source')) && { source: at(entry, 'source') }),
  ...(Array.isArray(at(entry, 'sources')) && { sources: at(entry, 'sources') as readonly unknown[] }),
});

/** An ApplicationSet is a controlling owner; app-of-apps leaves a tracking annotation of another Application. */
function parentOf(object: KubeObject): Application['parent'] {
  const set = listOf(object.metadata.ownerReferences).find((owner) => owner.kind === 'ApplicationSet');
  const setName = textOf(set?.name);
  if (setName !== undefined) return { kind: 'ApplicationSet', name: setName };
  const tracking = object.metadata.annotations?.[TRACKING]?.split(':')[0];
  const label = object.metadata.labels?.['argocd.argoproj.io/instance'];
  const name = tracking ?? label;
  return name === undefined || name === object.metadata.name ? undefined : { kind: 'Application', name };
}
