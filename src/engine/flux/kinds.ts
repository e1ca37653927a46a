import { at, type KubeObject, textOf } from '../cluster/object.ts';

export type FluxKind =
  | 'ImageRepository'
  | 'ImagePolicy'
  | 'ImageUpdateAutomation'
  | 'GitRepository'
  | 'OCIRepository'
  | 'Bucket'
  | 'HelmRepository'
  | 'HelmChart'
  | 'Kustomization'
  | 'HelmRelease';

interface KindInfo {
  readonly kind: FluxKind;
  readonly group: string;
  /** Newest first; a cluster serves the first that it knows. */
  readonly versions: readonly string[];
}

/** In the order in which a change passes through them. */
export const fluxKinds: readonly KindInfo[] = [
  { kind: 'ImageRepository', group: 'image.toolkit.fluxcd.io', versions: ['v1', 'v1beta2', 'v1beta1'] },
  { kind: 'ImagePolicy', group: 'image.toolkit.fluxcd.io', versions: ['v1', 'v1beta2', 'v1beta1'] },
  { kind: 'ImageUpdateAutomation', group: 'image.toolkit.fluxcd.io', versions: ['v1', 'v1beta2', 'v1beta1'] },
  { kind: 'GitRepository', group: 'source.toolkit.fluxcd.io', versions: ['v1', 'v1beta2'] },
  { kind: 'OCIRepository', group: 'source.toolkit.fluxcd.io', versions: ['v1', 'v1beta2'] },
  { kind: 'Bucket', group: 'source.toolkit.fluxcd.io', versions: ['v1', 'v1beta2'] },
  { kind: 'HelmRepository', group: 'source.toolkit.fluxcd.io', versions: ['v1', 'v1beta2'] },
  { kind: 'HelmChart', group: 'source.toolkit.fluxcd.io', versions: ['v1', 'v1beta2'] },
  { kind: 'Kustomization', group: 'kustomize.toolkit.fluxcd.io', versions: ['v1', 'v1beta2'] },
  { kind: 'HelmRelease', group: 'helm.toolkit.fluxcd.io', versions: ['v2', 'v2beta2', 'v2beta1'] },
];

export const orderOf = (kind: string): number => fluxKinds.findIndex((info) => info.kind === kind);

export const isFluxObject = ({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): boolean =>
  fluxKinds.some((info) => info.kind === kind && apiVersion.startsWith(`${info.group}/`));

/** A reference inside a Flux object; its namespace is that of the object unless it names one. */
export interface Reference {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export const namespaceOf = (object: KubeObject): string => object.metadata.namespace ?? 'default';

export function referenceAt(
  object: KubeObject,
  path: readonly string[],
  kind: string | undefined,
): Reference | undefined {
  const reference = at(object, ...path);
  const name = textOf(at(reference, 'name'));
  if (name === undefined) return undefined;
  return {
    kind: kind ?? textOf(at(reference, 'kind')) ?? 'GitRepository',
    name,
    namespace: textOf(at(reference, 'namespace')) ?? namespaceOf(object),
  };
}

export const keyOf = (reference: Reference): string => `${reference.kind}/${reference.namespace}/${reference.name}`;
export const keyOfObject = (object: KubeObject): string =>
  `${object.kind}/${namespaceOf(object)}/${object.metadata.name}`;

/** Where a Kustomization or HelmRelease gets its content from. */
export function sourceOf(object: KubeObject): Reference | undefined {
  switch (object.kind) {
    case 'Kustomization':
    case 'ImageUpdateAutomation':
      return referenceAt(object, ['spec', 'sourceRef'], undefined);
    case 'HelmChart':
      return referenceAt(object, ['spec', 'sourceRef'], undefined);
    case 'HelmRelease':
      return (
        referenceAt(object, ['spec', 'chartRef'], undefined) ??
        chartOf(object) ??
        referenceAt(object, ['spec', 'chart', 'spec', 'sourceRef'], undefined)
      );
    default:
      return undefined;
  }
}

/** The HelmChart that helm-controller makes for `spec.chart`: its status names it as `namespace/name`. */
function chartOf(object: KubeObject): Reference | undefined {
  const [namespace, name] = textOf(at(object, 'status', 'helmChart'))?.split('/') ?? [];
  return namespace === undefined || name === undefined ? undefined : { kind: 'HelmChart', namespace, name };
}

/** The objects that must be ready first, of the same kind. */
export function dependenciesOf(object: KubeObject): readonly Reference[] {
  const list = at(object, 'spec', 'dependsOn');
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    const name = textOf(at(entry, 'name'));
    if (name === undefined) return [];
    return [{ kind: object.kind, name, namespace: textOf(at(entry, 'namespace')) ?? namespaceOf(object) }];
  });
}

export interface InventoryEntry extends Reference {
  readonly apiVersion: string;
}

/** What a Kustomization applied: ids are `<namespace>_<name>_<group>_<kind>` (cli-utils ObjMetadata), `v` the version. */
export function inventoryOf(object: KubeObject): readonly InventoryEntry[] {
  const entries = at(object, 'status', 'inventory', 'entries');
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: unknown) => {
    const [namespace, name, group, kind] = (textOf(at(entry, 'id')) ?? '').split('_');
    const version = textOf(at(entry, 'v')) ?? 'v1';
    if (namespace === undefined || name === undefined || group === undefined || kind === undefined) return [];
    // RBAC names may hold a colon, which cli-utils writes as two underscores; none of them is of interest here.
    return [{ kind, name, namespace, apiVersion: group === '' ? version : `${group}/${version}` }];
  });
}

/** `main@sha1:3fa2b1c…` in words: `main at 3fa2b1c`. */
export function revisionText(revision: string): string {
  const [, ref, hash] = /^(?:(.*)@)?(?:sha1|sha256):([0-9a-f]{7,})$/.exec(revision) ?? [];
  if (hash === undefined) return revision;
  return ref === undefined ? hash.slice(0, 7) : `${ref.replace(/^refs\/heads\//, '')} at ${hash.slice(0, 7)}`;
}

/** The commit of an artifact revision (`main@sha1:<hash>`, before Flux 2.0 `main/<hash>`). */
export const commitOf = (revision: string | undefined): string | undefined =>
  /(?:sha1:|sha256:|^|\/)([0-9a-f]{40,64})$/.exec(revision ?? '')?.[1];
