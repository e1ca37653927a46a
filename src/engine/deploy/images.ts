import { type Fields, type KubeObject, textOf } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { namesIn } from '../project/sharedRepository.ts';
import { containersOf, podTemplateOf } from './objects.ts';

/** An image of the project in the version that is to be deployed. */
export interface ImageToDeploy {
  /** Its name in the project. */
  readonly name: string;
  readonly repository: string;
  readonly tag: string;
  /** Of the index or manifest; absent when an existing tag is deployed as it is. */
  readonly digest?: string;
}

/** `repository:tag@sha256:…`: the tag says to people what the digest pins. */
export function referenceOf(image: ImageToDeploy): string {
  return `${image.repository}:${image.tag}${image.digest === undefined ? '' : `@${image.digest}`}`;
}

/** A reference cut at its tag and digest, without changing its words. */
export function splitReference(reference: string): {
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
} {
  const [beforeDigest = '', digest] = reference.split('@', 2);
  const colon = beforeDigest.lastIndexOf(':');
  // A colon before the last slash belongs to the registry's port.
  const hasTag = colon > beforeDigest.lastIndexOf('/');
  return {
    repository: hasTag ? beforeDigest.slice(0, colon) : beforeDigest,
    ...(hasTag && { tag: beforeDigest.slice(colon + 1) }),
    ...(digest !== undefined && { digest }),
  };
}

/** One spelling for the many that Docker Hub repositories have; others stay as they are. */
export function normalRepository(repository: string): string {
  const slash = repository.indexOf('/');
  const first = slash === -1 ? '' : repository.slice(0, slash);
  const hasHost = first.includes('.') || first.includes(':') || first === 'localhost';
  const host = hasHost ? first.replace(/^(index|registry-1)\.docker\.io$/, 'docker.io') : 'docker.io';
  const path = hasHost ? repository.slice(slash + 1) : repository;
  return `${host}/${host === 'docker.io' && !path.includes('/') ? `library/${path}` : path}`;
}

export interface SetImages {
  readonly objects: readonly KubeObject[];
  /** Names of images that some container now runs. */
  readonly used: readonly string[];
  /** Names of images no container refers to. */
  readonly unused: readonly string[];
}

/** Sets every container whose image is of the repository of one of `images` to that image's reference. */
export function setImages(objects: readonly KubeObject[], images: readonly ImageToDeploy[]): SetImages {
  const wanted = Map.groupBy(images, (image) => normalRepository(image.repository));
  const used = new Set<string>();
  const changed = objects.map((object) => {
    const template = podTemplateOf(object);
    if (template === undefined) return object;
    let isTouched = false;
    const spec: Record<string, unknown> = { ...template.spec };
    for (const list of ['initContainers', 'containers'] as const) {
      const containers = template.spec[list];
      if (!Array.isArray(containers)) continue;
      spec[list] = containers.map((container: Fields) => {
        const reference = textOf(container.image);
        const candidates =
          reference === undefined ? undefined : wanted.get(normalRepository(splitReference(reference).repository));
        const image = candidates && meantImage(candidates, reference ?? '', container, object);
        if (image === undefined) return container;
        used.add(image.name);
        isTouched = true;
        return { ...container, image: referenceOf(image) };
      });
    }
    return isTouched ? (withAt(object, [...template.path, 'spec'], spec) as KubeObject) : object;
  });
  return {
    objects: changed,
    used: images.filter((image) => used.has(image.name)).map((image) => image.name),
    unused: images.filter((image) => !used.has(image.name)).map((image) => image.name),
  };
}

/**
 * Which of several images of one repository a container runs: by its tag, else by the name of the container or of its
 * object. Throws SlipwayError `config` when that does not tell: the wrong program would run under its name.
 */
function meantImage(
  images: readonly ImageToDeploy[],
  reference: string,
  container: Fields,
  object: KubeObject,
): ImageToDeploy | undefined {
  const [first, ...others] = images;
  if (others.length === 0) return first;
  const names = images.map(({ name }) => name);
  const { tag } = splitReference(reference);
  const words = [tag, textOf(container.name), object.metadata.name];
  for (const word of words) {
    const found = word === undefined ? [] : namesIn(word, names);
    if (found.length === 1) return images.find(({ name }) => name === found[0]);
  }
  throw new SlipwayError({
    reason: 'config',
    code: 'image.ambiguous',
    message: `Container ${textOf(container.name) ?? '?'} of ${object.kind} ${object.metadata.name} runs ${reference}, and the images ${names.join(', ')} are all of that repository.`,
    fix: `Say which one it is: write its name into the tag (${first?.repository ?? ''}:${first?.name ?? ''}-…) or name the container after it.`,
  });
}

/**
 * Refuses what a way of deploying cannot tell apart: it finds an image in files by its repository alone. Throws SlipwayError
 * `config`.
 */
export function refuseSharedRepository(images: readonly ImageToDeploy[], way: string): void {
  for (const [repository, shared] of Map.groupBy(images, (image) => normalRepository(image.repository))) {
    if (shared.length < 2) continue;
    throw new SlipwayError({
      reason: 'config',
      code: 'image.shared-repository',
      message: `The images ${shared.map(({ name }) => name).join(' and ')} are both of ${repository}, and ${way} finds an image by its repository alone.`,
      fix: 'Give each a repository of its own, or deploy by Helm, manifests or Kustomize.',
    });
  }
}

/** A copy of a JSON value in which the value at `path` is another one; maps on the way are made when missing. */
export function withAt(value: unknown, path: readonly string[], next: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return next;
  const fields = typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
  return { ...fields, [key]: withAt(fields[key], rest, next) };
}

/** Every image reference of the objects' pod templates, each with one place that uses it. */
export function imagesOf(
  objects: readonly KubeObject[],
): readonly { readonly reference: string; readonly container: string; readonly object: KubeObject }[] {
  return objects.flatMap((object) => {
    const template = podTemplateOf(object);
    if (template === undefined) return [];
    return containersOf(template).flatMap(({ container }) => {
      const reference = textOf(container.image);
      return reference === undefined ? [] : [{ reference, container: textOf(container.name) ?? '', object }];
    });
  });
}

/** Whether a reference of a container is this very version, by tag or by digest. */
export function isVersion(reference: string, { repository, tag, digest }: ImageToDeploy): boolean {
  const seen = splitReference(reference);
  if (normalRepository(seen.repository) !== normalRepository(repository)) return false;
  return seen.tag === tag || (digest !== undefined && seen.digest === digest);
}

/** What runs of the image's repository where none of it is the version asked for; empty = the version runs, or nothing of the repository. */
export function runsInstead(live: readonly KubeObject[], image: ImageToDeploy): readonly string[] {
  const repository = normalRepository(image.repository);
  const own = imagesOf(live)
    .map(({ reference }) => reference)
    .filter((reference) => normalRepository(splitReference(reference).repository) === repository);
  return own.some((reference) => isVersion(reference, image)) ? [] : [...new Set(own)];
}
