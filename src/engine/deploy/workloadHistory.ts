// What plain workloads can go back to: the revisions that their controllers keep, and our mark on the verified ones.

import { at, fieldsOf, type KubeObject, listOf, refOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { ClusterAccess } from './access.ts';
import type { ApplyOptions, RevisionView, WayBack, WayBackOptions } from './deployer.ts';
import { podTemplateOf } from './objects.ts';

/**
 * Annotation on a ReplicaSet or ControllerRevision. Its value is that revision's own hash: `kubectl rollout undo`
 * copies annotations of an old ReplicaSet to the Deployment, and the controller from there to the next ReplicaSet, so a
 * mark that names another hash was inherited and says nothing.
 */
const VERIFIED = 'slipway.dev/verified';

/** One revision that a workload's controller keeps. */
interface Revision {
  readonly object: KubeObject;
  readonly hash: string;
  readonly number: number;
  readonly isVerified: boolean;
  /** The pod template it stands for, without the hash label. */
  readonly template: unknown;
}

interface History {
  readonly workload: KubeObject;
  /** Newest first. */
  readonly revisions: readonly Revision[];
  readonly current: Revision | undefined;
}

/** `Deployment/web@98cc5bf68`: one workload at one of its revisions. */
export interface Point {
  readonly kind: string;
  readonly name: string;
  readonly hash: string;
}

const withHistory = new Set(['Deployment', 'StatefulSet', 'DaemonSet']);

export class WorkloadHistory {
  readonly #access: ClusterAccess;

  constructor(access: ClusterAccess) {
    this.#access = access;
  }

  /** Where the workloads stand now, for {@link wayBack}; null when none of them exists. */
  async current(targets: readonly ObjectRef[], signal: AbortSignal): Promise<string | null> {
    const histories = await this.#all(targets, signal);
    const points = histories.flatMap(({ workload, current }) =>
      current === undefined ? [] : [pointText({ ...nameKind(workload), hash: current.hash })],
    );
    return points.length === 0 ? null : points.join(',');
  }

  /**
   * For each workload the newest verified revision that is not the live one; where none was ever marked, the one that
   * was live before. Workloads that stand there already are left alone.
   */
  async wayBack(targets: readonly ObjectRef[], options: WayBackOptions): Promise<WayBack> {
    const before = new Map(
      pointsOf(options.previous ?? '').map((point) => [`${point.kind}/${point.name}`, point.hash]),
    );
    const histories = await this.#all(targets, options.signal);
    const { wanted } = options;
    const named = wanted === undefined ? undefined : revisionsNamed(wanted, histories);
    const steps: { readonly point: Point; readonly revision: Revision; readonly workload: KubeObject }[] = [];
    const created: string[] = [];
    for (const { workload, revisions, current } of histories) {
      const key = `${workload.kind}/${workload.metadata.name}`;
      const earlier = before.get(key);
      const isRight = current !== undefined && (current.isVerified || current.hash === earlier);
      if (named === undefined && options.isAsked !== true && isRight) continue;
      // A person who names one workload means that one.
      if (named !== undefined && !named.has(key)) continue;
      const others = revisions.filter((revision) => revision.hash !== current?.hash);
      const served = others.find((revision) => revision.hash === earlier);
      const target =
        named !== undefined
          ? others.find((revision) => revision === named.get(key))
          : served?.isVerified
            ? served
            : (others.find((revision) => revision.isVerified) ?? served);
      if (target === undefined) created.push(key);
      else steps.push({ point: { ...nameKind(workload), hash: target.hash }, revision: target, workload });
    }
    if (steps.length === 0) {
      if (histories.length === 0 && options.isAsked === true)
        return {
          kind: 'none',
          why: 'No workload of this environment is in the cluster: there is nothing to go back from.',
        };
      if (wanted !== undefined) return { kind: 'none', why: noneNamed(wanted, histories) };
      return {
        kind: 'none',
        why:
          created.length === 0
            ? 'No workload was changed by this deploy.'
            : `${created.join(', ')} ran in no earlier version: there is nothing to go back to.`,
      };
    }
    const images = steps.flatMap(({ revision }) =>
      [
        ...listOf(at(revision.template, 'spec', 'initContainers')),
        ...listOf(at(revision.template, 'spec', 'containers')),
      ]
        .map((container) => textOf(container.image))
        .filter((image) => image !== undefined),
    );
    return {
      kind: 'revision',
      revision: steps.map(({ point }) => pointText(point)).join(','),
      trust: steps.every(({ revision }) => revision.isVerified) ? 'verified' : 'served',
      images: [...new Set(images)],
      targets: steps.map(({ workload }) => refOf(workload)),
    };
  }

  /**
   * Puts the pod templates back, as `kubectl rollout undo` does, and only them: not replicas, ConfigMaps or Secrets.
   * Does not wait.
   */
  async undo(
    way: Extract<WayBack, { readonly kind: 'revision' }>,
    namespace: string,
    { signal, onLine }: ApplyOptions,
  ): Promise<void> {
    for (const { kind, name, hash } of pointsOf(way.revision)) {
      const ref = way.targets.find((target) => target.kind === kind && target.name === name);
      const [history] = await this.#all(
        [{ apiVersion: 'apps/v1', kind, name, namespace: ref?.namespace ?? namespace }],
        signal,
      );
      const revision = history?.revisions.find((other) => other.hash === hash);
      if (history === undefined || revision === undefined || history.current?.hash === hash) continue;
      const operations = [
        { op: 'test' as const, path: '/metadata/uid', value: history.workload.metadata.uid },
        { op: 'replace' as const, path: '/spec/template', value: revision.template },
      ];
      await this.#access.patch(refOf(history.workload), operations, { signal });
      onLine(`${kind} ${name} goes back to revision ${revision.number} (${hash})`);
    }
  }

  /** Each workload's revisions, newest first; to go back to one names that workload only. */
  async history(targets: readonly ObjectRef[], signal: AbortSignal): Promise<readonly RevisionView[]> {
    return (await this.#all(targets, signal)).flatMap(({ workload, revisions, current }) =>
      revisions.map((revision) => {
        const images = listOf(at(revision.template, 'spec', 'containers')).map(({ image }) => textOf(image) ?? '?');
        const created = textOf(revision.object.metadata.creationTimestamp);
        return {
          revision: pointText({ ...nameKind(workload), hash: revision.hash }),
          isLive: revision === current,
          isVerified: revision.isVerified,
          description: `revision ${revision.number}: ${images.join(', ')}`,
          ...(created !== undefined && { at: created }),
        };
      }),
    );
  }

  async markVerified(targets: readonly ObjectRef[], signal: AbortSignal): Promise<void> {
    for (const { current } of await this.#all(targets, signal)) {
      if (current === undefined || current.isVerified) continue;
      const patch = { metadata: { annotations: { [VERIFIED]: current.hash } } };
      await this.#access.merge(refOf(current.object), patch, { signal });
    }
  }

  async #all(targets: readonly ObjectRef[], signal: AbortSignal): Promise<readonly History[]> {
    const found = await Promise.all(
      targets.filter(({ kind }) => withHistory.has(kind)).map((target) => this.#history(target, signal)),
    );
    return found.filter((history) => history !== undefined);
  }

  async #history(target: ObjectRef, signal: AbortSignal): Promise<History | undefined> {
    const workload = await this.#access.get(target, signal);
    if (workload === undefined) return undefined;
    const kind = target.kind === 'Deployment' ? 'ReplicaSet' : 'ControllerRevision';
    const listed = await this.#access.list(
      { apiVersion: 'apps/v1', kind, ...(target.namespace !== undefined && { namespace: target.namespace }) },
      signal,
    );
    const revisions = listed
      .filter((object) => listOf(object.metadata.ownerReferences).some((owner) => owner.uid === workload.metadata.uid))
      // Lists leave these out of their items.
      .map((object) => revisionOf({ ...object, apiVersion: 'apps/v1', kind }))
      .filter((revision) => revision !== undefined)
      .sort((a, b) => b.number - a.number);
    return { workload, revisions, current: currentOf(workload, revisions) };
  }
}

/**
 * What a person or a record names, by workload: `Deployment/web@98cc5bf68` as the list shows it, or the revision's number in
 * the place of the hash; either alone where there is one workload only. What names nothing is left out.
 */
function revisionsNamed(text: string, histories: readonly History[]): ReadonlyMap<string, Revision> {
  const [only, ...others] = histories;
  return new Map(
    text.split(',').flatMap((part) => {
      const [point] = pointsOf(part);
      const alone = others.length === 0 ? only : undefined;
      const history =
        point === undefined
          ? alone
          : histories.find(({ workload: { kind, metadata } }) => kind === point.kind && metadata.name === point.name);
      const word = point?.hash ?? part.trim();
      const revision = history?.revisions.find(({ hash, number }) => hash === word || String(number) === word);
      if (history === undefined || revision === undefined) return [];
      return [[`${history.workload.kind}/${history.workload.metadata.name}`, revision] as const];
    }),
  );
}

/** Why what was named is no way back, and what would be. */
function noneNamed(wanted: string, histories: readonly History[]): string {
  const live = [...revisionsNamed(wanted, histories)].find(([, revision]) =>
    histories.some(({ current }) => current === revision),
  );
  if (live !== undefined) return `${live[0]} runs revision ${live[1].number} (${live[1].hash}) already.`;
  const known = histories.map(({ workload, revisions, current }) => {
    const earlier = revisions
      .filter((revision) => revision !== current)
      .map(({ hash, number }) => `${number} (${hash})`);
    return `${workload.kind}/${workload.metadata.name}: ${earlier.join(', ') || 'none'}`;
  });
  return `There is no earlier revision ${wanted}. Those that are kept: ${known.join('; ')}.`;
}

function revisionOf(object: KubeObject): Revision | undefined {
  const isSet = object.kind === 'ReplicaSet';
  const labels = object.metadata.labels ?? {};
  const annotations = object.metadata.annotations ?? {};
  // A StatefulSet's pods carry the revision's name, a DaemonSet's its hash label; the name is unique for both.
  const hash = isSet ? labels['pod-template-hash'] : object.metadata.name;
  const number = isSet ? Number(annotations['deployment.kubernetes.io/revision']) : Number(object.revision);
  const template = isSet ? podTemplateOf(object) : undefined;
  if (hash === undefined || !Number.isFinite(number)) return undefined;
  return {
    object,
    hash,
    number,
    isVerified: annotations[VERIFIED] === hash,
    template: isSet
      ? withoutHash(fieldsOf(at(object, 'spec', 'template')), template?.metadata.labels)
      : withoutDirective(fieldsOf(at(object, 'data', 'spec', 'template'))),
  };
}

function withoutHash(template: Readonly<Record<string, unknown>>, labels: unknown): unknown {
  const { 'pod-template-hash': _, ...rest } = fieldsOf(labels);
  return { ...template, metadata: { ...fieldsOf(template.metadata), labels: rest } };
}

/** A ControllerRevision holds a strategic merge patch that replaces the template as a whole. */
function withoutDirective({ $patch: _, ...template }: Readonly<Record<string, unknown>>): unknown {
  return template;
}

function currentOf(workload: KubeObject, revisions: readonly Revision[]): Revision | undefined {
  if (workload.kind === 'StatefulSet') {
    const name = at(workload, 'status', 'updateRevision');
    return revisions.find((revision) => revision.hash === name);
  }
  if (workload.kind === 'DaemonSet') return revisions[0];
  const number = Number(workload.metadata.annotations?.['deployment.kubernetes.io/revision']);
  return revisions.find((revision) => revision.number === number);
}

const nameKind = (object: KubeObject) => ({ kind: object.kind, name: object.metadata.name });
const pointText = (point: Point): string => `${point.kind}/${point.name}@${point.hash}`;

export function pointsOf(text: string): readonly Point[] {
  return text.split(',').flatMap((part) => {
    const match = /^([^/@]+)\/([^/@]+)@(.+)$/.exec(part.trim());
    const [, kind, name, hash] = match ?? [];
    return kind === undefined || name === undefined || hash === undefined ? [] : [{ kind, name, hash }];
  });
}
