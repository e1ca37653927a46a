// The live objects of a rollout: one list and watch per kind and namespace, and the contact to the cluster as a whole.
import { type Cluster, type Contact, type KubeObject, nameOf, WatchCache } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { SlipwayError } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import { emptySnapshot, type Snapshot } from './snapshot.ts';

type Part = 'workloads' | 'pods' | 'replicaSets' | 'revisions' | 'jobs' | 'claims' | 'events' | 'nodes';

/** Without these there is no judgement; without the others there is one with fewer words. */
const ESSENTIAL: ReadonlySet<Part> = new Set(['workloads', 'pods', 'replicaSets']);

interface Watch {
  readonly part: Part;
  readonly cache: WatchCache;
}

export interface ContactState {
  readonly state: 'connected' | 'reconnecting' | 'lost';
  readonly since: number;
  readonly message?: string;
  readonly error?: SlipwayError;
}

export class RolloutWatches {
  readonly #watches: readonly Watch[];
  readonly #targets: readonly ObjectRef[];
  readonly #clock: Clock;

  constructor(
    cluster: Cluster,
    targets: readonly ObjectRef[],
    options: { readonly clock: Clock; readonly signal: AbortSignal; readonly onChange: () => void },
    /** `running`: only what says what runs; no events, claims and, but for DaemonSets, no nodes. */
    scope: 'judging' | 'running' = 'judging',
  ) {
    this.#targets = targets;
    this.#clock = options.clock;
    const namespaces = [...new Set(targets.map((target) => target.namespace))];
    const kinds = new Set(targets.map((target) => target.kind));
    const has = (...wanted: readonly string[]): boolean => wanted.some((kind) => kinds.has(kind));
    const watches: Watch[] = [];
    const add = (part: Part, apiVersion: string, kind: string, namespace: string | undefined): void => {
      watches.push({
        part,
        cache: new WatchCache(
          cluster,
          { apiVersion, kind, ...(namespace !== undefined && { namespace }) },
          {
            clock: options.clock,
            signal: options.signal,
            onChange: options.onChange,
            onContact: options.onChange,
            project: part === 'events' ? slimEvent : slim,
          },
        ),
      });
    };
    for (const namespace of namespaces) {
      const own = targets.filter((target) => target.namespace === namespace);
      const workloadKinds = new Map(own.map((target) => [`${target.apiVersion} ${target.kind}`, target]));
      for (const { apiVersion, kind } of workloadKinds.values()) {
        // Pods, Jobs and claims are watched anyway.
        if (!['Pod', 'Job', 'PersistentVolumeClaim'].includes(kind)) add('workloads', apiVersion, kind, namespace);
      }
      add('pods', 'v1', 'Pod', namespace);
      if (has('Deployment', 'Rollout')) add('replicaSets', 'apps/v1', 'ReplicaSet', namespace);
      if (has('StatefulSet', 'DaemonSet')) add('revisions', 'apps/v1', 'ControllerRevision', namespace);
      if (scope === 'judging' || has('Job', 'CronJob')) add('jobs', 'batch/v1', 'Job', namespace);
      if (scope === 'judging' || has('PersistentVolumeClaim')) add('claims', 'v1', 'PersistentVolumeClaim', namespace);
      if (scope === 'judging') add('events', 'v1', 'Event', namespace);
    }
    if (scope === 'judging' || has('DaemonSet')) add('nodes', 'v1', 'Node', undefined);
    this.#watches = watches;
  }

  /** Resolves when every kind has been listed once, or cannot be. */
  async ready(): Promise<void> {
    await Promise.all(this.#watches.map(({ cache }) => cache.ready));
  }

  /** The worst of what the essential watches say. */
  contact(): ContactState {
    let worst: ContactState = { state: 'connected', since: this.#clock.now() };
    for (const { part, cache } of this.#watches) {
      if (!ESSENTIAL.has(part)) continue;
      const contact = contactOf(cache.contact);
      if (contact === undefined) continue;
      if (contact.state === 'lost') return contact;
      if (worst.state === 'connected' || contact.since < worst.since) worst = contact;
    }
    return worst;
  }

  objects(): Pick<Snapshot, Part> {
    const found: Record<Part, KubeObject[]> = {
      workloads: [],
      pods: [],
      replicaSets: [],
      revisions: [],
      jobs: [],
      claims: [],
      events: [],
      nodes: [],
    };
    for (const { part, cache } of this.#watches) found[part].push(...cache.objects());
    const wanted = new Set(this.#targets.map(nameOf));
    const isWanted = (object: KubeObject): boolean =>
      wanted.has(
        nameOf({
          apiVersion: object.apiVersion,
          kind: object.kind,
          name: object.metadata.name,
          ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }),
        }),
      );
    const workloads = [...found.workloads, ...found.pods, ...found.jobs, ...found.claims].filter(isWanted);
    return { ...emptySnapshot, ...found, workloads };
  }
}

function contactOf(contact: Contact): ContactState | undefined {
  switch (contact.state) {
    case 'reconnecting':
      return { state: 'reconnecting', since: contact.since, message: contact.why };
    case 'lost':
      return { state: 'lost', since: contact.since, message: contact.error.message, error: contact.error };
    default:
      return undefined;
  }
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Without the copies of itself that an object carries about. */
function slim(object: KubeObject): KubeObject {
  const { annotations } = object.metadata;
  if (annotations?.[LAST_APPLIED] === undefined) return object;
  const { [LAST_APPLIED]: _, ...rest } = annotations;
  return { ...object, metadata: { ...object.metadata, annotations: rest } };
}

function slimEvent(event: KubeObject): KubeObject {
  const { name, namespace, uid } = event.metadata;
  return {
    apiVersion: event.apiVersion,
    kind: event.kind,
    metadata: { name, ...(namespace !== undefined && { namespace }), ...(uid !== undefined && { uid }) },
    type: event.type,
    reason: event.reason,
    message: event.message,
    count: event.count,
    series: event.series,
    lastTimestamp: event.lastTimestamp,
    eventTime: event.eventTime,
    involvedObject: event.involvedObject,
  };
}
