// Did it roll out, and if not, why: a pure verdict over snapshots of the cluster, and the watcher that feeds it.
//
// A deploy takes `takeBaseline(cluster, targets, signal)` before its first write and leaves it in its outputs as
// `baseline` (it is plain JSON); the rollout step reads it there. `watchRollout` then judges what was written. Beside a
// tool that waits by itself (Helm with hooks), start `watchRollout` with `phase: 'applying'` before the first write: it
// counts only workloads whose generation has moved and ends only with a failure; `rolloutFailure(verdict)` is the error.
export { type AskRegistry, type RegistryAnswer, registryAsker } from './askRegistry.ts';
export { readBaseline, takeBaseline } from './baseline.ts';
export { closest } from './closest.ts';
export { obstacle } from './fits.ts';
export { type LiveState, type LiveWorkload, type LiveWorkloadView, liveViews, readLive, watchLive } from './live.ts';
export { rolloutFailure, rolloutStep } from './rolloutStep.ts';
export {
  type Answer,
  type Baseline,
  type EvaluateOptions,
  type Evaluation,
  emptyBaseline,
  emptyMemory,
  emptySnapshot,
  type Question,
  questionKey,
  type Snapshot,
  targetKey,
  templateHash,
} from './snapshot.ts';
export { freeStuckPods } from './undo.ts';
export { evaluate } from './verdict.ts';
export { type RolloutResult, type RolloutWatchOptions, watchRollout } from './watcher.ts';
export type { ContactState } from './watches.ts';
