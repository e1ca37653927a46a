import { at, type KubeObject, type ListQuery, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { FluxSnapshot } from './chain.ts';
import { type FluxKind, fluxKinds, inventoryOf, namespaceOf } from './kinds.ts';

/** What is needed of a cluster to look at Flux. */
export interface FluxReader {
  get(ref: ObjectRef, signal: AbortSignal): Promise<KubeObject | undefined>;
  list(query: ListQuery, signal: AbortSignal): Promise<readonly KubeObject[]>;
  isNamespaced(apiVersion: string, kind: string, signal: AbortSignal): Promise<boolean | undefined>;
}

/** And to ask it for something. */
export interface FluxAccess extends FluxReader {
  merge(ref: ObjectRef, patch: object, options: { readonly signal: AbortSignal }): Promise<KubeObject>;
}

const workloadKinds = [
  ['apps/v1', 'Deployment'],
  ['apps/v1', 'StatefulSet'],
  ['apps/v1', 'DaemonSet'],
] as const;

/**
 * All Flux objects of the namespaces (default: everywhere), the workloads they brought and the pods of those that are
 * not ready. Where listing everywhere is forbidden, `fallback` namespaces are read. Throws SlipwayError `cluster`
 * `flux.absent` when the cluster has none of Flux's kinds.
 */
export async function readFlux(
  access: FluxReader,
  options: {
    readonly namespaces?: readonly string[];
    readonly fallback?: readonly string[];
    readonly signal: AbortSignal;
  },
): Promise<FluxSnapshot> {
  const { signal } = options;
  const kinds = await Promise.all(fluxKinds.map(({ kind }) => servedVersion(access, kind, signal)));
  if (kinds.every((apiVersion) => apiVersion === undefined)) {
    throw new SlipwayError({
      reason: 'cluster',
      code: 'flux.absent',
      message: 'This cluster has no Flux: none of its kinds is defined.',
      fix: 'Install Flux, or choose another context.',
    });
  }
  const lists = await Promise.all(
    fluxKinds.map(({ kind }, index) => {
      const apiVersion = kinds[index];
      return apiVersion === undefined ? [] : listIn(access, { apiVersion, kind }, options);
    }),
  );
  const objects = lists.flat();
  const workloads = await readWorkloads(access, objects, signal);
  return { objects, workloads, pods: await readPods(access, workloads, signal) };
}

/** `group/version` that the cluster serves, the newest that we know. */
export async function servedVersion(
  access: FluxReader,
  kind: FluxKind,
  signal: AbortSignal,
): Promise<string | undefined> {
  const info = fluxKinds.find((one) => one.kind === kind);
  for (const version of info?.versions ?? []) {
    const apiVersion = `${info?.group}/${version}`;
    if ((await access.isNamespaced(apiVersion, kind, signal)) !== undefined) return apiVersion;
  }
  return undefined;
}

async function listIn(
  access: FluxReader,
  query: { readonly apiVersion: string; readonly kind: string },
  { namespaces, fallback, signal }: Parameters<typeof readFlux>[1],
): Promise<readonly KubeObject[]> {
  const each = async (names: readonly string[]) =>
    (await Promise.all(names.map((namespace) => access.list({ ...query, namespace }, signal)))).flat();
  if (namespaces !== undefined) return each(namespaces);
  try {
    return await access.list(query, signal);
  } catch (error) {
    const isForbidden = SlipwayError.is(error) && error.code === 'api.Forbidden';
    if (!isForbidden || fallback === undefined || fallback.length === 0) throw error;
    return each(fallback);
  }
}

async function readWorkloads(
  access: FluxReader,
  objects: readonly KubeObject[],
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  const refs = new Map<string, ObjectRef>();
  for (const object of objects) {
    if (object.kind !== 'Kustomization') continue;
    for (const { apiVersion, kind, namespace, name } of inventoryOf(object)) {
      if (!workloadKinds.some(([, known]) => known === kind)) continue;
      refs.set(`${kind}/${namespace}/${name}`, { apiVersion, kind, name, ...(namespace !== '' && { namespace }) });
    }
  }
  const applied = await Promise.all([...refs.values()].map((ref) => access.get(ref, signal)));
  const released = await Promise.all(
    objects
      .filter(({ kind }) => kind === 'HelmRelease')
      .flatMap((release) => {
        const namespace = textOf(at(release, 'spec', 'targetNamespace')) ?? namespaceOf(release);
        const labels = `helm.toolkit.fluxcd.io/name=${release.metadata.name},helm.toolkit.fluxcd.io/namespace=${namespaceOf(release)}`;
        return workloadKinds.map(([apiVersion, kind]) => access.list({ apiVersion, kind, namespace, labels }, signal));
      }),
  );
  return [...applied.filter((object) => object !== undefined), ...released.flat()];
}

async function readPods(
  access: FluxReader,
  workloads: readonly KubeObject[],
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  const lists = await Promise.all(
    workloads.filter(isUnfinished).map((workload) => {
      const labels = Object.entries((at(workload, 'spec', 'selector', 'matchLabels') ?? {}) as Record<string, string>)
        .map(([key, value]) => `${key}=${value}`)
        .join(',');
      const { namespace } = workload.metadata;
      if (labels === '' || namespace === undefined) return [];
      return access.list({ apiVersion: 'v1', kind: 'Pod', namespace, labels }, signal);
    }),
  );
  return lists.flat();
}

function isUnfinished(workload: KubeObject): boolean {
  const status = (field: string): number => Number(at(workload, 'status', field) ?? 0);
  const desired =
    workload.kind === 'DaemonSet' ? status('desiredNumberScheduled') : Number(at(workload, 'spec', 'replicas') ?? 1);
  const updated = workload.kind === 'DaemonSet' ? status('updatedNumberScheduled') : status('updatedReplicas');
  const available = workload.kind === 'DaemonSet' ? status('numberAvailable') : status('readyReplicas');
  return updated < desired || available < desired || status('unavailableReplicas') > 0;
}
