// What is live where: digest → tag → commit → how many commits behind, for each environment.
import { at, type KubeObject, listOf, refOf, textOf } from '../cluster/index.ts';
import { ownersOf, type RevisionView } from '../deploy/index.ts';
import { describeImage, parseReference, type Reference, type Registry } from '../images/index.ts';
import { type Failure, isCancelled, toFailure } from '../problems/index.ts';
import { namesIn } from '../project/index.ts';
import type { EnvironmentConfig, Project } from '../project/model.ts';
import { type LiveWorkloadView, readLive } from '../rollout/index.ts';
import type { Git } from '../system/git.ts';
import type { Scope } from './find.ts';

/** How the commit of an image is known. */
export type CommitSource = 'label' | 'tag';

export interface Version {
  /** Full commit id. */
  readonly commit: string;
  readonly source: CommitSource;
  /** First line of its message; absent when this clone does not have the commit. */
  readonly subject?: string;
  /** ISO time. */
  readonly committedAt?: string;
  /** Commits of HEAD that it does not have, and its own that HEAD does not have; absent when the clone cannot tell. */
  readonly behind?: number;
  readonly ahead?: number;
}

/** One image that runs, in one content. */
export interface LiveImage {
  /** Name in slipway.yaml; absent for images that are not of this project. */
  readonly name?: string;
  /** As the pods have it. */
  readonly reference: string;
  readonly repository: string;
  readonly tag?: string;
  /** What the node pulled; absent while no pod runs. */
  readonly digest?: string;
  readonly containers: readonly string[];
  readonly pods: number;
  readonly version?: Version;
}

export interface EnvironmentStatus {
  readonly environment: string;
  readonly context: string;
  readonly namespace: string;
  readonly isProtected: boolean;
  readonly deployer: EnvironmentConfig['deploy']['kind'];
  /** The deployer's live revision, where it keeps a history. */
  readonly revision?: RevisionView;
  readonly workloads: readonly (LiveWorkloadView & { readonly owners: readonly string[] })[];
  /** The project's own images first. */
  readonly images: readonly LiveImage[];
  /** Where HEAD is, for comparison. */
  readonly head?: { readonly commit: string; readonly branch?: string };
  /** What could not be had, and why. */
  readonly missing: readonly string[];
  /** Nothing could be asked of this environment. */
  readonly failure?: Failure;
}

export interface StatusSources {
  readonly project: Project;
  readonly registry: Registry;
  readonly git: Git | undefined;
  readonly head: EnvironmentStatus['head'];
  /** The clone lacks older commits, so numbers of commits would be wrong. */
  readonly isShallow: boolean;
}

/** One environment. What may not be read is named in `missing`. */
export async function environmentStatus(
  environment: EnvironmentConfig,
  scope: Scope,
  sources: StatusSources,
  history: () => Promise<readonly RevisionView[]>,
): Promise<EnvironmentStatus> {
  const missing: string[] = [];
  const part = async <T>(what: string, work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (isCancelled(error) || scope.signal.aborted) throw error;
      missing.push(`${what}: ${toFailure(error).message}`);
      return otherwise;
    }
  };
  const [live, revisions] = await Promise.all([
    readLive(scope.cluster, scope.targets, scope.signal),
    part('history', history, []),
  ]);
  const running = live.flatMap(({ pods }) => pods).filter((pod) => at(pod, 'status', 'phase') === 'Running');
  const templates = live.flatMap(({ object }) => (object === undefined ? [] : [object]));
  const found = imagesOf(running, templates, sources.project);
  const images = await Promise.all(
    found.map((image) =>
      part(`version of ${image.reference}`, () => withVersion(image, sources, scope.signal), image as LiveImage),
    ),
  );
  const revision = revisions.find(({ isLive }) => isLive);
  return {
    environment: environment.name,
    context: scope.cluster.context,
    namespace: environment.namespace,
    isProtected: environment.isProtected,
    deployer: environment.deploy.kind,
    // Plain workloads have a history each; only a Helm release has one revision.
    ...(revision !== undefined && environment.deploy.kind === 'helm' && { revision }),
    workloads: live.map(({ view, object }) => ({
      ...view,
      owners: object === undefined ? [] : ownersOf(object).map(({ kind, evidence }) => `${kind} (${evidence})`),
    })),
    images: images.toSorted((a, b) => Number(a.name === undefined) - Number(b.name === undefined)),
    ...(sources.head !== undefined && { head: sources.head }),
    missing,
  };
}

/** Images by content: during a rollout one container runs two. Without a running pod, what the templates ask for. */
function imagesOf(
  pods: readonly KubeObject[],
  templates: readonly KubeObject[],
  project: Project,
): readonly LiveImage[] {
  const found = new Map<string, { image: LiveImage; containers: Set<string>; pods: Set<string> }>();
  const add = (reference: string, digest: string | undefined, container: string, pod: string | undefined): void => {
    const parsed = referenceOf(reference);
    if (parsed === undefined) return;
    const repository = `${parsed.registry}/${parsed.repository}`;
    const key = `${repository} ${parsed.tag ?? ''} ${digest ?? parsed.digest ?? ''}`;
    const known = found.get(key);
    if (known !== undefined) {
      known.containers.add(container);
      if (pod !== undefined) known.pods.add(pod);
      return;
    }
    const names = project.images.filter((image) => sameRepository(image.repository, parsed)).map((image) => image.name);
    // Images of one repository are told apart by the tag, else by the container.
    const told = names.length < 2 ? names : [parsed.tag ?? '', container].flatMap((word) => namesIn(word, names));
    const [name] = told;
    const content = digest ?? parsed.digest;
    found.set(key, {
      image: {
        ...(name !== undefined && { name }),
        reference,
        repository,
        ...(parsed.tag !== undefined && { tag: parsed.tag }),
        ...(content !== undefined && { digest: content }),
        containers: [],
        pods: 0,
      },
      containers: new Set([container]),
      pods: new Set(pod === undefined ? [] : [pod]),
    });
  };
  for (const pod of pods) {
    for (const container of listOf(at(pod, 'spec', 'containers'))) {
      const name = textOf(container.name) ?? '';
      const status = listOf(at(pod, 'status', 'containerStatuses')).find((one) => one.name === name);
      add(textOf(container.image) ?? '', digestIn(textOf(status?.imageID)), name, pod.metadata.name);
    }
  }
  if (found.size === 0) {
    for (const object of templates) {
      const spec =
        object.kind === 'CronJob'
          ? at(object, 'spec', 'jobTemplate', 'spec', 'template')
          : at(object, 'spec', 'template');
      for (const container of listOf(at(spec, 'spec', 'containers'))) {
        add(textOf(container.image) ?? '', undefined, textOf(container.name) ?? refOf(object).name, undefined);
      }
    }
  }
  return [...found.values()].map(({ image, containers, pods: names }) => ({
    ...image,
    containers: [...containers],
    pods: names.size,
  }));
}

/** Runtimes write `docker.io/x@sha256:…` or `docker-pullable://…@sha256:…`; a bare `sha256:…` is a config, not a manifest. */
const digestIn = (imageId: string | undefined): string | undefined =>
  /@(sha256:[0-9a-f]{64})$/.exec(imageId ?? '')?.[1];

function referenceOf(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

function sameRepository(configured: string, reference: Reference): boolean {
  const other = referenceOf(configured);
  return other?.registry === reference.registry && other.repository === reference.repository;
}

async function withVersion(image: LiveImage, sources: StatusSources, signal: AbortSignal): Promise<LiveImage> {
  // Other people's images have commits of other repositories.
  if (image.name === undefined) return image;
  const known = await commitOf(image, sources, signal);
  if (known === undefined) return image;
  return { ...image, version: { ...known, ...(await compared(known.commit, sources)) } };
}

async function commitOf(
  image: LiveImage,
  { registry, git }: StatusSources,
  signal: AbortSignal,
): Promise<{ readonly commit: string; readonly source: CommitSource } | undefined> {
  const { digest, tag } = image;
  if (digest !== undefined) {
    const reference = parseReference(image.reference);
    const facts = await describeImage(registry, reference, digest, signal).catch((error: unknown) => {
      if (isCancelled(error) || signal.aborted) throw error;
      // A registry that is not reached is no end: the tag may tell.
      return {};
    });
    const revision = 'revision' in facts ? facts.revision : undefined;
    if (revision !== undefined && /^[0-9a-f]{7,64}$/.test(revision)) return { commit: revision, source: 'label' };
  }
  if (git === undefined || tag === undefined) return undefined;
  for (const candidate of [tag, tag.startsWith('v') ? tag.slice(1) : `v${tag}`, ...shortCommits(tag)]) {
    // `--end-of-options`: a tag of an image is text from outside.
    const commit = await git
      .raw('rev-parse', '--verify', '--quiet', '--end-of-options', `${candidate}^{commit}`)
      .then((text) => text.trim())
      .catch(() => '');
    // A branch of that name moves; only a tag or an id means a version.
    if (commit === '') continue;
    // By its output: quiet failures of git are no errors to the client.
    const isBranch = await git
      .raw('show-ref', '--heads', '--', `refs/heads/${candidate}`)
      .then((text) => text.trim() !== '')
      .catch(() => false);
    if (!isBranch) return { commit, source: 'tag' };
  }
  return undefined;
}

/** `main-3f2a91c-1700000000` and `1.4.0-3f2a91c` carry the commit. */
const shortCommits = (tag: string): readonly string[] =>
  tag.split(/[^0-9a-zA-Z]+/).filter((part) => /^[0-9a-f]{7,40}$/.test(part) && /\d/.test(part));

async function compared(commit: string, { git, head, isShallow }: StatusSources): Promise<Partial<Version>> {
  if (git === undefined) return {};
  const said = await git
    .raw('log', '-1', '--format=%H%n%cI%n%s', '--end-of-options', commit)
    .then((text) => text.split('\n'))
    .catch(() => undefined);
  // A shallow clone, or a commit that was never fetched.
  if (said === undefined) return {};
  const [full = commit, committedAt = '', subject = ''] = said;
  const facts = { commit: full, committedAt, subject };
  if (head === undefined || isShallow) return facts;
  const counts = await git
    .raw('rev-list', '--left-right', '--count', `${full}...${head.commit}`)
    .then((text) => /^(\d+)\s+(\d+)/.exec(text.trim()))
    .catch(() => null);
  return counts === null ? facts : { ...facts, ahead: Number(counts[1]), behind: Number(counts[2]) };
}
