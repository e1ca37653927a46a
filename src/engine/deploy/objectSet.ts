import { createHash } from 'node:crypto';
import { type KubeObject, nameOf, refOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import { Remembered } from '../problems/remembered.ts';
import type { System } from '../system/index.ts';
import { ApplyConflict, type ClusterAccess } from './access.ts';
import type { Answer } from './answers.ts';
import { checkConflicts, listedConflicts, refusalOf } from './conflicts.ts';
import type {
  Applied,
  ApplyOptions,
  Deployer,
  DeployRequest,
  Rendered,
  RevisionView,
  WayBack,
  WayBackOptions,
} from './deployer.ts';
import { diffObject, type ObjectDiff } from './diff.ts';
import { referenceOf, setImages } from './images.ts';
import { newNamespace } from './newNamespace.ts';
import { inNamespace, isClusterScoped, keyOf, type PlacedObject } from './objects.ts';
import { inOrder, isWatched } from './order.ts';
import { orphansOf } from './orphans.ts';
import { obstaclesFor, refuseObstacles } from './ownership.ts';
import { inParallel } from './parallel.ts';
import { registerSecrets } from './secretValues.ts';
import { differences, imagesIn, type Restoring, restore, type SetRecord, SetRecords } from './setRecord.ts';
import { waitEstablished } from './waitEstablished.ts';
import { pointsOf, type WorkloadHistory } from './workloadHistory.ts';

/** Marks every object of one environment's set; pruning looks at nothing else. */
export const SET_LABEL = 'slipway.dev/set';

export interface ObjectSetOptions {
  readonly system: System;
  readonly secrets: Secrets;
  readonly access: ClusterAccess;
  readonly request: DeployRequest;
  /** Names of the images that the objects use. */
  readonly imageNames: readonly string[];
  readonly isPruning: boolean;
  readonly history: WorkloadHistory;
  /** Kustomize has set the images already. */
  readonly source: {
    readonly kind: 'manifests' | 'kustomize';
    load(signal: AbortSignal): Promise<readonly PlacedObject[]>;
    /** For messages: where the objects come from. */
    readonly title: string;
  };
}

/** A set of objects applied server-side as our field manager: plain manifests, and what Kustomize renders. */
export class ObjectSetDeployer implements Deployer {
  readonly kind: 'manifests' | 'kustomize';
  readonly #o: ObjectSetOptions;
  readonly #namespace: string;
  readonly #set: string;
  readonly #rendered = new Remembered<Rendered>();
  #written: { readonly previous: string | null; count: number } | undefined;

  constructor(options: ObjectSetOptions) {
    this.#o = options;
    this.kind = options.source.kind;
    const { environment, images } = options.request;
    this.#namespace = environment.namespace;
    this.#set = setName(
      environment.name,
      images.map((image) => image.repository),
    );
  }

  render(signal: AbortSignal): Promise<Rendered> {
    return this.#rendered.get(() => this.#render(signal));
  }

  async #render(signal: AbortSignal): Promise<Rendered> {
    const { request, imageNames, secrets, source } = this.#o;
    const loaded = await source.load(signal);
    if (loaded.length === 0) {
      throw new SlipwayError({
        reason: 'config',
        code: 'manifest.none',
        message: `${source.title} holds no Kubernetes object.`,
        fix: 'Correct the paths under `deploy` of this environment.',
        place: request.environment.place,
      });
    }
    const scopes = await this.#scopes(loaded, signal);
    const placed = inNamespace(loaded, this.#namespace, (object) => scopes.get(kindOf(object)) === 'cluster');
    refuseTwins(placed);
    const images = request.images.filter((image) => imageNames.includes(image.name));
    const set = setImages(
      placed.map(({ object }) => withSetLabel(object, this.#set)),
      images,
    );
    const text = JSON.stringify(set.objects);
    // Kustomize also sets images in fields of custom kinds, which no pod template shows.
    const unused = set.unused.find((name) => {
      const image = images.find((other) => other.name === name);
      return image !== undefined && !text.includes(referenceOf(image));
    });
    if (unused !== undefined) {
      const repository = images.find((image) => image.name === unused)?.repository;
      throw new SlipwayError({
        reason: 'config',
        code: 'manifest.image-unused',
        message: `No container in ${source.title} runs ${repository}: image ${unused} would be built and not deployed.`,
        fix: `Write ${repository} as the container's image (any tag), or take ${unused} out of this environment's images.`,
        place: request.environment.place,
      });
    }
    registerSecrets(set.objects, secrets);
    return {
      objects: set.objects.map((object, index) => {
        const place = placed[index]?.place;
        return { object, ...(place !== undefined && { place }) };
      }),
      hooks: [],
      images: Object.fromEntries(images.map((image) => [image.name, referenceOf(image)])),
      warnings: [],
    };
  }

  /** The cluster's word on kinds that are not built in and not defined by the set itself. */
  async #scopes(
    loaded: readonly PlacedObject[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, 'cluster' | 'namespace'>> {
    const all = loaded.map(({ object }) => object);
    const scopes = new Map<string, 'cluster' | 'namespace'>();
    for (const object of all) {
      const kind = kindOf(object);
      if (scopes.has(kind)) continue;
      const isNamespaced = isClusterScoped(object, all)
        ? false
        : ((await this.#o.access.isNamespaced(object.apiVersion, object.kind, signal)) ?? true);
      scopes.set(kind, isNamespaced ? 'namespace' : 'cluster');
    }
    return scopes;
  }

  targets(rendered: Rendered): readonly ObjectRef[] {
    return rendered.objects.filter(({ object }) => isWatched(object)).map(({ object }) => refOf(object));
  }

  async liveTargets(signal: AbortSignal): Promise<readonly ObjectRef[]> {
    return this.targets(await this.render(signal));
  }

  async owners(signal: AbortSignal) {
    return obstaclesFor({ kind: 'manifests' }, await this.#live(signal));
  }

  async #live(signal: AbortSignal): Promise<readonly KubeObject[]> {
    const { objects } = await this.render(signal);
    const found = await inParallel(objects, ({ object }) => this.#o.access.get(refOf(object), signal));
    return found.filter((object) => object !== undefined);
  }

  async diff(signal: AbortSignal): Promise<readonly ObjectDiff[]> {
    const { objects } = await this.render(signal);
    const live = new Map((await this.#live(signal)).map((object) => [keyOf(refOf(object)), object]));
    const changes = await inParallel(objects, async ({ object }) => {
      const current = live.get(keyOf(refOf(object)));
      if (current === undefined) return diffObject(object, undefined, { kind: 'full' });
      try {
        // The server's own answer: defaults, conversions and removed fields are as they would be.
        const after = await this.#o.access.apply(object, { signal, isDryRun: true, isForced: true });
        return diffObject(after, current, { kind: 'full' });
      } catch (error) {
        // A webhook that refuses dry runs, or no right to write: compare what we say with what is there.
        if (!SlipwayError.is(error)) throw error;
        return diffObject(object, current, { kind: 'subset' });
      }
    });
    const made = await newNamespace(this.#o.access, this.#namespace, objects, signal);
    const pruned = this.#o.isPruning ? await this.#orphans(signal) : [];
    return [...made, ...changes, ...pruned.map((object): ObjectDiff => ({ object, action: 'delete', changes: [] }))];
  }

  /** Fields of other managers that the write would have to take: said before, as the write itself would refuse them. */
  async concerns(signal: AbortSignal): Promise<readonly Answer[]> {
    return checkConflicts((await this.render(signal)).objects, this.#o.access, signal);
  }

  async apply(options: ApplyOptions): Promise<Applied> {
    const { signal, onLine } = options;
    const { objects } = await this.render(signal);
    refuseObstacles(await this.owners(signal));
    const warnings: string[] = [];
    const all = objects.map(({ object }) => object);
    const places = new Map(objects.map((placed) => [keyOf(refOf(placed.object)), placed]));
    const points = await this.#o.history.current(all.filter(isWatched).map(refOf), signal);
    const orphans = this.#o.isPruning ? await this.#orphans(signal) : [];
    await this.#ensureNamespace(all, options);
    const previous = await this.#record([...all.map(refOf), ...orphans], points, options, warnings);
    const written = { previous, count: 0 };
    this.#written = written;
    for (const group of inOrder(all)) {
      const definitions = group.filter((object) => object.kind === 'CustomResourceDefinition');
      await inParallel(group, async (object) => {
        await this.#applyOne(places.get(keyOf(refOf(object))) ?? { object }, options, warnings);
        written.count += 1;
        onLine(`applied ${nameOf(refOf(object))}`);
      });
      if (definitions.length > 0) await waitEstablished(this.#o.access, this.#o.system.clock, definitions, signal);
    }
    for (const orphan of orphans) {
      if (await this.#o.access.remove(orphan, { signal })) onLine(`pruned ${nameOf(orphan)}`);
    }
    return { objects: all.map(refOf), revision: null, previous, warnings };
  }

  /** Keeps what is live in the cluster before the first write, and gives the name under which a rollback finds it. */
  async #record(
    refs: readonly ObjectRef[],
    points: string | null,
    { run, signal }: ApplyOptions,
    warnings: string[],
  ): Promise<string | null> {
    const { access } = this.#o;
    const live = await inParallel(refs, (ref) => access.get(ref, signal));
    if (live.every((object) => object === undefined)) return points;
    const id = run.toLowerCase();
    const objects = refs.map((ref, index) => ({ ref, live: live[index] ?? null }));
    const fault = await this.#records.write({ id, points, objects }, signal);
    if (fault !== undefined) {
      warnings.push(fault);
      return points;
    }
    return [...(points === null ? [] : [points]), `${RECORD}/${this.#set}@${id}`].join(',');
  }

  async halfWritten(): Promise<Pick<Applied, 'revision' | 'previous'> | undefined> {
    const written = this.#written;
    return written === undefined || written.count === 0 ? undefined : { revision: null, previous: written.previous };
  }

  /** Looked at first: many may not create namespaces, or even see them, and deploy into one that is there. */
  async #ensureNamespace(objects: readonly KubeObject[], { signal, onLine }: ApplyOptions): Promise<void> {
    const { access } = this.#o;
    const name = this.#namespace;
    if (objects.some((object) => object.kind === 'Namespace' && object.metadata.name === name)) return;
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    try {
      if ((await access.get(refOf(namespace), signal)) !== undefined) return;
    } catch (error) {
      if (SlipwayError.is(error) && error.code === 'api.Forbidden') return;
      throw error;
    }
    await access.apply(namespace, { signal });
    onLine(`created Namespace ${name}`);
  }

  async #applyOne({ object, place }: PlacedObject, { signal }: ApplyOptions, warnings: string[]): Promise<void> {
    const { access } = this.#o;
    try {
      await access.apply(object, { signal });
    } catch (error) {
      if (error instanceof ApplyConflict) {
        const name = nameOf(refOf(object));
        const refused = refusalOf(name, error, place);
        if (refused !== undefined) throw refused;
        await access.apply(object, { signal, isForced: true });
        const taken = error.conflicts.filter(({ manager }) => !manager.startsWith('slipway'));
        if (taken.length > 0)
          warnings.push(`${name}: took over ${listedConflicts(taken)}; the manifest decides from now on.`);
        return;
      }
      if (SlipwayError.is(error) && place !== undefined && error.place === undefined) {
        throw new SlipwayError({ ...failureOf(error), place }, { cause: error });
      }
      throw error;
    }
  }

  async #orphans(signal: AbortSignal): Promise<readonly ObjectRef[]> {
    const { objects } = await this.render(signal);
    const place = { namespace: this.#namespace, labels: `${SET_LABEL}=${this.#set}` };
    return orphansOf(
      this.#o.access,
      place,
      objects.map(({ object }) => refOf(object)),
      signal,
    );
  }

  async unlock(): Promise<undefined> {
    return undefined;
  }

  async history(signal: AbortSignal): Promise<readonly RevisionView[]> {
    return this.#o.history.history(this.targets(await this.render(signal)), signal);
  }

  async wayBack(options: WayBackOptions): Promise<WayBack> {
    const { signal, previous, wanted } = options;
    const targets = this.targets(await this.render(signal));
    const byTemplates = async (): Promise<WayBack> => asTemplates(await this.#o.history.wayBack(targets, options));
    // A person who names a revision of one workload means that one alone.
    if (wanted !== undefined) return byTemplates();
    const records = (await this.#records.list(signal)).filter(({ objects }) =>
      objects.some(({ live }) => live !== null),
    );
    if (options.isAsked === true) {
      const ways: WayBack[] = [];
      for (const record of records) {
        const way = await this.#wayTo(record, targets, options);
        if (way === undefined) continue;
        if (way.trust === 'verified') return way;
        ways.push(way);
      }
      return ways[0] ?? byTemplates();
    }
    const own = pointsOf(previous ?? '').find(({ kind }) => kind === RECORD)?.hash;
    const record = records.find(({ id }) => id === own);
    const way = await this.#o.history.wayBack(targets, options);
    // What was live before may be other than the last verified version; then its settings would not belong to it.
    const stood = new Set(record?.points?.split(',') ?? []);
    const fits = way.kind === 'none' || way.revision.split(',').every((point) => stood.has(point));
    return (record !== undefined && fits ? await this.#wayTo(record, targets, options) : undefined) ?? asTemplates(way);
  }

  /** The way to the state of a record; undefined when that is what is live. */
  async #wayTo(
    record: SetRecord,
    targets: readonly ObjectRef[],
    options: WayBackOptions,
  ): Promise<Extract<WayBack, { readonly kind: 'revision' }> | undefined> {
    if ((await differences(this.#o.access, record, options.signal)).length === 0) return undefined;
    const way =
      record.points === null
        ? undefined
        : await this.#o.history.wayBack(targets, { ...options, wanted: record.points });
    const workloads = way?.kind === 'revision' ? [way.revision] : [];
    return {
      kind: 'revision',
      revision: [...workloads, `${RECORD}/${this.#set}@${record.id}`].join(','),
      trust: way?.kind === 'revision' ? way.trust : 'served',
      images: imagesIn(record),
      targets: record.objects.flatMap(({ live }) => (live !== null && isWatched(live) ? [refOf(live)] : [])),
      extent: 'whole',
    };
  }

  async undo(way: Extract<WayBack, { readonly kind: 'revision' }>, options: ApplyOptions): Promise<string | null> {
    const id = pointsOf(way.revision).find(({ kind }) => kind === RECORD)?.hash;
    const record =
      id === undefined ? undefined : (await this.#records.list(options.signal)).find((one) => one.id === id);
    if (record === undefined) {
      await this.#o.history.undo(way, this.#namespace, options);
      return null;
    }
    const restorings: readonly Restoring[] = await differences(this.#o.access, record, options.signal);
    await restore(this.#o.access, restorings, options);
    return null;
  }

  get #records(): SetRecords {
    const { environment, images } = this.#o.request;
    // Without images (a rollback by command) the name of the set is known up to what it was made from.
    const prefix = this.#set.slice(0, -8);
    const isOfEnvironment = (set: string): boolean =>
      set.startsWith(prefix) && /^[0-9a-f]{8}$/.test(set.slice(prefix.length));
    return new SetRecords(
      this.#o.access,
      environment.namespace,
      this.#set,
      images.length === 0 ? isOfEnvironment : undefined,
    );
  }

  markVerified(_revision: string | null, targets: readonly ObjectRef[], signal: AbortSignal): Promise<void> {
    return this.#o.history.markVerified(targets, signal);
  }
}

/** The kind under which a record stands beside the workloads' points. */
const RECORD = 'Set';

const asTemplates = (way: WayBack): WayBack => (way.kind === 'revision' ? { ...way, extent: 'templates' } : way);

/**
 * The same on every machine, different for two projects that share a namespace and an environment's name: made from
 * the repositories the environment deploys.
 */
function setName(environment: string, repositories: readonly string[]): string {
  const hash = createHash('sha256')
    .update([...repositories].sort().join('\n'))
    .digest('hex')
    .slice(0, 8);
  return `${environment.replace(/[^A-Za-z0-9_.-]/g, '-').slice(0, 50)}-${hash}`;
}

function withSetLabel(object: KubeObject, set: string): KubeObject {
  const labels = { ...object.metadata.labels, [SET_LABEL]: set };
  return { ...object, metadata: { ...object.metadata, labels } };
}

const kindOf = (object: KubeObject): string => `${object.apiVersion}/${object.kind}`;

/** Two documents for one object: which of them wins would be chance. */
function refuseTwins(placed: readonly PlacedObject[]): void {
  const seen = new Map<string, PlacedObject>();
  for (const one of placed) {
    const key = keyOf(refOf(one.object));
    const other = seen.get(key);
    if (other !== undefined) {
      throw new SlipwayError({
        reason: 'config',
        code: 'manifest.twice',
        message: `${nameOf(refOf(one.object))} is there twice: in ${other.place?.file ?? 'the output'} and in ${one.place?.file ?? 'the output'}.`,
        fix: 'Remove one of the two documents.',
        ...(one.place !== undefined && { place: one.place }),
      });
    }
    seen.set(key, one);
  }
}

function failureOf(error: SlipwayError) {
  const { reason, message, code, fix, evidence } = error;
  return {
    reason,
    message,
    ...(code !== undefined && { code }),
    ...(fix !== undefined && { fix }),
    ...(evidence !== undefined && { evidence }),
  };
}
