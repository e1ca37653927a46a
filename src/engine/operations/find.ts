// From what a person types (`deploy/web`, `web`, `svc/api`) to an object, and from an object to its pods.
import { at, type Cluster, fieldsOf, type KubeObject, listOf, refOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { closest } from '../rollout/index.ts';

type KindRef = Pick<ObjectRef, 'apiVersion' | 'kind'>;

const kind = (apiVersion: string, name: string): KindRef => ({ apiVersion, kind: name });

/** Kinds by the names that kubectl takes for them: singular, plural and short. */
const KINDS: Readonly<Record<string, KindRef>> = Object.fromEntries(
  (
    [
      ['apps/v1', 'Deployment', 'deploy'],
      ['apps/v1', 'StatefulSet', 'sts'],
      ['apps/v1', 'DaemonSet', 'ds'],
      ['apps/v1', 'ReplicaSet', 'rs'],
      ['batch/v1', 'Job', 'job'],
      ['batch/v1', 'CronJob', 'cj'],
      ['v1', 'Pod', 'po'],
      ['v1', 'Service', 'svc'],
      ['v1', 'ConfigMap', 'cm'],
      ['v1', 'Secret', 'secret'],
      ['v1', 'ServiceAccount', 'sa'],
      ['v1', 'PersistentVolumeClaim', 'pvc'],
      ['networking.k8s.io/v1', 'Ingress', 'ing'],
      ['networking.k8s.io/v1', 'NetworkPolicy', 'netpol'],
      ['autoscaling/v2', 'HorizontalPodAutoscaler', 'hpa'],
      ['policy/v1', 'PodDisruptionBudget', 'pdb'],
    ] as const
  ).flatMap(([apiVersion, name, short]) => {
    const singular = name.toLowerCase();
    const plural = singular.endsWith('s') ? `${singular}es` : `${singular}s`.replace(/ys$/, 'ies');
    return [singular, plural, short].map((word) => [word, kind(apiVersion, name)]);
  }),
);

/** Kinds whose pods run something; the order in which a bare name is looked for. */
export const WORKLOAD_KINDS: readonly KindRef[] = [
  kind('apps/v1', 'Deployment'),
  kind('apps/v1', 'StatefulSet'),
  kind('apps/v1', 'DaemonSet'),
  kind('batch/v1', 'CronJob'),
  kind('batch/v1', 'Job'),
];

/** Where one looks: a namespace, and in it what the environment deploys. */
export interface Scope {
  readonly cluster: Cluster;
  readonly namespace: string;
  /** Workloads of the environment; a bare name is looked for here first. */
  readonly targets: readonly ObjectRef[];
  readonly signal: AbortSignal;
}

/** What a person may name: as text, or as a view gives it. */
export type Named = string | ObjectRef;

/**
 * The object that is meant. A bare name is a workload of the environment, of the namespace, or a pod. Throws SlipwayError
 * `usage` with what there is when it does not exist or more than one is meant.
 */
export async function findObject(named: Named, scope: Scope): Promise<KubeObject> {
  if (typeof named !== 'string') {
    const found = await scope.cluster.get(named, scope.signal);
    if (found === undefined) throw absent(`${named.kind.toLowerCase()}/${named.name}`, scope, []);
    return { ...found, apiVersion: named.apiVersion, kind: named.kind };
  }
  const slash = named.indexOf('/');
  if (slash > 0) return findOfKind(named.slice(0, slash), named.slice(slash + 1), scope);
  const ofEnvironment = scope.targets.filter(({ name }) => name === named);
  const workloads = ofEnvironment.length > 0 ? ofEnvironment : (await workloadsOf(scope)).map(refOf);
  const matches = workloads.filter(({ name }) => name === named);
  const [match] = matches;
  if (matches.length > 1) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'workload.ambiguous',
      message: `More than one workload of ${scope.namespace} is named ${named}.`,
      fix: `Say which: ${matches.map(words).join(' or ')}.`,
    });
  }
  if (match !== undefined) return findObject(match, scope);
  const pod = await scope.cluster.get(
    { apiVersion: 'v1', kind: 'Pod', name: named, namespace: scope.namespace },
    scope.signal,
  );
  if (pod !== undefined) return { ...pod, apiVersion: 'v1', kind: 'Pod' };
  throw absent(named, scope, workloads);
}

async function findOfKind(word: string, name: string, scope: Scope): Promise<KubeObject> {
  const found = KINDS[word.toLowerCase()];
  if (found === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'kind.unknown',
      message: `"${word}" is not a kind that is known here.`,
      fix: 'Use deploy, sts, ds, job, cronjob, pod, svc, ingress, configmap, pvc, hpa or pdb.',
    });
  }
  const object = await scope.cluster.get({ ...found, name, namespace: scope.namespace }, scope.signal);
  if (object !== undefined) return { ...object, ...found };
  const others = await scope.cluster.list({ ...found, namespace: scope.namespace }, scope.signal);
  throw absent(`${word}/${name}`, scope, others.map(refOf));
}

function absent(named: string, { namespace }: Scope, known: readonly ObjectRef[]): SlipwayError {
  const name = named.slice(named.indexOf('/') + 1);
  const likely = closest(
    name,
    known.map((other) => other.name),
    3,
  );
  const shown = known.filter((other) => likely.length === 0 || likely.includes(other.name)).slice(0, 8);
  return new SlipwayError({
    reason: 'usage',
    code: 'workload.absent',
    message: `There is no ${named} in namespace ${namespace}.`,
    fix:
      shown.length === 0
        ? 'Check the environment; slipway status shows what runs where.'
        : `There ${shown.length === 1 ? 'is' : 'are'} ${shown.map(words).join(', ')}.`,
  });
}

/** `deployment/web`, as the commands take it. */
export const words = ({ kind: name, name: of }: ObjectRef): string => `${name.toLowerCase()}/${of}`;

/** Workloads of the namespace that no controller made. */
export async function workloadsOf({ cluster, namespace, signal }: Scope): Promise<readonly KubeObject[]> {
  const lists = await Promise.all(WORKLOAD_KINDS.map((each) => cluster.list({ ...each, namespace }, signal)));
  return lists.flat().filter(({ metadata }) => !metadata.ownerReferences?.some((owner) => owner.controller === true));
}

/** A label selector as the API takes it in a query; undefined when it selects nothing. */
export function selectorText(selector: unknown): string | undefined {
  const labels = Object.entries(fieldsOf(at(selector, 'matchLabels'))).map(([key, value]) => `${key}=${String(value)}`);
  const expressions = listOf(at(selector, 'matchExpressions')).map((expression) => {
    const key = String(expression.key);
    const values = Array.isArray(expression.values) ? expression.values.join(',') : '';
    switch (expression.operator) {
      case 'In':
        return `${key} in (${values})`;
      case 'NotIn':
        return `${key} notin (${values})`;
      case 'DoesNotExist':
        return `!${key}`;
      default:
        return key;
    }
  });
  const all = [...labels, ...expressions];
  return all.length === 0 ? undefined : all.join(',');
}

/** How the pods of an object are asked for: by label or by their own name. */
export type PodQuery = { readonly labels: string } | { readonly fields: string };

/** Undefined for kinds that have no pods. A CronJob's are those of its newest Job. */
export async function podQuery(object: KubeObject, scope: Scope): Promise<PodQuery | undefined> {
  switch (object.kind) {
    case 'Pod':
      return { fields: `metadata.name=${object.metadata.name}` };
    case 'Service': {
      const labels = selectorText({ matchLabels: at(object, 'spec', 'selector') });
      return labels === undefined ? undefined : { labels };
    }
    case 'CronJob': {
      const jobs = await scope.cluster.list(
        { apiVersion: 'batch/v1', kind: 'Job', namespace: scope.namespace },
        scope.signal,
      );
      const [newest] = jobs
        .filter((job) => job.metadata.ownerReferences?.some(({ uid }) => uid === object.metadata.uid))
        .sort((a, b) => (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? ''));
      return newest === undefined ? undefined : podQuery({ ...newest, kind: 'Job' }, scope);
    }
    default: {
      const labels = selectorText(at(object, 'spec', 'selector'));
      return labels === undefined ? undefined : { labels };
    }
  }
}

/** The pods of an object now, newest first. Throws SlipwayError `usage` for kinds that have none. */
export async function podsOf(object: KubeObject, scope: Scope): Promise<readonly KubeObject[]> {
  const query = await podQuery(object, scope);
  if (query === undefined) throw noPods(object);
  const pods = await scope.cluster.list(
    { apiVersion: 'v1', kind: 'Pod', namespace: object.metadata.namespace ?? scope.namespace, ...query },
    scope.signal,
  );
  return [...pods].sort((a, b) =>
    (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? ''),
  );
}

export function noPods(object: KubeObject): SlipwayError {
  return new SlipwayError({
    reason: 'usage',
    code: 'workload.no-pods',
    message:
      object.kind === 'CronJob'
        ? `CronJob ${object.metadata.name} has not started a job yet.`
        : `${words(refOf(object))} selects no pods.`,
    fix: 'Name a workload, such as deploy/web.',
  });
}

/** As kubectl: the container named by the pod's annotation, else the first. Throws SlipwayError `usage` for an unknown one. */
export function containerOf(pod: KubeObject, wanted: string | undefined): string {
  const names = [...listOf(at(pod, 'spec', 'containers')), ...listOf(at(pod, 'spec', 'initContainers'))].map(
    ({ name }) => textOf(name) ?? '',
  );
  const found = wanted ?? pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'] ?? names[0] ?? '';
  if (names.includes(found)) return found;
  throw new SlipwayError({
    reason: 'usage',
    code: 'container.unknown',
    message: `Pod ${pod.metadata.name} has no container ${found}.`,
    fix: `It has ${names.join(', ')}.`,
  });
}
