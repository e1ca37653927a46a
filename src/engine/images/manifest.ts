import { SlipwayError } from '../problems/index.ts';
import { normalPlatform } from './reference.ts';

/** All of them in every request: an index asked for without its type looks like a missing tag (404, seen on 2.8). */
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;

export interface Child {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  readonly platform?: string;
  readonly artifactType?: string;
  /** Digest of the platform manifest that an attestation speaks of. */
  readonly attests?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A manifest or an index. `bytes` are what the digest is of: they are never written anew. */
export interface Manifest {
  readonly kind: 'index' | 'image' | 'artifact';
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Of an index; attestations included. */
  readonly children: readonly Child[];
  readonly config?: { readonly digest: string; readonly mediaType: string };
  readonly layers: readonly {
    readonly digest: string;
    readonly size: number;
    readonly mediaType: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  readonly annotations: Readonly<Record<string, string>>;
}

interface RawDescriptor {
  readonly digest?: string;
  readonly mediaType?: string;
  readonly size?: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os?: string; readonly architecture?: string; readonly variant?: string };
}

interface RawManifest {
  readonly mediaType?: string;
  readonly manifests?: readonly RawDescriptor[];
  readonly config?: RawDescriptor;
  readonly layers?: readonly RawDescriptor[];
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** JSON of a registry's answer. Throws SlipwayError for a page that a proxy or a login portal sent instead. */
export function readJson(bytes: Uint8Array, contentType: string): unknown {
  const text = Buffer.from(bytes).toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Told below.
  }
  throw new SlipwayError({
    reason: 'registry',
    code: 'registry.not-json',
    message: `The registry's answer is no JSON but ${contentType.split(';')[0] || 'of no type'} (${bytes.length} bytes).`,
    fix: 'A proxy or login page answers in its place: open its address in a browser, check HTTPS_PROXY and NO_PROXY.',
    evidence: [text.slice(0, 200)],
  });
}

/** Reads a manifest. A missing media type is legal in OCI: then the header, then the shape decides. */
export function classify(bytes: Uint8Array, digest: string, contentType: string): Manifest {
  const raw = readJson(bytes, contentType) as RawManifest;
  const isIndex = raw.manifests !== undefined;
  const mediaType =
    raw.mediaType || contentType.split(';')[0]?.trim() || (isIndex ? MANIFEST_TYPES[0] : MANIFEST_TYPES[2]);
  const isImage = /image\.config|container\.image/.test(raw.config?.mediaType ?? '') && raw.artifactType === undefined;
  return {
    kind: isIndex ? 'index' : isImage ? 'image' : 'artifact',
    digest,
    mediaType,
    bytes,
    children: (raw.manifests ?? []).map(readChild),
    ...(raw.config?.digest !== undefined && {
      config: { digest: raw.config.digest, mediaType: raw.config.mediaType ?? '' },
    }),
    layers: (raw.layers ?? []).map((layer) => ({
      digest: layer.digest ?? '',
      size: layer.size ?? 0,
      mediaType: layer.mediaType ?? '',
      ...(layer.annotations !== undefined && { annotations: layer.annotations }),
    })),
    annotations: raw.annotations ?? {},
  };
}

function readChild(raw: RawDescriptor): Child {
  const attests = raw.annotations?.['vnd.docker.reference.digest'];
  const { os, architecture, variant } = raw.platform ?? {};
  const isReal = os !== undefined && os !== 'unknown' && architecture !== undefined;
  return {
    digest: raw.digest ?? '',
    mediaType: raw.mediaType ?? '',
    size: raw.size ?? 0,
    ...(isReal && { platform: normalPlatform([os, architecture, variant].filter(Boolean).join('/')) }),
    ...(raw.artifactType !== undefined && { artifactType: raw.artifactType }),
    ...(attests !== undefined && { attests }),
    ...(raw.annotations !== undefined && { annotations: raw.annotations }),
  };
}

/** Platform → digest of its manifest; attestations are no platforms. Empty for a single image. */
export function platformsOf(manifest: Manifest): Readonly<Record<string, string>> {
  return Object.fromEntries(
    manifest.children.flatMap((child) =>
      child.platform === undefined || child.attests !== undefined ? [] : [[child.platform, child.digest]],
    ),
  );
}
