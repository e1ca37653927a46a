import { at, type Cluster, listOf, openCluster, textOf } from '../cluster/index.ts';
import type { CauseView, ObjectRef } from '../events/index.ts';
import { parseReference } from '../images/index.ts';
import type { DeployOutputs, StepContext, StepKind } from '../plan/step.ts';
import { parseTarget } from '../plan/targets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { EnvironmentConfig } from '../project/model.ts';
import { registryAsker } from './askRegistry.ts';
import { readBaseline } from './baseline.ts';
import { targetKey } from './snapshot.ts';
import { type RolloutResult, watchRollout } from './watcher.ts';

/** A pod that restarted more often is no measure of what is usual. */
const MOST_LEARNED = 10;

/** Judges what the deploy step wrote. Fails with reason `rollout` and the class of the cause as code. */
export const rolloutStep: StepKind<'rollout'> = {
  kind: 'rollout',
  async run({ environment, deploy, learnedRestarts }, context) {
    const deployed = context.outputs<DeployOutputs>(deploy);
    const targets = deployed.targets.map(parseTarget);
    if (targets.length === 0) return { state: 'ready', message: 'Nothing to watch: the deploy has no workloads.' };
    const cluster = await openFor(environment, context);
    if (context.kept?.has(deploy)) await refuseForeign(cluster, deployed, targets, context.signal);
    const verdict = await judge({ cluster, environment, deployed, targets, learnedRestarts }, context);
    if (verdict.state !== 'ready') throw rolloutFailure(verdict);
    const restarts = restartsBeforeReady(verdict);
    return { state: verdict.state, message: verdict.message, elapsedMs: verdict.elapsedMs, restarts };
  },
};

/**
 * The most restarts of a new pod, by target; the next rollout grants them. A version that is ready has earned its restarts,
 * and one that starts without any takes them back.
 */
function restartsBeforeReady({ workloads }: RolloutResult): Readonly<Record<string, number>> {
  const found = workloads.map(({ ref, pods }): readonly [string, number] => [
    targetKey(ref),
    Math.min(MOST_LEARNED, Math.max(0, ...pods.filter(({ isNew }) => isNew).map(({ restarts }) => restarts))),
  ]);
  return Object.fromEntries(found.filter(([, restarts]) => restarts > 0));
}

const openFor = (environment: EnvironmentConfig, { system, secrets }: StepContext): Promise<Cluster> =>
  openCluster(
    system,
    {
      ...(environment.kubeconfig !== undefined && { kubeconfig: environment.kubeconfig }),
      ...(environment.context !== undefined && { context: environment.context }),
    },
    secrets,
  );

/** Deployers that write the workloads themselves, so that what is there when they are done is theirs. */
const WRITERS: ReadonlySet<string> = new Set(['helm', 'manifests', 'kustomize']);

/**
 * A run that goes on judges what it deployed before it was interrupted, and not what somebody else has deployed since: a
 * workload that runs another version of an image that this run deployed is theirs. Throws SlipwayError `superseded`.
 */
async function refuseForeign(
  cluster: Pick<Cluster, 'get'>,
  { deployer, images }: DeployOutputs,
  targets: readonly ObjectRef[],
  signal: AbortSignal,
): Promise<void> {
  if (!WRITERS.has(deployer)) return;
  const wanted = Object.values(images).map((image) => ({ image, ...partsOf(image) }));
  for (const target of targets) {
    const spec = at(await cluster.get(target, signal), 'spec', 'template', 'spec');
    const live = ['containers', 'initContainers'].flatMap((list) =>
      listOf(at(spec, list)).flatMap((container) => textOf(container.image) ?? []),
    );
    const ours = live.flatMap((image) => {
      const parts = partsOf(image);
      const deployed = wanted.filter(({ repository }) => repository === parts.repository);
      const isSame = deployed.some(({ tag, digest }) =>
        digest !== undefined && parts.digest !== undefined ? digest === parts.digest : tag === parts.tag,
      );
      return deployed[0] === undefined ? [] : [{ image, isSame, wanted: deployed[0].image }];
    });
    const [foreign] = ours;
    if (foreign === undefined || ours.some(({ isSame }) => isSame)) continue;
    throw new SlipwayError({
      reason: 'rollout',
      code: 'superseded',
      message: `${target.kind} ${target.name} runs ${foreign.image} now and not ${foreign.wanted}: somebody else has deployed since this run was interrupted.`,
      fix: 'What runs now is theirs and was left alone. To have this version, deploy it again: slipway deploy.',
    });
  }
}

/** What cannot be read as a reference is the repository of nothing that we deploy. */
function partsOf(reference: string): { readonly repository: string; readonly tag?: string; readonly digest?: string } {
  try {
    const { registry, repository, tag, digest } = parseReference(reference);
    return {
      repository: `${registry}/${repository}`,
      ...(tag !== undefined && { tag }),
      ...(digest !== undefined && { digest }),
    };
  } catch {
    return { repository: reference };
  }
}

async function judge(
  {
    cluster,
    environment,
    deployed,
    targets,
    learnedRestarts,
  }: {
    readonly cluster: Cluster;
    readonly environment: EnvironmentConfig;
    readonly deployed: DeployOutputs;
    readonly targets: readonly ObjectRef[];
    readonly learnedRestarts: Readonly<Record<string, number>>;
  },
  { system, secrets, signal, emit }: StepContext,
): Promise<RolloutResult> {
  const { timeoutMs, stabilityMs, noProgressMs, crashExits } = environment.rollout;
  const digests = Object.values(deployed.images).flatMap((image) => /sha256:[0-9a-f]{64}/.exec(image)?.[0] ?? []);
  return watchRollout(cluster, targets, readBaseline(deployed.baseline), {
    signal,
    clock: system.clock,
    askRegistry: registryAsker(system, secrets),
    emit,
    secrets,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(noProgressMs !== undefined && { noProgressMs }),
    ...(crashExits !== undefined && { crashExits }),
    learnedRestarts,
    // Smoke checks look at the app for longer than a stability window would.
    stabilityMs: stabilityMs ?? (environment.smoke.length > 0 ? 0 : 10_000),
    digests,
    since: Date.parse(deployed.startedAt),
  });
}

/** The failure that a verdict other than `ready` means for a run. */
export function rolloutFailure(verdict: RolloutResult): SlipwayError {
  const [cause, ...others] = verdict.causes;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  switch (verdict.state) {
    case 'failed':
      return new SlipwayError({
        reason: 'rollout',
        code: cause?.code ?? 'failed',
        message: `${cause?.message ?? verdict.message}${more}`,
        ...(cause !== undefined && { fix: cause.fix, evidence: cause.evidence }),
      });
    case 'stalled':
      return new SlipwayError({
        reason: 'rollout',
        code: 'stalled',
        message: verdict.message,
        fix: cause === undefined ? 'Look at events and logs of the new pods.' : `${cause.message} ${cause.fix}`,
        evidence: verdict.causes.flatMap(sentence),
      });
    case 'superseded':
      return new SlipwayError({
        reason: 'rollout',
        code: 'superseded',
        message: verdict.message,
        fix: 'Look at who else deploys there; what runs now is theirs.',
      });
    default:
      return new SlipwayError({
        reason: 'cluster',
        code: 'rollout.unknown',
        message: verdict.message,
        fix: 'Nothing was rolled back. When the cluster answers again, resume the run: it watches on. Or look: slipway status.',
      });
  }
}

const sentence = (cause: CauseView): readonly string[] => [
  `${cause.code}: ${cause.message}`,
  ...cause.evidence.slice(0, 3),
];
