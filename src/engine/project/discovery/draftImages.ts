import { posix } from 'node:path';
import type { Place } from '../../problems/index.ts';
import { isBackingImage } from './compose.ts';
import type { Draft, DraftImage, Note } from './draftModel.ts';
import type { BuildFinding, DockerfileFinding, Findings, RelativePath } from './findings.ts';
import { asideFolder, asName, folderOf, isBelow, isRepository, lastPart, repositoryOf } from './paths.ts';

/** CI is what is published today, bake is meant for publishing, compose is for one machine. */
const RANK = { ci: 0, bake: 1, compose: 2 } as const;

interface Group {
  readonly dockerfile: DockerfileFinding;
  readonly builds: readonly BuildFinding[];
  readonly target?: string;
}

/** The images to build: one for each Dockerfile and target that some file builds, else for each Dockerfile. */
export function draftImages(findings: Findings, notes: Note[], left: Draft['left'][number][]): readonly DraftImage[] {
  const builds = [...findings.pipelines.flatMap((pipeline) => pipeline.builds), ...findings.builds].toSorted(
    (a, b) => RANK[a.origin] - RANK[b.origin],
  );
  const groups = findings.dockerfiles.flatMap((dockerfile) => groupsOf(dockerfile, builds, left));
  const perDockerfile = (path: RelativePath) => groups.filter((group) => group.dockerfile.path === path).length;
  const names = new Set<string>();
  const named = groups.map((group) => {
    const base = nameOf(group, perDockerfile(group.dockerfile.path) > 1, findings.name);
    let name = base;
    for (let count = 2; names.has(name); count += 1) name = `${base}-${count}`;
    names.add(name);
    return { ...group, name };
  });
  const byRepository = new Map<string, string>();
  return named.flatMap((group) => {
    const own: Note[] = [];
    const image = draftImage(group, named.length, findings, own);
    const other = byRepository.get(image.repository);
    if (other !== undefined) {
      // Under the same tags one would replace the other.
      left.push({
        what: `Image "${image.name}"`,
        why: `it goes to ${image.repository} like "${other}", and slipway.yaml tells images apart by repository, not by tag`,
        place: image.place,
      });
      return [];
    }
    byRepository.set(image.repository, image.name);
    notes.push(...own);
    return [image];
  });
}

function groupsOf(
  dockerfile: DockerfileFinding,
  builds: readonly BuildFinding[],
  left: Draft['left'][number][],
): readonly Group[] {
  const own = builds.filter((build) => build.dockerfile === dockerfile.path);
  const best = own[0];
  if (best === undefined || best.origin === 'compose') {
    const why = sideline(dockerfile.path);
    if (why !== undefined) {
      left.push({ what: `Image of ${dockerfile.path}`, why, place: dockerfile.place });
      return [];
    }
  }
  if (best === undefined) return [{ dockerfile, builds: [], ...lastStage(dockerfile) }];
  // The best source says which targets there are; the others only add what it leaves open.
  const leading = own.filter((build) => build.origin === best.origin);
  const targets = [...new Set(leading.map((build) => build.target))];
  const isSplit = new Set(leading.map((build) => build.repository).filter((each) => each !== undefined)).size > 1;
  if (isSplit && targets.length === 1) {
    // One Dockerfile, several images: told apart by arguments.
    const repositories = [...new Set(leading.map((build) => build.repository))];
    return repositories.flatMap((repository) => {
      const same = leading.filter((build) => build.repository === repository);
      return same[0] === undefined || repository === undefined ? [] : [groupOf(dockerfile, same, same[0].target)];
    });
  }
  return targets.map((target) =>
    groupOf(
      dockerfile,
      own.filter((build) => build.target === target || (build.origin !== best.origin && targets.length === 1)),
      target,
    ),
  );
}

const groupOf = (
  dockerfile: DockerfileFinding,
  builds: readonly BuildFinding[],
  target: string | undefined,
): Group => ({
  dockerfile,
  builds,
  ...(target !== undefined && { target }),
});

/** The last stage is the one built, unless it is plainly for developing and another is plainly not. */
function lastStage(dockerfile: DockerfileFinding): { readonly target?: string } {
  const last = dockerfile.stages.at(-1)?.name;
  if (last === undefined || !/^(dev|development|test|tests|debug|ci|lint)$/i.test(last)) return {};
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
  if (word !== undefined && /^(dev|development|devcontainer|local|tests?|testing|ci|debug|lint|builder)$/.test(word))
    return `by its name it is for "${word}", and nothing publishes it`;
  return undefined;
}

/** `api` of `api.Dockerfile` and `Dockerfile.api`. */
function variantOf(path: RelativePath): string | undefined {
  const base = posix.basename(path);
  const [, before] = /^(.+)\.(?:Dockerfile|Containerfile)$/i.exec(base) ?? [];
  const [, after] = /^(?:Dockerfile|Containerfile)[._-](.+)$/i.exec(base) ?? [];
  const word = (before ?? after)?.toLowerCase();
  return word === undefined ? undefined : asName(word);
}

const GENERIC =
  /^(\.|app|apps|build|builds|ci|container|containers|deploy|deployment|docker|dockerfiles?|\.docker|images?|infra|ops|package|packaging|services?|src|hack|scripts|prod|production|alpine|debian|ubuntu|slim|linux|multi-?stage)$/i;

function nameOf(group: Group, isOneOfSeveral: boolean, project: string): string {
  const chosen = group.builds.find(
    (build) => build.origin !== 'ci' && !/^(default|image|build|app)$/i.test(build.name),
  );
  if (isOneOfSeveral) {
    const words = [chosen?.name, group.builds[0]?.repository && lastPart(group.builds[0].repository), group.target];
    const word = words.find((each) => each !== undefined && each !== '');
    if (word !== undefined) return shortName(word, project);
  }
  const variant = variantOf(group.dockerfile.path);
  if (variant !== undefined && !GENERIC.test(variant)) return variant;
  const bake = group.builds.find((build) => build.origin === 'bake' && build === chosen);
  if (bake !== undefined) return shortName(bake.name, project);
  for (const part of folderOf(group.dockerfile.path).split('/').toReversed()) {
    if (!GENERIC.test(part)) return shortName(part, project);
  }
  if (chosen !== undefined) return shortName(chosen.name, project);
  const repository = group.builds.find((build) => build.repository !== undefined)?.repository;
  return repository === undefined ? project : shortName(lastPart(repository), project);
}

/** `shop-api` is `api` within the project `shop`. */
const shortName = (word: string, project: string): string => {
  const name = asName(word);
  return name.startsWith(`${project}-`) ? asName(name.slice(project.length + 1)) : name;
};

function draftImage(
  group: Group & { readonly name: string },
  count: number,
  findings: Findings,
  notes: Note[],
): DraftImage {
  const { dockerfile, builds, name, target } = group;
  const best = builds[0];
  const path = ['images', name] as const;
  const place = best?.place ?? dockerfile.place;
  const pick = <T>(
    of: (build: BuildFinding) => T | undefined,
  ): { readonly value: T; readonly build: BuildFinding } | undefined => {
    for (const build of builds) {
      const value = of(build);
      if (value !== undefined) return { value, build };
    }
    return undefined;
  };
  if (best !== undefined) notes.push({ path: [...path], text: originText(best), place: best.place, certainty: 'read' });
  else notes.push({ path: [...path], text: 'a Dockerfile is there', place: dockerfile.place, certainty: 'read' });
  const context = best?.context ?? guessContext(dockerfile, findings, [...path, 'context'], notes);
  if (best === undefined && target !== undefined) {
    notes.push({
      path: [...path, 'target'],
      text: `the last stage is "${dockerfile.stages.at(-1)?.name}", so "${target}" was taken`,
      place: dockerfile.stages.find((stage) => stage.name === target)?.place ?? dockerfile.place,
      certainty: 'guess',
    });
  }
  const platforms = pick((build) => (build.platforms.length > 0 ? build.platforms : undefined));
  const args = pick((build) => (Object.keys(build.args).length > 0 ? build.args : undefined));
  const portable = (entries: readonly string[]) => entries.filter((entry) => !/type=(gha|local|inline)/.test(entry));
  const cacheFrom = pick((build) => nonEmpty(portable(build.cacheFrom)));
  const cacheTo = pick((build) => nonEmpty(portable(build.cacheTo)));
  if (platforms !== undefined) {
    const { build } = platforms;
    notes.push({ path: [...path, 'platforms'], text: originText(build), place: build.place, certainty: 'read' });
  }
  return {
    name,
    repository: repositoryFor(group, count, findings, notes),
    build: {
      context,
      dockerfile: dockerfile.path,
      ...(target !== undefined && { target }),
      platforms: platforms?.value ?? (dockerfile.platforms.length === 1 ? dockerfile.platforms : []),
      args: args?.value ?? {},
      cacheFrom: cacheFrom?.value ?? [],
      cacheTo: cacheTo?.value ?? [],
    },
    ports: dockerfile.ports,
    tags: builds.flatMap((build) => build.tags),
    place,
  };
}

const nonEmpty = <T>(list: readonly T[]): readonly T[] | undefined => (list.length > 0 ? list : undefined);

const originText = (build: BuildFinding): string =>
  ({
    ci: `the CI job "${build.name}" builds it`,
    bake: `the bake target "${build.name}"`,
    compose: `the compose service "${build.name}" builds it`,
  })[build.origin];

/** The nearest folder that has what the Dockerfile copies; without a clue, its own, or the root out of `docker/`. */
function guessContext(
  dockerfile: DockerfileFinding,
  findings: Findings,
  path: readonly string[],
  notes: Note[],
): RelativePath {
  const own = folderOf(dockerfile.path);
  const candidates: string[] = [];
  for (let folder = own; ; folder = folderOf(folder)) {
    candidates.push(folder);
    if (folder === '.') break;
  }
  const wanted = dockerfile.copied
    .map((entry) => entry.replace(/[*?[].*$/, '').replace(/\/$/, ''))
    .filter((entry) => entry !== '');
  const count = (folder: string) =>
    wanted.filter((entry) =>
      findings.paths.some(
        (each) => isBelow(each, posix.join(folder, entry)) || each.startsWith(posix.join(folder, entry)),
      ),
    ).length;
  const best = candidates.reduce<{ readonly folder: string; readonly hits: number }>(
    (so, folder) => {
      const hits = count(folder);
      return hits > so.hits ? { folder, hits } : so;
    },
    { folder: own, hits: count(own) },
  );
  const isAside = /(^|\/)(docker|build|deploy|dockerfiles?|\.docker|ops|infra|containers?)$/i.test(own);
  const folder = best.hits === 0 && isAside ? '.' : best.folder;
  const isSure = wanted.length > 0 && best.hits === wanted.length;
  if (own !== '.' && !isSure) {
    notes.push({
      path,
      text: `no file says the build context of ${dockerfile.path}; ${folder === '.' ? 'the root' : folder} was taken`,
      place: dockerfile.place,
      certainty: 'guess',
      fix: 'Set "context" to the folder that the COPY paths start from.',
    });
  }
  return folder;
}

function repositoryFor(
  group: Group & { readonly name: string },
  count: number,
  findings: Findings,
  notes: Note[],
): string {
  const { name, builds, dockerfile } = group;
  const path = ['images', name, 'repository'];
  const said = builds.find((build) => build.repository !== undefined);
  if (said?.repository !== undefined) {
    notes.push({ path, text: originText(said), place: said.place, certainty: 'read' });
    return said.repository;
  }
  const used = usedRepositories(findings);
  const isSame = (repository: string): boolean =>
    [name, `${findings.name}-${name}`, ...(count === 1 ? [findings.name] : [])].includes(lastPart(repository)) ||
    lastPart(repository).endsWith(`-${name}`);
  const owner = /([^/:]+)\/[^/]+?(\.git)?\/?$/.exec(findings.remoteUrl ?? '')?.[1]?.toLowerCase();
  const isOfOwner = ({ repository }: { readonly repository: string }) =>
    owner !== undefined && repository.split('/').includes(owner);
  const match =
    used.find((each) => isSame(each.repository)) ??
    (count === 1 && used.length === 1 ? used.find(isOfOwner) : undefined);
  if (match !== undefined) {
    notes.push({
      path,
      text: `${match.where} uses this image`,
      place: match.place,
      certainty: 'guess',
      fix: 'Correct it when the image is pushed somewhere else.',
    });
    return match.repository;
  }
  const guess = remoteRepository(findings.remoteUrl, name, count, findings.name);
  notes.push({
    path,
    text: `no file says where the image is pushed; ${guess.why}`,
    place: dockerfile.place,
    certainty: 'guess',
    fix: 'Set "repository" to the registry and name you push to.',
  });
  return guess.repository;
}

/** Repositories that charts, manifests and Flux name, without databases and the like. */
function usedRepositories(
  findings: Findings,
): readonly { readonly repository: string; readonly where: string; readonly place: Place }[] {
  const found = [
    ...findings.objects.flatMap((object) =>
      object.refers.image === undefined
        ? []
        : [{ repository: object.refers.image, where: object.path, place: object.place }],
    ),
    ...findings.charts.flatMap((chart) =>
      chart.images.map((image) => ({
        repository: image.repository,
        where: `the chart ${chart.name}`,
        place: image.place,
      })),
    ),
    ...findings.kustomizations.flatMap((each) =>
      each.images.map((image) => ({
        repository: image.newName ?? image.name,
        where: `${each.folder}`,
        place: image.place,
      })),
    ),
    ...findings.objects.flatMap((object) =>
      object.images.map((image) => ({
        repository: repositoryOf(image.reference),
        where: object.path,
        place: image.place,
      })),
    ),
  ];
  const seen = new Set<string>();
  return found.filter(({ repository }) => {
    if (seen.has(repository) || !repository.includes('/') || !isRepository(repository) || isBackingImage(repository))
      return false;
    seen.add(repository);
    return true;
  });
}

function remoteRepository(
  remote: string | undefined,
  name: string,
  count: number,
  project: string,
): { readonly repository: string; readonly why: string } {
  const [, host, written] =
    /^(?:[a-z+]+:\/\/)?(?:[^@/]+@)?([^:/]+)(?::\d+)?[:/]+(.+?)(?:\.git)?\/?$/.exec(remote ?? '') ?? [];
  const slug = written?.toLowerCase().replace(/[^a-z0-9._/-]/g, '-');
  const suffix = count === 1 ? '' : `/${name}`;
  if (host !== undefined && slug?.includes('/') === true) {
    if (/(^|\.)github\.com$/.test(host))
      return { repository: `ghcr.io/${slug}${suffix}`, why: 'the one of the GitHub repository was taken' };
    if (host === 'gitlab.com')
      return { repository: `registry.gitlab.com/${slug}${suffix}`, why: 'the one of the GitLab project was taken' };
    const owner = slug.split('/').at(-2) ?? slug;
    const base = slug.split('/').at(-1) ?? project;
    return {
      repository: `${host}/${owner}/${count === 1 ? base : `${base}-${name}`}`,
      why: `${host} was taken, where the git repository is`,
    };
  }
  return {
    repository: `localhost:5000/${count === 1 ? project : `${project}-${name}`}`,
    why: 'a registry on this machine was taken',
  };
}
