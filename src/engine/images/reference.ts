import { SlipwayError } from '../problems/index.ts';

/** An image reference taken apart. At least one of tag and digest may be missing; both may be there. */
export interface Reference {
  /** Host and optional port as written by the person: `docker.io`, `ghcr.io`, `localhost:5000`. */
  readonly registry: string;
  /** Path in the registry; Docker Hub's single names have their `library/`. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const DOCKER_HUB = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,}$/i;

/**
 * Parses by the rules of distribution/reference: the first part is a host when it has a dot or colon or is `localhost`.
 * Throws SlipwayError `config` that says which part is wrong.
 */
export function parseReference(text: string): Reference {
  const [beforeDigest = '', digest, ...more] = text.split('@');
  const colon = beforeDigest.lastIndexOf(':');
  const hasTag = colon > beforeDigest.lastIndexOf('/');
  const name = hasTag ? beforeDigest.slice(0, colon) : beforeDigest;
  const tag = hasTag ? beforeDigest.slice(colon + 1) : undefined;
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const hasHost = first.includes('.') || first.includes(':') || first === 'localhost';
  const host = hasHost ? first : 'docker.io';
  const isHub = DOCKER_HUB.has(host);
  const path = hasHost ? name.slice(slash + 1) : name;
  const repository = isHub && !path.includes('/') ? `library/${path}` : path;
  const refuse = (why: string): never => {
    throw new SlipwayError({
      reason: 'config',
      code: 'image.invalid',
      message: `"${text}" is not an image reference: ${why}.`,
      fix: 'Write host/name:tag in lower case, for example ghcr.io/acme/shop-api:1.4.0.',
    });
  };
  if (!REPOSITORY.test(repository))
    refuse(/[A-Z]/.test(repository) ? 'the name has upper-case letters' : `"${path}" is not a valid name`);
  if (tag !== undefined && !TAG.test(tag)) refuse(tag === '' ? 'the tag is empty' : `"${tag}" is not a valid tag`);
  if (digest !== undefined && (!DIGEST.test(digest) || more.length > 0)) refuse(`"${digest}" is not a digest`);
  return {
    registry: isHub ? 'docker.io' : host,
    repository,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}

/** Host that answers the API: Docker Hub's is another than its name. */
export const apiHost = (registry: string): string => (registry === 'docker.io' ? 'registry-1.docker.io' : registry);

/** Key under which docker keeps the credentials of a registry. */
export const credentialKey = (registry: string): string =>
  registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;

export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** `linux/arm64/v8` and `linux/arm64` are one platform, and so are `linux/arm` and `linux/arm/v7`. */
export function normalPlatform(platform: string): string {
  const [os = '', architecture = '', variant] = platform.toLowerCase().split('/');
  const names: Readonly<Record<string, string>> = {
    aarch64: 'arm64',
    x86_64: 'amd64',
    x86: '386',
    armhf: 'arm',
    armel: 'arm',
  };
  const arch = names[architecture] ?? architecture;
  if (arch === 'arm64' && (variant === undefined || variant === 'v8')) return `${os}/arm64`;
  if (arch === 'arm' && variant === undefined) return `${os}/arm/${architecture === 'armel' ? 'v6' : 'v7'}`;
  if (arch === 'amd64' && variant === 'v1') return `${os}/amd64`;
  return variant === undefined ? `${os}/${arch}` : `${os}/${arch}/${variant}`;
}

/**
 * The docker driver cannot push by digest alone (buildx 0.13 to 0.36). Then one moving tag, which nothing deploys and no
 * list shows, carries the bytes to the registry; from there on only the digest counts.
 */
export const STAGING_TAG = 'slipway-staging';

/** Tags that registries and tools keep for themselves: signatures, attestations, caches, our own staging. */
export const isHelperTag = (tag: string): boolean =>
  /^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$|^slipway-staging$|(^|-)(build)?cache$/.test(tag);
