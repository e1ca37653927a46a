// What pod templates and other objects refer to by name, and which of it neither the set nor the cluster has.

import { at, type Fields, fieldsOf, type KubeObject, listOf, nameOf, refOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { ClusterAccess } from './access.ts';
import { type Answer, nearMatches } from './answers.ts';
import { containersOf, type PlacedObject, podTemplateOf } from './objects.ts';

/** A reference by name from one object to another. */
export interface Reference {
  readonly from: PlacedObject;
  readonly container?: string;
  readonly kind: keyof typeof kinds;
  readonly name: string;
  /** Key inside a ConfigMap or Secret. */
  readonly key?: string;
  /** For people: `env DATABASE_URL`, `volume config`. */
  readonly use: string;
}

const kinds = {
  ConfigMap: { apiVersion: 'v1', isNamespaced: true, code: 'config.missing' },
  Secret: { apiVersion: 'v1', isNamespaced: true, code: 'config.missing' },
  ServiceAccount: { apiVersion: 'v1', isNamespaced: true, code: 'ref.missing' },
  PersistentVolumeClaim: { apiVersion: 'v1', isNamespaced: true, code: 'ref.missing' },
  PriorityClass: { apiVersion: 'scheduling.k8s.io/v1', isNamespaced: false, code: 'ref.missing' },
  RuntimeClass: { apiVersion: 'node.k8s.io/v1', isNamespaced: false, code: 'ref.missing' },
  StorageClass: { apiVersion: 'storage.k8s.io/v1', isNamespaced: false, code: 'pvc.class' },
  IngressClass: { apiVersion: 'networking.k8s.io/v1', isNamespaced: false, code: 'ref.missing' },
} as const;

/** Built into every cluster. */
const given = new Set([
  'ServiceAccount/default',
  'PriorityClass/system-cluster-critical',
  'PriorityClass/system-node-critical',
  'ConfigMap/kube-root-ca.crt',
]);

/** References that must hold; those marked optional are left out. */
export function referencesOf(placed: PlacedObject): readonly Reference[] {
  const { object } = placed;
  const found: Reference[] = [];
  const add = (kind: Reference['kind'], name: unknown, use: string, more: Partial<Reference> = {}) => {
    if (typeof name === 'string' && name !== '') found.push({ from: placed, kind, name, use, ...more });
  };
  const template = podTemplateOf(object);
  if (template !== undefined) {
    const { spec } = template;
    add('ServiceAccount', spec.serviceAccountName ?? spec.serviceAccount, 'serviceAccountName');
    add('PriorityClass', spec.priorityClassName, 'priorityClassName');
    add('RuntimeClass', spec.runtimeClassName, 'runtimeClassName');
    for (const { container } of containersOf(template)) {
      const name = textOf(container.name);
      const more = name === undefined ? {} : { container: name };
      for (const variable of listOf(container.env)) {
        for (const [field, kind] of [
          ['configMapKeyRef', 'ConfigMap'],
          ['secretKeyRef', 'Secret'],
        ] as const) {
          const ref = fieldsOf(at(variable, 'valueFrom', field));
          const key = textOf(ref.key);
          if (ref.optional === true) continue;
          add(kind, ref.name, `env ${textOf(variable.name) ?? '?'}`, { ...more, ...(key !== undefined && { key }) });
        }
      }
      for (const source of listOf(container.envFrom)) {
        for (const [field, kind] of [
          ['configMapRef', 'ConfigMap'],
          ['secretRef', 'Secret'],
        ] as const) {
          const ref = fieldsOf(source[field]);
          if (ref.optional !== true) add(kind, ref.name, 'envFrom', more);
        }
      }
    }
    for (const volume of listOf(spec.volumes)) addVolume(volume, add);
  }
  if (object.kind === 'Ingress') add('IngressClass', at(object, 'spec', 'ingressClassName'), 'ingressClassName');
  if (object.kind === 'PersistentVolumeClaim') {
    add('StorageClass', at(object, 'spec', 'storageClassName'), 'storageClassName');
  }
  for (const claim of listOf(at(object, 'spec', 'volumeClaimTemplates'))) {
    add(
      'StorageClass',
      at(claim, 'spec', 'storageClassName'),
      `volumeClaimTemplate ${String(at(claim, 'metadata', 'name'))}`,
    );
  }
  return found;
}

type Add = (kind: Reference['kind'], name: unknown, use: string, more?: Partial<Reference>) => void;

function addVolume(volume: Fields, add: Add): void {
  const use = `volume ${textOf(volume.name) ?? '?'}`;
  add('PersistentVolumeClaim', at(volume, 'persistentVolumeClaim', 'claimName'), use);
  const sources = [volume, ...listOf(at(volume, 'projected', 'sources'))];
  for (const source of sources) {
    const map = fieldsOf(source.configMap);
    // A projected source names its Secret `name`, a plain volume `secretName`.
    const secret = fieldsOf(source.secret);
    for (const [kind, ref, name] of [
      ['ConfigMap', map, map.name],
      ['Secret', secret, secret.secretName ?? secret.name],
    ] as const) {
      if (ref.optional === true) continue;
      const items = listOf(ref.items);
      if (items.length === 0) add(kind, name, use);
      for (const item of items) {
        const key = textOf(item.key);
        add(kind, name, use, key === undefined ? {} : { key });
      }
    }
  }
}

/** Kinds of operators that make a Secret or ConfigMap of a name that stands in the object itself. */
const makers: readonly (readonly [apiVersion: string, kind: string])[] = [
  ['external-secrets.io/v1', 'ExternalSecret'],
  ['external-secrets.io/v1beta1', 'ExternalSecret'],
  ['cert-manager.io/v1', 'Certificate'],
  ['bitnami.com/v1alpha1', 'SealedSecret'],
  ['secrets.hashicorp.com/v1beta1', 'VaultStaticSecret'],
  ['secrets.hashicorp.com/v1beta1', 'VaultDynamicSecret'],
  ['onepassword.com/v1', 'OnePasswordItem'],
];

function makes(object: KubeObject, name: string): boolean {
  const targets = [
    at(object, 'spec', 'secretName'),
    at(object, 'spec', 'target', 'name'),
    at(object, 'spec', 'destination', 'name'),
    object.metadata.name,
  ];
  return targets.includes(name);
}

/** Missing names and keys. Absence is proof only when nobody is there to make the object. */
export async function checkReferences(
  objects: readonly PlacedObject[],
  hasHooks: boolean,
  access: ClusterAccess,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const own = new Map(objects.map(({ object }) => [`${object.kind}/${object.metadata.name}`, object]));
  const references = objects.flatMap(referencesOf).filter(({ kind, name }) => !given.has(`${kind}/${name}`));
  const targets = new Map(references.map((reference) => [`${reference.kind}/${reference.name}`, reference]));
  const live = new Map<string, KubeObject | 'absent' | 'unknown'>();
  await Promise.all(
    [...targets].map(async ([id, reference]) => {
      if (own.has(id)) return;
      const place = reference.from.object.metadata.namespace ?? namespace;
      try {
        live.set(id, (await access.get(refTo(reference, place), signal)) ?? 'absent');
      } catch (error) {
        if (signal.aborted) throw error;
        live.set(id, 'unknown');
      }
    }),
  );
  const answers: Answer[] = [];
  const said = new Set<string>();
  for (const reference of references) {
    const id = `${reference.kind}/${reference.name}`;
    const object = own.get(id) ?? live.get(id);
    const topic = `${id}/${object === 'absent' ? '' : (reference.key ?? '')}`;
    if (object === undefined || object === 'unknown' || said.has(topic)) continue;
    if (object === 'absent') {
      said.add(topic);
      answers.push(await missing(reference, objects, hasHooks, access, namespace, signal));
    } else if (reference.key !== undefined && !keysOf(object).includes(reference.key)) {
      said.add(topic);
      answers.push(missingKey(reference, object, own.has(id)));
    }
  }
  return answers;
}

function refTo({ kind, name }: Reference, namespace: string): ObjectRef {
  const { apiVersion, isNamespaced } = kinds[kind];
  return { apiVersion, kind, name, ...(isNamespaced && { namespace }) };
}

async function missing(
  reference: Reference,
  objects: readonly PlacedObject[],
  hasHooks: boolean,
  access: ClusterAccess,
  namespace: string,
  signal: AbortSignal,
): Promise<Answer> {
  const { kind, name, use, from } = reference;
  const place = from.object.metadata.namespace ?? namespace;
  const { apiVersion, isNamespaced, code } = kinds[kind];
  const names = await listNames(access, { apiVersion, kind, ...(isNamespaced && { namespace: place }) }, signal);
  const near = nearMatches(name, names);
  const maker =
    kind === 'Secret' || kind === 'ConfigMap' ? await makerOf(reference, objects, access, place, signal) : undefined;
  const hasJob = hasHooks || objects.some(({ object }) => object.kind === 'Job');
  // A class may be made for by hand-made volumes; an ingress without its class harms no pod.
  const isHarmless = kind === 'IngressClass' || kind === 'StorageClass';
  const mayCome = maker !== undefined || ((kind === 'Secret' || kind === 'ConfigMap') && hasJob) || isHarmless;
  const where = isNamespaced ? ` in namespace ${place}` : '';
  return {
    certainty: mayCome ? 'suspicious' : 'wrong',
    code,
    object: refOf(from.object),
    ...(reference.container !== undefined && { container: reference.container }),
    message:
      `${nameOf(refOf(from.object))} needs the ${kind} ${name} (${use}), which is neither${where} nor part of this deploy` +
      `${maker === undefined ? '' : `; ${maker} may still make it`}.`,
    fix:
      near.length > 0
        ? `Did you mean ${near.join(' or ')}? Otherwise create ${kind} ${name}${where}.`
        : `Create ${kind} ${name}${where}, or add it to what is deployed.`,
    ...(near.length > 0 && { evidence: [`near matches: ${near.join(', ')}`] }),
    ...(from.place !== undefined && { place: from.place }),
  };
}

async function makerOf(
  { name }: Reference,
  objects: readonly PlacedObject[],
  access: ClusterAccess,
  namespace: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const isMaker = (object: KubeObject) => makers.some(([, kind]) => kind === object.kind);
  const own = objects.find(({ object }) => isMaker(object) && makes(object, name));
  if (own !== undefined) return nameOf(refOf(own.object));
  const lists = await Promise.all(
    makers.map(([apiVersion, kind]) =>
      access.list({ apiVersion, kind, namespace }, signal).catch((error: unknown) => {
        if (signal.aborted) throw error;
        return [];
      }),
    ),
  );
  for (const [index, list] of lists.entries()) {
    const found = list.find((object) => makes(object, name));
    if (found !== undefined) return `${makers[index]?.[1]} ${found.metadata.name}`;
  }
  return undefined;
}

async function listNames(
  access: ClusterAccess,
  query: { readonly apiVersion: string; readonly kind: string; readonly namespace?: string },
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    return (await access.list({ ...query, isMetadataOnly: true }, signal)).map((object) => object.metadata.name);
  } catch (error) {
    if (signal.aborted) throw error;
    return [];
  }
}

function keysOf(object: KubeObject): readonly string[] {
  return [object.data, object.stringData, object.binaryData].flatMap((map) => Object.keys(fieldsOf(map)));
}

function missingKey(reference: Reference, object: KubeObject, isOwn: boolean): Answer {
  const { kind, name, key = '', use, from } = reference;
  const keys = keysOf(object);
  const near = nearMatches(key, keys);
  return {
    certainty: 'wrong',
    code: 'config.missing',
    object: refOf(from.object),
    ...(reference.container !== undefined && { container: reference.container }),
    message: `${nameOf(refOf(from.object))} needs the key ${key} of ${kind} ${name} (${use}), which has no such key${isOwn ? ' in this deploy' : ''}.`,
    fix:
      near.length > 0
        ? `Did you mean ${near.join(' or ')}? Otherwise add ${key} to it.`
        : `Add ${key} to ${kind} ${name}; it has ${keys.join(', ') || 'no keys'}.`,
    evidence: [`keys of ${kind} ${name}: ${keys.join(', ') || 'none'}`],
    ...(from.place !== undefined && { place: from.place }),
  };
}
