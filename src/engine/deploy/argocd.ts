import {
  type Application,
  applicationRef,
  awaitOperation,
  awaitRevision,
  getApplication,
  isRunning,
  operationFailure,
  refreshApplication,
  startSync,
} from '../argocd/index.ts';
import { type KubeObject, refOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { chooseTag, type UpdaterOfApplication } from '../gitops/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { Remembered } from '../problems/remembered.ts';
import type { ArgoCdDeploy } from '../project/model.ts';
import type { System } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import {
  imagesOfCommits,
  openSource,
  rollsForward,
  type WrittenImages,
  type WrittenSource,
  writeImages,
} from './argocdGit.ts';
import { ArgoCdHistory, VERIFIED, verifiedOf } from './argocdHistory.ts';
import { holdUpdater } from './argocdHold.ts';
import { liveUpdater, updaterImage } from './argocdPlaces.ts';
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
import {
  type ImageToDeploy,
  isVersion,
  referenceOf,
  refuseSharedRepository,
  runsInstead,
  setImages,
} from './images.ts';
import { isWatched } from './order.ts';
import { obstaclesFor, refuseObstacles } from './ownership.ts';
import { inParallel } from './parallel.ts';

export interface ArgoCdOptions {
  readonly system: System;
  readonly access: ClusterAccess;
  readonly request: DeployRequest;
  readonly config: ArgoCdDeploy;
}

const MOST_VERIFIED = 10;

/** Image Updater looks every two minutes by default; it may also have to wait for its registry. */
const UPDATER_LIMIT_MS = 10 * 60_000;

/**
 * Deploys through Argo CD: the version is written to git as people and Image Updater write it, Argo CD is asked to look,
 * and what it applied is judged by the real workloads. Nothing of the workloads is written from here.
 */
export class ArgoCdDeployer implements Deployer {
  readonly kind = 'argocd';
  readonly #o: ArgoCdOptions;
  #pushed: { readonly revision: string; readonly previous: string | null } | undefined;
  readonly #rendered = new Remembered<Rendered>();
  readonly #history: ArgoCdHistory;

  constructor(options: ArgoCdOptions) {
    this.#o = options;
    this.#history = new ArgoCdHistory({ ...options, images: options.request.images });
  }

  #app(signal: AbortSignal): Promise<Application> {
    return getApplication(this.#o.access, this.#o.config.application, signal);
  }

  render(signal: AbortSignal): Promise<Rendered> {
    return this.#rendered.get(() => this.#render(signal));
  }

  /** The workloads that run, with the new images: Argo CD renders the rest, and this run changes nothing else. */
  async #render(signal: AbortSignal): Promise<Rendered> {
    const { request } = this.#o;
    refuseSharedRepository(request.images, 'the way to Argo CD through git');
    const app = await this.#app(signal);
    const live = await this.#workloads(app, signal);
    const set = setImages(live.map(asWritten), request.images);
    const warnings: string[] = [];
    if (live.length === 0) {
      warnings.push(
        `${app.namespace}/${app.name} has no workloads in this cluster yet${isLocal(app) ? '' : `: it deploys to ${app.destination.server ?? app.destination.name ?? 'another cluster'}`}.`,
      );
    } else if (set.unused.length === request.images.length && request.images.length > 0) {
      throw new SlipwayError({
        reason: 'config',
        code: 'argocd.image-unused',
        message: `No workload of ${app.namespace}/${app.name} runs ${request.images.map(({ repository }) => repository).join(' or ')}.`,
        fix: 'Correct the repository of the image in slipway.yaml, or the Application of this environment.',
        place: request.environment.place,
      });
    }
    return {
      objects: set.objects.map((object) => ({ object })),
      hooks: [],
      images: Object.fromEntries(request.images.map((image) => [image.name, referenceOf(image)])),
      warnings,
    };
  }

  /** Live workloads of the Application; none when it deploys to another cluster. */
  async #workloads(app: Application, signal: AbortSignal): Promise<readonly KubeObject[]> {
    if (!isLocal(app)) return [];
    const refs = app.resources.flatMap(({ ref, isHook }) =>
      isHook || !isWatched({ ...ref, metadata: { name: ref.name } }) ? [] : [ref],
    );
    const found = await inParallel(refs, (ref) => this.#o.access.get(ref, signal));
    return found.filter((object) => object !== undefined);
  }

  targets(rendered: Rendered): readonly ObjectRef[] {
    return rendered.objects.map(({ object }) => refOf(object));
  }

  async liveTargets(signal: AbortSignal): Promise<readonly ObjectRef[]> {
    return (await this.#workloads(await this.#app(signal), signal)).map(refOf);
  }

  async owners(signal: AbortSignal) {
    const { config } = this.#o;
    const live = await this.#workloads(await this.#app(signal), signal);
    return obstaclesFor({ kind: 'argocd', application: config.application }, live);
  }

  async diff(signal: AbortSignal): Promise<readonly ObjectDiff[]> {
    const { objects } = await this.render(signal);
    const live = await this.#workloads(await this.#app(signal), signal);
    return objects.map(({ object }, index) => diffObject(object, live[index], { kind: 'subset' }));
  }

  async apply(options: ApplyOptions): Promise<Applied> {
    const { request, config } = this.#o;
    const { signal, onLine } = options;
    refuseObstacles(await this.owners(signal));
    const app = await this.#app(signal);
    const updater = await liveUpdater(app, this.#o.access, signal);
    const previous = app.history[0]?.revisions[0] ?? app.sync.revisions[0] ?? null;
    const isLeft = config.write === 'updater' || (config.write === 'auto' && updater?.writeBack.method === 'argocd');
    if (isLeft) return this.#awaitUpdater(app, updater, previous, options);
    const source = await openSource(this.#o.system, config, app);
    const written = await writeImages({
      ...source,
      app,
      updater,
      images: request.images,
      run: options.run,
      verb: 'Deploy',
      signal,
    });
    return this.#synced(app, source, { ...written, images: request.images }, previous, options, onLine);
  }

  /** After the commit: Argo CD looks, syncs (by itself, or asked), and tells what it applied. */
  async #synced(
    app: Application,
    { branch }: WrittenSource,
    written: WrittenImages & { readonly images: readonly ImageToDeploy[] },
    previous: string | null,
    { run, signal }: ApplyOptions,
    onLine: (line: string) => void,
  ): Promise<Applied> {
    const { access, system } = this.#o;
    const { commit, outcome } = written;
    const since = system.clock.now();
    if (outcome === 'pushed') this.#pushed = { revision: commit, previous };
    onLine(
      outcome === 'pushed'
        ? `pushed ${commit.slice(0, 8)} to ${branch.branch}: ${written.files.join(', ')}`
        : `${branch.branch} holds these versions already (${commit.slice(0, 8)})`,
    );
    for (const note of written.notes) onLine(note);
    const follow = { clock: system.clock, signal, onWait: onLine };
    const title = `commit ${commit.slice(0, 8)}`;
    const holds = (revision: string): Promise<boolean> => branch.holds(revision, commit);
    let current = await refreshApplication(access, app, 'normal', follow);
    if (current.automated.state === 'off' && (current.sync.status !== 'Synced' || !(await holdsAny(current, holds)))) {
      current = await this.#idle(current, signal);
      const asked = await startSync(access, current, { user: 'slipway', run, reason: `Deploy ${title}` }, signal);
      current = await awaitOperation(access, asked, run, follow);
      const failure = operationFailure(current);
      if (failure !== undefined) throw failure;
      current = await refreshApplication(access, current, 'normal', follow);
    }
    const done = await awaitRevision(access, current, { holds, since, title }, follow);
    const live = await this.#workloads(done, signal);
    const targets = live.map(refOf);
    const [other] = written.images
      .map((image) => ({ image, runs: runsInstead(live, image) }))
      .filter(({ runs }) => runs.length > 0);
    if (other !== undefined) throw versionNotTaken(done, commit, other.image, other.runs);
    const reached = done.sync.revisions.find((revision) => /^[0-9a-f]{40}/.test(revision)) ?? commit;
    const warnings = [
      ...(reached === commit
        ? []
        : [`Argo CD applied ${reached.slice(0, 8)}, which came after ${commit.slice(0, 8)} and holds it.`]),
      ...(targets.length === 0 ? [this.#unwatched(done)] : []),
    ];
    return { objects: done.resources.map(({ ref }) => ref), targets, revision: commit, previous, warnings };
  }

  #unwatched(app: Application): string {
    return `The workloads of ${app.name} are not in this cluster, so only Argo CD's own word counts: ${app.health.status}.`;
  }

  /** Another person's sync is let go to its end first. */
  async #idle(app: Application, signal: AbortSignal): Promise<Application> {
    const { access, system } = this.#o;
    let current = app;
    while (isRunning(current.operation) || current.isOperationWaiting) {
      await system.clock.sleep(1_000, signal);
      current = await getApplication(access, `${app.namespace}/${app.name}`, signal);
    }
    return current;
  }

  /**
   * Image Updater writes the version itself; whether it can choose ours at all is looked at first. Throws `config` when it
   * cannot, `timeout` when it does not.
   */
  async #awaitUpdater(
    app: Application,
    updater: UpdaterOfApplication | undefined,
    previous: string | null,
    { signal, onLine }: ApplyOptions,
  ): Promise<Applied> {
    const { access, system, request } = this.#o;
    for (const { name, repository, tag } of request.images) {
      const image = updaterImage(updater, repository);
      const choice = image === undefined ? undefined : chooseTag(image, [{ tag, created: 1 }]);
      if (choice?.tag === tag) continue;
      const reason = choice?.reasons[0]?.reason ?? choice?.note ?? 'it does not look after this image';
      throw new SlipwayError({
        reason: 'config',
        code: 'argocd.updater-will-not',
        message: `Image Updater would never choose ${tag} for ${name}: ${reason}.`,
        fix: 'Change the constraint or allow-tags of this image, the tag template of this environment, or write: git.',
      });
    }
    const wanted = request.images.map((image) => ({ image, isSeen: (live: string) => isVersion(live, image) }));
    const startedAt = system.clock.now();
    onLine('Image Updater writes the version; waiting for it (it looks every two minutes by default)');
    for (;;) {
      const current = await getApplication(access, `${app.namespace}/${app.name}`, signal);
      const open = wanted.filter(({ isSeen }) => !current.images.some(isSeen));
      if (open.length === 0) {
        const targets = (await this.#workloads(current, signal)).map(refOf);
        const revision = current.sync.revisions[0] ?? null;
        return { objects: current.resources.map(({ ref }) => ref), targets, revision, previous, warnings: [] };
      }
      if (system.clock.now() - startedAt > UPDATER_LIMIT_MS) {
        throw new SlipwayError({
          reason: 'timeout',
          code: 'argocd.updater',
          message: `Image Updater has not brought ${open.map(({ image }) => `${image.repository}:${image.tag}`).join(', ')} within 10 minutes.`,
          fix: "Look at Image Updater's log; a registry it cannot read and a newer tag that wins are the commonest reasons.",
        });
      }
      await system.clock.sleep(2_000, signal);
    }
  }

  async halfWritten(): Promise<Pick<Applied, 'revision' | 'previous'> | undefined> {
    return this.#pushed;
  }

  async unlock(): Promise<undefined> {
    return undefined;
  }

  /**
   * The way that stays under automatic sync, app-of-apps and ApplicationSets: the old versions are written into git on top
   * of what it holds. Where Image Updater would roll forward again, the bad tag is kept out as well.
   */
  async undo(way: Extract<WayBack, { readonly kind: 'revision' }>, options: ApplyOptions): Promise<string | null> {
    const { access, system, config } = this.#o;
    const { signal, onLine, run } = options;
    const app = await this.#app(signal);
    const updater = await liveUpdater(app, access, signal);
    const versions = await (await this.#history.versionsOf(app, signal))(way.revision);
    const known = this.#history.knownImages(app, updater);
    const images = known.flatMap((image): readonly ImageToDeploy[] => {
      const version = versions.get(image.name);
      if (version?.tag === undefined) return [];
      return [
        {
          name: image.name,
          repository: image.repository,
          tag: version.tag,
          ...(version.digest !== undefined && { digest: version.digest }),
        },
      ];
    });
    const source = await openSource(system, config, app);
    const versionsAt = await imagesOfCommits({ ...source, app, updater, images: known, signal });
    const now = await versionsAt((await source.branch.head()).commit);
    const hold = new Map(
      images.flatMap(({ name, repository, tag }) => {
        const bad = now.get(name)?.tag;
        const isPulled = bad !== undefined && rollsForward(updaterImage(updater, repository), bad, tag);
        return isPulled ? [[repository, bad] as const] : [];
      }),
    );
    const { rollback } = config;
    if (rollback !== 'revert') {
      // First the updater is held: between the two writes it must not see a reason to go forward.
      for (const image of images) {
        const bad = hold.get(image.repository);
        if (bad !== undefined) await holdUpdater(access, app, updater, rollback, image, bad, options);
      }
    }
    const written = await writeImages({
      ...source,
      app,
      updater,
      images,
      run,
      verb: 'Roll back to',
      signal,
      ...(rollback !== 'revert' && { hold: { way: rollback, badTags: hold } }),
    });
    await this.#synced(app, source, { ...written, images }, null, options, onLine);
    return written.commit;
  }

  async history(signal: AbortSignal): Promise<readonly RevisionView[]> {
    return this.#history.views(await this.#app(signal), signal);
  }

  async wayBack(options: WayBackOptions): Promise<WayBack> {
    const app = await this.#app(options.signal);
    return this.#history.wayBack(app, (await this.#workloads(app, options.signal)).map(refOf), options);
  }

  async markVerified(revision: string | null, _targets: readonly ObjectRef[], signal: AbortSignal): Promise<void> {
    if (revision === null) return;
    const app = await this.#app(signal);
    const list = [revision, ...verifiedOf(app).filter((other) => other !== revision)].slice(0, MOST_VERIFIED);
    await this.#o.access.merge(
      applicationRef(app),
      { metadata: { annotations: { [VERIFIED]: JSON.stringify(list) } } },
      { signal },
    );
  }
}

/** The cluster that Argo CD itself runs in, which is the one asked. */
const isLocal = ({ destination }: Application): boolean =>
  destination.name === 'in-cluster' ||
  (destination.name === undefined &&
    /^https:\/\/kubernetes\.default\.svc(\.|$)/.test(destination.server ?? 'https://kubernetes.default.svc'));

/** As a manifest: what the server adds is no part of what is going to be. */
function asWritten(object: KubeObject): KubeObject {
  const { status: _status, ...rest } = object;
  const { name, namespace, labels, annotations } = object.metadata;
  const metadata = {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(labels !== undefined && { labels }),
    ...(annotations !== undefined && { annotations }),
  };
  return { ...rest, metadata } as KubeObject;
}

async function holdsAny(app: Application, holds: (revision: string) => Promise<boolean>): Promise<boolean> {
  for (const revision of app.sync.revisions) if (await holds(revision)) return true;
  return false;
}

/** Argo CD is content, and yet the version of the commit does not run: success would be a lie. */
function versionNotTaken(
  app: Application,
  commit: string,
  { tag }: ImageToDeploy,
  runs: readonly string[],
): SlipwayError {
  return new SlipwayError({
    reason: 'config',
    code: 'argocd.version-not-taken',
    message: `Argo CD applied ${commit.slice(0, 8)}, but the workloads of ${app.name} run ${runs.join(', ')} and not ${tag}: something that Slipway did not write decides the version.`,
    fix: 'Look for a parameter of the Application (argocd app get NAME --show-params), an .argocd-source file or a later values file that sets this image, and remove it.',
  });
}
