// The troubles everybody meets, made on the real cluster: `slipway diagnose` names each with what to do, and shows no secret.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystem, type Diagnosis, Engine } from '../../src/engine/main.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from './support/actor.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env: NodeJS.ProcessEnv = { ...process.env, ...lab.env, CI: '1' };
const repository = `${lab.registry}/diag/app`;
const root = mkdtempSync(join(tmpdir(), 'slipway-diagnosis-'));
const kubectl = (input: string, ...args: readonly string[]) =>
  spawnSync('kubectl', args, { env, input, encoding: 'utf8' });
const clean = () => kubectl('', 'delete', 'namespace', 'diag-all', 'diag-helm', '--ignore-not-found', '--wait');
await pushActor(env, repository, '1.0.0');

// A registry that lets nobody in.
const closed = createServer((_incoming, outgoing) => {
  outgoing.writeHead(401, { 'www-authenticate': 'Basic realm="closed"', 'content-type': 'application/json' });
  outgoing.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
});
await new Promise<void>((resolve) => closed.listen(0, '0.0.0.0', resolve));
const closedPort = (closed.address() as AddressInfo).port;

const deployment = (name: string, container: string, more = ''): string => `---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      terminationGracePeriodSeconds: 1
      ${more}
      containers:
        - name: main
          image: ${repository}:1.0.0
          ${container}
`;
const shell = (script: string): string => `image: ${lab.registry}/base/debian:12
          command: [bash, -c, ${JSON.stringify(script)}]`;
const withoutImage = (text: string): string => text.replace(`image: ${repository}:1.0.0\n          image:`, 'image:');

const manifests = [
  deployment('missing', `image: ${lab.registry}/diag/none:1`),
  deployment('closed', `image: localhost:${closedPort}/shop/api:1`),
  deployment('crash', 'env: [{ name: EXIT, value: "1" }, { name: DB_PASSWORD, value: plain-text-secret }]'),
  deployment('memory', `${shell('exec tail /dev/zero')}\n          resources: { limits: { memory: 24Mi } }`),
  deployment('twice', `ports: []\n        - name: other\n          image: ${repository}:1.0.0`),
  deployment(
    'unhealthy',
    'env: [{ name: HEALTH_STATUS, value: "500" }]\n          readinessProbe: { httpGet: { path: /healthz, port: 8080 }, periodSeconds: 1 }',
  ),
  deployment('elsewhere', 'readinessProbe: { httpGet: { path: /ready, port: 9999 }, periodSeconds: 1 }'),
  deployment('nowhere', 'ports: []', 'nodeSelector: { no: such }'),
  deployment('settings', 'envFrom: [{ configMapRef: { name: absent } }]'),
  deployment('noprogram', 'command: [/nope]'),
  deployment('names', shell('exec 3<>/dev/tcp/database.nowhere.invalid/5432')),
  deployment('depends', shell('exec 3<>/dev/tcp/127.0.0.1/5432')),
  deployment('quota', 'resources: { requests: { example.com/foo: "1" }, limits: { example.com/foo: "1" } }'),
  `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop }
spec:
  ingressClassName: no-such-class
  rules: [{ host: shop.example.com, http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }] } }]
`,
]
  .map(withoutImage)
  .join('');

const quota = `apiVersion: v1
kind: ResourceQuota
metadata: { name: none }
spec: { hard: { requests.example.com/foo: "0" } }
`;
mkdirSync(join(root, 'k8s'));
writeFileSync(join(root, 'k8s', 'app.yaml'), manifests);
writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\n');
const chart = join(import.meta.dirname, 'fixtures', 'chart');
writeFileSync(
  join(root, 'slipway.yaml'),
  `version: 1
images: { web: { repository: ${repository} } }
tags: ["{sha}"]
environments:
  all: { namespace: diag-all, deploy: { manifests: { paths: k8s, images: [] } } }
  helm: { namespace: diag-helm, deploy: { helm: { chart: ${chart}, release: web, images: { web: image } } } }
`,
);
execFileSync('git', ['init', '-q'], { cwd: root });
const system = createSystem({ env });
const engine = new Engine({ system, root });
const never = new AbortController().signal;

const titles: readonly (readonly [string, RegExp])[] = [
  ['The image is not in the registry', /missing/],
  ['The registry refuses the node', /closed/],
  ['The container ends again and again', /crash|memory|names|depends|twice|noprogram/],
  ['Out of memory', /memory/],
  ['The port is taken', /twice/],
  ['The health probe fails', /unhealthy|elsewhere/],
  ['Nothing listens on the port that is asked', /connection refused/],
  ['No node has room', /nowhere/],
  ['A ConfigMap, Secret or key is missing', /settings/],
  ['The program cannot be started', /noprogram/],
  ['A name does not resolve', /names/],
  ['Something it depends on does not answer', /depends/],
  ['The namespace has used up its quota', /quota|none/],
  ['The ingress does not lead to the app', /no-such-class/],
];

test('every known trouble is recognised on the cluster, with something to do', async () => {
  kubectl('', 'create', 'namespace', 'diag-all');
  // First: a pod that is made before the quota is there is let in.
  kubectl(quota, '-n', 'diag-all', 'apply', '-f', '-');
  const applied = kubectl(manifests, '-n', 'diag-all', 'apply', '-f', '-');
  assert.equal(applied.status, 0, applied.stderr);
  let diagnosis: Diagnosis & { readonly folder: string };
  let missing: readonly string[];
  // The suite's caller has a limit; what has not come by the hundredth look will not.
  let looks = 0;
  do {
    if (looks > 0) await new Promise((resolve) => setTimeout(resolve, 1000));
    diagnosis = await engine.diagnose('all', never);
    const found = new Map(diagnosis.troubles.map(({ title, evidence }) => [title, evidence]));
    missing = titles.flatMap(([title, evidence]) => (evidence.test(found.get(title) ?? '') ? [] : [title]));
    looks += 1;
  } while (missing.length > 0 && looks < 60);
  assert.deepEqual(missing, [], `${JSON.stringify(diagnosis.troubles, null, 1)}`);
  const unexpected = diagnosis.troubles.filter(({ title }) => !titles.some(([known]) => known === title));
  assert.deepEqual(unexpected, [], 'nothing that is not there is recognised');
  assert.ok(diagnosis.troubles.every(({ fix }) => fix.length > 20));
  for (const [title] of titles) assert.ok(diagnosis.report.includes(`**${title}**`), title);
  assert.match(diagnosis.report, /\| Pod \|/i);
  for (const file of readdirSync(diagnosis.folder, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const text = readFileSync(join(file.parentPath, file.name), 'utf8');
    assert.ok(!text.includes('plain-text-secret'), file.name);
  }
  assert.ok(diagnosis.files.includes('events.txt') && diagnosis.files.some((file) => file.endsWith('.previous.log')));
});

test('a release that a killed helm left locked is recognised, and repaired', async () => {
  const args = ['upgrade', '--install', 'web', chart, '--wait', '--create-namespace', '-n', 'diag-helm'];
  const helm = spawn('helm', [...args, '--set', `image.repository=${repository},image.tag=none`], { env });
  const ended = new Promise((resolve) => helm.on('close', resolve));
  const pending = () =>
    kubectl('', '-n', 'diag-helm', 'get', 'secrets', '-l', 'status=pending-install', '-o', 'name').stdout;
  while (pending() === '') await new Promise((resolve) => setTimeout(resolve, 50));
  helm.kill('SIGKILL');
  await ended;
  const before = await engine.diagnose('helm', never);
  const lock = before.troubles.find(({ title }) => title === 'The Helm release is locked');
  assert.match(lock?.evidence ?? '', /revision 1 of diag-helm\/web is pending-install/, before.report);
  assert.match(lock?.fix ?? '', /slipway unlock/);
  assert.match((await engine.unlock('helm', never)) ?? '', /pending-install and is marked failed/);
  const after = await engine.diagnose('helm', never);
  assert.ok(!after.troubles.some(({ title }) => title === 'The Helm release is locked'));
});

clean();
await run('diagnosis', async () => {
  closed.close();
  closed.closeAllConnections();
  await system.processes.dispose();
  clean();
  rmSync(root, { recursive: true, force: true });
});
