// The API server itself goes away under a rollout, twice: never a false failure, and what is broken is still named. Whoever
// else works with the cluster would lose it as well.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystem, Engine, type LogLine } from '../../src/engine/main.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import { realClock } from '../../src/engine/system/clock.ts';
import { disruptive, restartPart } from '../lab/lab.ts';
import { makeNamespace } from '../rollout/run.ts';
import { pushActor } from './support/actor.ts';
import { deploy, direct, expectVerdict, lab, removeDeployed, signal, watch } from './support/corpusCase.ts';
import { actorPort, deployment } from './support/deployment.ts';
import { run, test } from './support/suite.ts';

test('the API server itself is restarted twice: a slow version is ready, a broken one is named', async () => {
  const [slow, broken] = [
    await deploy('slow-start', 'restart', 'objects', { READY_AFTER: '25s' }),
    await deploy('crash-loop', 'restart-crash'),
  ];
  const watching = [watch(direct, slow, { stabilityMs: 2000 }), watch(direct, broken)] as const;
  await realClock.sleep(2000);
  await disruptive('rollout faults', async () => {
    await restartPart('kube-apiserver');
    await realClock.sleep(3000);
    await restartPart('kube-apiserver');
  });
  const [ready, failed] = await Promise.all(watching);
  expectVerdict(ready.result, 'ready');
  expectVerdict(failed.result, 'failed', 'crash');
});

/** Waits without a limit of its own: the suite's caller has one. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await realClock.sleep(50);
}

const statusOf = (url: string): Promise<number> =>
  new Promise((resolve, reject) => {
    get(url, { agent: false }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
    }).on('error', reject);
  });

const namespace = 'cluster-faults-everyday';
const root = mkdtempSync(join(tmpdir(), 'slipway-api-server-'));

test('everyday work goes on: a followed log, a port-forward, and exec as soon as there is a server again', async () => {
  const env = { ...process.env, ...lab.env };
  const repository = `${lab.registry}/deploy/app`;
  await pushActor(env, repository, '1.0.0');
  await makeNamespace(direct, namespace, {}, signal);
  const talker = ["command: [sh, -c, 'n=0; while :; do n=$((n+1)); echo line $n; sleep 0.2; done']"];
  mkdirSync(join(root, 'k8s'));
  writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\n');
  writeFileSync(
    join(root, 'k8s', 'app.yaml'),
    `${deployment({ name: 'web', image: `${repository}:1.0.0`, container: actorPort })}---
${deployment({ name: 'talker', image: `${lab.registry}/base/debian:12`, container: talker })}`,
  );
  const config = `version: 1
tags: [one]
environments: { dev: { namespace: ${namespace}, deploy: { manifests: { paths: k8s, images: [] } } } }
`;
  writeFileSync(join(root, 'slipway.yaml'), config);
  const system = createSystem({ env });
  const engine = new Engine({ system, root });
  const deployed = await engine.run({ environment: 'dev', only: ['deploy'], startedBy: 'test', signal });
  assert.equal(deployed.state, 'succeeded', JSON.stringify(deployed.failure));
  const operations = await engine.operations();
  const dev = { environment: 'dev' };
  const stop = new AbortController();
  const lines: LogLine[] = [];
  const following = operations.followLogs(
    dev,
    { workload: 'talker' },
    { signal: stop.signal, onLine: (line) => lines.push(line) },
  );
  const forward = await operations.forward(dev, { to: 'web' }, { signal: stop.signal });
  assert.equal(await statusOf(`${forward.url}/ready`), 200);
  await until(() => lines.length > 3);
  const cut = operations.exec(dev, { workload: 'talker', command: ['sleep', '600'] }, signal).then(
    () => assert.fail('a command whose connection was cut has no result'),
    (error: unknown) => error,
  );
  // The command runs there once it is in the list of processes.
  const list = { workload: 'talker', command: ['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\000" " "'] };
  while (!(await operations.exec(dev, list, signal)).stdout.includes('sleep 600')) await realClock.sleep(100);
  const before = lines.length;
  await disruptive('everyday work', () => restartPart('kube-apiserver'));
  const error = await cut;
  assert.ok(SlipwayError.is(error) && error.reason === 'cluster', String(error));
  // Through the same forward, made anew by itself.
  assert.equal(await statusOf(`${forward.url}/ready`), 200);
  const said = await operations.exec(dev, { workload: 'talker', command: ['echo', 'here again'] }, signal);
  assert.equal(said.stdout.trim(), 'here again');
  await until(() => lines.length > before + 20);
  stop.abort();
  await following;
  const numbers = lines.map(({ text }) => Number(/^line (\d+)$/.exec(text)?.[1]));
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => (numbers[0] ?? 0) + index),
    'no line is lost or told twice',
  );
  await system.processes.dispose();
});

await run('API server', async () => {
  await direct.remove({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, { signal });
  await removeDeployed();
  rmSync(root, { recursive: true, force: true });
});
process.exit();
