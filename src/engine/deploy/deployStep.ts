import { nameOf } from '../cluster/index.ts';
import type { Json, ObjectRef } from '../events/index.ts';
import type { StepContext, StepKind } from '../plan/step.ts';
import { formatTarget } from '../plan/targets.ts';
import { isCancelled, SlipwayError, toFailure } from '../problems/index.ts';
import { takeBaseline } from '../rollout/index.ts';
import type { ClusterAccess } from './access.ts';
import type { Registry } from './checkImages.ts';
import { isHealthy } from './checkLive.ts';
import { createDeployer } from './createDeployer.ts';
import type { Applied, Deployer } from './deployer.ts';
import type { FullDeployOutputs } from './deployOutputs.ts';
import { detectorOf } from './detector.ts';
import { inParallel } from './parallel.ts';
import { rollBack } from './rollback.ts';
import { type OpenCluster, type OpenRegistry, requestOf, runOf } from './stepRequest.ts';

export interface DeployStepOptions {
  readonly open: OpenCluster;
  readonly registry: OpenRegistry;
}

/**
 * Writes the new version and returns as soon as the objects are written (a chart with post hooks: when helm is done);
 * the rollout step judges. When writing itself fails half-way, what was written is taken back here.
 */
export function deployStep(options: DeployStepOptions): StepKind<'deploy'> {
  return {
    kind: 'deploy',
    async run(spec, context): Promise<FullDeployOutputs> {
      const { system, secrets, signal, emit } = context;
      const { environment } = spec;
      const access = await options.open(environment, context);
      const request = requestOf(spec, context);
      const detector = detectorOf(access, context);
      const deployer = createDeployer({
        system,
        secrets,
        access,
        request,
        ...(detector !== undefined && { detector }),
      });
      const rendered = await deployer.render(signal);
      const targets = deployer.targets(rendered);
      const unhealthyBefore = await unhealthy(access, targets, signal);
      const baseline = await takeBaseline(access, targets, signal);
      const startedAt = new Date(system.clock.now()).toISOString();
      const outputs = (applied: Pick<Applied, 'revision' | 'previous' | 'targets'>): FullDeployOutputs => ({
        environment: environment.name,
        deployer: deployer.kind,
        images: rendered.images,
        revision: applied.revision,
        previous: applied.previous,
        targets: (applied.targets ?? targets).map(formatTarget),
        startedAt,
        unhealthyBefore,
        baseline: baseline as unknown as Json,
      });
      const already =
        context.unfinished?.effect === 'deploy' ? await deployer.applied?.(runOf(context), signal) : undefined;
      emit({ type: 'step.intent', effect: 'deploy', subject: environment.name, detail: { images: rendered.images } });
      let applied: Applied;
      try {
        applied =
          already ??
          (await deployer.apply({
            run: runOf(context),
            onLine: (text) => emit({ type: 'log', stream: 'out', text, source: deployer.kind }),
            signal,
          }));
      } catch (error) {
        if (!isCancelled(error) && environment.rollout.rollback) {
          await takeBack(error, deployer, outputs, access, options.registry(context), spec.environment, context);
        }
        throw error;
      }
      for (const text of applied.warnings) emit({ type: 'log', stream: 'err', text, source: deployer.kind });
      emit({
        type: 'deploy.applied',
        environment: environment.name,
        deployer: deployer.kind,
        objects: applied.objects,
        ...(applied.revision !== null && { revision: applied.revision }),
        ...(applied.previous !== null && { previous: applied.previous }),
        images: rendered.images,
      });
      return outputs(applied);
    },
  };
}

async function unhealthy(
  access: ClusterAccess,
  targets: readonly ObjectRef[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const live = await inParallel(targets, (ref) => access.get(ref, signal));
  return targets.filter((_, index) => live[index] !== undefined && isHealthy(live[index]) === false).map(nameOf);
}

/** After a write that failed half-way. What was refused before anything was written leaves nothing to take back. */
async function takeBack(
  error: unknown,
  deployer: Deployer,
  outputs: (applied: Pick<Applied, 'revision' | 'previous'>) => FullDeployOutputs,
  access: ClusterAccess,
  registry: Registry,
  environment: Parameters<typeof rollBack>[0]['environment'],
  context: StepContext,
): Promise<void> {
  if (!SlipwayError.is(error)) return;
  const left = await deployer.halfWritten(context.signal);
  if (left === undefined) return;
  await rollBack({
    why: toFailure(error),
    deployer,
    deployed: outputs(left),
    access,
    registry,
    environment,
    context,
    hasFailedWriting: true,
  });
}
