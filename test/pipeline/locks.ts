// Locks, resume and history on the real cluster: two clones of one repository, environments side by side, a Helm deploy
// that was killed between its write and our note of it.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunEvent } from '../../src/engine/main.ts';
import { bundledCli } from '../bundle.ts';
import { commit, git } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from './support/actor.ts';
import { deployment } from './support/deployment.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
const cli = bundledCli();
const work = mkdtempSync(join(tmpdir(), 'slipway-locks-'));
const mark = `locks-${process.pid}`;
const repository = `${lab.registry}/locks/app`;
for (const version of ['1.0.0', '1.1.0']) await pushActor(env, repository, version);

const root = join(work, 'one');
mkdirSync(join(root, 'slow'), { recursive: true });
cpSync(join(import.meta.dirname, 'fixtures/chart'), join(root, 'chart'), { recursive: true });
writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\n');
writeFileSync(join(root, '.gitignore'), '.slipway/\n');
writeFileSync(
  join(root, 'slow/app.yaml'),
  deployment({
    name: 'slow',
    image: repository,
    container: [
      'readinessProbe: { httpGet: { path: /healthz, port: 8080 }, initialDelaySeconds: 20, periodSeconds: 1 }',
    ],
  }),
);
const helm = (namespace: string) =>
  `namespace: ${mark}-${namespace}
    deploy: { helm: { chart: chart, release: web, set: { replicas: "1" }, images: { web: image } } }
    rollout: { stability: 0s }`;
writeFileSync(
  join(root, 'slipway.yaml'),
  `version: 1
name: locks
images: { web: { repository: ${repository} } }
environments:
  slow:
    namespace: ${mark}-slow
    deploy: { manifests: { paths: slow } }
    rollout: { stability: 0s }
  dev:
    ${helm('dev')}
  stage:
    ${helm('stage')}
`,
);
git(root, ['init', '-q', '-b', 'main']);
commit(root, 'first');
const other = join(work, 'two');
cpSync(root, other, { recursive: true });

interface Output {
  readonly code: number | null;
  readonly out: string;
}
function slipway(folder: string, ...args: readonly string[]): Promise<Output> {
  const child = spawn(process.execPath, [cli, '-C', folder, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes) => {
      out += bytes;
    });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out })));
}
const kubectl = (...args: readonly string[]): string =>
  spawnSync('kubectl', [...args], { env, encoding: 'utf8' }).stdout.trim();
const holder = (namespace: string, name: string): string =>
  kubectl('-n', `${mark}-${namespace}`, 'get', 'lease', name, '-o', 'jsonpath={.spec.holderIdentity}');
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let look = 0; look < 300; look += 1) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`never: ${what}`);
}
const newest = (folder: string): string => readdirSync(join(folder, '.slipway/runs')).sort().at(-1) ?? '';
const journal = (folder: string): string => join(folder, '.slipway/runs', newest(folder), 'events.jsonl');

kubectl('create', 'namespace', `${mark}-slow`);

test('two clones that deploy one environment at once: the second is refused by the Lease, with the holder', async () => {
  const first = slipway(root, 'run', '--env', 'slow', '--tag', '1.0.0');
  await until('the Lease is held', () => holder('slow', 'slipway-slow') !== '');
  const held = holder('slow', 'slipway-slow');
  const second = await slipway(other, 'run', '--env', 'slow', '--tag', '1.1.0');
  assert.equal(second.code, 3, second.out);
  assert.match(
    second.out,
    /slow is being deployed by run \S+ on \S+: it holds the Lease .*\/slipway-slow and renews it/,
  );
  assert.ok(second.out.includes(held.split('_')[0] ?? '?'), 'the run that holds it is named');
  const { code, out } = await first;
  assert.equal(code, 0, out);
  assert.equal(holder('slow', 'slipway-slow'), '', 'given back');
  const image = kubectl('-n', `${mark}-slow`, 'get', 'deploy', 'slow', '-o', 'jsonpath={..image}');
  assert.match(image, /:1\.0\.0/, 'the second one wrote nothing');
});

test('a Lease whose holder does not renew is taken over; one of a dead process of this machine at once', async () => {
  const { hostname } = await import('node:os');
  const take = (identity: string): void => {
    const now = new Date().toISOString().replace('Z', '000Z');
    const patch = { spec: { holderIdentity: identity, renewTime: now, leaseDurationSeconds: 15 } };
    kubectl('-n', `${mark}-slow`, 'patch', 'lease', 'slipway-slow', '--type=merge', '-p', JSON.stringify(patch));
  };
  take('20261121T000000Z-aaaaaa_elsewhere_17_bbbbbb');
  const started = Date.now();
  const foreign = await slipway(other, 'run', '--env', 'slow', '--tag', '1.0.0');
  assert.equal(foreign.code, 0, foreign.out);
  assert.ok(Date.now() - started >= 15_000, 'not before it had run out');
  take(`20261121T000000Z-aaaaaa_${hostname()}_${spawnSync('true').pid}_bbbbbb`);
  const own = await slipway(other, 'run', '--env', 'slow', '--tag', '1.0.0');
  assert.equal(own.code, 0, own.out);
  assert.doesNotMatch(own.out, /looking whether that still lives/);
});

test('a run that is killed while it deploys: another clone takes over at once, and resume does not take its version for ours', async () => {
  const child = spawn(process.execPath, [cli, '-C', root, 'run', '--env', 'slow', '--tag', '1.1.0'], { env });
  const gone = new Promise((resolve) => child.once('close', resolve));
  const renewed = () =>
    kubectl('-n', `${mark}-slow`, 'get', 'lease', 'slipway-slow', '-o', 'jsonpath={.spec.renewTime}');
  await until('it watches the new version, with the Lease', () => {
    return (
      holder('slow', 'slipway-slow').includes(`_${child.pid}_`) &&
      /"rollout\.progress"/.test(readFileSync(journal(root), 'utf8'))
    );
  });
  child.kill('SIGKILL');
  await gone;
  const left = renewed();
  assert.notEqual(holder('slow', 'slipway-slow'), '', 'nobody gave it back');
  const second = await slipway(other, 'run', '--env', 'slow', '--tag', '1.0.0');
  assert.equal(second.code, 0, second.out);
  assert.notEqual(renewed(), left);
  assert.equal(holder('slow', 'slipway-slow'), '', 'given back');
  const resumed = await slipway(root, 'resume');
  assert.equal(resumed.code, 1, resumed.out);
  assert.match(
    resumed.out,
    /Deployment slow runs \S+:1\.0\.0\S* now and not \S+:1\.1\.0\S*: somebody else has deployed/,
  );
  const image = kubectl('-n', `${mark}-slow`, 'get', 'deploy', 'slow', '-o', 'jsonpath={..image}');
  assert.match(image, /:1\.0\.0/, 'theirs is left alone');
});

test('runs for different environments go on side by side', async () => {
  const both = await Promise.all([
    slipway(root, 'run', '--env', 'dev', '--tag', '1.0.0'),
    slipway(root, 'run', '--env', 'stage', '--tag', '1.0.0'),
  ]);
  for (const { code, out } of both) assert.equal(code, 0, out);
  for (const namespace of ['dev', 'stage']) {
    const list = JSON.parse(
      spawnSync('helm', ['-n', `${mark}-${namespace}`, 'history', 'web', '-o', 'json'], { env, encoding: 'utf8' })
        .stdout,
    ) as unknown[];
    assert.equal(list.length, 1, namespace);
  }
});

test('a Helm deploy killed between the write and our note of it is not repeated by resume', async () => {
  const done = await slipway(root, 'run', '--env', 'dev', '--tag', '1.1.0');
  assert.equal(done.code, 0, done.out);
  // The journal as a kill at that moment leaves it: the intent is there, the outcome is not.
  const lines = readFileSync(journal(root), 'utf8').trim().split('\n');
  const at = lines.findIndex((text) => {
    const event = JSON.parse(text) as RunEvent;
    return event.type === 'step.intent' && event.effect === 'deploy';
  });
  writeFileSync(journal(root), `${lines.slice(0, at + 1).join('\n')}\n{"v":1,"torn`);
  const resumed = await slipway(root, 'resume');
  assert.equal(resumed.code, 0, resumed.out);
  const revisions = JSON.parse(
    spawnSync('helm', ['-n', `${mark}-dev`, 'history', 'web', '-o', 'json'], { env, encoding: 'utf8' }).stdout,
  ) as readonly { readonly revision: number }[];
  assert.deepEqual(
    revisions.map(({ revision }) => revision),
    [1, 2],
  );
  const events = readFileSync(journal(root), 'utf8');
  assert.match(events, /"type":"deploy.applied".*"revision":"2","previous":"1"/);
  assert.match(events, /"type":"rollout.verdict"/, 'what was there already was judged all the same');
});

test('history adds the runs up as one does by hand: deployments, failures, time to restore, causes', async () => {
  const missing = await slipway(root, 'run', '--env', 'dev', '--tag', '7.7.7');
  assert.equal(missing.code, 1, missing.out);
  const back = await slipway(root, 'rollback', '--env', 'dev');
  assert.equal(back.code, 0, back.out);
  const yaml = readFileSync(join(root, 'slipway.yaml'), 'utf8');
  writeFileSync(join(root, 'slipway.yaml'), yaml.replaceAll('replicas: "1" }', 'replicas: "1", env.EXIT: "3" }'));
  const crashing = await slipway(root, 'run', '--env', 'dev', '--tag', '1.1.0');
  assert.equal(crashing.code, 1, crashing.out);
  writeFileSync(join(root, 'slipway.yaml'), yaml);

  // By hand, from the journals alone: 1.0.0, 1.1.0 (taken back by hand), 7.7.7 (never written), 1.1.0 that crashes.
  const runs = readdirSync(join(root, '.slipway/runs'))
    .sort()
    .map((id) => readFileSync(join(root, '.slipway/runs', id, 'events.jsonl'), 'utf8'))
    .map((text) => text.split('\n').flatMap((line) => (/^\{.*\}$/.test(line) ? [JSON.parse(line) as RunEvent] : [])))
    .filter(([first]) => first?.type === 'run.started' && first.environment === 'dev');
  const timeOf = (events: readonly RunEvent[] | undefined, type: RunEvent['type'], step?: string): number =>
    Date.parse(
      events?.findLast((event) => event.type === type && (step === undefined || event.step === step))?.time ?? '',
    );
  const [, taken, , byHand, crashed] = runs;
  assert.equal(runs.length, 5);
  const restoring = [
    timeOf(byHand, 'run.finished') - timeOf(taken, 'step.started', 'deploy:dev'),
    crashed?.flatMap((event) => (event.type === 'rollback.finished' ? [event.sinceDeployMs ?? Number.NaN] : []))[0] ??
      Number.NaN,
  ];

  const { code, out } = await slipway(root, '--json', 'history', '--metrics', '--env', 'dev');
  assert.equal(code, 0, out);
  const metrics = JSON.parse(out);
  assert.equal(metrics.type, 'metrics');
  // The rollback by hand is a run as well, and a good one.
  assert.deepEqual([metrics.runs.total, metrics.runs.succeeded, metrics.runs.failed], [5, 3, 2], out);
  assert.equal(metrics.runs.successRate, 0.6);
  const [dev] = metrics.environments;
  assert.equal(dev.deployments, 3, 'what the look before the deploy refused was no deployment');
  assert.equal(dev.perDay, 3, 'the first day counts whole');
  assert.equal(dev.failed, 2, 'the one that was taken back by hand, and the one that crashed');
  assert.equal(dev.changeFailureRate, 0.667);
  assert.equal(dev.timeToRestore.restored, 2);
  assert.equal(dev.timeToRestore.open, 0);
  assert.equal(dev.timeToRestore.medianMs, Math.round(restoring.reduce((sum, ms) => sum + ms) / 2));
  const causes = dev.causes.map(
    ({ code, count }: { readonly code: string; readonly count: number }) => `${count} ${code}`,
  );
  assert.deepEqual(causes.sort(), ['1 crash', '1 taken back by hand']);
  const text = await slipway(root, 'history', '-m', '--env', 'dev');
  assert.match(text.out, /change failure rate {2}67 % \(2 of 3\)/);
});

await run('locks', async () => {
  const namespaces = ['slow', 'dev', 'stage'].map((name) => `${mark}-${name}`);
  spawnSync('kubectl', ['delete', 'namespace', ...namespaces, '--wait=false', '--ignore-not-found'], { env });
  rmSync(work, { recursive: true, force: true });
});
process.exit();
