import { isAlias, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import { at, type Fields, fieldsOf, isFields, type KubeObject, listOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { type Place, SlipwayError } from '../problems/index.ts';

/** An object and, when it was read from the person's own file, where it begins. */
export interface PlacedObject {
  readonly object: KubeObject;
  readonly place?: Place;
}

/** Equal for the same object whatever version of its group it was written in. */
export function keyOf(ref: ObjectRef): string {
  const group = ref.apiVersion.includes('/') ? ref.apiVersion.split('/')[0] : '';
  return `${group}/${ref.kind}/${ref.namespace ?? ''}/${ref.name}`;
}

/**
 * All objects of a YAML or JSON text; `List` kinds are opened, empty documents passed over.
 * Throws SlipwayError `config` with the file and line for what is no object.
 */
export function parseObjects(text: string, file?: string): readonly PlacedObject[] {
  const lines = new LineCounter();
  const found: PlacedObject[] = [];
  for (const document of parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true })) {
    if (!('errors' in document)) continue;
    const placeAt = (offset: number): Place | undefined => {
      if (file === undefined) return undefined;
      const { line, col } = lines.linePos(offset);
      const position = { line: Math.max(0, line - 1), character: Math.max(0, col - 1) };
      return { file, range: { start: position, end: position } };
    };
    const error = document.errors[0];
    if (error !== undefined) {
      throw invalid(`is not valid YAML: ${error.message.split('\n')[0]}`, placeAt(error.pos[0]), file);
    }
    const node = document.contents;
    if (node === null || (isScalar(node) && node.value === null) || isAlias(node)) continue;
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    const place = placeAt(node.range?.[0] ?? 0);
    collect(value, place, file, found);
  }
  return found;
}

function collect(value: unknown, place: Place | undefined, file: string | undefined, into: PlacedObject[]): void {
  if (!isFields(value)) throw invalid('holds a document that is no object', place, file);
  const { apiVersion, kind, metadata } = value;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
    throw invalid('holds a document without apiVersion and kind', place, file);
  }
  if (kind.endsWith('List') && Array.isArray(value.items)) {
    for (const item of value.items) collect(item, place, file, into);
    return;
  }
  if (textOf(at(metadata, 'name')) === undefined) {
    const generated = textOf(at(metadata, 'generateName'));
    throw invalid(
      generated === undefined
        ? `holds a ${kind} without metadata.name`
        : `holds a ${kind} with metadata.generateName (${generated}), which cannot be applied twice to the same effect`,
      place,
      file,
    );
  }
  into.push({ object: value as KubeObject, ...(place !== undefined && { place }) });
}

function invalid(what: string, place: Place | undefined, file: string | undefined): SlipwayError {
  return new SlipwayError({
    reason: 'config',
    code: 'manifest.invalid',
    message: `${file ?? 'The rendered output'} ${what}.`,
    fix: 'Correct the manifest; every document needs apiVersion, kind and metadata.name.',
    ...(place !== undefined && { place }),
  });
}

/** A pod's spec inside an object, and the path of keys that leads to the template (empty for a Pod itself). */
export interface PodTemplate {
  readonly path: readonly string[];
  readonly metadata: Fields;
  readonly spec: Fields;
}

/** Where each kind keeps its pod template; other kinds are looked at in `spec.template`. */
const templatePaths: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  PodTemplate: ['template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

/** The pod template of an object, also of custom kinds that have one in `spec.template` (Argo Rollout, Knative). */
export function podTemplateOf(object: KubeObject): PodTemplate | undefined {
  const path = templatePaths[object.kind] ?? ['spec', 'template'];
  const template = fieldsOf(at(object, ...path));
  const spec = fieldsOf(template.spec);
  if (!Array.isArray(spec.containers)) return undefined;
  return { path, metadata: fieldsOf(template.metadata), spec };
}

/** Containers with the list they stand in; ephemeral ones never are part of a template. */
export function containersOf(
  template: PodTemplate,
): readonly { readonly container: Fields; readonly list: 'containers' | 'initContainers' }[] {
  return (['initContainers', 'containers'] as const).flatMap((list) =>
    listOf(template.spec[list]).map((container) => ({ container, list })),
  );
}

/** Kinds without a namespace that ship with Kubernetes. A CRD's own scope and discovery decide for all others. */
const clusterScoped = new Set([
  'APIService',
  'CSIDriver',
  'CSINode',
  'CertificateSigningRequest',
  'ClusterRole',
  'ClusterRoleBinding',
  'ClusterTrustBundle',
  'ComponentStatus',
  'CustomResourceDefinition',
  'DeviceClass',
  'FlowSchema',
  'IPAddress',
  'IngressClass',
  'MutatingAdmissionPolicy',
  'MutatingAdmissionPolicyBinding',
  'MutatingWebhookConfiguration',
  'Namespace',
  'Node',
  'PersistentVolume',
  'PriorityClass',
  'PriorityLevelConfiguration',
  'ResourceSlice',
  'RuntimeClass',
  'ServiceCIDR',
  'StorageClass',
  'StorageVersion',
  'StorageVersionMigration',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
  'ValidatingWebhookConfiguration',
  'VolumeAttachment',
  'VolumeAttributesClass',
]);

/** Whether a kind has no namespace, as far as the objects at hand tell: built-in kinds, and CRDs of the same set. */
export function isClusterScoped(object: KubeObject, set: readonly KubeObject[] = []): boolean {
  const group = object.apiVersion.includes('/') ? (object.apiVersion.split('/')[0] ?? '') : '';
  const definition = set.find(
    (other) =>
      other.kind === 'CustomResourceDefinition' &&
      at(other, 'spec', 'group') === group &&
      at(other, 'spec', 'names', 'kind') === object.kind,
  );
  if (definition !== undefined) return at(definition, 'spec', 'scope') === 'Cluster';
  const isBuiltIn = group === '' || !group.includes('.') || group.endsWith('.k8s.io');
  return isBuiltIn && clusterScoped.has(object.kind);
}

/** Gives every namespaced object that names no namespace the environment's. */
export function inNamespace(
  objects: readonly PlacedObject[],
  namespace: string,
  isCluster?: (object: KubeObject) => boolean,
): readonly PlacedObject[] {
  const all = objects.map(({ object }) => object);
  return objects.map((placed) => {
    const { object } = placed;
    if (isCluster?.(object) ?? isClusterScoped(object, all)) {
      const { namespace: _, ...metadata } = object.metadata;
      return { ...placed, object: { ...object, metadata } };
    }
    if (object.metadata.namespace !== undefined && object.metadata.namespace !== '') return placed;
    return { ...placed, object: { ...object, metadata: { ...object.metadata, namespace } } };
  });
}
