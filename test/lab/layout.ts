// Pushing an OCI image layout (a folder of blobs) to a registry over its HTTP API: no daemon, only what is missing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from './problem.ts';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
}

interface Manifest {
  readonly mediaType?: string;
  /** Of an index. */
  readonly manifests?: readonly Descriptor[];
  /** Of an image. */
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
}

const blobPath = (folder: string, digest: string) => join(folder, 'blobs', digest.replace(':', '/'));

/** The one image (or multi-platform index) of a layout. */
export function layoutRoot(folder: string): Descriptor {
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Manifest;
  const root = index.manifests?.[0];
  if (root === undefined) throw new LabError(`${folder} holds no image.`);
  return root;
}

/** True when the registry's tag points at exactly this layout's image. */
export async function isPushed(folder: string, registry: string, repository: string, tag: string): Promise<boolean> {
  const root = layoutRoot(folder);
  const response = await fetch(`http://${registry}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept: root.mediaType },
    signal: AbortSignal.timeout(2_000),
  });
  return response.ok && response.headers.get('docker-content-digest') === root.digest;
}

/** Pushes blobs first, then manifests, the tag last: a reader never sees a tag with holes. */
export async function pushLayout(folder: string, registry: string, repository: string, tag: string): Promise<void> {
  const base = `http://${registry}/v2/${repository}`;
  const pushManifest = async (descriptor: Descriptor, reference: string): Promise<void> => {
    const bytes = readFileSync(blobPath(folder, descriptor.digest));
    const manifest = JSON.parse(bytes.toString()) as Manifest;
    for (const child of manifest.manifests ?? []) await pushManifest(child, child.digest);
    const blobs = [...(manifest.config === undefined ? [] : [manifest.config]), ...(manifest.layers ?? [])];
    for (const { digest } of blobs) await pushBlob(base, folder, digest);
    const response = await fetch(`${base}/manifests/${reference}`, {
      method: 'PUT',
      headers: { 'content-type': descriptor.mediaType },
      body: bytes,
    });
    if (!response.ok) throw new LabError(`${base}/manifests/${reference}: ${response.status} ${await response.text()}`);
  };
  await pushManifest(layoutRoot(folder), tag);
}

async function pushBlob(base: string, folder: string, digest: string): Promise<void> {
  if ((await fetch(`${base}/blobs/${digest}`, { method: 'HEAD' })).ok) return;
  const start = await fetch(`${base}/blobs/uploads/`, { method: 'POST' });
  const location = start.headers.get('location');
  if (start.status !== 202 || location === null) throw new LabError(`${base}: upload refused with ${start.status}`);
  const target = new URL(location, base);
  target.searchParams.set('digest', digest);
  const response = await fetch(target, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream' },
    body: readFileSync(blobPath(folder, digest)),
  });
  if (!response.ok) throw new LabError(`${base}: blob ${digest}: ${response.status} ${await response.text()}`);
}
