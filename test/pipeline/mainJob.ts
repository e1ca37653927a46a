// The main job on the real parts of the lab: examples/shop from commit to verified rollout, and what stops it in time.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from '../../src/engine/images/index.ts';
import { Engine, type RunEvent, type RunView } from '../../src/engine/main.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { commit, edit } from '../lab/examples.ts';
import { openShop } from './support/shop.ts';
import { run, test } from './support/suite.ts';

const shop = openShop('main-job');
const registry = new Registry(createSystem({ env: shop.env }));

/** A run by the engine, with the events as they come: for faults that must happen at one moment. */
async function engineRun(
  onEvent: (event: RunEvent) => void = () => {},
): Promise<{ readonly view: RunView; readonly events: readonly RunEvent[] }> {
  const system = createSystem({ env: shop.env });
  const events: RunEvent[] = [];
  try {
    const view = await new Engine({ system, root: shop.folder }).run({
      environment: 'dev',
      startedBy: 'test',
      signal: new AbortController().signal,
      onEvent: (event) => {
        events.push(event);
        onEvent(event);
      },
    });
    return { view, events };
  } finally {
    await system.processes.dispose();
  }
}

let goodImage = '';
const timings: string[] = [];

test('a first run goes from commit to a verified rollout and a URL that answers', async () => {
  const { code, out } = shop.slipway('run', '--env', 'dev');
  assert.equal(code, 0, out);
  const url = /service shop-api \(http\): (http:\S+)/.exec(out)?.[1];
  assert.ok(url, out);
  const answer = await fetch(`${url}/compute/prime?n=100`);
  assert.deepEqual(await answer.json(), { n: 100, count: 25, largest: 97 });
  const order = await fetch(`${url}/orders`, {
    method: 'POST',
    body: '{"item":"tea"}',
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(order.status, 201);
  goodImage = shop.liveImage();
  assert.match(goodImage, /@sha256:/);
  const all = shop.events(shop.newestRun());
  assert.deepEqual(
    all.map((event) => event.seq),
    all.map((_event, index) => index + 1),
  );
  const tested = all.find((event) => event.type === 'step.finished' && event.step === 'test:app');
  assert.ok(
    tested?.type === 'step.finished' && Number(tested.outputs?.passed) >= 9,
    "the app's own tests ran with their services",
  );
  for (const platform of ['linux/amd64', 'linux/arm64']) {
    assert.ok(
      all.some((event) => event.type === 'scan.result' && event.platform === platform && event.outcome === 'clean'),
      `${platform} was scanned`,
    );
  }
});

test('a second run skips what is unchanged and says why; --json gives the same events', async () => {
  const { code, out } = shop.slipway('--json', 'run', '--env', 'dev');
  assert.equal(code, 0);
  const all = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent);
  const finished = all.filter((event) => event.type === 'step.finished');
  for (const kind of ['build', 'test', 'scan', 'publish']) {
    const steps = finished.filter((event) => event.step?.startsWith(`${kind}:`));
    assert.ok(
      steps.length > 0 &&
        steps.every(
          (event) =>
            event.type === 'step.finished' &&
            event.outcome === 'skipped' &&
            event.message?.startsWith('unchanged since'),
        ),
      kind,
    );
  }
  assert.equal(shop.liveImage(), goodImage);
});

test('a HIGH finding stops before the final tag exists', async () => {
  const before = shop.liveImage();
  edit(shop.folder, 'docker/api.Dockerfile', (text) =>
    text.replace(
      'COPY orders ./orders\n',
      'COPY orders ./orders\nCOPY orders/vulnerable /usr/lib/python3/dist-packages/PyYAML-5.3.dist-info\n',
    ),
  );
  const folder = join(shop.folder, 'orders/vulnerable');
  spawnSync('mkdir', ['-p', folder]);
  spawnSync('sh', ['-c', 'printf "Metadata-Version: 2.1\\nName: PyYAML\\nVersion: 5.3\\n" > METADATA'], {
    cwd: folder,
  });
  const head = commit(shop.folder, 'An old PyYAML');
  const { code, out } = shop.slipway('run', '--env', 'dev');
  assert.equal(code, 1, out);
  assert.match(out, /CRITICAL CVE-2020-\d+ PyYAML 5\.3, fixed in 5\./i);
  assert.match(out, /Fix: Update PyYAML to/);
  assert.equal(
    await registry.digestOf(`${shop.prefix}/api:main-${head.slice(0, 7)}`),
    undefined,
    'the tag was not published',
  );
  assert.equal(shop.liveImage(), before, 'nothing was deployed');
  edit(shop.folder, 'docker/api.Dockerfile', (text) => text.replace(/COPY orders\/vulnerable.*\n/, ''));
  rmSync(folder, { recursive: true });
  commit(shop.folder, 'Without it');
});

test('a misspelt tag is caught before the deploy, with the nearest tags', async () => {
  const { code, out } = shop.slipway('run', '--env', 'dev', '--tag', 'main-0000000');
  assert.equal(code, 1, out);
  assert.match(out, /main-0000000 is not in the registry/);
  assert.match(out, /Nearest tags: main-/);
  assert.doesNotMatch(out, /slipway-staging/);
  assert.equal(shop.liveImage(), goodImage, 'nothing was deployed');
});

test('a tag deleted after the check is named at once and undone within 10 s', async () => {
  // A commit of its own, so that the node does not have the image yet.
  edit(shop.folder, 'orders/queue.py', (text) => `${text}\n# changed for the test\n`);
  commit(shop.folder, 'A new image');
  let digest = '';
  let removed: Promise<unknown> = Promise.resolve();
  const { view, events: all } = await engineRun((event) => {
    if (event.type === 'image.published' && event.image === 'api') digest = event.digest;
    if (event.type === 'step.finished' && event.step === 'check:dev') {
      removed = registry.remove(shop.registryHost, `${shop.prefix.split('/')[1]}/api`, digest);
    }
  });
  assert.equal(await removed, true);
  assert.equal(view.state, 'failed');
  assert.equal(view.failure?.code, 'image.missing', JSON.stringify(view.failure));
  assert.equal(view.rolledBack, true);
  const finished = all.find((event) => event.type === 'rollback.finished');
  assert.ok(finished?.type === 'rollback.finished' && finished.outcome === 'restored');
  assert.deepEqual([...new Set(shop.servingPods())], [goodImage], 'the old version alone serves');
  const verdict = all.find((event) => event.type === 'rollout.verdict');
  assert.ok(verdict?.type === 'rollout.verdict');
  const cause = verdict.causes[0];
  const named = Date.parse(cause?.namedAt ?? '') - Date.parse(cause?.firstSeen ?? '');
  timings.push(
    `tag deleted: named ${named} ms after it was first seen, old version alone back ${((finished.sinceDeployMs ?? 0) / 1000).toFixed(1)} s after the deploy began`,
  );
  assert.ok(named <= 1_000, `named after ${named} ms`);
  assert.ok((finished.sinceDeployMs ?? Number.POSITIVE_INFINITY) <= 10_000, `back after ${finished.sinceDeployMs} ms`);
});

await run('main-job', async () => {
  shop.remove();
  for (const line of timings) console.log(`     ${line}`);
});
process.exit();
