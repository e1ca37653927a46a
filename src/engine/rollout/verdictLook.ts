// Looks at one target: what belongs to it, where it stands, and how far it has come since the last look.
import { at, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import { type Attributed, attribute, type Index } from './attribution.ts';
import type { ContainerScene } from './causes.ts';
import { podRef } from './causesScheduling.ts';
import type { Draft } from './memory.ts';
import { type Standing, standing } from './readiness.ts';
import type { Baseline, EvaluateOptions, Mark, Snapshot } from './snapshot.ts';

/** A pull that goes on counts as progress for so long. */
const PULL_MS = 15 * 60_000;

/** One target, looked at. */
export interface Looked {
  readonly target: Attributed;
  readonly standing: Standing | undefined;
  readonly mark: Mark;
  readonly containers: readonly ContainerScene[];
}

export function look(
  ref: ObjectRef,
  snapshot: Snapshot,
  index: Index,
  baseline: Baseline,
  draft: Draft,
  now: number,
  options: EvaluateOptions,
): Looked {
  const target = attribute(ref, index, baseline);
  const before = draft.mark(target.key);
  const { object } = target;
  if (object === undefined) {
    const mark = before ?? { best: [], progressAt: now, restarts: 0, wasSeen: false, everReady: false };
    draft.setMark(target.key, mark);
    return { target, standing: undefined, mark, containers: [] };
  }
  const containers = target.newPods.flatMap(containersOf);
  const raw = standing({ ...target, object }, snapshot.nodes);
  const standingNow = refine(raw, object, index);
  const restarts = containers.reduce((sum, one) => sum + restartsOf(one, baseline), 0);
  const score = progressScore(target, standingNow, containers);
  const best = score.map((value, place) => Math.max(value, before?.best[place] ?? Number.NEGATIVE_INFINITY));
  const isFurther =
    before === undefined || best.some((value, place) => value > (before.best[place] ?? Number.NEGATIVE_INFINITY));
  const isReady = standingNow.state === 'ready' && (options.phase === 'applied' || hasMoved(target));
  const isBroken = before !== undefined && restarts > before.restarts;
  const readySince = isReady ? (isBroken ? now : (before?.readySince ?? now)) : undefined;
  const template = before?.template ?? (options.phase === 'applied' || hasMoved(target) ? target.template : undefined);
  const mark: Mark = {
    best,
    progressAt: isFurther || isPulling(target, index, draft, now) ? now : (before?.progressAt ?? now),
    ...(readySince !== undefined && { readySince }),
    restarts,
    ...(template !== undefined && { template }),
    wasSeen: true,
    everReady: (before?.everReady ?? false) || isReady,
  };
  draft.setMark(target.key, mark);
  return { target, standing: standingNow, mark, containers };
}

/** While the write goes on beside us: the object is new, or newer than before it. */
export const hasMoved = (target: Attributed): boolean =>
  target.before === undefined || (target.object?.metadata.generation ?? 0) > target.before.generation;

/** A claim that waits for its first consumer is as far as it can be. */
function refine(raw: Standing, object: KubeObject, index: Index): Standing {
  if (object.kind !== 'PersistentVolumeClaim' || raw.state !== 'progressing') return raw;
  const events = index.events.get(object.metadata.uid ?? '') ?? [];
  return events.some(({ reason }) => reason === 'WaitForFirstConsumer')
    ? { ...raw, state: 'ready', message: 'The claim is bound when a pod uses it.' }
    : raw;
}

/** Counts that only grow when the rollout comes further. Restarts and repeated events are not among them. */
function progressScore(target: Attributed, now: Standing, containers: readonly ContainerScene[]): readonly number[] {
  const isDone = (one: ContainerScene): boolean => numberOf(at(one.status, 'state', 'terminated', 'exitCode')) === 0;
  return [
    now.updated,
    now.ready,
    now.available,
    -target.oldPods.length,
    target.isObserved ? 1 : 0,
    target.newPods.length,
    target.newPods.filter((pod) => textOf(at(pod, 'spec', 'nodeName')) !== undefined).length,
    containers.filter((one) => one.kind === 'init' && isDone(one)).length,
    containers.filter((one) => textOf(one.status.imageID) !== undefined && one.status.imageID !== '').length,
    containers.filter((one) => one.isRunning && numberOf(one.status.restartCount) === 0).length,
  ];
}

function isPulling(target: Attributed, index: Index, draft: Draft, now: number): boolean {
  return target.newPods.some((pod) => {
    const events = index.events.get(pod.metadata.uid ?? '') ?? [];
    const count = (...reasons: readonly string[]): number =>
      events.filter(({ reason }) => reasons.includes(reason)).reduce((sum, event) => sum + event.count, 0);
    const isBusy = count('Pulling') > count('Pulled', 'Failed', 'ErrImageNeverPull');
    if (!isBusy || at(pod, 'status', 'phase') !== 'Pending') return false;
    return now - draft.see(`pulling ${pod.metadata.uid ?? ''} ${count('Pulling')}`, '').first < PULL_MS;
  });
}

function restartsOf(one: ContainerScene, baseline: Baseline): number {
  const key = `${one.pod.metadata.uid ?? ''}/${one.name}`;
  return Math.max(0, (numberOf(one.status.restartCount) ?? 0) - (baseline.restarts[key] ?? 0));
}

export function containersOf(pod: KubeObject): readonly ContainerScene[] {
  const part = (specs: string, statuses: string): readonly ContainerScene[] =>
    listOf(at(pod, 'spec', specs)).map((spec) => {
      const status = listOf(at(pod, 'status', statuses)).find((one) => one.name === spec.name) ?? {};
      const reason = textOf(at(status, 'state', 'waiting', 'reason'));
      return {
        pod,
        podRef: podRef(pod),
        name: textOf(spec.name) ?? '',
        kind: specs === 'containers' ? 'main' : spec.restartPolicy === 'Always' ? 'sidecar' : 'init',
        spec,
        status,
        image: textOf(spec.image) ?? '',
        waiting:
          reason === undefined
            ? undefined
            : { reason, message: textOf(at(status, 'state', 'waiting', 'message')) ?? '' },
        isRunning: at(status, 'state', 'running') !== undefined,
        isReady: status.ready === true,
      };
    });
  return [...part('initContainers', 'initContainerStatuses'), ...part('containers', 'containerStatuses')];
}
