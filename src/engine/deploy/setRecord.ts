// What was live before a set of objects was written, kept in the cluster as Helm keeps its releases: in a Secret beside
// them. A rollback on any machine puts all of it back, not only pod templates.
import { gunzipSync, gzipSync } from 'node:zlib';
import { at, type KubeObject, listOf, nameOf, refOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { SlipwayError, toFailure } from '../problems/index.ts';
import type { ClusterAccess, PatchOperation } from './access.ts';
import { keyOf } from './objects.ts';
import { inOrder } from './order.ts';
import { inParallel } from './parallel.ts';

const TYPE = 'slipway.dev/before.v1';
const SET = 'slipway.dev/record-of';
const ID = 'slipway.dev/run';
/** A Secret holds at most 1 MiB, and base64 takes a third of it. */
const MOST_BYTES = 700_000;
const KEPT = 3;

export interface SetRecord {
  readonly id: string;
  /** Where the workloads stood, as the workload history writes it; null when there were none. */
  readonly points: string | null;
  /** Those of the set, and those that were pruned; `live` is null for what was not there. */
  readonly objects: readonly { readonly ref: ObjectRef; readonly live: KubeObject | null }[];
}

/** Kinds that are never taken away again: what they hold would be lost with them. */
const KEPT_KINDS = new Set(['Namespace', 'PersistentVolumeClaim', 'PersistentVolume', 'CustomResourceDefinition']);

export class SetRecords {
  readonly #access: ClusterAccess;
  readonly #namespace: string;
  readonly #set: string;
  readonly #isMine: (set: string) => boolean;

  /** `isMine` tells the records of this set where its full name is not known. */
  constructor(access: ClusterAccess, namespace: string, set: string, isMine?: (set: string) => boolean) {
    this.#access = access;
    this.#namespace = namespace;
    this.#set = set;
    this.#isMine = isMine ?? ((other) => other === set);
  }

  /** Why it could not be kept, in one sentence; undefined when it is. An existing record of the same run stays. */
  async write(record: SetRecord, signal: AbortSignal): Promise<string | undefined> {
    const data = gzipSync(JSON.stringify({ points: record.points, objects: record.objects.map(slim) }));
    const partly = 'a rollback would put back pod templates only';
    if (data.length > MOST_BYTES)
      return `What was live before is too large to be recorded (${data.length} bytes): ${partly}.`;
    const secret: KubeObject = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: this.#name(record.id),
        namespace: this.#namespace,
        labels: { [SET]: this.#set },
        annotations: { [ID]: record.id },
      },
      type: TYPE,
      data: { before: data.toString('base64') },
    };
    try {
      await this.#access.create(secret, { signal });
      await this.#forget(signal);
      return undefined;
    } catch (error) {
      if (signal.aborted || !SlipwayError.is(error)) throw error;
      if (error.code === 'api.AlreadyExists' || error.code === 'api.Conflict') return undefined;
      return `What was live before could not be recorded (${toFailure(error).message}): ${partly}.`;
    }
  }

  /** Newest first. Empty when they may not be read. */
  async list(signal: AbortSignal): Promise<readonly SetRecord[]> {
    const found = await this.#secrets(signal);
    return found.flatMap((secret) => {
      try {
        const text = gunzipSync(Buffer.from(textOf(at(secret, 'data', 'before')) ?? '', 'base64')).toString('utf8');
        const { points, objects } = JSON.parse(text) as Omit<SetRecord, 'id'>;
        return [{ id: textOf(secret.metadata.annotations?.[ID]) ?? '', points, objects }];
      } catch {
        // Not one of ours, or of a newer format: as if it were not there.
        return [];
      }
    });
  }

  async #forget(signal: AbortSignal): Promise<void> {
    for (const old of (await this.#secrets(signal)).slice(KEPT)) await this.#access.remove(refOf(old), { signal });
  }

  async #secrets(signal: AbortSignal): Promise<readonly KubeObject[]> {
    try {
      const found = await this.#access.list(
        { apiVersion: 'v1', kind: 'Secret', namespace: this.#namespace, labels: SET },
        signal,
      );
      const time = (secret: KubeObject): string => secret.metadata.creationTimestamp ?? '';
      const mine = found.filter(({ metadata }) => this.#isMine(metadata.labels?.[SET] ?? ''));
      return mine.sort((a, b) => time(b).localeCompare(time(a)) || b.metadata.name.localeCompare(a.metadata.name));
    } catch (error) {
      if (SlipwayError.is(error) && error.code === 'api.Forbidden') return [];
      throw error;
    }
  }

  #name(id: string): string {
    return `slipway.before.${`${this.#set}.${id}`.toLowerCase().replace(/[^a-z0-9.-]/g, '-')}`;
  }
}

function slim({ ref, live }: SetRecord['objects'][number]): SetRecord['objects'][number] {
  if (live === null) return { ref, live };
  const { status: _status, ...rest } = live;
  return { ref, live: { ...rest, apiVersion: ref.apiVersion, kind: ref.kind } };
}

export interface Restoring {
  /** Puts one object back; absent = nothing is to do for it. */
  readonly ref: ObjectRef;
  readonly action: 'create' | 'patch' | 'remove';
  readonly operations: readonly PatchOperation[];
  readonly object?: KubeObject;
  /** Who owned which field before. */
  readonly managedFields?: unknown;
}

/** What differs from the record now, in the order in which it is put back. */
export async function differences(
  access: ClusterAccess,
  record: SetRecord,
  signal: AbortSignal,
): Promise<readonly Restoring[]> {
  const now = await inParallel(record.objects, ({ ref }) => access.get(ref, signal));
  const found = record.objects.flatMap(({ ref, live }, index): readonly Restoring[] => {
    const current = now[index];
    if (live === null) {
      return current === undefined ? [] : [{ ref, action: 'remove', operations: [] }];
    }
    if (current === undefined || current.metadata.deletionTimestamp !== undefined) {
      return [{ ref, action: 'create', operations: [], object: asNew(live), ...ownership(live) }];
    }
    const operations = operationsFor(live, current);
    return operations.length === 0
      ? []
      : [
          {
            ref,
            action: 'patch',
            operations: [{ op: 'test', path: '/metadata/uid', value: current.metadata.uid }, ...operations],
            ...ownership(live),
          },
        ];
  });
  const byKey = new Map(found.map((one) => [keyOf(one.ref), one]));
  const inGroups = inOrder(
    found.map(({ ref }) => ({ ...ref, metadata: { name: ref.name, namespace: ref.namespace } }) as KubeObject),
  );
  const ordered = inGroups.flat().flatMap((object) => byKey.get(keyOf(refOf(object))) ?? []);
  // What others may still need goes last.
  return [
    ...ordered.filter(({ action }) => action !== 'remove'),
    ...ordered.filter(({ action }) => action === 'remove').reverse(),
  ];
}

/** Puts everything back. What cannot be put back is told in words; a workload that cannot is a failure. */
export async function restore(
  access: ClusterAccess,
  restorings: readonly Restoring[],
  { signal, onLine }: { readonly signal: AbortSignal; readonly onLine: (line: string) => void },
): Promise<void> {
  for (const { ref, action, operations, object, managedFields } of restorings) {
    const name = nameOf(ref);
    if (action === 'remove' && KEPT_KINDS.has(ref.kind)) {
      onLine(`${name} was made by the failed version and is left, as its content would be lost with it`);
      continue;
    }
    try {
      if (action === 'remove') {
        if (await access.remove(ref, { signal })) onLine(`${name}, which was not there before, was removed`);
      } else if (action === 'create' && object !== undefined) {
        await access.create(object, { signal });
        onLine(`${name} was made again as it was`);
      } else {
        await access.patch(ref, operations, { signal });
        onLine(`${name} is as it was before`);
      }
      // Our write made us a second owner of these fields, beside our own server-side apply: what the next version leaves
      // out would then stay (a port of a Service, a container). Ownership is put back with the content.
      if (action !== 'remove' && managedFields !== undefined) {
        await access.patch(ref, [{ op: 'add', path: '/metadata/managedFields', value: managedFields }], { signal });
      }
    } catch (error) {
      if (signal.aborted || !SlipwayError.is(error)) throw error;
      if (['Deployment', 'StatefulSet', 'DaemonSet'].includes(ref.kind)) throw error;
      onLine(`${name} could not be put back: ${error.message}`);
    }
  }
}

const ownership = (live: KubeObject): { readonly managedFields?: unknown } =>
  live.metadata.managedFields === undefined ? {} : { managedFields: live.metadata.managedFields };

function operationsFor(live: KubeObject, current: KubeObject): readonly PatchOperation[] {
  const operations: PatchOperation[] = [];
  const replace = (path: string, before: unknown, now: unknown): void => {
    if (same(before, now)) return;
    if (before === undefined) operations.push({ op: 'remove', path });
    // `add` replaces what is there (RFC 6902).
    else operations.push({ op: 'add', path, value: before });
  };
  const skipped = new Set(['apiVersion', 'kind', 'metadata', 'status']);
  for (const key of new Set([...Object.keys(live), ...Object.keys(current)])) {
    if (skipped.has(key)) continue;
    replace(`/${key}`, live[key], current[key]);
  }
  replace('/metadata/labels', live.metadata.labels, current.metadata.labels);
  replace('/metadata/annotations', annotations(live, current), current.metadata.annotations);
  return operations;
}

/** Of before, but those that controllers keep for themselves. */
function annotations(live: KubeObject, current: KubeObject): Readonly<Record<string, string>> | undefined {
  const isControllers = (key: string): boolean =>
    /^(deployment|deprecated\.daemonset\.template|pv)\.kubernetes\.io\//.test(key);
  const entries = [
    ...Object.entries(live.metadata.annotations ?? {}).filter(([key]) => !isControllers(key)),
    ...Object.entries(current.metadata.annotations ?? {}).filter(([key]) => isControllers(key)),
  ];
  return entries.length === 0 && current.metadata.annotations === undefined ? undefined : Object.fromEntries(entries);
}

/** A controller may have set replicas or a node since; what it set counts when the deploy did not touch it. */
function asNew(live: KubeObject): KubeObject {
  const { name, namespace, labels, annotations: marks } = live.metadata;
  const spec = live.kind === 'Service' ? withoutAddress(live.spec) : live.spec;
  return {
    ...live,
    ...(spec !== undefined && { spec }),
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(labels !== undefined && { labels }),
      ...(marks !== undefined && { annotations: marks }),
    },
  };
}

/** The address of a Service that is gone may belong to another by now. */
function withoutAddress(spec: unknown): unknown {
  const { clusterIP, clusterIPs: _ips, ...rest } = (spec ?? {}) as Readonly<Record<string, unknown>>;
  return clusterIP === 'None' ? { ...rest, clusterIP } : rest;
}

function same(a: unknown, b: unknown): boolean {
  return stable(a) === stable(b);
}

const stable = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([one], [other]) => (one < other ? -1 : 1)))
      : item,
  ) ?? 'undefined';

/** Images that the workloads of a record ran. */
export function imagesIn(record: SetRecord): readonly string[] {
  const references = record.objects.flatMap(({ live }) => {
    if (live === null) return [];
    const template =
      live.kind === 'CronJob' ? at(live, 'spec', 'jobTemplate', 'spec', 'template') : at(live, 'spec', 'template');
    return [...listOf(at(template, 'spec', 'initContainers')), ...listOf(at(template, 'spec', 'containers'))].flatMap(
      (container) => textOf(container.image) ?? [],
    );
  });
  return [...new Set(references)];
}
