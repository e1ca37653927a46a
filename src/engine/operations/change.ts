// Small changes by hand: restart and scale. What somebody else decides (git, an autoscaler) is refused with the way that lasts.
import { at, fieldsOf, type KubeObject, listOf, nameOf, numberOf, refOf, textOf } from '../cluster/index.ts';
import { type Owner, ownersOf } from '../deploy/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { findObject, type Named, type Scope, words } from './find.ts';

export interface Changed {
  readonly object: ObjectRef;
  /** One sentence on what was done. */
  readonly message: string;
  /** What will undo it, or what else is worth knowing. */
  readonly notes: readonly string[];
  /** Scale: the number of replicas until then. */
  readonly before?: number;
}

/** The annotation of `kubectl rollout restart`, so that both are told alike. */
const RESTARTED_AT = 'kubectl.kubernetes.io/restartedAt';

/**
 * Replaces all pods of a workload by the rules of its own update strategy, as `kubectl rollout restart` does; a pod is
 * deleted, so that its controller makes another. Git and charts do not mention the annotation, so nothing undoes it.
 */
export async function restart(named: Named, scope: Scope, now: number): Promise<Changed> {
  const object = await findObject(named, scope);
  const ref = refOf(object);
  if (object.kind === 'Pod') {
    const owner = object.metadata.ownerReferences?.find(({ controller }) => controller === true);
    if (owner === undefined)
      throw refused(`Nothing would make ${nameOf(ref)} again: no controller owns it.`, 'Deploy it again.');
    await scope.cluster.remove(ref, { signal: scope.signal });
    return {
      object: ref,
      message: `${nameOf(ref)} was deleted; ${owner.kind} ${owner.name} makes another.`,
      notes: [],
    };
  }
  if (!['Deployment', 'StatefulSet', 'DaemonSet'].includes(object.kind)) {
    throw refused(
      `A ${object.kind} cannot be restarted.`,
      'A Job is run again by a deploy; a CronJob by its schedule.',
    );
  }
  if (at(object, 'spec', 'paused') === true) {
    throw refused(
      `${nameOf(ref)} is paused: its pods would not be replaced.`,
      `Resume it first: kubectl rollout resume ${words(ref)}.`,
    );
  }
  const annotations = { [RESTARTED_AT]: new Date(now).toISOString() };
  await scope.cluster.merge(
    ref,
    {
      metadata: { resourceVersion: object.metadata.resourceVersion },
      spec: { template: { metadata: { annotations } } },
    },
    { signal: scope.signal },
  );
  const isOnDelete = at(object, 'spec', 'updateStrategy', 'type') === 'OnDelete';
  return {
    object: ref,
    message: `${nameOf(ref)} is being restarted.`,
    notes: isOnDelete ? ['Its update strategy is OnDelete: each pod is replaced when you delete it.'] : [],
  };
}

/** Sets the number of replicas through the scale subresource. Throws SlipwayError `refused` where another decides it. */
export async function scale(named: Named, replicas: number, scope: Scope): Promise<Changed> {
  if (!Number.isInteger(replicas) || replicas < 0) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'scale.number',
      message: `${replicas} is no number of replicas.`,
      fix: 'Give a whole number, 0 or more.',
    });
  }
  const object = await findObject(named, scope);
  const ref = refOf(object);
  if (!['Deployment', 'StatefulSet', 'ReplicaSet'].includes(object.kind)) {
    throw refused(
      `A ${object.kind} has no number of replicas.`,
      object.kind === 'DaemonSet' ? 'It runs one pod on each node that fits.' : 'Name a Deployment or StatefulSet.',
    );
  }
  await refuseAutoscaled(ref, replicas, scope);
  const owners = ownersOf(object);
  await refuseOwned(object, owners, replicas, scope);
  const before = numberOf(at(object, 'spec', 'replicas')) ?? 1;
  const path = await scope.cluster.path(ref, scope.signal);
  await scope.cluster.api.json({
    method: 'PATCH',
    path: `${path ?? ''}/scale?fieldManager=slipway`,
    body: { spec: { replicas } },
    contentType: 'application/merge-patch+json',
    signal: scope.signal,
  });
  const helm = owners.find((owner) => owner.kind === 'helm');
  const isInManifest = managersOf(object, 'replicas').some((manager) => manager !== 'helm');
  return {
    object: ref,
    message: `${nameOf(ref)} is scaled from ${before} to ${replicas}.`,
    before,
    notes: [
      ...(helm?.kind === 'helm'
        ? [
            `The next upgrade of release ${helm.release} sets what the chart says; put the number into its values to keep it.`,
          ]
        : isInManifest
          ? ['The next deploy sets what the manifest says; change `spec.replicas` there to keep it, or leave it out.']
          : []),
    ],
  };
}

/** An autoscaler would set its own number at its next look. */
async function refuseAutoscaled(
  ref: ObjectRef,
  replicas: number,
  { cluster, namespace, signal }: Scope,
): Promise<void> {
  const scalers = await cluster
    .list(
      { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', namespace: ref.namespace ?? namespace },
      signal,
    )
    .catch((error: unknown) => {
      // Without the right to look there is no proof; the write itself is what is asked for.
      if (SlipwayError.is(error) && error.code === 'api.Forbidden') return [];
      throw error;
    });
  const scaler = scalers.find(({ spec }) => {
    const target = fieldsOf(fieldsOf(spec).scaleTargetRef);
    return target.kind === ref.kind && target.name === ref.name;
  });
  // An autoscaler leaves a workload alone that is scaled to zero by hand, and does not wake it.
  if (scaler === undefined || replicas === 0) return;
  const keda = scaler.metadata.ownerReferences?.find(({ kind }) => kind === 'ScaledObject');
  const spec = fieldsOf(scaler.spec);
  const range = `${String(spec.minReplicas ?? 1)} to ${String(spec.maxReplicas)}`;
  const owner = ownersOf(scaler).find(({ kind }) => kind === 'flux' || kind === 'argocd');
  throw refused(
    `HorizontalPodAutoscaler ${scaler.metadata.name} decides how many replicas ${nameOf(ref)} has (${range}).`,
    keda !== undefined
      ? `Change minReplicaCount and maxReplicaCount of ScaledObject ${keda.name}${owner === undefined ? '' : ' in git'}.`
      : `Change minReplicas and maxReplicas of ${scaler.metadata.name}${owner === undefined ? '' : ' in git and push'}.`,
    'scale.autoscaled',
  );
}

/** GitOps owns the number only when the manifest in git holds it. */
async function refuseOwned(
  object: KubeObject,
  owners: readonly Owner[],
  replicas: number,
  scope: Scope,
): Promise<void> {
  const name = nameOf(refOf(object));
  const controller = owners.find((owner) => owner.kind === 'controller');
  if (controller?.kind === 'controller') {
    throw refused(
      `${name} is made by ${controller.by}, which decides its replicas.`,
      `Scale ${controller.by}.`,
      'owned.controller',
    );
  }
  const managers = managersOf(object, 'replicas');
  const flux = owners.find((owner) => owner.kind === 'flux');
  if (flux?.kind === 'flux' && managers.some((manager) => /^(kustomize|helm)-controller$|^flux/.test(manager))) {
    throw refused(
      `${name} is applied by Flux (${flux.by}) with its number of replicas, which would be set back at the next reconcile.`,
      `Set \`spec.replicas: ${replicas}\` of ${name}${await fluxPlace(flux.by, scope)} and push; or leave replicas out there, then they can be set here.`,
      'owned.flux',
    );
  }
  const argo = owners.find((owner) => owner.kind === 'argocd');
  if (
    argo?.kind === 'argocd' &&
    managers.some((manager) => !/^(kube-controller-manager|kubectl|slipway)/.test(manager))
  ) {
    throw refused(
      `${name} belongs to the Argo CD application ${argo.application} with its number of replicas, which a sync would set back.`,
      `Set \`spec.replicas: ${replicas}\` of ${name} in the application's source and push; or leave replicas out there, then they can be set here.`,
      'owned.argocd',
    );
  }
}

/** Field managers that own `spec.<field>`. */
function managersOf(object: KubeObject, field: string): readonly string[] {
  return listOf(object.metadata.managedFields).flatMap((entry) =>
    at(entry, 'fieldsV1', 'f:spec', `f:${field}`) === undefined ? [] : (textOf(entry.manager) ?? []),
  );
}

/** Where the manifest lies: the path in the repository of a Flux Kustomization, when it can be read. */
async function fluxPlace(by: string, { cluster, signal }: Scope): Promise<string> {
  const [kind, full = ''] = by.split(' ');
  const [namespace, name] = full.includes('/') ? full.split('/') : [undefined, full];
  if (kind !== 'Kustomization' || namespace === undefined || name === undefined) return ' in git';
  const found = await cluster
    .get({ apiVersion: 'kustomize.toolkit.fluxcd.io/v1', kind, name, namespace }, signal)
    .catch(() => undefined);
  const path = textOf(at(found, 'spec', 'path'));
  const source = textOf(at(found, 'spec', 'sourceRef', 'name'));
  return path === undefined ? ' in git' : ` below ${path} of the repository of ${source ?? 'its source'}`;
}

function refused(message: string, fix: string, code = 'change.refused'): SlipwayError {
  return new SlipwayError({ reason: 'refused', code, message, fix });
}
