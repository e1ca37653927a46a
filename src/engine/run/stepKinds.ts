import type { StepKindName } from '../events/index.ts';
import type { StepKind } from '../plan/step.ts';

/**
 * A step kind that is loaded when the first step of it runs, so that planning and reading journals load no registry or
 * cluster client.
 */
function lazy<K extends StepKindName>(kind: K, load: () => Promise<StepKind<K>>): StepKind<K> {
  return {
    kind,
    run: async (spec, context) => (await load()).run(spec, context),
    holds: async (spec, outputs, context) => (await (await load()).holds?.(spec, outputs, context)) ?? true,
  };
}

/** Every step kind there is: the one registration. */
export function stepKinds(): ReadonlyMap<StepKindName, StepKind> {
  const kinds = [
    lazy('build', async () => (await import('../images/buildStep.ts')).buildStep),
    lazy('scan', async () => (await import('../images/scanStep.ts')).scanStep),
    lazy('publish', async () => (await import('../images/publishStep.ts')).publishStep),
    lazy('sign', async () => (await import('../images/signStep.ts')).signStep),
  ];
  return new Map(kinds.map((kind) => [kind.kind, kind as unknown as StepKind]));
}
