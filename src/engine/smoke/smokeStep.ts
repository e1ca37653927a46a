import type { DeployOutputs, StepKind } from '../plan/step.ts';
import { parseTarget } from '../plan/targets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { EnvironmentConfig } from '../project/model.ts';
import type { System } from '../system/index.ts';
import type { SmokeAccess } from './access.ts';
import { runCheck } from './check.ts';
import { findEndpoints } from './endpoints.ts';

export interface SmokeStepOptions {
  /** A connection to the environment's cluster; closed by the caller's own means when the run ends. */
  readonly access: (environment: EnvironmentConfig, system: System, signal: AbortSignal) => Promise<SmokeAccess>;
}

/** Asks the running app. All checks run at the same time; the first wrong one in the person's order names the failure. */
export function smokeStep(options: SmokeStepOptions): StepKind<'smoke'> {
  return {
    kind: 'smoke',
    async run({ environment, deploy }, context) {
      const { system, signal, emit } = context;
      const deployed = context.outputs<DeployOutputs>(deploy);
      const access = await options.access(environment, system, signal);
      const around = {
        access,
        namespace: environment.namespace,
        revision: { workloads: deployed.targets.map(parseTarget) },
      };
      const results = await Promise.all(
        environment.smoke.map(async (check) => {
          const result = await runCheck(check, around, system, signal);
          emit({ type: 'smoke.result', check: check.name, ...result });
          return { check, result };
        }),
      );
      const wrong = results.filter(({ result }) => !result.isOk);
      const [first] = wrong;
      if (first !== undefined) {
        const more = wrong.length > 1 ? ` (and ${wrong.length - 1} more)` : '';
        throw new SlipwayError({
          reason: 'smoke',
          code: `smoke.${first.check.kind}`,
          message: `Smoke check "${first.check.name}" failed after ${first.result.attempts} attempts in ${(first.result.durationMs / 1000).toFixed(1)} s: ${first.result.message}${more}.`,
          fix: 'Look at the logs of the new pods; if the check itself is wrong, correct it.',
          place: first.check.place,
          evidence: wrong.map(({ check, result }) => `${check.name}: ${result.message}`),
        });
      }
      for (const endpoint of await findEndpoints(around, system.clock, signal)) emit({ type: 'endpoint', ...endpoint });
      return { checks: results.length, passed: results.length };
    },
  };
}
