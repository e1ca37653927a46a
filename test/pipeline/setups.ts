// Three set-ups people have today (GitHub with Docker Hub, GitLab with kind, GHCR with Helm), each from its repository to a
// verified rollout on the lab. As in a trial at home, only the registry and the base images are other ones: a few lines of
// the files that name them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from '../../src/engine/images/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { bundledCli } from '../bundle.ts';
import { commit, edit, git } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
const cli = bundledCli();
const work = mkdtempSync(join(tmpdir(), 'slipway-setups-'));
const mark = `setups-${process.pid}`;
const registry = new Registry(createSystem({ env }));
const base = `${lab.registry}/base/django:3.2`;
const namespaces = ['notes', 'stock', 'parcel'].map((name) => `${mark}-${name}`);

/** The repository of a set-up, on a branch, with the lab's names in the files given. */
function clone(setup: string, branch: string, changes: Readonly<Record<string, (text: string) => string>>): string {
  const root = join(work, setup);
  cpSync(join(import.meta.dirname, '../../examples/setups', setup), root, { recursive: true });
  git(root, ['init', '-q', '-b', branch]);
  for (const [file, change] of Object.entries(changes)) edit(root, file, change);
  commit(root, 'The lab as registry');
  return root;
}

function slipway(root: string, ...args: readonly string[]) {
  const result = spawnSync(process.execPath, [cli, '-C', root, ...args], { encoding: 'utf8', env, maxBuffer: 1e8 });
  return { code: result.status, out: `${result.stdout}${result.stderr}` };
}

const kubectl = (...args: readonly string[]): string =>
  spawnSync('kubectl', [...args], { encoding: 'utf8', env }).stdout.trim();
const imageOf = (namespace: string, deployment: string): string =>
  kubectl('-n', namespace, 'get', 'deploy', deployment, '-o', 'jsonpath={.spec.template.spec.containers[0].image}');
const eventsOf = (root: string) => {
  const runs = join(root, '.slipway/runs');
  const last = readdirSync(runs).sort().at(-1) ?? '';
  return readFileSync(join(runs, last, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
};

test('github-dockerhub: branch 1.4.0 is tested beside Postgres, published as 1.4.0 and answers at its NodePort', async () => {
  const [namespace = ''] = namespaces;
  const port = 30_000 + (process.pid % 2000);
  const root = clone('github-dockerhub', '1.4.0', {
    'slipway.yaml': (text) =>
      text
        .replaceAll('docker.io/acmenotes', `${lab.registry}/${mark}`)
        .replace('postgres:16', `${lab.registry}/base/postgres:15`)
        // No pip in the lab: the stage that holds the dependencies is an image here.
        .replace(/(repository: \S+\/notes)\n/, `$1\n    contexts: { dependencies: "docker-image://${base}" }\n`)
        .replace('namespace: notes', `namespace: ${namespace}`),
    'k8s/notes.yaml': (text) =>
      text.replace('acmenotes/notes', `${lab.registry}/${mark}/notes`).replace('30480', String(port)),
  });
  const { code, out } = slipway(root, 'run', '--env', 'dev');
  assert.equal(code, 0, out);
  assert.match(out, /snyk: FAILED/, 'no Snyk here, and it is optional');
  const events = eventsOf(root);
  const tested = events.find((event) => event.type === 'step.finished' && event.step === 'test:app');
  assert.equal(tested?.outcome, 'succeeded');
  const digest = await registry.digestOf(`${lab.registry}/${mark}/notes:1.4.0`);
  assert.equal(imageOf(namespace, 'notes'), `${lab.registry}/${mark}/notes:1.4.0@${digest}`);
  assert.equal(await (await fetch(`http://${lab.nodeAddress}:${port}/healthz`)).text(), 'ok\n');
  assert.equal(await registry.digestOf(`${lab.registry}/${mark}/notes:latest`), undefined, 'nothing asked for latest');
  // A second push to the release branch would move 1.4.0: that is refused, and nothing changes.
  edit(root, 'notes/urls.py', (text) => text.replace('"ok\\n"', '"fine\\n"'));
  edit(root, 'notes/tests.py', (text) => text.replace('b"ok\\n"', 'b"fine\\n"'));
  commit(root, 'Another 1.4.0');
  const again = slipway(root, 'run', '--env', 'dev');
  assert.notEqual(again.code, 0);
  assert.match(again.out, /notes:1\.4\.0 exists with another content .*built from commit [0-9a-f]{7}/s, again.out);
  assert.equal(await registry.digestOf(`${lab.registry}/${mark}/notes:1.4.0`), digest);
});

test('gitlab-kind: the short commit is the only tag; a namespace that is not there is made, and one that is stays', async () => {
  const namespace = namespaces[1] ?? '';
  const root = clone('gitlab-kind', 'main', {
    'slipway.yaml': (text) =>
      text
        .replace('registry.gitlab.com/acme', `${lab.registry}/${mark}`)
        .replace(/(repository: \S+)\n/, `$1\n    args: { BASE: ${base} }\n`)
        .replace('    context: kind-stock\n', '')
        .replace('namespace: stock', `namespace: ${namespace}`),
    'k8s/stock.yaml': (text) => text.replace('registry.gitlab.com/acme', `${lab.registry}/${mark}`),
  });
  // The kubeconfig comes in base64 out of a CI variable; a file and KUBECONFIG are what is left of it.
  const first = slipway(root, 'run', '--env', 'dev');
  assert.equal(first.code, 0, first.out);
  assert.match(first.out, /alive ok/);
  const head = git(root, ['rev-parse', '--short=8', 'HEAD']);
  assert.deepEqual(
    (await registry.tags(lab.registry, `${mark}/stock`))?.filter((tag) => tag !== 'slipway-staging'),
    [head],
  );
  assert.match(imageOf(namespace, 'stock'), new RegExp(`/stock:${head}@sha256:`));
  const passed = eventsOf(root).find((event) => event.type === 'step.finished' && event.step === 'test:unit');
  assert.equal(passed?.outputs?.passed, 2, 'the JUnit report was read');
  edit(root, 'stock/__init__.py', (text) => text.replace('"tea": 12', '"tea": 13'));
  edit(root, 'tests/test_stock.py', (text) => text.replace('12', '13'));
  edit(root, 'slipway.yaml', (text) => text.replace('contains: "12"', 'contains: "13"'));
  commit(root, 'More tea');
  const second = slipway(root, 'run', '--env', 'dev');
  assert.equal(second.code, 0, second.out);
  assert.match(second.out, /tea ok/);
});

test('ghcr-helm: API and worker through the gate, one Helm release; a bad version is rolled back with its cause', async () => {
  const namespace = namespaces[2] ?? '';
  const root = clone('ghcr-helm', 'main', {
    'slipway.yaml': (text) =>
      text
        .replaceAll('ghcr.io/acme', `${lab.registry}/${mark}`)
        .replace(/(repository: \S+)\n/g, `$1\n    args: { BASE: ${base} }\n`)
        .replace('namespace: parcel\n', `namespace: ${namespace}\n`),
  });
  git(root, ['tag', 'v1.2.3']);
  const first = slipway(root, 'run', '--env', 'dev');
  assert.equal(first.code, 0, first.out);
  const head = git(root, ['rev-parse', '--short=7', 'HEAD']);
  for (const name of ['parcel-api', 'parcel-worker']) {
    const digest = await registry.digestOf(`${lab.registry}/${mark}/${name}:sha-${head}`);
    assert.ok(digest);
    for (const tag of ['v1.2.3', 'dev'])
      assert.equal(await registry.digestOf(`${lab.registry}/${mark}/${name}:${tag}`), digest, `${name}:${tag}`);
  }
  assert.match(imageOf(namespace, 'parcel-worker'), new RegExp(`:sha-${head}@sha256:`));
  edit(root, 'api/api.py', (text) =>
    text.replace(
      'if __name__ == "__main__":',
      'if __name__ == "__main__":\n    raise SystemExit("no such table: parcels")',
    ),
  );
  commit(root, 'A version that cannot start');
  const bad = slipway(root, 'run', '--env', 'dev');
  assert.equal(bad.code, 1, bad.out);
  assert.match(bad.out, /no such table: parcels/);
  assert.match(imageOf(namespace, 'parcel-api'), new RegExp(`:sha-${head}@sha256:`), 'the version before is back');
  assert.match(bad.out, /Rollback of dev/);
});

await run('setups', async () => {
  spawnSync('kubectl', ['delete', 'namespace', ...namespaces, '--wait=false', '--ignore-not-found'], { env });
  rmSync(work, { recursive: true, force: true });
});
process.exit();
