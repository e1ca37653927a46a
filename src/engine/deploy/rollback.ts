// Back to the version that served before, by our own record of what was verified, and proof that it alone serves again.

import { at, listOf, refOf } from '../cluster/index.ts';
import type { EventBody } from '../events/index.ts';
import type { StepContext } from '../plan/step.ts';
import { parseTarget } from '../plan/targets.ts';
import { type Failure, isCancelled, SlipwayError, toFailure } from '../problems/index.ts';
import type { EnvironmentConfig } from '../project/model.ts';
import { type Baseline, emptyBaseline, freeStuckPods, takeBaseline } from '../rollout/index.ts';
import type { ClusterAccess } from './access.ts';
import type { Registry } from './checkImages.ts';
import { isHealthy } from './checkLive.ts';
import type { Deployer, WayBack } from './deployer.ts';
import type { FullDeployOutputs } from './deployOutputs.ts';
import { obstaclesFor, refuseObstacles, writerOf } from './ownership.ts';
import { inParallel } from './parallel.ts';
import { awaitRestored } from './restored.ts';
import { runOf } from './stepRequest.ts';

export interface RollbackOptions {
  readonly why: Failure;
  readonly deployer: Deployer;
  readonly deployed: FullDeployOutputs;
  readonly access: ClusterAccess;
  readonly registry: Registry;
  readonly environment: EnvironmentConfig;
  readonly context: Omit<StepContext, 'step'>;
  /** The deploy itself failed, so a workload that looks healthy is no reason to stay. */
  readonly hasFailedWriting?: boolean;
  /** A person asked for it: then neither the state before nor a recovered workload has a say. */
  readonly isByCommand?: boolean;
  /** The revision the person chose. */
  readonly wanted?: string;
}

type Finished = Extract<EventBody, { readonly type: 'rollback.finished' }>;

/**
 * Rolls back and says how it went in `rollback.*` events. True when the old version alone serves again. Throws
 * CancelledError; a rollback that fails is an event with outcome `failed` and throws its SlipwayError.
 */
export async function rollBack(options: RollbackOptions): Promise<boolean> {
  const { deployer, deployed, environment, context, why, wanted, isByCommand } = options;
  const { emit, signal, system } = context;
  const since = () => system.clock.now() - Date.parse(deployed.startedAt);
  const finish = (outcome: Finished['outcome'], target: string, message: string) =>
    emit({
      type: 'rollback.finished',
      environment: environment.name,
      outcome,
      target,
      message,
      ...(outcome === 'restored' && { sinceDeployMs: since() }),
    });

  const refusal = isByCommand === true ? undefined : refusalOf(why, deployed);
  if (refusal !== undefined) {
    finish('refused', deployed.previous ?? 'none', refusal);
    return false;
  }
  const way = await deployer.wayBack({
    from: deployed.revision,
    previous: deployed.previous,
    ...(wanted !== undefined && { wanted }),
    ...(isByCommand === true && { isAsked: true }),
    signal,
  });
  if (way.kind === 'none') {
    finish(
      'nothing-to-restore',
      'none',
      isByCommand ? way.why : `${way.why} What was deployed is left as it is, for diagnosis.`,
    );
    return false;
  }
  if (isByCommand === true) {
    const live = await inParallel(way.targets, (ref) => options.access.get(ref, signal));
    refuseObstacles(
      obstaclesFor(
        writerOf(environment),
        live.filter((object) => object !== undefined),
      ),
    );
  }
  const lost = await lostImages(options, way);
  if (lost.length > 0) {
    finish(
      'refused',
      way.revision,
      `Revision ${way.revision} runs ${lost.join(', ')}, which the registry no longer has and no running pod holds.`,
    );
    return false;
  }
  // Rule C7: a verdict may be overtaken by a workload that recovers while the rollback is prepared.
  if (
    isByCommand !== true &&
    why.reason === 'rollout' &&
    options.hasFailedWriting !== true &&
    (await hasRecovered(options))
  ) {
    finish('refused', way.revision, 'At the last look every workload had become healthy, so nothing was rolled back.');
    return false;
  }

  const target = targetText(deployer, way);
  const onLine = (text: string) => emit({ type: 'log', stream: 'out', text, source: deployer.kind });
  emit({ type: 'rollback.started', environment: environment.name, why: why.message, target });
  try {
    const startedAt = system.clock.now();
    const baseline =
      options.access.watch === undefined ? emptyBaseline : await takeBaseline(options.access, way.targets, signal);
    const revision = await deployer.undo(way, {
      run: runOf(context),
      onLine,
      signal,
    });
    for (const pod of await freeStuckPods(options.access, way.targets, { clock: system.clock, signal })) {
      emit({
        type: 'log',
        stream: 'out',
        text: `${pod} kept the StatefulSet from going back and was deleted`,
        source: deployer.kind,
      });
    }
    await restored(options, way, baseline, startedAt);
    const stays = await deployer.stays?.(way, { run: runOf(context), onLine, signal });
    finish('restored', target, restoredText(target, since(), options, stays, way.extent));
    if (way.trust === 'verified' || isByCommand !== true) {
      // Its own watch has just seen it serve: the next failure may come back to it.
      await deployer.markVerified(revision, way.targets, signal).catch((error: unknown) => {
        if (isCancelled(error)) throw error;
        emit({
          type: 'log',
          stream: 'err',
          text: `The revision could not be marked as verified: ${toFailure(error).message}`,
        });
      });
    }
    return true;
  } catch (error) {
    if (isCancelled(error)) throw error;
    finish('failed', target, `The rollback to ${target} failed: ${toFailure(error).message}`);
    throw error;
  }
}

/**
 * Until only the old version serves. The same judge as for any rollout watches beside, so that an old version that
 * proves to be broken as well (its image gone, a Secret it needs removed) ends the wait with its cause.
 */
async function restored(
  { access, context }: RollbackOptions,
  way: Extract<WayBack, { readonly kind: 'revision' }>,
  baseline: Baseline,
  startedAt: number,
): Promise<void> {
  const { system, secrets, emit } = context;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const waiting = awaitRestored(access, system.clock, way.targets, signal, (workloads) =>
    emit({ type: 'rollout.progress', workloads }),
  );
  const judging = (async (): Promise<never> => {
    const result = await access.watch?.(way.targets, { system, secrets, signal, emit: () => {}, baseline, startedAt });
    const cause = result?.causes[0];
    if (result?.state !== 'failed' || cause === undefined || cause.code === 'deleted') return new Promise(() => {});
    throw new SlipwayError({
      reason: 'rollout',
      code: cause.code,
      message: `the old version does not start either: ${cause.message}`,
      fix: cause.fix,
      evidence: cause.evidence,
    });
  })();
  try {
    await Promise.race([waiting, judging]);
  } finally {
    stop.abort();
    // Both end with the signal; what they say then is of no interest.
    void judging.catch(() => {});
    await waiting.catch(() => {});
  }
}

/** Why nothing is rolled back by itself; undefined when it may be. */
function refusalOf(why: Failure, deployed: FullDeployOutputs): string | undefined {
  // Lost contact, a wrong configuration or a fault of ours says nothing about the app.
  if (!['rollout', 'smoke', 'timeout', 'tool-failed'].includes(why.reason)) {
    return `Nothing was rolled back: the failure is not the app's (${why.reason}).`;
  }
  if (why.code === 'superseded' || why.code === 'unknown') {
    return `Nothing was rolled back: ${why.code === 'unknown' ? 'the cluster was lost from sight' : 'somebody else has changed the objects since'}.`;
  }
  if (deployed.unhealthyBefore.length > 0) {
    return `Nothing was rolled back by itself: ${deployed.unhealthyBefore.join(', ')} was not healthy before this deploy either. Choose with \`slipway rollback\`.`;
  }
  return undefined;
}

/** Images of the old version that could not be pulled again and that no ready pod runs. */
async function lostImages(
  { registry, access, context, environment }: RollbackOptions,
  way: Extract<WayBack, { readonly kind: 'revision' }>,
): Promise<readonly string[]> {
  const { signal } = context;
  const looked = await Promise.all(
    way.images.map(async (image) => ((await registry.lookUp(image, signal)).state === 'absent' ? image : undefined)),
  );
  const absent = looked.filter((image) => image !== undefined);
  if (absent.length === 0) return [];
  const pods = await access.list({ apiVersion: 'v1', kind: 'Pod', namespace: environment.namespace }, signal);
  const running = new Set(
    pods
      .filter((pod) => listOf(at(pod, 'status', 'conditions')).some((c) => c.type === 'Ready' && c.status === 'True'))
      .flatMap((pod) => listOf(at(pod, 'spec', 'containers')).map((container) => container.image)),
  );
  return absent.filter((image) => !running.has(image));
}

async function hasRecovered({ deployed, access, context }: RollbackOptions): Promise<boolean> {
  const { signal } = context;
  const targets = deployed.targets.map(parseTarget);
  if (targets.length === 0) return false;
  const live = await inParallel(targets, (ref) => access.get(ref, signal));
  return live.every((object) => {
    if (object === undefined) return false;
    const replicas = Number(at(object, 'spec', 'replicas') ?? 1);
    const isSeen = Number(at(object, 'status', 'observedGeneration') ?? 0) >= Number(object.metadata.generation ?? 0);
    if (refOf(object).kind !== 'Deployment') return false;
    return isSeen && isHealthy(object) === true && Number(at(object, 'status', 'updatedReplicas') ?? 0) >= replicas;
  });
}

function targetText(deployer: Deployer, way: Extract<WayBack, { readonly kind: 'revision' }>): string {
  if (deployer.kind === 'argocd') return `commit ${way.revision.slice(0, 8)}`;
  if (deployer.kind === 'helm') return `revision ${way.revision}`;
  // The record of a set is for machines; what people know are the workloads' revisions.
  const workloads = way.revision.split(',').filter((point) => !point.startsWith('Set/'));
  return workloads.length === 0 ? 'the objects as they were before' : workloads.join(',');
}

function restoredText(
  target: string,
  sinceMs: number,
  { deployer, isByCommand }: Pick<RollbackOptions, 'deployer' | 'isByCommand'>,
  stays: string | undefined,
  extent: 'whole' | 'templates' | undefined,
): string {
  const since = `${(sinceMs / 1000).toFixed(1)} s after the ${isByCommand === true ? 'rollback' : 'deploy'} began`;
  const back = `Back at ${target}, which alone serves again ${since}.`;
  if (deployer.kind === 'argocd') return `${back} Git holds the old version, so Argo CD keeps it.`;
  if (stays !== undefined) return `${back} ${stays}`;
  // What a person leaves by choice need not have failed.
  const inGit =
    isByCommand === true
      ? 'still hold the version that was left; a deploy from there brings it back'
      : 'still hold the failed version';
  const rest =
    deployer.kind === 'helm'
      ? `The chart and values in git ${inGit}`
      : extent === 'whole'
        ? `Every object is as it was before; the manifests in git ${inGit}`
        : `Only pod templates were put back, not ConfigMaps or Secrets, and the manifests in git ${inGit}`;
  return `${back} ${rest}.`;
}
