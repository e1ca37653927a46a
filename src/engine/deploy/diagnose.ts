import { join } from 'node:path';
import { stringify } from 'yaml';
import { at, type Fields, fieldsOf, isFields, type KubeObject } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { type Failure, toFailure } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import {
  type DiagnosisData,
  type HistoryFacts,
  historyFacts,
  historyText,
  nodeFacts,
  nodeText,
  type RevisionFacts,
  workloadFacts,
} from './diagnoseData.ts';
import { type EventLine, eventLines, type LogText, type PodState, podStates } from './diagnoseFacts.ts';
import { reportOf } from './diagnoseReport.ts';
import { deployedOf, isVerified, lockOf } from './helmRecords.ts';
import { HelmReleases } from './helmReleases.ts';
import { imagesOf } from './images.ts';
import { inParallel } from './parallel.ts';
import { recognise, type Trouble } from './troubles.ts';

export interface DiagnoseOptions {
  readonly system: System;
  readonly secrets: Secrets;
  readonly access: ClusterAccess;
  readonly environment: string;
  readonly namespace: string;
  /** A Helm release, when Helm deploys. */
  readonly release?: string;
  readonly targets: readonly ObjectRef[];
  /** Absolute; made when missing. */
  readonly folder: string;
  readonly failure?: Failure;
  readonly signal: AbortSignal;
}

export interface Diagnosis {
  /** Names of the files in the folder, the report first. */
  readonly files: readonly string[];
  /** The report as Markdown. */
  readonly report: string;
  /** The known troubles that were recognised, the likeliest cause first; masked as the report is. */
  readonly troubles: readonly Trouble[];
  /** What could not be had, and why. */
  readonly missing: readonly string[];
}

/** Containers whose logs are kept: those of broken pods first. */
const MOST_LOGS = 40;
const LOG_LINES = 200;
/** Of each log in the data; the files hold all that was read. */
const LONGEST_LOG = 40_000;
/** The facts as data ({@link DiagnosisData}), beside the report. */
const DIAGNOSIS_FILE = 'diagnosis.json';

/**
 * Collects what a person would look at after a failed deploy, as files and one report. Each part is independent: what
 * may not be read is named in the report, and the rest is there. Every text passes `secrets`; contents of Secrets and
 * last-applied annotations are never in it.
 */
export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const { system, secrets, access, namespace, targets, folder, signal } = options;
  const missing: string[] = [];
  const files: string[] = [];
  const part = async <T>(what: string, work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      missing.push(`${what}: ${toFailure(error).message}`);
      return otherwise;
    }
  };
  const write = async (name: string, text: string): Promise<void> => {
    if (text.trim() === '') return;
    await system.files.writeAtomic(join(folder, name), secrets.mask(text));
    files.push(name);
  };

  const list = (apiVersion: string, kind: string, place?: string) =>
    part(
      `${kind}s`,
      () => access.list({ apiVersion, kind, ...(place !== undefined && { namespace: place }) }, signal),
      [] as readonly KubeObject[],
    );
  const [live, pods, events, sets, revisions, nodes, services, ingresses, classes, lock] = await Promise.all([
    part('workloads', () => inParallel(targets, (ref) => access.get(ref, signal)), []),
    list('v1', 'Pod', namespace),
    list('v1', 'Event', namespace),
    list('apps/v1', 'ReplicaSet', namespace),
    list('apps/v1', 'ControllerRevision', namespace),
    list('v1', 'Node'),
    list('v1', 'Service', namespace),
    list('networking.k8s.io/v1', 'Ingress', namespace),
    part(
      'IngressClasses',
      () => access.list({ apiVersion: 'networking.k8s.io/v1', kind: 'IngressClass' }, signal),
      undefined,
    ),
    part('Helm lock', () => lockText(options), undefined),
  ]);
  const workloads = live.filter((object) => object !== undefined);
  const mine = podsOf(workloads, pods);
  const states = podStates(mine);
  const lines = eventLines(events, subjectUids(workloads, mine, sets));
  const logs = await readLogs(options, states, part);

  for (const { name, text } of logs) await write(join('logs', name), text);
  for (const workload of workloads) {
    await write(
      `${workload.kind.toLowerCase()}-${workload.metadata.name}.yaml`,
      stringify(withoutSecretVariables(withoutNoise(workload))),
    );
  }
  await write('pods.yaml', stringify(mine.map((pod) => withoutSecretVariables(withoutNoise(pod)))));
  await write('events.txt', lines.map(eventText).join('\n'));
  const facts = nodes.map(nodeFacts);
  const own = historyFacts(workloads, sets, revisions);
  await write('history.txt', historyText(own));
  await write('nodes.txt', facts.map(nodeText).join('\n'));
  const released = options.release === undefined ? [] : await helmFiles(options, options.release, write, part);

  const troubles = recognise({
    pods: mine,
    states,
    events: lines,
    nodes,
    logs,
    services,
    ingresses,
    ...(classes !== undefined && { ingressClasses: classes.map(({ metadata }) => metadata.name) }),
    ...(lock !== undefined && { lock }),
    ...(options.failure && { failure: options.failure }),
  }).map((trouble) => ({ ...trouble, evidence: secrets.mask(trouble.evidence) }));
  const data: DiagnosisData = secrets.maskAll({
    version: 1,
    environment: options.environment,
    namespace,
    time: new Date(system.clock.now()).toISOString(),
    ...(options.failure !== undefined && { failure: options.failure }),
    troubles,
    workloads: workloads.map(workloadFacts),
    pods: states,
    events: lines,
    logs: logs.map((log) => ({ ...log, text: log.text.slice(-LONGEST_LOG) })),
    history: [...released, ...own],
    nodes: facts,
    files,
    missing,
  });
  const report = secrets.mask(reportOf(data));
  await system.files.writeAtomic(join(folder, DIAGNOSIS_FILE), JSON.stringify(data));
  await system.files.writeAtomic(join(folder, 'report.md'), report);
  return { files: ['report.md', ...files], report, troubles, missing };
}

async function lockText({ access, namespace, release, system, signal }: DiagnoseOptions): Promise<string | undefined> {
  if (release === undefined) return undefined;
  const stuck = lockOf(await new HelmReleases(access, namespace, release).revisions(signal), system.clock.now());
  if (stuck === undefined) return undefined;
  const { revision, status, writer } = stuck.revision;
  return `revision ${revision} of ${namespace}/${release} is ${status} for ${Math.round(stuck.ageMs / 1000)} s${writer === undefined ? '' : `, written by ${writer}`}`;
}

type Part = <T>(what: string, work: () => Promise<T>, otherwise: T) => Promise<T>;

async function readLogs(
  { access, namespace, signal }: DiagnoseOptions,
  states: readonly PodState[],
  part: Part,
): Promise<readonly LogText[]> {
  const { readLog } = access;
  if (readLog === undefined) return [];
  const wanted = [...states]
    .sort((a, b) => Number(a.isReady) - Number(b.isReady))
    .flatMap(({ name, containers }) =>
      containers
        .filter(({ hasStarted }) => hasStarted)
        .flatMap(({ name: container, restarts }) => [
          { pod: name, container, isPrevious: false },
          ...(restarts > 0 ? [{ pod: name, container, isPrevious: true }] : []),
        ]),
    )
    .slice(0, MOST_LOGS);
  const texts = await inParallel(wanted, async (request) => {
    const name = `${request.pod}.${request.container}${request.isPrevious ? '.previous' : ''}.log`;
    const text = await part(`log ${name}`, () => readLog({ ...request, namespace, tail: LOG_LINES }, signal), '');
    return { ...request, name, text };
  });
  return texts.filter(({ text }) => text.trim() !== '');
}

async function helmFiles(
  { access, namespace, signal }: DiagnoseOptions,
  release: string,
  write: (name: string, text: string) => Promise<void>,
  part: Part,
): Promise<readonly HistoryFacts[]> {
  const releases = new HelmReleases(access, namespace, release);
  const revisions = await part('Helm history', () => releases.revisions(signal), []);
  const records = await inParallel(revisions.slice(-10), (revision) =>
    part(`Helm revision ${revision.revision}`, () => releases.read(revision.revision, signal), undefined),
  );
  const lines = records.flatMap((record) =>
    record === undefined
      ? []
      : [`${record.revision}\t${record.lastDeployed ?? '?'}\t${record.status}\t${record.chart}\t${record.description}`],
  );
  await write('helm-history.txt', ['REVISION\tDEPLOYED\tSTATUS\tCHART\tDESCRIPTION', ...lines].join('\n'));
  const current = deployedOf(revisions)?.revision ?? revisions.at(-1)?.revision;
  const record = records.find((candidate) => candidate?.revision === current);
  if (record !== undefined) await write('helm-values.yaml', stringify(withoutSecrets(record.config)));
  const kept = records.flatMap((one): readonly RevisionFacts[] =>
    one === undefined
      ? []
      : [
          {
            number: one.revision,
            at: one.lastDeployed ?? '?',
            name: `${one.status}: ${one.description}`,
            images: [...new Set(imagesOf(one.objects.map(({ object }) => object)).map(({ reference }) => reference))],
            isVerified: revisions.some((revision) => revision.revision === one.revision && isVerified(revision)),
          },
        ],
  );
  return kept.length === 0 ? [] : [{ of: `Helm release ${release}`, revisions: kept.reverse() }];
}

const SECRET_KEY = /(passw(or)?d|secret|token|api_?key|private_?key|credential|dsn)/i;

/** Values whose key says what they are. The Secrets of the release are registered by the deploy; this is for what never became one. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const isSecret = SECRET_KEY.test(key);
      return [
        key,
        isSecret && (typeof item === 'string' || typeof item === 'number') && item !== ''
          ? '***'
          : withoutSecrets(item),
      ];
    }),
  );
}

/** Pods that the workloads' selectors match, also those of older revisions. */
function podsOf(workloads: readonly KubeObject[], pods: readonly KubeObject[]): readonly KubeObject[] {
  const selectors = workloads.flatMap((workload) => {
    const labels = Object.entries(fieldsOf(at(workload, 'spec', 'selector', 'matchLabels')));
    return labels.length === 0 ? [] : [labels];
  });
  const names = new Set(workloads.filter(({ kind }) => kind === 'Pod').map(({ metadata }) => metadata.name));
  return pods.filter(
    (pod) =>
      names.has(pod.metadata.name) ||
      selectors.some((labels) => labels.every(([key, value]) => pod.metadata.labels?.[key] === value)),
  );
}

function subjectUids(...groups: readonly (readonly KubeObject[])[]): ReadonlySet<unknown> {
  return new Set(groups.flat().map(({ metadata }) => metadata.uid));
}

const eventText = ({ at: time, type, reason, object, message, count }: EventLine): string =>
  `${time}\t${type}\t${reason}\t${object}${count > 1 ? `\tx${count}` : ''}\t${message}`;

/** Variables with a plain value whose name says that it is secret. */
function withoutSecretVariables(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecretVariables);
  if (!isFields(value)) return value;
  const isSecret = typeof value.name === 'string' && typeof value.value === 'string' && SECRET_KEY.test(value.name);
  const shown = isSecret ? { ...value, value: '***' } : value;
  return Object.fromEntries(Object.entries(shown).map(([key, item]) => [key, withoutSecretVariables(item)]));
}

/** For people: no managedFields, and no copy of the object in an annotation. */
function withoutNoise(object: KubeObject): Fields {
  const { managedFields: _, annotations, ...metadata } = object.metadata;
  const kept = Object.entries(annotations ?? {}).filter(([key]) => !key.includes('last-applied-configuration'));
  return {
    ...object,
    metadata: { ...metadata, ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }) },
  };
}
