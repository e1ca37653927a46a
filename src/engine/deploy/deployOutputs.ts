import type { Json } from '../events/index.ts';
import type { DeployOutputs } from '../plan/step.ts';

/** What the rollback has to know of the state before, next to what every reader of the outputs may use. */
export interface FullDeployOutputs extends DeployOutputs {
  /** Workloads that did not serve as they should before the first write; then nothing is rolled back by itself. */
  readonly unhealthyBefore: readonly string[];
  /** The rollout room's Baseline: what was there before, so that only what is new counts. */
  readonly baseline?: Json;
}
