import { at, type Fields, fieldsOf, isFields, type KubeObject, refOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { keyOf } from './objects.ts';

export interface FieldChange {
  /** Dotted path; items of keyed lists by their key: `spec.template.spec.containers[web].image`. */
  readonly path: string;
  /** JSON, or for secret values a note of their length; absent = the field is not there. */
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface ObjectDiff {
  readonly object: ObjectRef;
  readonly action: 'create' | 'change' | 'delete' | 'none';
  readonly changes: readonly FieldChange[];
}

/**
 * How to read the difference. `subset`: fields that only the live object has are the server's or somebody else's and
 * say nothing, except those that `previous` (what we applied last) had. `full`: both are whole objects of the server
 * (the live one and the answer to a dry run), so every difference counts.
 */
export type DiffMode = { readonly kind: 'full' } | { readonly kind: 'subset'; readonly previous?: KubeObject };

/** What applying `desired` would change in `live`. Values of Secrets are never part of the result. */
export function diffObject(desired: KubeObject, live: KubeObject | undefined, mode: DiffMode): ObjectDiff {
  const object = refOf(desired);
  if (live === undefined) return { object, action: 'create', changes: [] };
  const changes: FieldChange[] = [];
  const previous = mode.kind === 'subset' ? mode.previous : undefined;
  compare(comparable(desired), comparable(live), previous === undefined ? undefined : comparable(previous), {
    path: '',
    name: '',
    parent: '',
    isFull: mode.kind === 'full',
    into: changes,
  });
  const shown = desired.kind === 'Secret' ? changes.map(hideValues) : changes;
  return { object, action: shown.length === 0 ? 'none' : 'change', changes: shown };
}

/** Differences of a whole set; objects of `live` that are not in `desired` are passed as deletions by the caller. */
export function diffObjects(
  desired: readonly KubeObject[],
  live: readonly KubeObject[],
  modeOf: (object: KubeObject) => DiffMode,
): readonly ObjectDiff[] {
  const found = new Map(live.map((object) => [keyOf(refOf(object)), object]));
  return desired.map((object) => diffObject(object, found.get(keyOf(refOf(object))), modeOf(object)));
}

function hideValues(change: FieldChange): FieldChange {
  if (!/^(data|stringData)(\.|$)/.test(change.path)) return change;
  const hide = (value: unknown): unknown =>
    typeof value === 'string' ? `(secret, ${Buffer.from(value, 'base64').length} bytes)` : '(secret)';
  return {
    path: change.path,
    ...(change.before !== undefined && { before: hide(change.before) }),
    ...(change.after !== undefined && { after: hide(change.after) }),
  };
}

/** Metadata that the server keeps, and what other tools write on every apply. */
const volatile = new Set([
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'generation',
  'managedFields',
  'resourceVersion',
  'selfLink',
  'uid',
]);
const volatileAnnotations = new Set([
  'deployment.kubernetes.io/revision',
  'kubectl.kubernetes.io/last-applied-configuration',
  'meta.helm.sh/release-name',
  'meta.helm.sh/release-namespace',
]);

function comparable(object: KubeObject): Fields {
  const { status: _, stringData, ...rest } = object;
  const metadata = Object.fromEntries(Object.entries(object.metadata).filter(([key]) => !volatile.has(key)));
  const annotations = Object.fromEntries(
    Object.entries(fieldsOf(metadata.annotations)).filter(([key]) => !volatileAnnotations.has(key)),
  );
  const data: Record<string, unknown> = { ...fieldsOf(rest.data) };
  if (object.kind === 'Secret') {
    // The server folds stringData into data.
    for (const [key, value] of Object.entries(fieldsOf(stringData))) {
      data[key] = Buffer.from(String(value), 'utf8').toString('base64');
    }
  }
  return {
    ...rest,
    metadata: { ...metadata, annotations },
    ...((isFields(rest.data) || stringData !== undefined) && { data }),
  };
}

interface Here {
  readonly path: string;
  /** Key this value stands at, and the key above it. */
  readonly name: string;
  readonly parent: string;
  readonly isFull: boolean;
  readonly into: FieldChange[];
}

function compare(desired: unknown, live: unknown, previous: unknown, here: Here): void {
  if (isEmpty(desired) && isEmpty(live)) return;
  if (isFields(desired) && isFields(live)) {
    const keys = new Set(Object.keys(desired));
    for (const key of Object.keys(live)) if (here.isFull || hasKey(previous, key)) keys.add(key);
    for (const key of keys) {
      compare(desired[key], live[key], isFields(previous) ? previous[key] : undefined, {
        ...here,
        path: here.path === '' ? key : `${here.path}.${/[.\s]/.test(key) ? `"${key}"` : key}`,
        name: key,
        parent: here.name,
      });
    }
    return;
  }
  if (Array.isArray(desired) && Array.isArray(live) && compareKeyedLists(desired, live, previous, here)) return;
  if (Array.isArray(desired) && Array.isArray(live) && desired.length === live.length) {
    desired.forEach((item, index) => {
      compare(item, live[index], undefined, { ...here, path: `${here.path}[${index}]`, parent: here.name });
    });
    return;
  }
  if (isSame(desired, live, here)) return;
  here.into.push({
    path: here.path,
    ...(!isAbsent(live) && { before: live }),
    ...(!isAbsent(desired) && { after: desired }),
  });
}

/** Lists that the API merges by key (`x-kubernetes-list-map-keys`), by the name of the list. */
const listKeys: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  imagePullSecrets: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  hostAliases: ['ip'],
  ownerReferences: ['uid'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
};

function keysOfList(here: Here, item: Fields): readonly string[] | undefined {
  if (here.name === 'ports') {
    if ('containerPort' in item) return ['containerPort', 'protocol'];
    return 'port' in item ? ['port', 'protocol'] : undefined;
  }
  return listKeys[here.name];
}

function compareKeyedLists(
  desired: readonly unknown[],
  live: readonly unknown[],
  previous: unknown,
  here: Here,
): boolean {
  const first = [...desired, ...live].find(isFields);
  const keys = first === undefined ? undefined : keysOfList(here, first);
  if (keys === undefined) return false;
  // TCP is the protocol the server writes where none is named.
  const keyFor = (item: unknown): string =>
    keys.map((key) => String(at(item, key) ?? (key === 'protocol' ? 'TCP' : ''))).join('/');
  const liveByKey = new Map(live.map((item) => [keyFor(item), item]));
  const previousByKey = new Map((Array.isArray(previous) ? previous : []).map((item) => [keyFor(item), item]));
  const all = new Set(desired.map(keyFor));
  for (const key of liveByKey.keys()) if (here.isFull || previousByKey.has(key)) all.add(key);
  const desiredByKey = new Map(desired.map((item) => [keyFor(item), item]));
  for (const key of all) {
    const inner = { ...here, path: `${here.path}[${key.replace(/\/TCP$/, '')}]`, name: '', parent: here.name };
    compare(desiredByKey.get(key), liveByKey.get(key), previousByKey.get(key), inner);
  }
  return true;
}

const hasKey = (value: unknown, key: string): boolean => isFields(value) && value[key] !== undefined;
const isAbsent = (value: unknown): boolean => value === undefined || value === null;
const isEmpty = (value: unknown): boolean =>
  isAbsent(value) ||
  (Array.isArray(value) && value.length === 0) ||
  (isFields(value) && Object.values(value).every(isEmpty));

function isSame(a: unknown, b: unknown, here: Here): boolean {
  if (a === b) return true;
  const isQuantity =
    /^(limits|requests|hard|capacity|allocatable|min|max|default|defaultRequest|overhead)$/.test(here.parent) ||
    here.name === 'sizeLimit' ||
    here.name === 'storage';
  if (isQuantity) {
    const left = quantityOf(a);
    return left !== undefined && left === quantityOf(b);
  }
  // Helm and YAML write numbers as text where the API keeps int-or-string.
  if (typeof a !== typeof b && !isFields(a) && !isFields(b)) return String(a ?? '') === String(b ?? '');
  return JSON.stringify(a) === JSON.stringify(b);
}

const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A resource quantity (`500m`, `1Gi`, `1e3`) as a number; undefined when the text is none. */
export function quantityOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]))?$/.exec(value.trim());
  if (match === null) return undefined;
  const factor = match[2] === undefined ? (suffixes[match[3] ?? ''] ?? 1) : 10 ** Number(match[2]);
  // Rounded so that 0.1 and 100m are the same number.
  return Number((Number(match[1]) * factor).toPrecision(15));
}
