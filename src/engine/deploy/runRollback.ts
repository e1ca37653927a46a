import { join } from 'node:path';
import type { ObjectRef } from '../events/index.ts';
import type { DeployedImage, Plan, StepContext } from '../plan/step.ts';
import { parseTarget } from '../plan/targets.ts';
import type { Failure } from '../problems/index.ts';
import type { EnvironmentConfig } from '../project/model.ts';
import type { ClusterAccess } from './access.ts';
import { createDeployer } from './createDeployer.ts';
import type { FullDeployOutputs } from './deployOutputs.ts';
import { diagnose } from './diagnose.ts';
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

/** Collects the facts of a failed deploy into `reports/diagnostics` of the run's folder. */
export function runDiagnosis(options: Pick<RunRollbackOptions, 'open'>) {
  return async (plan: Plan, why: Failure, context: Context): Promise<void> => {
    const found = deployOf(plan);
    if (found === undefined) return;
    const { system, secrets, signal } = context;
    const { environment } = found.spec;
    const access = await options.open(environment, context);
    await diagnose({
      system,
      secrets,
      access,
      environment: environment.name,
      namespace: environment.namespace,
      ...(environment.deploy.kind === 'helm' && { release: environment.deploy.release }),
      targets: await targetsOf(found, access, context),
      folder: join(context.folder, 'reports', 'diagnostics'),
      failure: why,
      signal,
    });
    context.emit({ type: 'report', title: 'Diagnosis', path: 'reports/diagnostics/report.md' });
  };
}

/** From the outputs; a deploy that failed has left none, then from what it renders. */
async function targetsOf(
  { id, spec }: NonNullable<ReturnType<typeof deployOf>>,
  access: ClusterAccess,
  context: Context,
): Promise<readonly ObjectRef[]> {
  try {
    return context.outputs<FullDeployOutputs>(id).targets.map(parseTarget);
  } catch {
    const { system, secrets, signal } = context;
    const deployer = createDeployer({ system, secrets, access, request: requestOf(spec, context) });
    return deployer.liveTargets(signal);
  }
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
