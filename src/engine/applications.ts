import type { Application, ApplicationStatus, HistoryEntry } from './argocd/index.ts';
import type { ClusterAccess } from './deploy/index.ts';
import { Secrets } from './events/secrets.ts';
import { type ArgoCdRecipe, type ImageVersion, versionText } from './gitops/index.ts';
import { SlipwayError } from './problems/index.ts';
import type { EnvironmentConfig, Project } from './project/model.ts';
import { openGit } from './system/git.ts';
import type { System } from './system/index.ts';

/** What is asked of Argo CD outside of a run: status, refresh, sync, history, and going back in the cluster. */
export interface ApplicationRequest {
  readonly system: System;
  readonly project: Project;
  readonly signal: AbortSignal;
  /** `[namespace/]name`; absent = the one of the environment. */
  readonly application?: string;
  /** Absent = the only environment that Argo CD deploys. */
  readonly environment?: string;
  /** kubeconfig context where there is no environment, or instead of its own. */
  readonly context?: string;
  readonly onWait?: (text: string) => void;
}

export interface HistoryView {
  readonly id: number;
  readonly revisions: readonly string[];
  readonly at?: string;
  readonly by: string;
  readonly isLive: boolean;
  /** What that revision runs, read from the clone of this workspace; empty when it is not known here. */
  readonly images: readonly string[];
}

export interface StatusView extends ApplicationStatus {
  readonly reminder?: string;
  readonly parent?: string;
  /** Applications that this one makes (app of apps), each with its state: they are no part of this one's health. */
  readonly children?: readonly {
    readonly name: string;
    readonly state: ApplicationStatus['state'];
    readonly summary: string;
  }[];
}

/** Loaded on first use, as everything that can reach a cluster. */
async function opened(request: ApplicationRequest) {
  const { system, signal, onWait } = request;
  const [argocd, { clusterOf, deployAccess }] = await Promise.all([
    import('./argocd/index.ts'),
    import('./run/clusterAccess.ts'),
  ]);
  const environment = environmentFor(request);
  const target = {
    name: environment?.name ?? 'argocd',
    namespace: environment?.namespace ?? 'default',
    ...(environment?.kubeconfig !== undefined && { kubeconfig: environment.kubeconfig }),
    ...((request.context ?? environment?.context) !== undefined && {
      context: request.context ?? environment?.context,
    }),
  } as EnvironmentConfig;
  const access = deployAccess(await clusterOf(target, system, new Secrets()));
  const name =
    request.application ?? (environment?.deploy.kind === 'argocd' ? environment.deploy.application : undefined);
  const follow = { clock: system.clock, signal, ...(onWait !== undefined && { onWait }) };
  return { argocd, access, name, follow };
}

/** Throws SlipwayError `usage` when it cannot be told which application is meant. */
function environmentFor({ project, environment, application }: ApplicationRequest): EnvironmentConfig | undefined {
  const own = project.environments.filter(({ deploy }) => deploy.kind === 'argocd');
  if (environment !== undefined) {
    const found = project.environments.find(({ name }) => name === environment);
    if (found === undefined || (application === undefined && found.deploy.kind !== 'argocd')) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'argocd.environment',
        message:
          found === undefined
            ? `There is no environment ${environment}.`
            : `The environment ${environment} does not deploy with Argo CD.`,
        fix: `Environments with Argo CD: ${own.map(({ name }) => name).join(', ') || 'none'}.`,
      });
    }
    return found;
  }
  return own.length === 1
    ? own[0]
    : own.find(({ deploy }) => deploy.kind === 'argocd' && deploy.application === application);
}

function mustName(name: string | undefined, { project }: ApplicationRequest): string {
  if (name !== undefined) return name;
  const own = project.environments.filter(({ deploy }) => deploy.kind === 'argocd');
  throw new SlipwayError({
    reason: 'usage',
    code: 'argocd.which',
    message:
      own.length === 0
        ? 'No environment of this project deploys with Argo CD.'
        : `Several environments deploy with Argo CD: ${own.map((each) => each.name).join(', ')}.`,
    fix: 'Name the environment with --env, or the application: slipway argocd status [namespace/]name --context CONTEXT.',
  });
}

async function application(request: ApplicationRequest) {
  const all = await opened(request);
  const app = await all.argocd.getApplication(all.access, mustName(all.name, request), request.signal);
  return { ...all, app };
}

/** One Application in plain words, compared with what git holds where its repository is this one. */
export async function applicationStatus(request: ApplicationRequest): Promise<StatusView> {
  const { argocd, app, access } = await application(request);
  const view = await statusView(argocd, app, request);
  const refs = app.resources.filter(
    ({ ref }) => ref.kind === 'Application' && ref.apiVersion.startsWith('argoproj.io/'),
  );
  if (refs.length === 0) return view;
  const children = await Promise.all(
    refs.map(async ({ ref }) => {
      const name = `${ref.namespace ?? app.namespace}/${ref.name}`;
      const object = await access.get({ ...ref, namespace: ref.namespace ?? app.namespace }, request.signal);
      if (object === undefined) return { name, state: 'unknown' as const, summary: 'It does not exist yet.' };
      const { state, summary } = argocd.judgeApplication(argocd.readApplication(object), {
        now: request.system.clock.now(),
      });
      return { name, state, summary };
    }),
  );
  return { ...view, children };
}

/** Every Application of the cluster in plain words; git is not asked. */
export async function applicationStatuses(request: ApplicationRequest): Promise<readonly StatusView[]> {
  const { argocd, access } = await opened(request);
  const apps = await argocd.listApplications(access, undefined, request.signal);
  return Promise.all(apps.map((app) => statusView(argocd, app, request, 'offline')));
}

async function statusView(
  argocd: typeof import('./argocd/index.ts'),
  app: Application,
  { system, project }: ApplicationRequest,
  git: 'ask' | 'offline' = 'ask',
): Promise<StatusView> {
  const revision = git === 'ask' ? await revisionInGit(argocd, system, project.root, app) : undefined;
  const status = argocd.judgeApplication(app, {
    now: system.clock.now(),
    ...(revision !== undefined && { gitRevision: revision }),
  });
  const reminder = argocd.pausedReminder(app);
  return {
    ...status,
    ...(reminder !== undefined && { reminder }),
    ...(app.parent !== undefined && { parent: `${app.parent.kind} ${app.parent.name}` }),
  };
}

/**
 * The commit that the application's branch holds on the remote, when its repository is the one of this workspace. It asks
 * that remote; undefined when it is another repository, or does not answer.
 */
async function revisionInGit(
  argocd: typeof import('./argocd/index.ts'),
  system: System,
  root: string,
  app: Application,
): Promise<string | undefined> {
  const [source] = app.sources;
  if (source === undefined || app.isMultiSource || app.isHydrated || source.chart !== undefined) return undefined;
  const git = await openGit(system, root);
  const quiet = (...args: readonly string[]): Promise<string> =>
    git === undefined
      ? Promise.resolve('')
      : git.raw(...args).then(
          (text) => text.trim(),
          () => '',
        );
  const remote = await quiet('config', '--get', 'remote.origin.url');
  if (remote === '' || !argocd.isSameRepository(remote, source.repoUrl)) return undefined;
  const wanted = source.targetRevision || 'HEAD';
  if (/^[0-9a-f]{40}$/.test(wanted)) return wanted;
  const lines = (await quiet('ls-remote', 'origin', wanted, `refs/tags/${wanted}^{}`)).split('\n');
  const heads = new Map(
    lines.flatMap((line) => {
      const [sha, ref] = line.split('\t');
      return sha === undefined || ref === undefined ? [] : [[ref, sha] as const];
    }),
  );
  return (
    heads.get('HEAD') ??
    heads.get(`refs/tags/${wanted}^{}`) ??
    heads.get(`refs/heads/${wanted}`) ??
    heads.get(`refs/tags/${wanted}`)
  );
}

export async function refreshApplication(request: ApplicationRequest, kind: 'normal' | 'hard'): Promise<StatusView> {
  const { argocd, access, app, follow } = await application(request);
  return statusView(argocd, await argocd.refreshApplication(access, app, kind, follow), request);
}

export interface SyncOptions {
  readonly user: string;
  readonly run: string;
  readonly reason: string;
  /** A commit, a tag or a branch; absent = the target revision. */
  readonly revision?: string;
  readonly prune?: 'yes' | 'no';
}

/** Syncs and waits for the end of the operation. A sync that failed throws SlipwayError `rollout`. */
export async function syncApplication(request: ApplicationRequest, options: SyncOptions): Promise<StatusView> {
  const { argocd, access, app, follow } = await application(request);
  if (options.revision !== undefined && argocd.whoUndoesRollback(app) !== undefined) {
    throw new SlipwayError({
      reason: 'refused',
      code: 'argocd.automated',
      message: `${app.name} cannot be held at ${options.revision}: ${argocd.whoUndoesRollback(app) ?? ''}.`,
      fix: 'Sync without --revision, or put that version into git.',
    });
  }
  const { revision, ...rest } = options;
  const asked = await argocd.startSync(
    access,
    app,
    { ...rest, ...(revision !== undefined && { revisions: [revision] }) },
    request.signal,
  );
  const done = await argocd.awaitOperation(access, asked, options.run, follow);
  const failure = argocd.operationFailure(done);
  if (failure !== undefined) throw failure;
  return statusView(argocd, done, request);
}

export async function applicationHistory(request: ApplicationRequest): Promise<readonly HistoryView[]> {
  const { app, access } = await application(request);
  const versions = await (await history(request, access)).versionsOf(app, request.signal);
  return Promise.all(
    app.history.map(async (entry, index) => {
      const [revision] = entry.revisions;
      const images = revision === undefined ? new Map<string, ImageVersion>() : await versions(revision);
      return historyView(
        entry,
        index,
        [...images].map(([name, version]) => `${name} ${versionText(version)}`),
      );
    }),
  );
}

/** What older commits ran, read from the clone that holds what Argo CD reads. */
async function history({ system, project, environment }: ApplicationRequest, access: ClusterAccess) {
  const { ArgoCdHistory } = await import('./deploy/index.ts');
  const own = project.environments.filter(({ deploy }) => deploy.kind === 'argocd');
  const config = (own.find(({ name }) => name === environment) ?? own[0])?.deploy;
  return new ArgoCdHistory({
    system,
    access,
    config: config?.kind === 'argocd' ? config : { ...DEFAULTS, repository: project.root },
    images: [],
  });
}

const DEFAULTS = { kind: 'argocd', application: '', write: 'auto', remote: 'origin', rollback: 'ignore' } as const;

function historyView(
  { id, revisions, deployedAt, initiatedBy, isAutomated }: HistoryEntry,
  index: number,
  images: readonly string[],
): HistoryView {
  return {
    id,
    revisions,
    ...(deployedAt !== undefined && { at: deployedAt }),
    by: isAutomated ? 'automatic sync' : (initiatedBy ?? 'unknown'),
    isLive: index === 0,
    images,
  };
}

export interface WaysView {
  readonly image: string;
  readonly badTag: string;
  readonly goodTag: string;
  readonly recipes: readonly ArgoCdRecipe[];
}

/**
 * The ways back for each image that the Application runs, with what Argo CD and Image Updater would do next. `to`: a tag,
 * instead of the newest older one of the history. Asks the registry for tags; writes nothing.
 */
export async function waysBack(request: ApplicationRequest, to: string | undefined): Promise<readonly WaysView[]> {
  const { app, access } = await application(request);
  const { system, signal } = request;
  const [{ liveUpdater, updaterImage }, { parseReference, Registry }, { argocdRecipes }] = await Promise.all([
    import('./deploy/index.ts'),
    import('./images/index.ts'),
    import('./gitops/index.ts'),
  ]);
  const updater = await liveUpdater(app, access, signal);
  const record = await history(request, access);
  const versions = await record.versionsOf(app, signal);
  const older = await Promise.all(app.history.map(({ revisions }) => versions(revisions[0] ?? '')));
  const registry = new Registry(system, new Secrets());
  const views: WaysView[] = [];
  for (const { name, repository } of record.knownImages(app, updater)) {
    const live = app.images.find((image) => image.startsWith(`${repository}:`))?.slice(repository.length + 1);
    const badTag = live?.replace(/@.*$/, '');
    const goodTag =
      to ?? older.map((images) => images.get(name)?.tag).find((tag) => tag !== undefined && tag !== badTag);
    if (badTag === undefined || goodTag === undefined || badTag === goodTag) continue;
    const reference = parseReference(repository);
    // A registry that does not answer leaves the two tags that are known.
    const listed = await registry.tags(reference.registry, reference.repository, signal).catch(() => undefined);
    const tags = [...new Set([...(listed ?? []), badTag, goodTag])].map((tag) => ({ tag }));
    views.push({
      image: repository,
      badTag,
      goodTag,
      recipes: argocdRecipes({
        automated: app.automated.state,
        image: updaterImage(updater, repository),
        tags,
        badTag,
        goodTag,
        ...(app.parent !== undefined && { parent: `${app.parent.kind} ${app.parent.name}` }),
      }),
    });
  }
  return views;
}

export interface ClusterRollback {
  readonly user: string;
  readonly run: string;
  readonly reason: string;
  readonly id?: number;
  readonly automation: 'pause' | 'refuse';
}

/** Rolls back in the cluster by the history; git keeps the newer version. See `slipway rollback` for the git way. */
export async function rollBackApplication(
  request: ApplicationRequest,
  options: ClusterRollback,
): Promise<StatusView & { readonly warning?: string }> {
  const { argocd, access, app, follow } = await application(request);
  const { id, ...rest } = options;
  const entry = argocd.historyEntry(app, id);
  const done = await argocd.rollBackInCluster(access, app, { ...rest, entry }, follow);
  const failure = argocd.operationFailure(done);
  if (failure !== undefined) throw failure;
  const restores = app.automated.state === 'on' ? argocd.whoRestoresAutomation(app) : undefined;
  return {
    ...(await statusView(argocd, done, request, 'offline')),
    ...(restores !== undefined && { warning: `This may not stay: ${restores}.` }),
  };
}

/** False when nothing was paused. */
export async function resumeApplication(request: ApplicationRequest): Promise<boolean> {
  const { argocd, access, app } = await application(request);
  return argocd.resumeAutomation(access, app, request.signal);
}

export async function terminateApplication(request: ApplicationRequest): Promise<StatusView> {
  const { argocd, access, app } = await application(request);
  return statusView(argocd, await argocd.terminateOperation(access, app, request.signal), request, 'offline');
}
