// Flux's other sources with the real source-controller and helm-controller: an OCIRepository of the real registry, charts
// by http and by OCI, a Bucket. What `slipway flux status` says of each, working and broken.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Chain, Engine } from '../../src/engine/main.ts';
import { previousInCluster } from '../../src/engine/markers/clusterPrevious.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
const namespace = `flux-sources-${process.pid}`;
const root = mkdtempSync(join(tmpdir(), 'slipway-sources-'));

const tool = (file: string, args: readonly string[], input?: string): string => {
  const result = spawnSync(file, args, { env, cwd: root, encoding: 'utf8', ...(input !== undefined && { input }) });
  if (result.status !== 0) throw new Error(`${file} ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trim();
};
const kubectl = (args: readonly string[], input?: string): string => tool('kubectl', ['-n', namespace, ...args], input);
const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

const configMap = (name: string, text: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, namespace: ${namespace} }\ndata: { text: ${text} }\n`;
write('charts/note/Chart.yaml', 'apiVersion: v2\nname: note\nversion: 0.1.0\n');
write('charts/note/values.yaml', 'text: first\n');
write(
  'charts/note/templates/note.yaml',
  'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: {{ .Release.Name }} }\ndata: { text: {{ .Values.text }} }\n',
);
tool('helm', ['package', 'charts/note']);

/** A chart repository and the part of S3 that source-controller uses, for the files in `root`. */
const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const [, first = '', ...rest] = url.pathname.split('/');
  if (first === 'charts') {
    sendFile(response, rest.join('/'), 'application/octet-stream');
    return;
  }
  if (first !== 'fleet') {
    const answer = `<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>${first}</BucketName></Error>`;
    response.writeHead(404, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? '' : answer);
    return;
  }
  if (!request.headers.authorization?.includes('Credential=reader/')) {
    const answer = '<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>';
    response.writeHead(403, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? '' : answer);
    return;
  }
  if (rest.join('') !== '') {
    sendFile(response, `bucket/${rest.join('/')}`, 'application/octet-stream');
    return;
  }
  const body = url.searchParams.has('location')
    ? '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>'
    : `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>fleet</Name><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>app.yaml</Key><LastModified>2026-11-01T08:00:00.000Z</LastModified><ETag>&quot;${etagOf('bucket/app.yaml')}&quot;</ETag><Size>${readFileSync(join(root, 'bucket/app.yaml')).length}</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>`;
  response.writeHead(200, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? '' : body);
});
const etagOf = (path: string): string =>
  createHash('md5')
    .update(readFileSync(join(root, path)))
    .digest('hex');
function sendFile(response: ServerResponse, path: string, type: string): void {
  try {
    const bytes = readFileSync(join(root, path));
    response
      .writeHead(200, {
        'content-type': type,
        'content-length': bytes.length,
        etag: `"${etagOf(path)}"`,
        'last-modified': 'Sun, 01 Nov 2026 08:00:00 GMT',
      })
      .end(bytes);
  } catch {
    response.writeHead(404).end('404 page not found');
  }
}
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
write(
  'index.yaml',
  tool('helm', ['repo', 'index', '.', '--url', `http://${address}/charts`]) ||
    readFileSync(join(root, 'index.yaml'), 'utf8'),
);
write('bucket/app.yaml', configMap('from-bucket', 'first'));

/** What `flux push artifact` uploads: one layer with a tar of the manifests, and Flux's media types. */
async function pushArtifact(tag: string, text: string): Promise<string> {
  write('artifact/app.yaml', text);
  const layer = spawnSync('tar', ['-czf', '-', '-C', join(root, 'artifact'), '.']).stdout;
  const base = `http://${lab.registry}/v2/${namespace}/manifests`;
  const upload = async (bytes: Buffer): Promise<{ readonly digest: string; readonly size: number }> => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST' });
    const where = new URL(begun.headers.get('location') ?? '', `http://${lab.registry}`);
    where.searchParams.set('digest', digest);
    const done = await fetch(where, { method: 'PUT', body: new Uint8Array(bytes) });
    assert.equal(done.status, 201);
    return { digest, size: bytes.length };
  };
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.cncf.flux.config.v1+json', ...(await upload(Buffer.from('{}'))) },
    layers: [{ mediaType: 'application/vnd.cncf.flux.content.v1.tar+gzip', ...(await upload(layer)) }],
    annotations: {
      'org.opencontainers.image.source': 'https://git.example.com/acme/fleet',
      'org.opencontainers.image.revision': 'main@sha1:3fa2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4',
      'org.opencontainers.image.created': '2026-11-01T08:00:00Z',
    },
  });
  const put = await fetch(`${base}/manifests/${tag}`, {
    method: 'PUT',
    body: manifest,
    headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
  });
  assert.equal(put.status, 201);
  return `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
}

const system = createSystem({ env });
const signal = new AbortController().signal;
const actions = await new Engine({ system, root }).flux();
const place = { context: lab.env.SLIPWAY_LAB_CONTEXT ?? 'slipway-lab', namespaces: [namespace] };
const chains = async (): Promise<readonly Chain[]> => (await actions.status(place, signal)).chains;
/** The chain of a source once it is as wanted; the last one seen is in the error. */
async function chainOf(name: string, isRight: (chain: Chain) => boolean): Promise<Chain> {
  const until = Date.now() + 90_000;
  let seen: Chain | undefined;
  while (Date.now() < until) {
    seen = (await chains()).find((chain) => chain.name === name);
    if (seen !== undefined && isRight(seen)) return seen;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  throw new Error(`${name} came to this: ${JSON.stringify(seen, null, 1)}`);
}
const said = (chain: Chain): string =>
  chain.links.map(({ step, object, state, message }) => `${state} ${step} ${object.kind}: ${message}`).join('\n');
/** Waits until the chain is stuck for this cause, and gives what is said of it. */
async function stuckBy(name: string, code: string): Promise<string> {
  const causeOf = (chain: Chain) => chain.links.find(({ state }) => state === 'stuck')?.cause;
  const cause = causeOf(await chainOf(name, (chain) => causeOf(chain)?.code === code));
  return `${cause?.message} ${cause?.fix}`;
}

const source = (kind: string, name: string, spec: object) => ({
  apiVersion: 'source.toolkit.fluxcd.io/v1',
  kind,
  metadata: { name, namespace },
  spec: { interval: '1h', timeout: '10s', ...spec },
});
const kustomization = (name: string, kind: string) => ({
  apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
  kind: 'Kustomization',
  metadata: { name, namespace },
  spec: { interval: '1h', retryInterval: '5s', prune: true, path: './', sourceRef: { kind, name } },
});
const release = (name: string, chart: object) => ({
  apiVersion: 'helm.toolkit.fluxcd.io/v2',
  kind: 'HelmRelease',
  metadata: { name, namespace },
  spec: { interval: '1h', ...chart },
});
const apply = (...items: readonly object[]): void =>
  void kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
const patch = (kind: string, name: string, spec: object): void =>
  void kubectl(['patch', kind, name, '--type=merge', '-p', JSON.stringify({ spec })]);

kubectl(['create', 'namespace', namespace]);
const repository = `oci://${lab.registry}/${namespace}/manifests`;

test('OCIRepository: an artifact of the registry, fetched and applied, with the revision it carries', async () => {
  const digest = await pushArtifact('1.0.0', configMap('from-oci', 'first'));
  apply(
    source('OCIRepository', 'oci', { url: repository, ref: { semver: '1.x' }, insecure: true }),
    kustomization('oci', 'OCIRepository'),
  );
  const chain = await chainOf(`OCIRepository ${namespace}/oci`, ({ state }) => state === 'delivered');
  assert.match(said(chain), new RegExp(`done fetched OCIRepository: 1\\.0\\.0 at ${digest.slice(7, 14)}, fetched`));
  assert.match(said(chain), new RegExp(`done applied Kustomization: 1\\.0\\.0 at ${digest.slice(7, 14)} is applied`));
  assert.equal(kubectl(['get', 'configmap', 'from-oci', '-o', 'jsonpath={.data.text}']), 'first');
});

test('OCIRepository: a new artifact comes with a reconcile of the chain', async () => {
  await pushArtifact('1.1.0', configMap('from-oci', 'second'));
  const asked = await actions.reconcile({ ...place, names: ['oci/oci', 'ks/oci'] }, { signal });
  assert.deepEqual(
    asked.map(({ outcome }) => outcome),
    ['done', 'done'],
    JSON.stringify(asked),
  );
  assert.equal(kubectl(['get', 'configmap', 'from-oci', '-o', 'jsonpath={.data.text}']), 'second');
});

test('OCIRepository: what is wrong, in words', async () => {
  const name = `OCIRepository ${namespace}/oci`;
  patch('ocirepository', 'oci', { ref: { semver: '9.x' } });
  assert.match(
    await stuckBy(name, 'flux.artifact-version'),
    /a version in the range 9\.x\. Widen spec\.ref\.semver of oci/,
  );
  patch('ocirepository', 'oci', { ref: { semver: null, tag: 'none' } });
  assert.match(await stuckBy(name, 'flux.artifact-missing'), /no tag none in the registry/);
  patch('ocirepository', 'oci', { ref: { tag: '1.1.0' }, secretRef: { name: 'absent' } });
  assert.match(
    await stuckBy(name, 'flux.secret-missing'),
    /Secret absent that OCIRepository oci refers to does not exist/,
  );
});

test('HelmRepository by http: index, chart and release; what is wrong, in words', async () => {
  apply(source('HelmRepository', 'http', { url: `http://${address}/charts` }));
  // A release that comes before the index of its charts is looked at again only half a minute later.
  // Not by "kubectl wait": the index comes from this very process.
  const name = `HelmRepository ${namespace}/http`;
  await chainOf(name, ({ links }) => links.some(({ step, state }) => step === 'fetched' && state === 'done'));
  apply(
    release('by-http', {
      chart: { spec: { chart: 'note', version: '0.x', sourceRef: { kind: 'HelmRepository', name: 'http' } } },
    }),
  );
  const chain = await chainOf(name, ({ state }) => state === 'delivered');
  assert.match(said(chain), /done released HelmRelease: note 0\.1\.0, release 1, deployed\./);
  assert.equal(kubectl(['get', 'configmap', 'by-http', '-o', 'jsonpath={.data.text}']), 'first');
  patch('helmrelease', 'by-http', {
    chart: { spec: { chart: 'note', version: '7.x', sourceRef: { kind: 'HelmRepository', name: 'http' } } },
  });
  assert.match(await stuckBy(name, 'flux.chart-version'), /no version 7\.x of the chart note/);
  patch('helmrepository', 'http', { url: `http://${address}/elsewhere` });
  assert.match(await stuckBy(name, 'flux.chart-index'), /no chart index at the address/);
});

test('HelmRepository by OCI: a chart of the registry, released', async () => {
  tool('helm', ['push', 'note-0.1.0.tgz', `oci://${lab.registry}/${namespace}/charts`, '--plain-http']);
  apply(
    source('HelmRepository', 'oci', { type: 'oci', url: `oci://${lab.registry}/${namespace}/charts`, insecure: true }),
    release('by-oci', {
      chart: { spec: { chart: 'note', version: '0.1.0', sourceRef: { kind: 'HelmRepository', name: 'oci' } } },
    }),
  );
  const chain = await chainOf(`HelmRepository ${namespace}/oci`, ({ state }) => state === 'delivered');
  assert.match(said(chain), /An OCI registry: charts are fetched when they are needed/);
  assert.match(said(chain), /done released HelmRelease: note 0\.1\.0, release 1, deployed\./);
});

test('Bucket: fetched and applied; what is wrong, in words', async () => {
  const secret = (user: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's3', namespace },
    stringData: { accesskey: user, secretkey: 'secret' },
  });
  apply(
    secret('reader'),
    source('Bucket', 'fleet', { bucketName: 'fleet', endpoint: address, insecure: true, secretRef: { name: 's3' } }),
    kustomization('fleet', 'Bucket'),
  );
  const name = `Bucket ${namespace}/fleet`;
  await chainOf(name, ({ state }) => state === 'delivered');
  assert.equal(kubectl(['get', 'configmap', 'from-bucket', '-o', 'jsonpath={.data.text}']), 'first');
  patch('bucket', 'fleet', { bucketName: 'nothing' });
  assert.match(await stuckBy(name, 'flux.bucket-missing'), /no bucket nothing at the endpoint/);
  apply(secret('stranger'));
  patch('bucket', 'fleet', { bucketName: 'fleet' });
  assert.match(await stuckBy(name, 'flux.bucket-auth'), /may not be read with these keys/);
  patch('bucket', 'fleet', { endpoint: '127.0.0.1:9' });
  assert.match(await stuckBy(name, 'flux.network'), /cannot be reached/);
});

test('what a policy chose before stands in its status, and is what Roll back is offered from the cluster', async () => {
  await pushArtifact('1.0.0', configMap('from-oci', 'first'));
  await pushArtifact('1.1.0', configMap('from-oci', 'second'));
  const image = `${lab.registry}/${namespace}/manifests`;
  const object = (kind: string, spec: object) => ({
    apiVersion: 'image.toolkit.fluxcd.io/v1',
    kind,
    metadata: { name: 'app', namespace },
    spec,
  });
  apply(
    object('ImageRepository', { image, interval: '1h', insecure: true }),
    object('ImagePolicy', { imageRepositoryRef: { name: 'app' }, policy: { semver: { range: '1.0.x' } } }),
  );
  const chosen = (tag: string) =>
    kubectl(['wait', 'imagepolicy', 'app', `--for=jsonpath={.status.latestRef.tag}=${tag}`, '--timeout=90s']);
  chosen('1.0.0');
  const policy = { namespace, name: 'app' };
  const cluster = { context: place.context };
  assert.equal(await previousInCluster(system, cluster, policy, signal), undefined);
  patch('imagepolicy', 'app', { policy: { semver: { range: '1.x' } } });
  chosen('1.1.0');
  assert.equal(kubectl(['get', 'imagepolicy', 'app', '-o', 'jsonpath={.status.observedPreviousRef.tag}']), '1.0.0');
  assert.deepEqual(await previousInCluster(system, cluster, policy, signal), { name: image, tag: '1.0.0' });
  const chain = await chainOf(`${namespace}/app`, ({ links }) => links.some(({ step }) => step === 'chosen'));
  assert.match(said(chain), /1\.1\.0 is the latest \(before: 1\.0\.0\)/);
});

await run('flux sources', async () => {
  spawnSync('kubectl', ['-n', namespace, 'delete', 'kustomization,helmrelease', '--all', '--wait=false'], { env });
  spawnSync('kubectl', ['delete', 'namespace', namespace, '--wait=false'], { env });
  await system.processes.dispose();
  server.close();
  server.closeAllConnections();
  rmSync(root, { recursive: true, force: true });
});
