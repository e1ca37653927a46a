// Everything there is to see of one object, as data: what it is, its pods, who writes it, what leads to it, what happened.
import { stringify } from 'yaml';
import { at, type Fields, fieldsOf, type KubeObject, listOf, numberOf, refOf, textOf } from '../cluster/index.ts';
import {
  type EventLine,
  eventLines,
  type Owner,
  ownersOf,
  type PodState,
  podStates,
  type Trouble,
  troublesOf,
} from '../deploy/index.ts';
import type { ObjectRef, WorkloadView } from '../events/index.ts';
import { isCancelled } from '../problems/index.ts';
import { readLive } from '../rollout/index.ts';
import { findObject, type Named, podQuery, type Scope } from './find.ts';

export interface Description {
  readonly object: ObjectRef;
  /** ISO time. */
  readonly createdAt?: string;
  /** Where it stands; absent for what is no workload. */
  readonly workload?: WorkloadView;
  /** Facts for people, in their order. */
  readonly facts: readonly { readonly name: string; readonly value: string }[];
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
  readonly pods: readonly PodState[];
  /** Of the object, its revisions and pods; newest last. */
  readonly events: readonly EventLine[];
  /** Services, ingresses, autoscalers and budgets that concern it, with one line each. */
  readonly related: readonly { readonly object: ObjectRef; readonly message: string }[];
  readonly owners: readonly Owner[];
  /** Known troubles that it shows, the likeliest cause first. */
  readonly troubles: readonly Trouble[];
  /** The object without what only machines read; values of Secrets are left out. */
  readonly yaml: string;
}

const WORKLOADS = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob', 'Pod']);

/** What may not be read is left out. Throws SlipwayError `usage` when the object does not exist. */
export async function describe(named: Named, scope: Scope): Promise<Description> {
  const object = await findObject(named, scope);
  const ref = refOf(object);
  const namespace = object.metadata.namespace ?? scope.namespace;
  const list = (apiVersion: string, kind: string): Promise<readonly KubeObject[]> =>
    scope.cluster.list({ apiVersion, kind, namespace }, scope.signal).catch((error: unknown) => {
      if (isCancelled(error)) throw error;
      return [];
    });
  const query = await podQuery(object, scope);
  const [lives, pods, events, services, ingresses, scalers, budgets, sets] = await Promise.all([
    WORKLOADS.has(object.kind) ? readLive(scope.cluster, [ref], scope.signal) : [],
    query === undefined ? [] : scope.cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace, ...query }, scope.signal),
    list('v1', 'Event'),
    list('v1', 'Service'),
    list('networking.k8s.io/v1', 'Ingress'),
    list('autoscaling/v2', 'HorizontalPodAutoscaler'),
    list('policy/v1', 'PodDisruptionBudget'),
    object.kind === 'Deployment' ? list('apps/v1', 'ReplicaSet') : [],
  ]);
  const [live] = lives;
  const own = sets.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === object.metadata.uid));
  const uids = new Set<unknown>([object, ...pods, ...own].map(({ metadata }) => metadata.uid));
  for (const uid of live?.uids ?? []) uids.add(uid);
  const lines = eventLines(events, uids);
  const states = podStates(pods);
  return {
    object: ref,
    ...(object.metadata.creationTimestamp !== undefined && { createdAt: object.metadata.creationTimestamp }),
    ...(live !== undefined && { workload: live.view }),
    facts: factsOf(object),
    conditions: listOf(at(object, 'status', 'conditions')).map((condition) => ({
      type: textOf(condition.type) ?? '',
      status: textOf(condition.status) ?? '',
      reason: textOf(condition.reason) ?? '',
      message: textOf(condition.message) ?? '',
    })),
    pods: states,
    events: lines,
    related: relatedOf(object, pods, { services, ingresses, scalers, budgets }),
    owners: ownersOf(object),
    troubles: troublesOf({ pods, states, events: lines, nodes: [], logs: [] }),
    yaml: stringify(shown(object)),
  };
}

function factsOf(object: KubeObject): Description['facts'] {
  const spec = fieldsOf(object.spec);
  const template =
    object.kind === 'CronJob'
      ? at(spec, 'jobTemplate', 'spec', 'template', 'spec')
      : (at(spec, 'template', 'spec') ?? spec);
  const facts: { name: string; value: string }[] = [];
  const add = (name: string, value: unknown): void => {
    if (value === undefined || value === null || value === '') return;
    facts.push({
      name,
      value: typeof value === 'string' ? value : typeof value === 'object' ? short(value) : String(value),
    });
  };
  add('Replicas', spec.replicas);
  add('Strategy', at(spec, 'strategy', 'type') ?? at(spec, 'updateStrategy', 'type'));
  add('Rolling update', at(spec, 'strategy', 'rollingUpdate') ?? at(spec, 'updateStrategy', 'rollingUpdate'));
  add('Paused', spec.paused);
  add('Schedule', spec.schedule);
  add('Type', object.kind === 'Service' ? (spec.type ?? 'ClusterIP') : undefined);
  add('Selector', at(spec, 'selector', 'matchLabels') ?? (object.kind === 'Service' ? spec.selector : undefined));
  if (object.kind === 'Service') {
    for (const port of listOf(spec.ports)) {
      add('Port', `${textOf(port.name) ?? ''} ${String(port.port)} → ${String(port.targetPort ?? port.port)}`.trim());
    }
  }
  add('Service account', at(template, 'serviceAccountName'));
  add('Node', at(object, 'spec', 'nodeName'));
  for (const [field, title] of [
    ['initContainers', 'Init container'],
    ['containers', 'Container'],
  ] as const) {
    for (const container of listOf(at(template, field))) add(title, containerText(container));
  }
  return facts;
}

function containerText(container: Fields): string {
  const ports = listOf(container.ports).map(
    (port) => `${textOf(port.name) === undefined ? '' : `${textOf(port.name)} `}${String(port.containerPort)}`,
  );
  const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'].filter((probe) => container[probe] !== undefined);
  return [
    `${textOf(container.name) ?? ''}: ${textOf(container.image) ?? ''}`,
    ...(ports.length === 0 ? [] : [`ports ${ports.join(', ')}`]),
    ...(probes.length === 0 ? ['no probes'] : [probes.map((probe) => probe.replace('Probe', '')).join(', ')]),
    ...(at(container, 'resources', 'limits') === undefined
      ? []
      : [`limits ${short(at(container, 'resources', 'limits'))}`]),
  ].join('; ');
}

const short = (value: unknown): string =>
  Object.entries(fieldsOf(value))
    .map(([key, item]) => `${key}=${typeof item === 'object' ? JSON.stringify(item) : String(item)}`)
    .join(', ');

function relatedOf(
  object: KubeObject,
  pods: readonly KubeObject[],
  around: {
    readonly services: readonly KubeObject[];
    readonly ingresses: readonly KubeObject[];
    readonly scalers: readonly KubeObject[];
    readonly budgets: readonly KubeObject[];
  },
): Description['related'] {
  const labels = fieldsOf(at(object, 'spec', 'template', 'metadata', 'labels') ?? pods[0]?.metadata.labels);
  const selects = (selector: unknown): boolean => {
    const wanted = Object.entries(fieldsOf(selector));
    return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
  };
  const services = around.services.filter(
    (service) => service.metadata.name !== object.metadata.name || object.kind !== 'Service',
  );
  const mine = services.filter(({ spec }) => selects(fieldsOf(spec).selector));
  const names = new Set(object.kind === 'Service' ? [object.metadata.name] : mine.map(({ metadata }) => metadata.name));
  return [
    ...mine.map((service) => ({
      object: refOf(service),
      message: listOf(at(service, 'spec', 'ports'))
        .map((port) =>
          `${textOf(port.name) ?? ''} ${String(port.port)} → ${String(port.targetPort ?? port.port)}`.trim(),
        )
        .join(', '),
    })),
    ...around.ingresses.flatMap((ingress) => {
      const rules = listOf(at(ingress, 'spec', 'rules')).flatMap((rule) =>
        listOf(at(rule, 'http', 'paths'))
          .filter((path) => names.has(textOf(at(path, 'backend', 'service', 'name')) ?? ''))
          .map((path) => `${textOf(rule.host) ?? '*'}${textOf(path.path) ?? '/'}`),
      );
      return rules.length === 0 ? [] : [{ object: refOf(ingress), message: rules.join(', ') }];
    }),
    ...around.scalers
      .filter(
        (scaler) =>
          at(scaler, 'spec', 'scaleTargetRef', 'kind') === object.kind &&
          at(scaler, 'spec', 'scaleTargetRef', 'name') === object.metadata.name,
      )
      .map((scaler) => ({
        object: refOf(scaler),
        message: `${String(at(scaler, 'spec', 'minReplicas') ?? 1)} to ${String(at(scaler, 'spec', 'maxReplicas'))} replicas, now ${String(numberOf(at(scaler, 'status', 'currentReplicas')) ?? '?')}`,
      })),
    ...around.budgets
      .filter(({ spec }) => selects(at(spec, 'selector', 'matchLabels')))
      .map((budget) => ({
        object: refOf(budget),
        message: `${String(at(budget, 'status', 'disruptionsAllowed') ?? '?')} disruptions allowed`,
      })),
  ];
}

/** For people: no managedFields, no copy of the object in an annotation, and no content of a Secret. */
function shown(object: KubeObject): Fields {
  const { managedFields: _, annotations, ...metadata } = object.metadata;
  const kept = Object.entries(annotations ?? {}).filter(([key]) => !key.includes('last-applied-configuration'));
  const hidden = (field: unknown): Fields =>
    Object.fromEntries(Object.keys(fieldsOf(field)).map((key) => [key, '***']));
  return {
    ...object,
    metadata: { ...metadata, ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }) },
    ...(object.kind === 'Secret' && object.data !== undefined && { data: hidden(object.data) }),
    ...(object.kind === 'Secret' && object.stringData !== undefined && { stringData: hidden(object.stringData) }),
  };
}
