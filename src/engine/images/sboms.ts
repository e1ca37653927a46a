import type { SbomFormat } from '../project/model.ts';
import type { Child, Manifest } from './manifest.ts';
import type { Reference } from './reference.ts';
import type { Registry } from './registry.ts';

/** How a document of a format is called by those who deal with it. */
export const SBOM_FORMATS: Readonly<
  Record<
    SbomFormat,
    { readonly type: string; readonly trivy: string; readonly cosign: string; readonly ending: string }
  >
> = {
  cyclonedx: { type: 'application/vnd.cyclonedx+json', trivy: 'cyclonedx', cosign: 'cyclonedx', ending: 'cdx.json' },
  spdx: { type: 'application/spdx+json', trivy: 'spdx-json', cosign: 'spdxjson', ending: 'spdx.json' },
};

/** Which platform of an index a document tells of. */
export const PLATFORM_ANNOTATION = 'org.opencontainers.image.platform';

/** An SBOM beside an image: a referrer, a signed attestation of cosign, or one that BuildKit put into the index. */
export interface FoundSbom {
  readonly format: SbomFormat;
  readonly how: 'referrer' | 'attestation' | 'buildkit';
  /** Digest of the manifest that holds it. */
  readonly digest: string;
  readonly platform?: string;
}

/** The SBOMs among the referrers of an image, and those in its index. Nothing is downloaded but small manifests. */
export async function sbomsOf(
  registry: Registry,
  image: Manifest,
  referrers: readonly Child[],
  repository: Reference,
  signal: AbortSignal,
): Promise<readonly FoundSbom[]> {
  const read = (digest: string) =>
    registry.manifest({ registry: repository.registry, repository: repository.repository, digest }, signal);
  const attached = referrers.map(async (child): Promise<FoundSbom | undefined> => {
    const plain = formatOf(child.artifactType);
    const platform = child.annotations?.[PLATFORM_ANNOTATION];
    if (plain !== undefined)
      return { format: plain, how: 'referrer', digest: child.digest, ...(platform !== undefined && { platform }) };
    const signed = isSigstore(child) ? formatOf(await predicateOf(child, read)) : undefined;
    return signed && { format: signed, how: 'attestation', digest: child.digest };
  });
  const inside = image.children
    .filter(({ attests }) => attests !== undefined)
    .map(async (child): Promise<FoundSbom | undefined> => {
      const layers = (await read(child.digest))?.layers ?? [];
      const format = layers
        .map(({ annotations }) => formatOf(annotations?.['in-toto.io/predicate-type']))
        .find(Boolean);
      const platform = image.children.find(({ digest }) => digest === child.attests)?.platform;
      return format && { format, how: 'buildkit', digest: child.digest, ...(platform !== undefined && { platform }) };
    });
  return (await Promise.all([...attached, ...inside])).filter((found) => found !== undefined);
}

/**
 * The SBOMs that cosign 2 keeps under tags made from the digest: signed statements (`.att`), and the documents of its
 * `attach sbom` (`.sbom`). `listed` spares the question where the repository's tags are known.
 */
export async function taggedSboms(
  registry: Registry,
  repository: Reference,
  digest: string,
  signal: AbortSignal,
  listed?: ReadonlySet<string>,
): Promise<readonly FoundSbom[]> {
  const places = [
    ['att', 'attestation'],
    ['sbom', 'referrer'],
  ] as const;
  const found = places.map(async ([ending, how]): Promise<readonly FoundSbom[]> => {
    const tag = `${digest.replace(':', '-')}.${ending}`;
    if (listed !== undefined && !listed.has(tag)) return [];
    const { registry: host, repository: name } = repository;
    const manifest = await registry.manifest({ registry: host, repository: name, tag }, signal);
    return (manifest?.layers ?? []).flatMap((layer) => {
      const format = formatOf(how === 'attestation' ? layer.annotations?.predicateType : layer.mediaType);
      return format === undefined || manifest === undefined ? [] : [{ format, how, digest: manifest.digest }];
    });
  });
  return (await Promise.all(found)).flat();
}

/** Whether some referrer is a signature: cosign 3 keeps those and statements in bundles of one type. */
export async function hasSignature(
  registry: Registry,
  referrers: readonly Child[],
  repository: Reference,
  signal: AbortSignal,
): Promise<boolean> {
  const read = (digest: string) =>
    registry.manifest({ registry: repository.registry, repository: repository.repository, digest }, signal);
  const predicates = await Promise.all(referrers.filter(isSigstore).map((child) => predicateOf(child, read)));
  return predicates.some((predicate) => predicate === undefined || /cosign\/sign/.test(predicate));
}

const isSigstore = ({ artifactType }: Child): boolean => /sigstore|cosign/.test(artifactType ?? '');

/** The type of a bundle's statement, by its annotation; some lists of referrers leave annotations out. */
async function predicateOf(
  child: Child,
  read: (digest: string) => Promise<Manifest | undefined>,
): Promise<string | undefined> {
  const name = 'dev.sigstore.bundle.predicateType';
  return child.annotations?.[name] ?? (await read(child.digest))?.annotations[name];
}

/** By media type or predicate type: `application/vnd.cyclonedx+json`, `https://spdx.dev/Document/v2.3`. */
function formatOf(type: string | undefined): SbomFormat | undefined {
  if (type === undefined) return undefined;
  return /cyclonedx/i.test(type) ? 'cyclonedx' : /spdx/i.test(type) ? 'spdx' : undefined;
}
