import { basename } from 'node:path';
import type { StepKindName } from '../events/index.ts';
import type { StepKind } from '../plan/step.ts';
import type { AfterRun, Diagnose, Rollback, RunOptions } from './executor.ts';

/**
 * A step kind that is loaded when the first step of it runs, so that planning and reading journals load no registry or
 * cluster client.
 */
function lazy<K extends StepKindName>(kind: K, load: () => Promise<StepKind<K>>): StepKind<K> {
  return {
    kind,
    run: async (spec, context) => (await load()).run(spec, context),
    prepare: async (spec, context) => (await load()).prepare?.(spec, context),
    holds: async (spec, outputs, context) => (await (await load()).holds?.(spec, outputs, context)) ?? true,
  };
}

/** What deployers need, wired to the real cluster and registries. */
async function deployWiring() {
  const [{ clusterOf, deployAccess }, deploy] = await Promise.all([
    import('./clusterAccess.ts'),
    import('../deploy/index.ts'),
  ]);
  const open: import('../deploy/index.ts').OpenCluster = async (environment, { system, secrets }) =>
    deployAccess(await clusterOf(environment, system, secrets));
  const registry: import('../deploy/index.ts').OpenRegistry = ({ system, secrets }) =>
    deploy.registryLookUp(system, secrets);
  return { open, deploy, registry };
}

/** Every step kind there is: the one registration. */
export function stepKinds(): ReadonlyMap<StepKindName, StepKind> {
  const kinds = [
    lazy('build', async () => (await import('../images/buildStep.ts')).buildStep),
    lazy('scan', async () => (await import('../images/scanStep.ts')).scanStep),
    lazy('config', async () => (await import('../images/configStep.ts')).configStep),
    lazy('publish', async () => (await import('../images/publishStep.ts')).publishStep),
    lazy('sbom', async () => (await import('../images/sbomStep.ts')).sbomStep),
    lazy('sign', async () => (await import('../images/signStep.ts')).signStep),
    lazy('test', async () => (await import('../tests/testStep.ts')).testStep),
    lazy('command', async () => (await import('../tests/commandStep.ts')).commandStep),
    lazy('check', async () => {
      const { open, deploy, registry } = await deployWiring();
      return deploy.checkStep({ open, registry });
    }),
    lazy('deploy', async () => {
      const { open, deploy, registry } = await deployWiring();
      return deploy.deployStep({ open, registry });
    }),
    lazy('rollback', async () => {
      const { open, deploy, registry } = await deployWiring();
      return deploy.rollbackStep({ open, registry });
    }),
    lazy('rollout', async () => (await import('../rollout/rolloutStep.ts')).rolloutStep),
    lazy('smoke', async () => {
      const [{ clusterOf, smokeAccess }, { smokeStep }] = await Promise.all([
        import('./clusterAccess.ts'),
        import('../smoke/index.ts'),
      ]);
      return smokeStep({ access: async (environment, system) => smokeAccess(await clusterOf(environment, system)) });
    }),
  ];
  return new Map(kinds.map((kind) => [kind.kind, kind as unknown as StepKind]));
}

/** What undoes a failed deploy. */
export const rollback: Rollback = async (plan, why, context) => {
  const { open, deploy, registry } = await deployWiring();
  return deploy.runRollback({ open, registry })(plan, why, context);
};

/** The lock in the cluster. GitOps controllers deploy by themselves, so there is nothing of ours to lock there. */
export const lease: NonNullable<RunOptions['lease']> = async (plan, context) => {
  const { environment } = plan;
  if (environment === null || environment.deploy.kind === 'flux' || environment.deploy.kind === 'argocd') {
    return undefined;
  }
  const [{ open }, { takeLease }] = await Promise.all([deployWiring(), import('./clusterLease.ts')]);
  const { system, signal, emit, folder } = context;
  return takeLease({
    system,
    access: await open(environment, context),
    environment,
    run: basename(folder),
    signal,
    say: (text) => emit({ type: 'log', stream: 'err', text }),
  });
};

/** Leaves the facts of a failed deploy as a report in the run's folder. */
export const diagnose: Diagnose = async (plan, why, context) => {
  const { open, deploy } = await deployWiring();
  await deploy.runDiagnosis({ open })(plan, why, context);
};

/** Records that what was deployed is verified: what later rollbacks go back to. */
export const recordVerified: AfterRun = async (plan, context) => {
  const { open, deploy } = await deployWiring();
  await deploy.runVerified({ open })(plan, context);
};
