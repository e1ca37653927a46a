import type { Secrets } from '../events/secrets.ts';
import type { RollbackWay } from '../project/model.ts';
import type { System } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import { ArgoCdDeployer } from './argocd.ts';
import type { Deployer, DeployRequest } from './deployer.ts';
import { FluxDeployer } from './flux.ts';
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
  /** Flux: the way back that the person chose. */
  readonly how?: RollbackWay;
}

/** The deployer of an environment. */
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
    case 'flux':
      return new FluxDeployer({ ...options, config });
  }
}
