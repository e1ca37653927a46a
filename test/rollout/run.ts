// Runs one case on the cluster, in a namespace of its own.
import { type Cluster, type KubeObject, refOf } from '../../src/engine/cluster/index.ts';
import type { EventBody, ObjectRef } from '../../src/engine/events/index.ts';
import { type AskRegistry, type RolloutResult, takeBaseline, watchRollout } from '../../src/engine/rollout/index.ts';
import { realClock } from '../../src/engine/system/clock.ts';
import type { CorpusCase, During } from './case.ts';

export interface CaseResult {
  readonly name: string;
  readonly isRight: boolean;
  /** A healthy rollout that was called failed or stalled. */
  readonly isFalseFailure: boolean;
  readonly verdict: RolloutResult | undefined;
  /** From just before the write until the cause was first told, and until the verdict. */
  readonly namedMs: number | undefined;
  readonly verdictMs: number;
  readonly why: string;
  readonly events: readonly EventBody[];
}

const WORKLOADS = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob', 'Pod']);
/** No case may keep the others waiting for ever. */
const LIMIT_MS = 240_000;

export const targetsOf = (objects: readonly KubeObject[]): readonly ObjectRef[] =>
  objects.filter(({ kind }) => WORKLOADS.has(kind)).map(refOf);

export async function runCase(
  cluster: Cluster,
  one: CorpusCase,
  askRegistry: AskRegistry,
  signal: AbortSignal,
): Promise<CaseResult> {
  const namespace = `corpus-${one.name}`;
  const place = (objects: readonly KubeObject[]): readonly KubeObject[] =>
    objects.map((object) => ({ ...object, metadata: { ...object.metadata, namespace } }));
  await makeNamespace(cluster, namespace, one.namespaceLabels, signal);
  const events: EventBody[] = [];
  try {
    if (one.old.length > 0) {
      await deployOld(cluster, one, place(one.old), askRegistry, signal);
      events.length = 0;
    }
    const objects = place(one.objects);
    const baseline = await takeBaseline(cluster, targetsOf(objects), signal);
    const startedAt = Date.now();
    for (const object of objects) await cluster.apply(object, { signal, isForced: true });
    const meanwhile = one.during.map((step) => play(cluster, step, namespace, place, signal));
    const verdict = await watchRollout(cluster, targetsOf(objects), baseline, {
      ...one.options,
      timeoutMs: one.options.timeoutMs ?? LIMIT_MS,
      signal,
      clock: realClock,
      askRegistry,
      emit: (event) => events.push(event),
    });
    const verdictMs = Date.now() - startedAt;
    await Promise.all(meanwhile);
    return judge(one, verdict, verdictMs, startedAt, events);
  } catch (error) {
    return {
      name: one.name,
      isRight: false,
      isFalseFailure: false,
      verdict: undefined,
      namedMs: undefined,
      verdictMs: 0,
      why: error instanceof Error ? error.message : String(error),
      events,
    };
  } finally {
    await cluster
      .remove({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, { signal: AbortSignal.timeout(10_000) })
      .catch(() => false);
  }
}

/** Puts the version before in its place, and waits until it is as the case wants it: well, or failed. */
export async function deployOld(
  cluster: Cluster,
  one: CorpusCase,
  old: readonly KubeObject[],
  askRegistry: AskRegistry,
  signal: AbortSignal,
  write: () => Promise<void> = async () => {
    for (const object of old) await cluster.apply(object, { signal });
  },
): Promise<void> {
  const baseline = await takeBaseline(cluster, targetsOf(old), signal);
  await write();
  const options = { stabilityMs: 0, timeoutMs: LIMIT_MS, signal, clock: realClock, askRegistry, emit: () => {} };
  const verdict = await watchRollout(cluster, targetsOf(old), baseline, options);
  const wanted = one.isOldBroken ? 'failed' : 'ready';
  if (verdict.state !== wanted) throw new Error(`the version before is ${verdict.state}: ${verdict.message}`);
}

function judge(
  one: CorpusCase,
  verdict: RolloutResult,
  verdictMs: number,
  startedAt: number,
  events: readonly EventBody[],
): CaseResult {
  const { expect } = one;
  const [first] = verdict.causes;
  const hasState = verdict.state === expect.state;
  const codes = verdict.state === 'failed' ? [first?.code] : verdict.causes.map(({ code }) => code);
  const hasCode =
    expect.codes === undefined || codes.some((code) => code !== undefined && expect.codes?.includes(code));
  const told = JSON.stringify([verdict.message, verdict.causes]);
  const says = expect.says === undefined || told.includes(JSON.stringify(expect.says).slice(1, -1));
  const named = first?.namedAt === undefined ? undefined : Date.parse(earliest(first.code, events) ?? first.namedAt);
  const why = hasState
    ? hasCode
      ? says
        ? ''
        : `does not say "${String(expect.says)}": ${told}`
      : `named ${codes.join(', ')}, wanted ${expect.codes?.join(' or ') ?? ''}: ${told}`
    : `${verdict.state} instead of ${expect.state}: ${told} warnings ${JSON.stringify(verdict.warnings.map(({ code, message }) => `${code}: ${message}`))}`;
  return {
    name: one.name,
    isRight: why === '',
    isFalseFailure: one.kind === 'healthy' && (verdict.state === 'failed' || verdict.state === 'stalled'),
    verdict,
    namedMs: named === undefined ? undefined : named - startedAt,
    verdictMs,
    why,
    events,
  };
}

/** When a person was first told of this cause. */
function earliest(code: string, events: readonly EventBody[]): string | undefined {
  for (const event of events) {
    if (event.type === 'rollout.warning' && event.warning.code === code) return event.warning.namedAt;
  }
  return undefined;
}

export async function makeNamespace(
  cluster: Cluster,
  name: string,
  labels: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const ref: ObjectRef = { apiVersion: 'v1', kind: 'Namespace', name };
  // Left over from a run that was killed.
  if (await cluster.remove(ref, { signal })) {
    while ((await cluster.get(ref, signal)) !== undefined) await realClock.sleep(300, signal);
  }
  await cluster.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }, { signal });
  const account: ObjectRef = { apiVersion: 'v1', kind: 'ServiceAccount', name: 'default', namespace: name };
  while ((await cluster.get(account, signal)) === undefined) await realClock.sleep(100, signal);
}

/** What happens while the case is being rolled out. */
export async function play(
  cluster: Cluster,
  step: During,
  namespace: string,
  place: (objects: readonly KubeObject[]) => readonly KubeObject[],
  signal: AbortSignal,
): Promise<void> {
  await realClock.sleep(step.afterMs, signal);
  const refTo = (text: string): ObjectRef => {
    const [kind = '', name = ''] = text.split('/');
    return { apiVersion: 'apps/v1', kind, name, namespace };
  };
  if ('apply' in step) for (const object of place(step.apply)) await cluster.apply(object, { signal });
  else if ('delete' in step) await cluster.remove(refTo(step.delete), { signal });
  else if ('scale' in step) await cluster.merge(refTo(step.scale), { spec: { replicas: step.replicas } }, { signal });
  else if ('restart' in step) {
    const annotations = { 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() };
    await cluster.merge(refTo(step.restart), { spec: { template: { metadata: { annotations } } } }, { signal });
  } else {
    const pods = await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace, labels: `app=${step.evict}` }, signal);
    const newest = [...pods].sort((a, b) =>
      (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? 1 : -1,
    )[0];
    if (newest === undefined) return;
    await cluster.api.json({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/pods/${newest.metadata.name}/eviction`,
      body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: newest.metadata.name, namespace } },
      signal,
    });
  }
}
