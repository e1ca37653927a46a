import type { DeployedImage, Plan, StepContext } from '../plan/step.ts';
import { parseTarget } from '../plan/targets.ts';
import type { Failure } from '../problems/index.ts';
import type { EnvironmentConfig } from '../project/model.ts';
import { createDeployer } from './createDeployer.ts';
import type { FullDeployOutputs } from './deployOutputs.ts';
import { rollBack } from './rollback.ts';
import { type OpenCluster, type OpenRegistry, requestOf } from './stepRequest.ts';

type Context = Omit<StepContext, 'step'>;

export interface RunRollbackOptions {
  readonly open: OpenCluster;
  readonly registry: OpenRegistry;
}

/** The rollback of a run whose rollout or smoke test failed. True when the old version alone serves again. */
export function runRollback(options: RunRollbackOptions) {
  return async (plan: Plan, why: Failure, context: Context): Promise<boolean> => {
    const found = deployOf(plan);
    if (found === undefined) return false;
    const { system, secrets } = context;
    const access = await options.open(found.spec.environment, context);
    const request = requestOf(found.spec, context);
    return rollBack({
      why,
      deployer: createDeployer({ system, secrets, access, request }),
      deployed: context.outputs<FullDeployOutputs>(found.id),
      access,
      registry: options.registry(context),
      environment: found.spec.environment,
      context,
    });
  };
}

/**
 * Records, after rollout and smoke test have succeeded, that what this run deployed is verified: the way back of later
 * runs. Throws SlipwayError `cluster` when it cannot be written; the run itself has succeeded all the same.
 */
export function runVerified(options: Pick<RunRollbackOptions, 'open'>) {
  return async (plan: Plan, context: Context): Promise<void> => {
    const found = deployOf(plan);
    if (found === undefined) return;
    const { system, secrets, signal } = context;
    const access = await options.open(found.spec.environment, context);
    const deployer = createDeployer({ system, secrets, access, request: requestOf(found.spec, context) });
    const outputs = context.outputs<FullDeployOutputs>(found.id);
    await deployer.markVerified(outputs.revision, outputs.targets.map(parseTarget), signal);
  };
}

function deployOf(plan: Plan):
  | {
      readonly id: string;
      readonly spec: { readonly environment: EnvironmentConfig; readonly images: readonly DeployedImage[] };
    }
  | undefined {
  for (const { id, spec } of plan.steps) if (spec.kind === 'deploy') return { id, spec };
  return undefined;
}
