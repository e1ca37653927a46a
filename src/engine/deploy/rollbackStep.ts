import type { StepKind } from '../plan/step.ts';
import { SlipwayError } from '../problems/index.ts';
import { createDeployer } from './createDeployer.ts';
import { rollBack } from './rollback.ts';
import { type OpenCluster, type OpenRegistry, requestOf } from './stepRequest.ts';

export interface RollbackStepOptions {
  readonly open: OpenCluster;
  readonly registry: OpenRegistry;
}

/** Rolls an environment back by command. Fails when there is nothing to go back to or it was refused. */
export function rollbackStep({ open, registry }: RollbackStepOptions): StepKind<'rollback'> {
  return {
    kind: 'rollback',
    async run({ environment, to, how }, context) {
      const { system, secrets } = context;
      const access = await open(environment, context);
      const deployer = createDeployer({
        system,
        secrets,
        access,
        request: requestOf({ environment, images: [] }, context),
        ...(how !== undefined && { how }),
      });
      let refusal: { readonly message: string; readonly outcome?: string } = { message: '' };
      const isRestored = await rollBack({
        why: { reason: 'rollout', message: 'by command' },
        deployer,
        deployed: {
          environment: environment.name,
          deployer: deployer.kind,
          images: {},
          revision: null,
          previous: null,
          targets: [],
          startedAt: new Date(system.clock.now()).toISOString(),
          unhealthyBefore: [],
        },
        access,
        registry: registry(context),
        environment,
        context: {
          ...context,
          emit: (event) => {
            if (event.type === 'rollback.finished') refusal = event;
            context.emit(event);
          },
        },
        isByCommand: true,
        ...(to !== undefined && { wanted: to }),
      });
      if (!isRestored) {
        throw new SlipwayError({
          reason: 'refused',
          code: 'rollback.none',
          message: refusal.message,
          fix:
            refusal.outcome === 'nothing-to-restore' && to === undefined
              ? `Deploy a version that works: slipway deploy --env ${environment.name} --tag TAG.`
              : `Name another version with --to; slipway rollback --env ${environment.name} --list shows what there is.`,
        });
      }
      return {};
    },
  };
}
