import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import { ArgoCdDeployer } from './argocd.ts';
import type { Deployer, DeployRequest } from './deployer.ts';
import { type Detector, HelmDeployer } from './helm.ts';
import { loadKustomization } from './kustomize.ts';
import { loadManifests } from './manifests.ts';
import { ObjectSetDeployer } from './objectSet.ts';
import { WorkloadHistory } from './workloadHistory.ts';

export interface DeployerOptions {
  readonly system: System;
  readonly secrets: Secrets;
  readonly access: ClusterAccess;
  readonly request: DeployRequest;
  /** Ends a waiting helm on proof; without it helm's own timeout holds. */
  readonly detector?: Detector;
  readonly unlock?: 'asked' | 'stale';
}

/** The deployer of an environment. Throws SlipwayError `config` for kinds that deploy through git. */
export function createDeployer(options: DeployerOptions): Deployer {
  const { system, request, access } = options;
  const config = request.environment.deploy;
  switch (config.kind) {
    case 'helm':
      return new HelmDeployer({ ...options, config });
    case 'manifests':
      return new ObjectSetDeployer({
        ...options,
        imageNames: config.images,
        isPruning: config.prune,
        history: new WorkloadHistory(access),
        source: {
          kind: 'manifests',
          title: config.paths.join(', '),
          load: () => loadManifests(system.files, config),
        },
      });
    case 'kustomize':
      return new ObjectSetDeployer({
        ...options,
        imageNames: config.images,
        isPruning: config.prune,
        history: new WorkloadHistory(access),
        source: {
          kind: 'kustomize',
          title: config.path,
          load: (signal) => loadKustomization(system, config, request.images, signal),
        },
      });
    case 'argocd':
      return new ArgoCdDeployer({ ...options, config });
    default:
      throw new SlipwayError({
        reason: 'config',
        code: `deploy.${config.kind}`,
        message: `Environment ${request.environment.name} deploys with Flux: the change goes into git, and writing it from a run is not built yet.`,
        fix: 'Bump the image in git with `slipway bump`; the cluster follows by itself.',
        place: request.environment.place,
      });
  }
}
