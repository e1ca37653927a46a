// Small images in a real registry, pushed over its HTTP API: enough for tags, digests, platforms, ages and signatures.
import { createHash } from 'node:crypto';

const digestOf = (bytes: string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function expectOk(response: Response, what: string): Promise<void> {
  if (!response.ok) throw new Error(`${what}: ${response.status} ${await response.text()}`);
}

async function pushBlob(base: string, bytes: string): Promise<string> {
  const digest = digestOf(bytes);
  const started = await fetch(`${base}/blobs/uploads/`, { method: 'POST' });
  await expectOk(started, 'start of an upload');
  const location = new URL(started.headers.get('location') ?? '', base);
  location.searchParams.set('digest', digest);
  const headers = { 'content-type': 'application/octet-stream' };
  await expectOk(await fetch(location, { method: 'PUT', headers, body: bytes }), 'upload');
  return digest;
}

async function pushManifest(base: string, reference: string, manifest: object, mediaType: string): Promise<string> {
  const bytes = JSON.stringify({ schemaVersion: 2, mediaType, ...manifest });
  const headers = { 'content-type': mediaType };
  const body = bytes;
  await expectOk(
    await fetch(`${base}/manifests/${reference}`, { method: 'PUT', headers, body }),
    `push of ${reference}`,
  );
  return digestOf(bytes);
}

/** Pushes a two-platform index under a tag. Returns its digest. */
export async function pushImage(registry: string, repository: string, tag: string, created: string): Promise<string> {
  const base = `http://${registry}/v2/${repository}`;
  const manifests = [];
  for (const architecture of ['amd64', 'arm64']) {
    const config = JSON.stringify({
      created,
      architecture,
      os: 'linux',
      config: { Labels: { tag } },
      rootfs: { type: 'layers', diff_ids: [] },
    });
    const digest = await pushBlob(base, config);
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const image = {
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: config.length },
      layers: [],
    };
    const bytes = JSON.stringify({ schemaVersion: 2, mediaType, ...image });
    await pushManifest(base, digestOf(bytes), image, mediaType);
    manifests.push({ mediaType, digest: digestOf(bytes), size: bytes.length, platform: { os: 'linux', architecture } });
  }
  return pushManifest(base, tag, { manifests }, 'application/vnd.oci.image.index.v1+json');
}
