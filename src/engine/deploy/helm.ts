import { type KubeObject, refOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { CancelledError, type Failure, isCancelled, SlipwayError } from '../problems/index.ts';
import { Remembered } from '../problems/remembered.ts';
import type { HelmDeploy } from '../project/model.ts';
import type { System } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import type { Answer } from './answers.ts';
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
import { diffObjects, type ObjectDiff } from './diff.ts';
import { type HelmChart, HelmCli } from './helmCli.ts';
import { hookObjects, labelWithDigest, usedImages } from './helmImages.ts';
import { HelmLock } from './helmLock.ts';
import { deployedOf, isVerified, type ReleaseHook, type ReleaseRecord, type ReleaseRevision } from './helmRecords.ts';
import { HelmReleases } from './helmReleases.ts';
import { type ImageToDeploy, imagesOf } from './images.ts';
import { newNamespace } from './newNamespace.ts';
import { inNamespace, keyOf } from './objects.ts';
import { isWatched } from './order.ts';
import { obstaclesFor, refuseObstacles } from './ownership.ts';
import { inParallel } from './parallel.ts';
import { registerSecrets } from './secretValues.ts';
import { overridesOf, type Pinning } from './values.ts';

/**
 * Watches objects from before the first write until its signal aborts. Resolves only with a proven failure; helm is
 * then stopped, which would otherwise wait out its whole timeout.
 */
export type Detector = (targets: readonly ObjectRef[], signal: AbortSignal) => Promise<Failure>;

export interface HelmDeployerOptions {
  readonly system: System;
  readonly secrets: Secrets;
  readonly access: ClusterAccess;
  readonly request: DeployRequest;
  readonly config: HelmDeploy;
  readonly detector?: Detector;
  /** `asked`: a pending release is unlocked whatever its age. */
  readonly unlock?: 'asked' | 'stale';
}

/** How long helm may take where something watches beside it: only a bound, never what decides. */
const HOOK_TIMEOUT_MS = 60 * 60_000;
/**
 * Helm 3 and 4 through the binary, judged by us. A chart without post hooks is upgraded without `--wait`, so helm
 * returns as soon as the objects are written and the rollout watch decides; with post hooks helm has to wait, as they
 * run after the workloads are ready, and the detector beside it ends the wait on proof.
 */
export class HelmDeployer implements Deployer {
  readonly kind = 'helm';
  readonly #o: HelmDeployerOptions;
  readonly #cli: HelmCli;
  readonly #releases: HelmReleases;
  readonly #lock: HelmLock;
  readonly #namespace: string;
  readonly #rendered = new Remembered<HelmRendered>();
  /** The history just before our upgrade. */
  #before: { readonly newest: number; readonly live: number | undefined } | undefined;

  constructor(options: HelmDeployerOptions) {
    this.#o = options;
    const { access, config, request, system, secrets } = options;
    this.#namespace = request.environment.namespace;
    this.#cli = new HelmCli(system, secrets, {
      context: access.context,
      ...(access.kubeconfig !== undefined && { kubeconfig: access.kubeconfig }),
      ...(access.kubeconfigForTool !== undefined && { kubeconfigForTool: access.kubeconfigForTool }),
      namespace: this.#namespace,
      release: config.release,
    });
    this.#releases = new HelmReleases(access, this.#namespace, config.release);
    this.#lock = new HelmLock({
      system,
      releases: this.#releases,
      namespace: this.#namespace,
      release: config.release,
      timeoutMs: request.environment.rollout.timeoutMs,
      unlock: options.unlock,
    });
  }

  get #where(): string {
    return `${this.#namespace}/${this.#o.config.release}`;
  }

  async render(signal: AbortSignal): Promise<Rendered> {
    return (await this.#render(signal)).rendered;
  }

  #render(signal: AbortSignal): Promise<HelmRendered> {
    return this.#rendered.get(() => this.#renderOnce(signal));
  }

  async #renderOnce(signal: AbortSignal): Promise<HelmRendered> {
    const { config, secrets, request } = this.#o;
    await this.#cli.fetchDependencies(config.chart, () => {}, signal);
    const files: HelmChart = { chart: config.chart, values: config.values, overrides: {} };
    const known = await this.#cli.knownValues(files, signal);
    const mapped = request.images.filter((image) => config.images[image.name] !== undefined);
    const chartWith = (pinning: Pinning): HelmChart => ({
      ...files,
      overrides: overridesOf({ known, set: config.set, keys: config.images, images: mapped, pinning }),
    });
    let chart = chartWith('digest');
    let record = await this.#ask(chart, signal);
    const warnings: string[] = [];
    const label = labelWithDigest(record);
    if (label !== undefined) {
      // Charts that put the tag into a label cannot carry a digest in it: labels may not hold `@` and `:`.
      warnings.push(`The chart writes the image tag into a label (${label}), so images are deployed by tag only.`);
      chart = chartWith('tag');
      record = await this.#ask(chart, signal);
    }
    const objects = inNamespace(record.objects, this.#namespace);
    const all = [...objects.map(({ object }) => object), ...hookObjects(record.hooks)];
    registerSecrets(all, secrets);
    return {
      chart,
      record,
      rendered: { objects, hooks: record.hooks, images: usedImages(all, mapped, config), warnings },
    };
  }

  /** Rendering asks the cluster, which helm refuses while the release is locked; then the chart is rendered alone. */
  async #ask(chart: HelmChart, signal: AbortSignal): Promise<ReleaseRecord> {
    try {
      return await this.#cli.render(chart, signal);
    } catch (error) {
      if (SlipwayError.is(error) && error.code === 'helm.pending') return this.#cli.render(chart, signal, true);
      throw error;
    }
  }

  targets(rendered: Rendered): readonly ObjectRef[] {
    return rendered.objects.filter(({ object }) => isWatched(object)).map(({ object }) => refOf(object));
  }

  async liveTargets(signal: AbortSignal): Promise<readonly ObjectRef[]> {
    const revisions = await this.#releases.revisions(signal);
    const newest = deployedOf(revisions) ?? revisions.at(-1);
    const record = newest === undefined ? undefined : await this.#releases.read(newest.revision, signal);
    const objects = inNamespace(record?.objects ?? [], this.#namespace).map(({ object }) => object);
    return objects.filter(isWatched).map(refOf);
  }

  async owners(signal: AbortSignal) {
    const live = await this.#live(signal);
    return obstaclesFor({ kind: 'helm', release: this.#o.config.release, namespace: this.#namespace }, live);
  }

  async #live(signal: AbortSignal): Promise<readonly KubeObject[]> {
    const { objects } = await this.render(signal);
    const found = await Promise.all(objects.map(({ object }) => this.#o.access.get(refOf(object), signal)));
    return found.filter((object) => object !== undefined);
  }

  async diff(signal: AbortSignal): Promise<readonly ObjectDiff[]> {
    const { objects } = await this.render(signal);
    const deployed = deployedOf(await this.#releases.revisions(signal));
    const record = deployed === undefined ? undefined : await this.#releases.read(deployed.revision, signal);
    const before = inNamespace(record?.objects ?? [], this.#namespace).map(({ object }) => object);
    const previous = new Map(before.map((object) => [keyOf(refOf(object)), object]));
    const desired = objects.map(({ object }) => object);
    const kept = new Set(desired.map((object) => keyOf(refOf(object))));
    const changes = diffObjects(desired, await this.#live(signal), (object) => {
      const earlier = previous.get(keyOf(refOf(object)));
      return { kind: 'subset', ...(earlier !== undefined && { previous: earlier }) };
    });
    const removed = before
      .filter((object) => !kept.has(keyOf(refOf(object))))
      .filter((object) => object.metadata.annotations?.['helm.sh/resource-policy'] !== 'keep')
      .map((object): ObjectDiff => ({ object: refOf(object), action: 'delete', changes: [] }));
    const made = await newNamespace(this.#o.access, this.#namespace, objects, signal);
    return [...made, ...changes, ...removed];
  }

  async concerns(signal: AbortSignal): Promise<readonly Answer[]> {
    const found = await Promise.all([this.#lock.concerns(signal), this.#lintConcerns(signal)]);
    return found.flat();
  }

  /** What `helm lint` says of a local chart. A deploy may succeed all the same, so it is only suspicious. */
  async #lintConcerns(signal: AbortSignal): Promise<readonly Answer[]> {
    const { chart } = await this.#render(signal);
    const object = { apiVersion: 'v1', kind: 'Namespace', name: this.#namespace };
    return (await this.#cli.lint(chart, signal)).map(({ level, text }) => ({
      certainty: 'suspicious',
      code: 'helm.lint',
      object,
      message: `helm lint of ${chart.chart}: ${text}`,
      fix: level === 'error' ? 'Correct the chart at the place that is named.' : 'Look whether that is meant.',
      place: { file: chart.chart },
    }));
  }

  async apply(options: ApplyOptions): Promise<Applied> {
    const { config, request } = this.#o;
    const { signal } = options;
    const { chart, rendered } = await this.#render(signal);
    refuseObstacles(await this.owners(signal));
    const warnings = [...rendered.warnings];
    const before = await this.#lock.unlocked(signal, warnings);
    const live = deployedOf(before);
    this.#before = { newest: before.at(-1)?.revision ?? 0, live: live?.revision };
    const events = live === undefined ? ['pre-install', 'post-install'] : ['pre-upgrade', 'post-upgrade'];
    const hooks = rendered.hooks.filter((hook) => hook.events.some((event) => events.includes(event)));
    const hasPost = hooks.some((hook) =>
      hook.events.some((event) => event.startsWith('post-') && events.includes(event)),
    );
    const result = await this.#beside(hooks, hasPost ? this.targets(rendered) : [], signal, (inner) =>
      this.#cli.upgrade(chart, {
        historyMax: config.historyMax,
        description: descriptionOf(options.run, request.images, rendered.images),
        labels: { 'slipway.dev/run': options.run },
        ...(hooks.length > 0 && { timeoutMs: request.environment.rollout.timeoutMs ?? HOOK_TIMEOUT_MS }),
        isWaiting: hasPost,
        onLine: options.onLine,
        signal: inner,
      }),
    );
    return {
      objects: rendered.objects.map(({ object }) => refOf(object)),
      revision: String(result.revision),
      previous: live === undefined ? null : String(live.revision),
      warnings,
    };
  }

  async applied(run: string, signal: AbortSignal): Promise<Applied | undefined> {
    const revisions = await this.#releases.revisions(signal);
    const newest = revisions.at(-1);
    if (newest?.status !== 'deployed') return undefined;
    const record = await this.#releases.read(newest.revision, signal);
    // By the description: labels are handed on from one revision to the next.
    if (record?.description.startsWith(`${DESCRIPTION}${run}: `) !== true) return undefined;
    const { rendered } = await this.#render(signal);
    const before = revisions.findLast(
      (revision) =>
        revision.revision < newest.revision && (revision.status === 'superseded' || revision.status === 'deployed'),
    );
    return {
      objects: rendered.objects.map(({ object }) => refOf(object)),
      revision: String(newest.revision),
      previous: before === undefined ? null : String(before.revision),
      warnings: [
        ...rendered.warnings,
        `Revision ${newest.revision} of ${this.#where} is of this run already; helm was not called again.`,
      ],
    };
  }

  async halfWritten(signal: AbortSignal): Promise<Pick<Applied, 'revision' | 'previous'> | undefined> {
    if (this.#before === undefined) return undefined;
    const newest = (await this.#releases.revisions(signal)).at(-1);
    if (newest === undefined || newest.revision <= this.#before.newest) return undefined;
    const { live } = this.#before;
    return { revision: String(newest.revision), previous: live === undefined ? null : String(live) };
  }

  /** Runs helm with the detector beside it where helm itself would wait for something that may never come. */
  async #beside<T>(
    hooks: readonly ReleaseHook[],
    targets: readonly ObjectRef[],
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const jobs = hookObjects(hooks)
      .filter(isWatched)
      .map((object) => refOf({ ...object, metadata: { namespace: this.#namespace, ...object.metadata } }));
    const watched = [...targets, ...jobs];
    const detector = this.#o.detector;
    if (detector === undefined || watched.length === 0) return work(signal);
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    let proof: Failure | undefined;
    const watching = detector(watched, both).then(
      (failure) => {
        proof = failure;
        stop.abort();
      },
      (error: unknown) => {
        // A watch that fails proves nothing: helm goes on and its own timeout holds.
        if (!isCancelled(error)) return;
      },
    );
    try {
      return await work(both);
    } catch (error) {
      if (signal.aborted) throw new CancelledError();
      if (proof === undefined) throw error;
      throw new SlipwayError(proof, { cause: error });
    } finally {
      stop.abort();
      await watching;
    }
  }

  async wayBack({ from, previous, wanted, signal }: WayBackOptions): Promise<WayBack> {
    const revisions = await this.#releases.revisions(signal);
    if (revisions.length === 0)
      return { kind: 'none', why: `There is no release ${this.#where}: nothing was deployed yet.` };
    const left = from === null ? deployedOf(revisions)?.revision : Number(from);
    const earlier = revisions.filter((revision) => left === undefined || revision.revision < left);
    const chosen = await this.#choose(earlier, previous, wanted, left, signal);
    if ('why' in chosen) return { kind: 'none', why: chosen.why };
    const record = await this.#releases.read(chosen.revision.revision, signal);
    if (record === undefined) {
      return {
        kind: 'none',
        why: `Revision ${chosen.revision.revision} of ${this.#where} is no longer in Helm's history.`,
      };
    }
    const objects = inNamespace(record.objects, this.#namespace).map(({ object }) => object);
    return {
      kind: 'revision',
      revision: String(chosen.revision.revision),
      trust: isVerified(chosen.revision) ? 'verified' : 'served',
      images: [...new Set(imagesOf(objects).map(({ reference }) => reference))],
      targets: objects.filter(isWatched).map(refOf),
    };
  }

  unlock(signal: AbortSignal): Promise<string | undefined> {
    return this.#lock.unlock(signal);
  }

  async history(signal: AbortSignal): Promise<readonly RevisionView[]> {
    const revisions = await this.#releases.revisions(signal);
    const live = deployedOf(revisions)?.revision;
    const views = await inParallel(revisions, async (revision): Promise<RevisionView> => {
      const record = await this.#releases.read(revision.revision, signal);
      const time = record?.lastDeployed ?? revision.modifiedAt;
      return {
        revision: String(revision.revision),
        isLive: revision.revision === live,
        isVerified: isVerified(revision),
        status: revision.status,
        description: `${record?.chart ?? ''} ${record?.description ?? ''}`.trim(),
        ...(time !== undefined && { at: time }),
      };
    });
    return views.reverse();
  }

  /**
   * By our own record, as Helm's says `deployed` of every upgrade that was not waited for, bad ones too. The revision
   * that was live just before may be taken without a mark when it was not ours: it was healthy when we began.
   */
  async #choose(
    earlier: readonly ReleaseRevision[],
    previous: string | null,
    wanted: string | undefined,
    left: number | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly revision: ReleaseRevision } | { readonly why: string }> {
    if (wanted !== undefined) {
      const revision = earlier.find((other) => String(other.revision) === wanted);
      const known = earlier.map((other) => other.revision).join(', ');
      return revision === undefined
        ? { why: `${this.#where} has no earlier revision ${wanted}; Helm's history holds ${known || 'none'}.` }
        : { revision };
    }
    const before = earlier.find((revision) => String(revision.revision) === previous);
    if (before !== undefined && isVerified(before)) return { revision: before };
    if (before !== undefined) {
      const record = await this.#releases.read(before.revision, signal);
      if (record !== undefined && !record.description.startsWith(DESCRIPTION)) return { revision: before };
    }
    const verified = earlier.filter((revision) => isVerified(revision) && !revision.status.startsWith('pending'));
    const live = await this.#textOf(left, signal);
    for (const revision of verified.reverse()) {
      // After a rollback the same version stands in the history twice; going "back" to what is live helps nobody.
      if (live === undefined || (await this.#textOf(revision.revision, signal)) !== live) return { revision };
    }
    return {
      why:
        earlier.length === 0
          ? `This is the first release of ${this.#where}: there is nothing to go back to.`
          : `No other version of ${this.#where} in Helm's history was ever verified.`,
    };
  }

  async #textOf(revision: number | undefined, signal: AbortSignal): Promise<string | undefined> {
    const record = revision === undefined ? undefined : await this.#releases.read(revision, signal);
    return record === undefined ? undefined : JSON.stringify(record.objects);
  }

  async undo(way: Extract<WayBack, { readonly kind: 'revision' }>, options: ApplyOptions): Promise<string | null> {
    // Our own helm was stopped by us a moment ago: a lock it left is ours to take away, whatever its age.
    await this.#lock.unlock(options.signal);
    await this.#cli.rollback(Number(way.revision), {
      historyMax: this.#o.config.historyMax,
      onLine: options.onLine,
      signal: options.signal,
    });
    const live = deployedOf(await this.#releases.revisions(options.signal));
    return live === undefined ? null : String(live.revision);
  }

  async markVerified(revision: string | null, _targets: readonly ObjectRef[], signal: AbortSignal): Promise<void> {
    if (revision !== null) await this.#releases.markVerified(Number(revision), signal);
  }
}

interface HelmRendered {
  readonly chart: HelmChart;
  readonly record: ReleaseRecord;
  readonly rendered: Rendered;
}

/** How the description of our revisions begins; unlike labels, Helm does not hand it on to later ones. */
const DESCRIPTION = 'Slipway run ';

function descriptionOf(run: string, images: readonly ImageToDeploy[], used: Readonly<Record<string, string>>): string {
  const deployed = images.filter((image) => used[image.name] !== undefined);
  return `${DESCRIPTION}${run}: ${deployed.map((image) => `${image.name} ${image.tag}`).join(', ') || 'no image'}`;
}
