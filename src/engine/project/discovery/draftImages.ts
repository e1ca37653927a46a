import { posix } from 'node:path';
import type { Place } from '../../problems/index.ts';
import { buildGroups, type Group, repositoriesOf, variantOf } from './buildGroups.ts';
import { isBackingImage } from './compose.ts';
import type { Draft, DraftImage, Note } from './draftModel.ts';
import type { BuildFinding, DockerfileFinding, Findings, RelativePath } from './findings.ts';
import { asName, folderOf, isBelow, isRepository, lastPart, repositoryOf } from './paths.ts';

/** The images to build: those that some file builds, else one for each Dockerfile that may be published. */
export function draftImages(findings: Findings, notes: Note[], left: Draft['left'][number][]): readonly DraftImage[] {
  const all = buildGroups(findings, left);
  const published = all.flatMap(({ builds }) => builds.filter(({ origin }) => origin === 'ci').flatMap(repositoriesOf));
  const used = usedRepositories(findings);
  const groups = all.filter((group) => {
    if (group.builds.length > 0 || published.length === 0) return true;
    // CI says what is published. What it leaves out counts when something deploys it.
    const name = nameOf(group, 'alone', findings.name);
    const isUsed = used.some(
      ({ repository }) => !published.includes(repository) && isNamed(repository, name, findings.name),
    );
    if (isUsed) return true;
    const { path, place } = group.dockerfile;
    left.push({
      what: `Image of ${path}`,
      why: 'CI publishes other images and not this one, and nothing deploys it',
      place,
    });
    return false;
  });
  const perDockerfile = (path: RelativePath) => groups.filter((group) => group.dockerfile.path === path).length;
  const names = new Set<string>();
  const named = groups.map((group) => {
    const shares = groups.filter((other) => publishedName(other) === publishedName(group)).length > 1;
    const among =
      perDockerfile(group.dockerfile.path) > 1 ? 'of one Dockerfile' : shares ? 'of one repository' : 'alone';
    const base = nameOf(group, among, findings.name);
    let name = base;
    for (let count = 2; names.has(name); count += 1) name = `${base}-${count}`;
    names.add(name);
    return { ...group, name };
  });
  const byRepository = new Map<string, string>();
  const marked = sharedTags(named);
  return named.flatMap((group) => {
    const own: Note[] = [];
    const mark = marked.get(group);
    const image = {
      ...draftImage(mark === undefined ? group : { ...group, name: mark.name }, named.length, findings, used, own),
      ...mark,
    };
    const other = byRepository.get(image.repository);
    if (other !== undefined && mark === undefined) {
      // Under the same tags one would replace the other.
      left.push({
        what: `Image "${image.name}"`,
        why: `it goes to ${image.repository} like "${other}", and their tags do not tell them apart as "{image}-{sha}" would`,
        place: image.place,
      });
      return [];
    }
    byRepository.set(image.repository, image.name);
    notes.push(...own);
    for (const second of new Set(group.builds.flatMap(repositoriesOf)))
      if (second !== image.repository)
        left.push({
          what: `The second repository ${second} of "${image.name}"`,
          why: 'an image has one repository in slipway.yaml',
          place: image.place,
        });
    return [image];
  });
}

/**
 * Groups that CI pushes to one repository under tags that differ by one word, `api-{sha}` and `worker-{sha}`: that word is the
 * image's name, and `{image}` stands for it in the tags of both.
 */
function sharedTags<G extends Group>(
  groups: readonly G[],
): ReadonlyMap<G, { readonly name: string; readonly tags: DraftImage['tags'] }> {
  const found = new Map<G, { readonly name: string; readonly tags: DraftImage['tags'] }>();
  const tagsOf = ({ builds }: G) => builds.flatMap(({ tags }) => tags);
  for (const twins of Map.groupBy(groups, ({ builds: [best] }) => best?.repository).values()) {
    const lists = twins.map((group) => tagsOf(group).map(({ template }) => template.split(/(?<=[-._])|(?=[-._])/)));
    const [first = []] = lists;
    if (twins.length < 2 || first.length === 0 || lists.some(({ length }) => length !== first.length)) continue;
    const words = lists.map(() => new Set<string>());
    for (const index of first.keys()) {
      const parts = lists.map((list) => list[index] ?? []);
      const at = (offset: number) => new Set(parts.map((part) => part.at(offset)));
      let [start, end] = [0, 0];
      while (at(start).size === 1 && start < (parts[0]?.length ?? 0)) start += 1;
      while (at(-1 - end).size === 1 && parts.every(({ length }) => length - end > start)) end += 1;
      for (const [which, part] of parts.entries()) words[which]?.add(part.slice(start, part.length - end).join(''));
    }
    const names = words.map((set) => (set.size === 1 ? [...set][0] : undefined));
    if (names.some((name) => name === undefined || !/^[a-z0-9]+([-._][a-z0-9]+)*$/.test(name))) continue;
    if (new Set(names).size < names.length) continue;
    for (const [which, group] of twins.entries()) {
      const name = names[which] ?? '';
      const tags = tagsOf(group).map((tag) => ({ ...tag, template: withMark(tag.template, name) }));
      found.set(group, { name, tags });
    }
  }
  return found;
}

const withMark = (template: string, name: string): string =>
  template.replace(new RegExp(`(^|[-._])${name.replaceAll('.', '\\.')}($|[-._])`), '$1{image}$2');

/** `ghcr.io/acme/shop-api` and `acme/shop_api` are what `api` is called somewhere. */
const isNamed = (repository: string, name: string, project: string): boolean =>
  [name, `${project}-${name}`].includes(lastPart(repository)) ||
  (/[-_]/.test(lastPart(repository).replace(name, '').slice(-1)) && lastPart(repository).endsWith(name));

const GENERIC =
  /^(\.|app|apps|build|builds|ci|container|containers|deploy|deployment|docker|dockerfiles?|\.docker|images?|infra|ops|package|packaging|services?|src|hack|scripts|prod|production|alpine|debian|ubuntu|slim|linux|multi-?stage)$/i;

/** The last part of where CI pushes it. */
function publishedName({ builds: [best] }: Group): string | undefined {
  return best?.origin === 'ci' && best.repository !== undefined ? lastPart(best.repository) : undefined;
}

function nameOf(group: Group, among: 'alone' | 'of one Dockerfile' | 'of one repository', project: string): string {
  const chosen = group.builds.find(
    (build) => build.origin !== 'ci' && !/^(default|image|build|app)$/i.test(build.name),
  );
  if (among === 'of one Dockerfile') {
    const words = [chosen?.name, group.builds[0]?.repository && lastPart(group.builds[0].repository), group.target];
    const word = words.find((each) => each !== undefined && each !== '');
    if (word !== undefined) return shortName(word, project);
  }
  const variant = variantOf(group.dockerfile.path);
  const published = publishedName(group);
  // `Dockerfile.xx` published as `shop` is shop; `Dockerfile.base` published as `shop-base` is base.
  if (variant !== undefined && published !== undefined && among === 'alone' && !published.includes(variant))
    return shortName(published, project);
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
  used: readonly UsedRepository[],
  notes: Note[],
): DraftImage {
  const { dockerfile, builds, name, target, passedOver } = group;
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
  if (best?.origin === 'goreleaser' && dockerfile.stages.length === 1)
    notes.push({
      path: [...path, 'context'],
      text: 'GoReleaser puts the binaries it made beside the Dockerfile before it builds the image',
      place: best.place,
      certainty: 'guess',
      fix: 'Add a command before "build" that makes them where the Dockerfile copies them from, or build them in a stage of it.',
    });
  if (best?.bake !== undefined)
    notes.push({
      path: [...path, 'bake'],
      text: 'bake itself builds it: its file says what slipway.yaml has no words for',
      place: best.place,
      certainty: 'read',
    });
  const context = best?.context ?? guessContext(dockerfile, findings, [...path, 'context'], notes);
  if (best === undefined && target !== undefined) {
    notes.push({
      path: [...path, 'target'],
      text: `the last stage is "${dockerfile.stages.at(-1)?.name}", so "${target}" was taken`,
      place: dockerfile.stages.find((stage) => stage.name === target)?.place ?? dockerfile.place,
      certainty: 'guess',
    });
  }
  if (passedOver !== undefined) {
    notes.push({
      path: [...path],
      text: `${originText(passedOver.build)} up to the stage "${passedOver.target}"; ${target === undefined ? 'the last one' : `"${target}"`} was taken`,
      place: passedOver.build.place,
      certainty: 'guess',
      fix: `Set "target" when "${passedOver.target}" is what you publish.`,
    });
  }
  const open = best?.openArgs ?? [];
  if (open.length > 0) {
    notes.push({
      path: [...path],
      text: `the build ${open.length === 1 ? 'argument' : 'arguments'} ${open.join(', ')} came from the surroundings, and ${open.length === 1 ? 'is' : 'are'} not set here`,
      place: best?.place ?? dockerfile.place,
      certainty: 'guess',
      fix: 'Set them under "args", unless the Dockerfile has good defaults.',
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
    repository: repositoryFor(group, count, findings, used, notes),
    build: {
      context,
      dockerfile: dockerfile.path,
      ...(target !== undefined && { target }),
      platforms: platforms?.value ?? (dockerfile.platforms.length === 1 ? dockerfile.platforms : []),
      args: args?.value ?? {},
      cacheFrom: cacheFrom?.value ?? [],
      cacheTo: cacheTo?.value ?? [],
      ...(best?.bake !== undefined && { bake: best.bake }),
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
    goreleaser: `GoReleaser builds it as "${build.name}"`,
    skaffold: `Skaffold builds it as "${build.name}"`,
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
  used: readonly UsedRepository[],
  notes: Note[],
): string {
  const { name, builds, dockerfile } = group;
  const path = ['images', name, 'repository'];
  const said = builds.find((build) => build.repository !== undefined);
  if (said?.repository !== undefined) {
    // Of several, the one that is deployed.
    const best = builds.filter((build) => build.origin === said.origin);
    const deployed = [used, findings.composeImages].flatMap((list) =>
      list.flatMap(({ repository }) =>
        best.some((build) => repositoriesOf(build).includes(repository)) ? [repository] : [],
      ),
    )[0];
    const chosen = deployed ?? said.repository;
    const from = best.find((build) => repositoriesOf(build).includes(chosen)) ?? said;
    notes.push({ path, text: originText(from), place: from.place, certainty: 'read' });
    return chosen;
  }
  const run = findings.composeImages.find(({ service }) =>
    builds.some((build) => build.origin === 'compose' && build.name === service),
  );
  const isSame = (repository: string): boolean =>
    [name, `${findings.name}-${name}`, ...(count === 1 ? [findings.name] : [])].includes(lastPart(repository)) ||
    lastPart(repository).endsWith(`-${name}`);
  const owner = /([^/:]+)\/[^/]+?(\.git)?\/?$/.exec(findings.remoteUrl ?? '')?.[1]?.toLowerCase();
  const isOfOwner = ({ repository }: { readonly repository: string }) =>
    findings.remoteUrl === undefined || (owner !== undefined && repository.split('/').includes(owner));
  const match =
    used.find((each) => isSame(each.repository)) ??
    (count === 1 && used.length === 1 ? used.find(isOfOwner) : undefined);
  const named =
    match ?? (run === undefined ? undefined : { ...run, where: `the compose service "${run.service}" in ${run.path}` });
  if (named !== undefined) {
    notes.push({
      path,
      text: `${named.where} uses this image`,
      place: named.place,
      certainty: 'guess',
      fix: 'Correct it when the image is pushed somewhere else.',
    });
    return named.repository;
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

interface UsedRepository {
  readonly repository: string;
  readonly where: string;
  readonly place: Place;
}

/** Repositories that charts, manifests and Flux name, without databases and the like. */
function usedRepositories(findings: Findings): readonly UsedRepository[] {
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
