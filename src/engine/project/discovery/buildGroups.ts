import { posix } from 'node:path';
import type { Draft } from './draftModel.ts';
import type { BuildFinding, DockerfileFinding, Findings, RelativePath } from './findings.ts';
import { asideFolder, asName } from './paths.ts';

/** One image to be: a Dockerfile, a target, and all that builds it, the best source first. */
export interface Group {
  readonly dockerfile: DockerfileFinding;
  readonly builds: readonly BuildFinding[];
  readonly target?: string;
  /** A target that a source builds and that is not published: it is for developing. */
  readonly passedOver?: { readonly target: string; readonly build: BuildFinding };
}

/** CI is what is published today, bake is meant for publishing, Skaffold for a cluster, compose for one machine. */
const RANK = { ci: 0, bake: 1, goreleaser: 2, skaffold: 3, compose: 4 } as const;
const FOR_DEVELOPING = /^(dev|develop|development|test|tests|debug|ci|lint)$/i;

/** The images of each Dockerfile: one for each target that some file builds, else one. */
export function buildGroups(findings: Findings, left: Draft['left'][number][]): readonly Group[] {
  const builds = [...findings.pipelines.flatMap((pipeline) => pipeline.builds), ...findings.builds].toSorted(
    (a, b) => RANK[a.origin] - RANK[b.origin] || Number(a.aside !== undefined) - Number(b.aside !== undefined),
  );
  const hasMain = builds.some(({ aside }) => aside === undefined);
  return findings.dockerfiles.flatMap((dockerfile) => {
    const all = builds.filter((build) => build.dockerfile === dockerfile.path);
    // A bake target without tags adds nothing where another build of the file is published.
    const published = all.filter((build) => build.origin !== 'bake' || build.aside === undefined);
    const own = published.length > 0 ? published : all;
    const aside = own.every((build) => build.aside !== undefined) ? own[0]?.aside : undefined;
    const isGuess = own[0] === undefined || own[0].origin === 'compose' || aside !== undefined;
    const why = isGuess ? (sideline(dockerfile.path) ?? (hasMain ? aside : undefined)) : undefined;
    if (why === undefined) return groupsOf(dockerfile, own);
    left.push({ what: `Image of ${dockerfile.path}`, why, place: own[0]?.place ?? dockerfile.place });
    return [];
  });
}

function groupsOf(dockerfile: DockerfileFinding, own: readonly BuildFinding[]): readonly Group[] {
  const best = own[0];
  if (best === undefined) return [{ dockerfile, builds: [], ...lastStage(dockerfile) }];
  // The best source says which targets there are; the others only add what it leaves open.
  const leading = own.filter((build) => build.origin === best.origin);
  const targets = [...new Set(leading.map((build) => publishedTarget(build, dockerfile)))];
  if (targets.length === 1) {
    const images = sameImages(leading);
    // One Dockerfile, several images: told apart by arguments.
    if (images.length > 1) return images.map((builds) => groupOf(dockerfile, builds, targets[0]));
  }
  return targets.map((target) =>
    groupOf(
      dockerfile,
      own.filter(
        (build) =>
          publishedTarget(build, dockerfile) === target || (build.origin !== best.origin && targets.length === 1),
      ),
      target,
    ),
  );
}

/** Builds that go to a common repository, or differ in nothing but where they go, are one image. */
function sameImages(builds: readonly BuildFinding[]): readonly (readonly BuildFinding[])[] {
  const images: BuildFinding[][] = [];
  for (const build of builds) {
    const goesTo = repositoriesOf(build);
    const isSame = (other: BuildFinding): boolean =>
      goesTo.length === 0 ||
      repositoriesOf(other).length === 0 ||
      repositoriesOf(other).some((each) => goesTo.includes(each)) ||
      JSON.stringify(other.args) === JSON.stringify(build.args);
    const known = images.find((each) => each.some(isSame));
    if (known === undefined) images.push([build]);
    else known.push(build);
  }
  return images;
}

export const repositoriesOf = (build: BuildFinding): readonly string[] =>
  build.repositories ?? (build.repository === undefined ? [] : [build.repository]);

function groupOf(dockerfile: DockerfileFinding, builds: readonly BuildFinding[], target: string | undefined): Group {
  const other = builds.find(
    (build) => build.target !== undefined && build.target !== target && FOR_DEVELOPING.test(build.target),
  );
  return {
    dockerfile,
    builds,
    ...(target !== undefined && { target }),
    ...(other?.target !== undefined && { passedOver: { target: other.target, build: other } }),
  };
}

/** Compose builds the stage that one works in; what is published is the last one, where that is another. */
function publishedTarget(build: BuildFinding, dockerfile: DockerfileFinding): string | undefined {
  const isForDeveloping = build.origin === 'compose' && FOR_DEVELOPING.test(build.target ?? '');
  return isForDeveloping && dockerfile.stages.at(-1)?.name !== build.target ? undefined : build.target;
}

/** The last stage is the one built, unless it is plainly for developing and another is plainly not. */
function lastStage(dockerfile: DockerfileFinding): { readonly target?: string } {
  const last = dockerfile.stages.at(-1)?.name;
  if (last === undefined || !FOR_DEVELOPING.test(last)) return {};
  const better = dockerfile.stages.findLast((stage) =>
    /^(prod|production|release|runtime|runner|final|app)$/i.test(stage.name ?? ''),
  );
  return better?.name === undefined ? {} : { target: better.name };
}

/** Why a Dockerfile that nothing publishes is not an image of this project; undefined when it may be. */
function sideline(path: RelativePath): string | undefined {
  const aside = asideFolder(path);
  if (aside !== undefined) return `it lies in ${aside}/, and nothing publishes it`;
  const word = variantOf(path);
  if (
    word !== undefined &&
    /^(dev|development|devcontainer|local|tests?|testing|ci|debug|lint|builder|buildx|goreleaser|playwright|e2e)$/.test(
      word,
    )
  )
    return `by its name it is for "${word}", and nothing publishes it`;
  return undefined;
}

/** `api` of `api.Dockerfile` and `Dockerfile.api`. */
export function variantOf(path: RelativePath): string | undefined {
  const base = posix.basename(path);
  const [, before] = /^(.+)\.(?:Dockerfile|Containerfile)$/i.exec(base) ?? [];
  const [, after] = /^(?:Dockerfile|Containerfile)[._-](.+)$/i.exec(base) ?? [];
  const word = (before ?? after)?.toLowerCase();
  return word === undefined ? undefined : asName(word);
}
