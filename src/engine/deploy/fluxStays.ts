// Proof that a rollback stays: every controller of the way looks again, and the old version is still what runs.
import type { KubeObject } from '../cluster/index.ts';
import { keyOfObject, reconcileAll, referencesOf, tagOf } from '../flux/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { type FollowOptions, type Goal, workloadsOf } from './fluxFollow.ts';
import type { FluxView } from './fluxPlan.ts';

/** So often the whole chain is gone through after a rollback. */
const ROUNDS = 2;

/**
 * Lets every controller of the way look again, twice, and looks after each round whether the old version is still what
 * runs. Throws SlipwayError `rollout` with who wrote it back.
 */
export async function provesToStay(goals: readonly Goal[], view: FluxView, options: FollowOptions): Promise<string> {
  const { access, clock, signal, onLine } = options;
  const all = new Map<string, KubeObject>();
  for (const { view: policy } of goals) {
    const parts = [
      ...(policy.repository === undefined ? [] : [policy.repository]),
      policy.policy,
      ...policy.automations,
      view.source,
      ...policy.kustomizations,
      ...policy.releases,
    ];
    for (const part of parts) all.set(keyOfObject(part), part);
  }
  for (let round = 1; round <= ROUNDS; round += 1) {
    const results = await reconcileAll([...all.values()], { access, clock, signal });
    const failed = results.find(({ outcome }) => outcome === 'failed' || outcome === 'timeout');
    const workloads = await workloadsOf(goals, access, signal);
    for (const { view: policy, ref } of goals) {
      const other = workloads
        .flatMap(referencesOf)
        .find((one) => one.startsWith(`${policy.image}:`) && tagOf(one) !== ref.tag);
      if (other === undefined) continue;
      const names = policy.active.map(({ metadata }) => metadata.name).join(', ') || 'somebody';
      throw new SlipwayError({
        reason: 'rollout',
        code: 'rollback.bounced',
        message: `The rollback did not stay: after round ${round} of Flux ${tagOf(other) ?? other} runs again, written by ${names}.`,
        fix: 'Go back with --how suspend, and look at the policy.',
        evidence: results.map(({ object, message }) => `${object.kind} ${object.name}: ${message}`),
      });
    }
    onLine(
      `round ${round} of ${ROUNDS}: ${goals.map(({ ref }) => ref.tag).join(', ')} is still there${failed === undefined ? '' : `, although ${failed.object.kind} ${failed.object.name}: ${failed.message}`}`,
    );
  }
  return `It stayed through ${ROUNDS} further rounds of every controller.`;
}
