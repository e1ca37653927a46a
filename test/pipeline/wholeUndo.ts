// A failed deploy of plain manifests (and of a kustomization) is undone as a whole: what it changed is as before, what it
// made is gone, what it pruned is there again.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundledCli } from '../bundle.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from './support/actor.ts';
import { actorPort, deployment } from './support/deployment.ts';
import { run, test } from './support/suite.ts';

const main = bundledCli();
const lab = labEnvironment();
const env: NodeJS.ProcessEnv = { ...process.env, ...lab.env, CI: '1' };
const repository = `${lab.registry}/undo/app`;
const root = mkdtempSync(join(tmpdir(), 'slipway-undo-'));
const namespaces = { plain: 'undo-plain', kustomize: 'undo-kustomize' } as const;
type Name = keyof typeof namespaces;
const kubectl = (...args: readonly string[]) => spawnSync('kubectl', args, { env, encoding: 'utf8' });
const clean = () => kubectl('delete', 'namespace', ...Object.values(namespaces), '--ignore-not-found', '--wait');

interface Set {
  readonly greeting: string;
  readonly port: number;
  /** Variables of the web container. */
  readonly env?: string;
  readonly extra?: 'there';
  readonly old?: 'gone';
  readonly strategy?: string;
}

const web = ({ strategy, env: variables = '' }: Set): string =>
  deployment({
    name: 'web',
    image: repository,
    ...(strategy !== undefined && { spec: [strategy] }),
    container: [`env: [${variables}]`, ...actorPort],
  });

function write(name: Name, set: Set): void {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'app.yaml'),
    `apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { greeting: ${set.greeting} }
---
apiVersion: v1
kind: Service
metadata: { name: web, annotations: { note: "${set.greeting}" } }
spec:
  selector: { app: web }
  ports: [{ name: http, port: ${set.port}, targetPort: http }]
---
${web(set)}${set.old === 'gone' ? '' : '---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: old }\ndata: { a: b }\n'}${
  set.extra === undefined
    ? ''
    : `---
apiVersion: v1
kind: Secret
metadata: { name: extra }
stringData: { token: abcdefgh }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: helper }
spec:
  selector: { matchLabels: { app: helper } }
  template:
    metadata: { labels: { app: helper } }
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: web, image: "${repository}" }] }
`
}`,
  );
}

writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\n');
writeFileSync(join(root, '.gitignore'), 'verdict\n');
for (const name of ['plain', 'kustomize'] as const) write(name, { greeting: 'hello', port: 80 });
writeFileSync(join(root, 'kustomize', 'kustomization.yaml'), 'resources: [app.yaml]\n');
writeFileSync(
  join(root, 'slipway.yaml'),
  `version: 1
images: { web: { repository: ${repository} } }
tags: ["{sha}"]
environments:
  plain:
    namespace: ${namespaces.plain}
    deploy: { manifests: { paths: plain, prune: true } }
    smoke: [{ name: judge, run: [test, "!", -f, verdict], timeout: 1s }]
  kustomize:
    namespace: ${namespaces.kustomize}
    deploy: { kustomize: { path: kustomize } }
`,
);
const git = (...args: readonly string[]) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: root });
git('init', '-q');
git('add', '-A');
git('commit', '-qm', 'x');
for (const version of ['1.0.0', '1.1.0']) await pushActor(env, repository, version);

interface Output {
  readonly code: number;
  readonly text: string;
}
function slipway(...args: readonly string[]): Output {
  const result = spawnSync(process.execPath, [main, ...args], { cwd: root, env, encoding: 'utf8' });
  return { code: result.status ?? -1, text: `${result.stdout}\n${result.stderr}` };
}
const deploy = (name: Name, tag: string): Output => slipway('-v', 'run', '--env', name, '--tag', tag, '--force');
const read = (name: Name, ...args: readonly string[]): string => {
  const result = kubectl('-n', namespaces[name], 'get', ...args);
  return result.status === 0 ? result.stdout.trim() : `(${result.stderr.trim()})`;
};

/** What the tests compare: everything but what the cluster itself writes. */
function state(name: Name): unknown {
  const list = JSON.parse(read(name, 'configmap,secret,service,deployment', '-o', 'json')) as {
    readonly items: readonly {
      readonly kind: string;
      readonly metadata: { readonly name: string; labels?: unknown; annotations?: Record<string, string> };
      readonly spec?: unknown;
      readonly data?: unknown;
    }[];
  };
  return list.items
    .filter(({ metadata }) => !metadata.name.startsWith('slipway.before.') && metadata.name !== 'kube-root-ca.crt')
    .map(({ kind, metadata, spec, data }) => {
      const { 'deployment.kubernetes.io/revision': _, ...annotations } = metadata.annotations ?? {};
      return { kind, name: metadata.name, labels: metadata.labels, annotations, spec, data };
    });
}

test('a version that crashes: everything it changed, made and pruned is taken back', async () => {
  const good = deploy('plain', '1.0.0');
  assert.equal(good.code, 0, good.text);
  const before = state('plain');
  write('plain', {
    greeting: 'broken',
    port: 81,
    env: '{ name: EXIT, value: "1" }',
    extra: 'there',
    old: 'gone',
    strategy: 'strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 2 } }',
  });
  const failed = deploy('plain', '1.1.0');
  assert.equal(failed.code, 1, failed.text);
  assert.match(failed.text, /Every object is as it was before/);
  assert.match(failed.text, /Secret undo-plain\/extra, which was not there before, was removed/);
  assert.match(failed.text, /ConfigMap undo-plain\/old was made again/);
  assert.deepEqual(state('plain'), before);
  assert.equal(read('plain', 'deploy', 'web', '-o', 'jsonpath={.status.readyReplicas}'), '1');
});

test('a smoke test that fails after a change of settings only', async () => {
  write('plain', { greeting: 'hello', port: 80 });
  assert.equal(deploy('plain', '1.0.0').code, 0);
  const before = state('plain');
  write('plain', { greeting: 'other', port: 80 });
  writeFileSync(join(root, 'verdict'), 'bad');
  const failed = deploy('plain', '1.0.0');
  rmSync(join(root, 'verdict'));
  assert.equal(failed.code, 1, failed.text);
  assert.match(failed.text, /Every object is as it was before/);
  assert.deepEqual(state('plain'), before);
});

test('going back by command takes the settings along; a scale by hand is no reason to stop', async () => {
  write('plain', { greeting: 'hello', port: 80 });
  assert.equal(deploy('plain', '1.0.0').code, 0);
  const before = state('plain');
  write('plain', { greeting: 'newer', port: 82, extra: 'there' });
  const newer = deploy('plain', '1.1.0');
  assert.equal(newer.code, 0, newer.text);
  assert.match(read('plain', 'cm', 'settings', '-o', 'jsonpath={.data.greeting}'), /newer/);
  const back = slipway('rollback', '--env', 'plain');
  assert.equal(back.code, 0, back.text);
  assert.match(back.text, /Every object is as it was before/);
  assert.deepEqual(state('plain'), before);
});

test('the first version of all is left for diagnosis, and records are few', async () => {
  kubectl('delete', 'namespace', namespaces.kustomize, '--ignore-not-found', '--wait');
  write('kustomize', { greeting: 'hello', port: 80, env: '{ name: EXIT, value: "1" }' });
  const failed = deploy('kustomize', '1.0.0');
  assert.equal(failed.code, 1, failed.text);
  assert.match(failed.text, /nothing to go back to/);
  assert.match(read('kustomize', 'deploy', 'web', '-o', 'name'), /deployment/);
  const records = read('plain', 'secrets', '-l', 'slipway.dev/record-of', '-o', 'name').split('\n');
  assert.ok(records.length <= 3, records.join(', '));
});

test('a kustomization is undone in the same way', async () => {
  write('kustomize', { greeting: 'hello', port: 80 });
  const good = deploy('kustomize', '1.0.0');
  assert.equal(good.code, 0, good.text);
  const before = state('kustomize');
  write('kustomize', { greeting: 'broken', port: 83, env: '{ name: EXIT, value: "1" }', extra: 'there' });
  const failed = deploy('kustomize', '1.1.0');
  assert.equal(failed.code, 1, failed.text);
  assert.match(failed.text, /Every object is as it was before/);
  assert.deepEqual(state('kustomize'), before);
});

clean();
await run('wholeUndo', async () => {
  clean();
  rmSync(root, { recursive: true, force: true });
});
