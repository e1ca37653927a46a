import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { attach } from '../../src/engine/images/attach.ts';
import { parseReference, Registry } from '../../src/engine/images/index.ts';
import { hasSignature, sbomsOf } from '../../src/engine/images/sboms.ts';
import { makePlan } from '../../src/engine/plan/index.ts';
import { readConfig } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';

const { signal } = new AbortController();
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

let server: Server | undefined;
afterEach(() => server?.close());

/**
 * The parts of distribution-spec 1.1 that an attachment needs, with what registries differ in: whether they list referrers
 * themselves, where an upload goes on, and whether an upload whose end got lost is known to be done.
 */
async function registryOf(kind: { readonly isListing?: boolean; readonly uploads?: string; readonly loses?: boolean }) {
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  let lost = kind.loses === true;
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (bytes) => chunks.push(bytes));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const url = new URL(request.url ?? '', 'http://registry');
      const [, , , , kindOf, name = ''] = url.pathname.split('/');
      const answer = (status: number, headers: Record<string, string> = {}, content?: Buffer) =>
        response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : content);
      if (url.pathname === '/v2/') return answer(200);
      if (kindOf === 'blobs' && request.method === 'POST')
        return answer(202, { location: kind.uploads ?? '/v2/a/b/blobs/uploads/1?state=x' });
      if (kindOf === 'blobs' && request.method === 'PUT') {
        const digest = url.searchParams.get('digest') ?? '';
        if (blobs.has(digest)) return answer(404);
        if (digest !== digestOf(body) || url.searchParams.get('state') !== 'x') return answer(400);
        blobs.set(digest, body);
        if (!lost) return answer(201);
        lost = false;
        return request.socket.destroy();
      }
      if (kindOf === 'blobs') return answer(blobs.has(name) ? 200 : 404, {}, blobs.get(name));
      if (kindOf === 'manifests' && request.method === 'PUT') {
        const type = request.headers['content-type'] ?? '';
        for (const key of [name, digestOf(body)]) manifests.set(key, { type, bytes: body });
        const { subject } = JSON.parse(body.toString());
        return answer(201, kind.isListing === true && subject !== undefined ? { 'oci-subject': subject.digest } : {});
      }
      const found = kindOf === 'manifests' ? manifests.get(name) : undefined;
      if (found !== undefined) return answer(200, { 'content-type': found.type }, found.bytes);
      return answer(404);
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const system = createSystem({ env: { HOME: '/nowhere' } });
  const registry = new Registry({ ...system, clock: { ...system.clock, sleep: async () => {} } });
  const image = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: {}, layers: [] }));
  await registry.putManifest(host, 'a/b', 'v1', { bytes: image, mediaType: MANIFEST });
  return { registry, manifests, subject: { ...parseReference(`${host}/a/b`), digest: digestOf(image) } };
}

const document = (text: string) => ({
  type: 'application/vnd.cyclonedx+json',
  title: 'sbom.cdx.json',
  bytes: Buffer.from(text),
  annotations: { 'org.opencontainers.image.platform': 'linux/arm64' },
});

describe('attach', () => {
  it('keeps the fallback tag where the registry lists no referrers, beside what is in it', async () => {
    const { registry, manifests, subject } = await registryOf({});
    const theirs = {
      mediaType: MANIFEST,
      digest: `sha256:${'a'.repeat(64)}`,
      size: 1,
      artifactType: 'x/y',
      data: 'e30=',
    };
    const tag = subject.digest.replace(':', '-');
    const index = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [theirs], annotations: { k: 'v' } }),
    );
    await registry.putManifest(subject.registry, subject.repository, tag, { bytes: index, mediaType: INDEX });
    const digest = await attach(registry, subject, document('{"a":1}'), signal);
    const written = JSON.parse(manifests.get(tag)?.bytes.toString() ?? '');
    expect(written).toMatchObject({ mediaType: INDEX, annotations: { k: 'v' } });
    expect(written.manifests[0]).toEqual(theirs);
    expect(written.manifests[1]).toMatchObject({ digest, artifactType: 'application/vnd.cyclonedx+json' });
    expect(JSON.parse(manifests.get(digest)?.bytes.toString() ?? '').subject.digest).toBe(subject.digest);
    const referrers = await registry.referrers(subject.registry, subject.repository, subject.digest, signal);
    const image = await registry.manifest(subject, signal);
    expect(image && (await sbomsOf(registry, image, referrers, subject, signal))).toEqual([
      { format: 'cyclonedx', how: 'referrer', digest, platform: 'linux/arm64' },
    ]);
  });

  it('leaves the list to a registry that keeps it', async () => {
    const { registry, manifests, subject } = await registryOf({ isListing: true });
    await attach(registry, subject, document('{}'), signal);
    expect([...manifests.keys()].filter((key) => key.startsWith('sha256-'))).toEqual([]);
  });

  it('knows an upload that was done when its answer got lost, and goes to no other host', async () => {
    const { registry, subject } = await registryOf({ loses: true });
    await expect(attach(registry, subject, document('{"lost":true}'), signal)).resolves.toMatch(/^sha256:/);
    server?.close();
    const other = await registryOf({ uploads: 'http://169.254.169.254/upload?state=x' });
    await expect(attach(other.registry, other.subject, document('{}'), signal)).rejects.toMatchObject({
      code: 'registry.link',
    });
  });
});

it('tells statements from signatures by their predicate: cosign 3 keeps both in bundles of one type', async () => {
  const { registry, subject } = await registryOf({});
  const image = await registry.manifest(subject, signal);
  const bundle = (predicate: string) => ({
    digest: subject.digest,
    mediaType: MANIFEST,
    size: 1,
    artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    annotations: { 'dev.sigstore.bundle.predicateType': predicate },
  });
  const sbom = bundle('https://cyclonedx.org/bom');
  expect(await hasSignature(registry, [sbom], subject, signal)).toBe(false);
  expect(await hasSignature(registry, [sbom, bundle('https://sigstore.dev/cosign/sign/v1')], subject, signal)).toBe(
    true,
  );
  expect(image && (await sbomsOf(registry, image, [sbom], subject, signal))).toMatchObject([
    { format: 'cyclonedx', how: 'attestation' },
  ]);
});

it.each([
  ['true', 'cyclonedx'],
  ['spdx', 'spdx'],
  ['buildkit', undefined],
  ['false', undefined],
])('sbom: %s', (value, format) => {
  const project = readConfig(
    `version: 1\nimages: { api: { repository: r.example.com/api, sbom: ${value}, sign: { key: "k8s://a/b" } } }\n`,
    '/repo/slipway.yaml',
    '/repo',
  );
  expect(project.diagnostics).toEqual([]);
  const plan = makePlan(
    project,
    {
      commit: 'abc',
      branch: 'main',
      tags: [],
      isDirty: false,
      now: 0,
      contexts: new Map([['api', { hash: 'a', files: 1 }]]),
      testInputs: new Map(),
      records: new Map(),
      toolVersions: {},
    },
    { until: 'publish' },
  );
  const step = plan.steps.find(({ kind }) => kind === 'sbom');
  expect(step?.spec.kind === 'sbom' ? step.spec.format : undefined).toBe(format);
  expect(step?.needs ?? ['publish:api']).toEqual(['publish:api']);
});
