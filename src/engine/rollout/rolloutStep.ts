import { openCluster } from '../cluster/index.ts';
import { Registry } from '../images/index.ts';
import type { DeployOutputs, StepKind } from '../plan/step.ts';
import { parseTarget } from '../plan/targets.ts';
import { SlipwayError } from '../problems/index.ts';
import { type Baseline, emptyBaseline } from './snapshot.ts';
import { watchRollout } from './watcher.ts';

/** How long a version must stay healthy when nothing asks it anything afterwards. */
const STABILITY_MS = 10_000;

/** Watches what the deploy wrote until the verdict. Fails with the proven cause as its code. */
export const rolloutStep: StepKind<'rollout'> = {
  kind: 'rollout',
  async run({ environment, deploy }, context) {
    const { system, secrets, signal, emit } = context;
    const deployed = context.outputs<DeployOutputs & { readonly baseline?: Baseline }>(deploy);
    const targets = deployed.targets.map(parseTarget);
    if (targets.length === 0) return { state: 'ready', message: 'nothing that runs was deployed' };
    const cluster = await openCluster(
      system,
      {
        ...(environment.kubeconfig !== undefined && { kubeconfig: environment.kubeconfig }),
        ...(environment.context !== undefined && { context: environment.context }),
      },
      secrets,
    );
    const { timeoutMs, stabilityMs } = environment.rollout;
    const result = await watchRollout(cluster, targets, {
      system,
      registry: new Registry(system, secrets),
      baseline: deployed.baseline ?? emptyBaseline,
      signal,
      emit,
      startedAt: Date.parse(deployed.startedAt),
      // Smoke checks are a better proof than waiting, so with them the verdict comes at once.
      stabilityMs: stabilityMs ?? (environment.smoke.length > 0 ? 0 : STABILITY_MS),
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    if (result.state === 'ready') return { state: 'ready', message: result.message, elapsedMs: result.elapsedMs };
    const cause = result.causes[0];
    throw new SlipwayError({
      reason: result.state === 'unknown' ? 'cluster' : 'rollout',
      code: cause?.code ?? result.state,
      message: cause === undefined ? result.message : `${cause.object.kind} ${cause.object.name}: ${cause.message}`,
      fix: cause?.fix ?? 'See the pods and events of the workload.',
      evidence: cause?.evidence ?? [],
    });
  },
};
