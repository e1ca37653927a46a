import type { StepKindName } from '../events/index.ts';
import type { StepKind } from '../plan/step.ts';

/** Every step kind there is: the one registration. */
export function stepKinds(): ReadonlyMap<StepKindName, StepKind> {
  const kinds: readonly StepKind[] = [];
  return new Map(kinds.map((kind) => [kind.kind, kind]));
}
