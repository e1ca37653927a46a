// Did it roll out, and if not, why: a pure verdict over a snapshot, the watcher that feeds it, and the causes it knows.
export { takeBaseline } from './baseline.ts';
export { type Baseline, emptyBaseline, type Snapshot } from './snapshot.ts';
export { type EvaluateOptions, evaluate, type Memory, noMemory, type Verdict } from './verdict.ts';
export { type RolloutResult, type WatchRolloutOptions, watchRollout } from './watcher.ts';
