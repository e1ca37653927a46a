// What the page offers to do now. Pure: host and tests decide by the same rules.
import type { RunView } from '../../engine/run/projection.ts';
import { conditionOf } from '../words.ts';
import type { Offer } from './protocol.ts';
import { sameAgain } from './sameAgain.ts';

export interface Offers {
  /** For any run like this one; the last is the main one. */
  readonly offers: readonly Offer[];
  /** Ways out of the failure at hand, beside its cause; most fitting first. */
  readonly fixes: readonly Offer[];
}

export function offersOf(run: RunView, isLive: boolean): Offers {
  const condition = conditionOf(run, isLive);
  if (condition === 'running') return { offers: ['cancel'], fixes: [] };
  const hasEnvironment = run.environment !== null;
  const resume: readonly Offer[] = condition === 'succeeded' ? [] : ['resume'];
  const rollBack: readonly Offer[] = hasEnvironment && condition === 'succeeded' ? ['rollBack'] : [];
  // Nobody wanted an interrupted run to end, nor the watch to be lost: to go on with it is what one comes for.
  const runAgain: readonly Offer[] = sameAgain(run) === undefined ? [] : ['runAgain'];
  const again =
    condition === 'interrupted' || condition === 'unknown' ? [...runAgain, ...resume] : [...resume, ...runAgain];
  return { offers: [...rollBack, ...again], fixes: hasEnvironment ? fixesOf(run, condition) : [] };
}

function fixesOf(run: RunView, condition: string): readonly Offer[] {
  // What was deployed before somebody cancelled is there, and may be what one wants to be rid of.
  if (condition === 'cancelled') return run.deployed === undefined || run.rollback !== undefined ? [] : ['rollBack'];
  if (condition !== 'failed' && condition !== 'rolled back' && condition !== 'unknown') return [];
  const cause = run.verdict?.state === 'failed' ? run.verdict.causes[0] : undefined;
  const code = cause?.code ?? run.failure?.code ?? '';
  const fixes: Offer[] = [];
  if (code === 'helm.pending') fixes.push('unlock');
  // Another version is the way out when this one is not in the registry.
  if (code === 'image.missing') fixes.push('deploy');
  if (run.failure?.reason === 'smoke' && !run.rolledBack) fixes.push('smoke');
  const isLeft = run.deployed !== undefined && run.rollback?.finished?.outcome !== 'restored';
  if (isLeft) fixes.push('rollBack');
  if (run.deployed !== undefined) fixes.push('diagnose');
  return fixes;
}
