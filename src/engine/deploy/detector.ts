import type { ObjectRef } from '../events/index.ts';
import type { StepContext } from '../plan/step.ts';
import type { Failure } from '../problems/index.ts';
import { type Baseline, emptyBaseline, type RolloutResult, takeBaseline } from '../rollout/index.ts';
import type { ClusterAccess } from './access.ts';
import type { Detector } from './helm.ts';

/** Between two watches of something that is not there yet. */
const STEP_MS = 300;

/**
 * The rollout watch beside a helm that waits. Only proof counts: an object that is absent is one that helm has yet to
 * write (or a hook that it has just deleted), and a failed hook Job is for helm to say, as only helm knows its policy.
 */
export function detectorOf(access: ClusterAccess, context: Omit<StepContext, 'step'>): Detector | undefined {
  const { watch } = access;
  if (watch === undefined) return undefined;
  const { system, secrets } = context;
  // What the watch finds is told by the rollout step, or by the failure; two tellers would confuse.
  const emit = () => {};
  return async (targets, signal) => {
    const startedAt = system.clock.now();
    const jobs = targets.filter(({ kind }) => kind === 'Job');
    const others = targets.filter(({ kind }) => kind !== 'Job');
    const baseline = await takeBaseline(access, others, signal);
    const judge = async (refs: readonly ObjectRef[], before: Baseline): Promise<Failure> => {
      for (;;) {
        const result = await watch(refs, {
          system,
          secrets,
          signal,
          emit,
          baseline: before,
          startedAt,
          phase: 'applying',
        });
        const failure = proofOf(result);
        if (failure !== undefined) return failure;
        await system.clock.sleep(STEP_MS, signal);
      }
    };
    /** A Job of the last release may lie there, failed; helm deletes it and makes another. */
    const judgeJob = async (ref: ObjectRef): Promise<Failure> => {
      const old = (await access.get(ref, signal))?.metadata.uid;
      for (;;) {
        const uid = (await access.get(ref, signal))?.metadata.uid;
        if (uid !== undefined && uid !== old) return judge([ref], emptyBaseline);
        await system.clock.sleep(STEP_MS, signal);
      }
    };
    return Promise.race([...(others.length > 0 ? [judge(others, baseline)] : []), ...jobs.map(judgeJob)]);
  };
}

function proofOf(result: RolloutResult): Failure | undefined {
  const cause = result.causes[0];
  if (result.state !== 'failed' || cause === undefined || cause.code === 'deleted' || cause.code === 'job') {
    return undefined;
  }
  return {
    reason: 'rollout',
    code: cause.code,
    message: `${cause.object.kind} ${cause.object.name}: ${cause.message}`,
    fix: cause.fix,
    evidence: cause.evidence,
  };
}
