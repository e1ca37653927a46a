import { type KubeObject, listOf, nameOf, refOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { EnvironmentConfig } from '../project/model.ts';

/** Who else writes an object, and what tells so. */
export type Owner =
  | { readonly kind: 'helm'; readonly release: string; readonly namespace: string; readonly evidence: string }
  /** `by` is the Flux object that applies it, as `Kustomization flux-system/apps`. */
  | { readonly kind: 'flux'; readonly by: string; readonly evidence: string }
  | { readonly kind: 'argocd'; readonly application: string; readonly evidence: string }
  /** Made by a controller from another object, for example a ReplicaSet from a Deployment. */
  | { readonly kind: 'controller'; readonly by: string; readonly evidence: string };

/** What deploys: its own objects are no obstacle to it. */
export type Writer =
  | { readonly kind: 'helm'; readonly release: string; readonly namespace: string }
  /** `[namespace/]name` of the Application that renders and applies the objects. */
  | { readonly kind: 'argocd'; readonly application: string }
  | { readonly kind: 'manifests' }
  /** Writes git, and so what Flux owns. */
  | { readonly kind: 'flux' };

export function writerOf({ deploy, namespace }: Pick<EnvironmentConfig, 'deploy' | 'namespace'>): Writer {
  if (deploy.kind === 'argocd') return { kind: 'argocd', application: deploy.application };
  if (deploy.kind === 'flux') return { kind: 'flux' };
  return deploy.kind === 'helm' ? { kind: 'helm', release: deploy.release, namespace } : { kind: 'manifests' };
}

/**
 * Owners of a live object, by the marks that the tools document: Helm's label and annotations, Flux's
 * `*.toolkit.fluxcd.io` labels, Argo CD's tracking annotation or label, controller references, and field managers.
 * The label `app.kubernetes.io/instance` alone proves nothing: Argo CD's default tracking shares it with most charts,
 * so it counts only when Argo CD's field manager wrote the object.
 */
export function ownersOf(object: KubeObject): readonly Owner[] {
  const labels = object.metadata.labels ?? {};
  const annotations = object.metadata.annotations ?? {};
  const managers = listOf(object.metadata.managedFields).flatMap((entry) => textOf(entry.manager) ?? []);
  const owners: Owner[] = [];

  const release = annotations['meta.helm.sh/release-name'];
  if (release !== undefined) {
    owners.push({
      kind: 'helm',
      release,
      namespace: annotations['meta.helm.sh/release-namespace'] ?? object.metadata.namespace ?? 'default',
      evidence: `annotation meta.helm.sh/release-name=${release}`,
    });
  }
  const flux = fluxOwner(labels, annotations, managers);
  if (flux !== undefined) owners.push(flux);
  const argo = argoOwner(labels, annotations, managers);
  if (argo !== undefined) owners.push(argo);
  const reference = listOf(object.metadata.ownerReferences).find((owner) => owner.controller === true);
  if (reference !== undefined) {
    const by = `${textOf(reference.kind) ?? '?'} ${textOf(reference.name) ?? '?'}`;
    owners.push({ kind: 'controller', by, evidence: `ownerReference to ${by}` });
  }
  return owners;
}

function fluxOwner(
  labels: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
  managers: readonly string[],
): Owner | undefined {
  // kustomize-controller leaves such objects alone, so a write of ours stays.
  if (annotations['kustomize.toolkit.fluxcd.io/reconcile'] === 'disabled') return undefined;
  for (const [group, kind] of [
    ['kustomize.toolkit.fluxcd.io', 'Kustomization'],
    ['helm.toolkit.fluxcd.io', 'HelmRelease'],
  ] as const) {
    const name = labels[`${group}/name`];
    if (name === undefined) continue;
    const namespace = labels[`${group}/namespace`];
    return {
      kind: 'flux',
      by: `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`,
      evidence: `label ${group}/name=${name}`,
    };
  }
  const manager = managers.find((name) => name === 'kustomize-controller' || name === 'helm-controller');
  if (manager === undefined) return undefined;
  return { kind: 'flux', by: `an object of ${manager}`, evidence: `field manager ${manager}` };
}

function argoOwner(
  labels: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
  managers: readonly string[],
): Owner | undefined {
  // `<application>:<group>/<kind>:<namespace>/<name>`; an application outside Argo CD's namespace is `<namespace>_<name>`.
  const tracking = annotations['argocd.argoproj.io/tracking-id'];
  if (tracking !== undefined) {
    const application = (tracking.split(':')[0] ?? tracking).replace('_', '/');
    return { kind: 'argocd', application, evidence: `annotation argocd.argoproj.io/tracking-id=${tracking}` };
  }
  const label = labels['argocd.argoproj.io/instance'];
  if (label !== undefined) {
    return { kind: 'argocd', application: label, evidence: `label argocd.argoproj.io/instance=${label}` };
  }
  const manager = managers.find((name) => name.startsWith('argocd-'));
  if (manager === undefined) return undefined;
  return {
    kind: 'argocd',
    application: labels['app.kubernetes.io/instance'] ?? 'unknown',
    evidence: `field manager ${manager}`,
  };
}

/** An owner that would undo, or be undone by, a write of `writer`. */
export interface Obstacle {
  readonly object: ObjectRef;
  readonly owner: Owner;
}

export function obstaclesFor(writer: Writer, live: readonly KubeObject[]): readonly Obstacle[] {
  return live.flatMap((object) =>
    ownersOf(object)
      .filter((owner) => !isOwn(owner, writer))
      .map((owner) => ({ object: refOf(object), owner })),
  );
}

function isOwn(owner: Owner, writer: Writer): boolean {
  if (writer.kind === 'argocd') {
    // Argo CD renders charts without making releases of them, and the marks on objects name it with or without namespace.
    const name = writer.application.split('/').at(-1);
    return owner.kind === 'argocd' && (owner.application.split('/').at(-1) === name || owner.application === 'unknown');
  }
  // Where a HelmRelease of Flux brings the objects, Helm's marks are on them as well.
  if (writer.kind === 'flux') return owner.kind === 'flux' || owner.kind === 'helm';
  if (owner.kind !== 'helm' || writer.kind !== 'helm') return false;
  return owner.release === writer.release && owner.namespace === writer.namespace;
}

/** Throws SlipwayError `refused` with the way that lasts, when somebody else owns what is to be written. */
export function refuseObstacles(obstacles: readonly Obstacle[]): void {
  // GitOps first: where Flux deploys with Helm, both marks are on the object and git is the way.
  const order = { flux: 0, argocd: 1, controller: 2, helm: 3 } as const;
  const [worst] = [...obstacles].sort((a, b) => order[a.owner.kind] - order[b.owner.kind]);
  if (worst === undefined) return;
  const name = nameOf(worst.object);
  const others = obstacles.filter((other) => other.owner.kind === worst.owner.kind).length - 1;
  const more = others > 0 ? ` (and ${others} more)` : '';
  throw new SlipwayError({
    reason: 'refused',
    code: `owned.${worst.owner.kind}`,
    evidence: obstacles.slice(0, 10).map(({ object, owner }) => `${nameOf(object)}: ${owner.evidence}`),
    ...wordsFor(worst.owner, name + more),
  });
}

function wordsFor(owner: Owner, name: string): { readonly message: string; readonly fix: string } {
  switch (owner.kind) {
    case 'flux':
      return {
        message: `${name} is applied by Flux (${owner.by}), which would undo a write made in the cluster.`,
        fix: 'Change the image in git and let Flux apply it: use `deploy: { flux: … }` in this environment, or `slipway bump`.',
      };
    case 'argocd':
      return {
        message: `${name} belongs to the Argo CD application ${owner.application}, which would undo a write made in the cluster.`,
        fix: 'Change the image in git and let Argo CD sync it: use `deploy: { argocd: … }` in this environment.',
      };
    case 'helm':
      return {
        message: `${name} belongs to the Helm release ${owner.namespace}/${owner.release}; the next upgrade of it would undo this write.`,
        fix: `Deploy it with that chart (\`deploy: { helm: { release: ${owner.release}, … } }\`), or give the object another name.`,
      };
    case 'controller':
      return {
        message: `${name} is made by ${owner.by}, whose controller would undo this write.`,
        fix: `Change ${owner.by} instead.`,
      };
  }
}
