import { createHash } from 'node:crypto';
import { classify, type Manifest } from './manifest.ts';
import { formatReference, type Reference } from './reference.ts';
import type { Registry } from './registry.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
/** What OCI 1.1 puts in the place of a configuration that there is none of: `{}`. */
const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', text: '{}' } as const;

export interface Attachment {
  /** Media type of the document, and with it the artifact's type. */
  readonly type: string;
  /** File name for those who download it. */
  readonly title: string;
  readonly bytes: Uint8Array;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Attaches a document to what a digest names, as OCI 1.1 says: a manifest with a `subject`. A registry that does not list
 * referrers (distribution 2, GHCR, Docker Hub) does not say so in its answer; then the index under the fallback tag
 * `sha256-…` gets the entry. Gives the digest of the new manifest.
 */
export async function attach(
  registry: Registry,
  subject: Reference & { readonly digest: string },
  { type, title, bytes, annotations }: Attachment,
  signal: AbortSignal,
): Promise<string> {
  const { registry: host, repository } = subject;
  const of = await registry.manifest(subject, signal);
  if (of === undefined) throw new Error(`${formatReference(subject)} has gone from the registry.`);
  const config = Buffer.from(EMPTY.text);
  const [document, empty] = await Promise.all([
    registry.putBlob(host, repository, bytes, signal),
    registry.putBlob(host, repository, config, signal),
  ]);
  const manifest = manifestOf({
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: type,
    config: { mediaType: EMPTY.mediaType, digest: empty, size: config.length, data: config.toString('base64') },
    layers: [
      {
        mediaType: type,
        digest: document,
        size: bytes.length,
        annotations: { 'org.opencontainers.image.title': title },
      },
    ],
    subject: { mediaType: of.mediaType, digest: of.digest, size: of.bytes.length },
    annotations,
  });
  const stored = await registry.putManifest(host, repository, manifest.digest, manifest, signal);
  if (stored.subject === undefined) await listByTag(registry, subject, type, manifest, signal);
  return manifest.digest;
}

/** Adds a referrer to the index under the fallback tag, where a registry does not keep that list itself. */
async function listByTag(
  registry: Registry,
  subject: Reference & { readonly digest: string },
  artifactType: string,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<void> {
  const { registry: host, repository } = subject;
  const tag = subject.digest.replace(':', '-');
  const { manifests: listed = [], ...rest } = readIndex(
    (await registry.manifest({ registry: host, repository, tag }, signal))?.bytes,
  );
  if (listed.some(({ digest }) => digest === manifest.digest)) return;
  const entry = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    artifactType,
    annotations: manifest.annotations,
  };
  const index = manifestOf({ ...rest, manifests: [...listed, entry] });
  await registry.putManifest(host, repository, tag, index, signal);
}

/** What stands in the index is kept as it is, also what we do not know. */
function readIndex(bytes: Uint8Array | undefined): {
  readonly mediaType?: string;
  readonly manifests?: readonly { readonly digest?: string }[];
  readonly [key: string]: unknown;
} {
  if (bytes === undefined) return { schemaVersion: 2, mediaType: INDEX };
  return JSON.parse(Buffer.from(bytes).toString('utf8'));
}

function manifestOf(content: { readonly mediaType?: string; readonly [key: string]: unknown }): Manifest {
  const bytes = Buffer.from(JSON.stringify(content));
  return classify(bytes, `sha256:${createHash('sha256').update(bytes).digest('hex')}`, content.mediaType ?? INDEX);
}
