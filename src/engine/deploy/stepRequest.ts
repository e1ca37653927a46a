import { basename } from 'node:path';
import type { DeployedImage, PublishOutputs, StepContext } from '../plan/step.ts';
import type { EnvironmentConfig } from '../project/model.ts';
import type { ClusterAccess } from './access.ts';
import type { Registry } from './checkImages.ts';
import type { DeployRequest } from './deployer.ts';

/** Opens the cluster of an environment; contacts it only when asked something. */
export type OpenCluster = (
  environment: EnvironmentConfig,
  context: Pick<StepContext, 'system' | 'secrets' | 'signal'>,
) => Promise<ClusterAccess>;

/** The registries, with the credentials of this machine. */
export type OpenRegistry = (context: Pick<StepContext, 'system' | 'secrets'>) => Registry;

/** What a step deploys: digests come from the publish steps of this run. */
export function requestOf(
  spec: { readonly environment: EnvironmentConfig; readonly images: readonly DeployedImage[] },
  context: Pick<StepContext, 'outputs'>,
): DeployRequest {
  return {
    environment: spec.environment,
    images: spec.images.map(({ image, tag, publish }) => ({
      name: image.name,
      repository: image.repository,
      tag,
      ...(publish !== undefined && { digest: context.outputs<PublishOutputs>(publish).digest }),
    })),
  };
}

/** The id of the run that a step belongs to: its folder is named by it. */
export const runOf = (context: Pick<StepContext, 'folder'>): string => basename(context.folder);
