import type { StepKind } from '../plan/step.ts';
import type { Answer } from './answers.ts';
import { createDeployer } from './createDeployer.ts';
import { failureOf, preflight } from './preflight.ts';
import { type OpenCluster, type OpenRegistry, requestOf } from './stepRequest.ts';

export interface CheckStepOptions {
  readonly open: OpenCluster;
  readonly registry: OpenRegistry;
}

/** Finds before the first write what would make the deploy fail. Suspicions are warnings, proof ends the run. */
export function checkStep({ open, registry }: CheckStepOptions): StepKind<'check'> {
  return {
    kind: 'check',
    async run(spec, context) {
      const { system, secrets, signal, emit } = context;
      const access = await open(spec.environment, context);
      const request = requestOf(spec, context);
      const deployer = createDeployer({ system, secrets, access, request });
      const { answers, unchecked } = await preflight({
        deployer,
        request,
        access,
        registry: registry(context),
        signal,
      });
      for (const answer of answers) if (answer.certainty === 'suspicious') emit(warningOf(answer));
      for (const text of unchecked) emit({ type: 'log', stream: 'err', text: `not checked: ${text}` });
      const failure = failureOf(answers, spec.environment.name);
      if (failure !== undefined) throw failure;
      return { warnings: answers.length, unchecked: unchecked.length };
    },
  };
}

function warningOf({ code, object, container, message, fix, evidence }: Answer) {
  return {
    type: 'rollout.warning' as const,
    warning: {
      code,
      object,
      ...(container !== undefined && { container }),
      message,
      fix,
      evidence: evidence ?? [],
    },
  };
}
