// The main job on the real parts of the lab: examples/shop from commit to verified rollout, and every way it can fail.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from '../../src/engine/images/index.ts';
import { Engine, type RunEvent, type RunView } from '../../src/engine/main.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { commit, edit, materialise } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
// The bundle that ships, not the sources: what a bundler breaks is seen here.
const top = join(import.meta.dirname, '../..');
spawnSync(process.execPath, ['esbuild.mjs'], { cwd: top, stdio: 'inherit' });
const cli = join(top, 'dist/cli.mjs');
const work = mkdtempSync(join(tmpdir(), 'slipway-main-'));
const namespace = 'main-job';
const prefix = `${lab.registry}/main-job-${process.pid}`;
const registry = new Registry(createSystem({ env }));

/** A copy of the shop with names of its own, so that nothing else on the lab is touched. */
const shop = materialise('shop', join(work, 'shop'));
edit(shop, 'slipway.yaml', (text) => text.replaceAll('localhost:5000/shop', prefix).replaceAll('shop-dev', namespace));
edit(shop, 'charts/shop/values.yaml', (text) => text.replaceAll('localhost:5000/shop', prefix));
commit(shop, 'Names of the test');

function slipway(...args: readonly string[]) {
  const result = spawnSync(process.execPath, [cli, '-C', shop, ...args], { encoding: 'utf8', env, maxBuffer: 1e8 });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

/** A run by the engine, with the events as they come: for faults that must happen at one moment. */
async function engineRun(
  onEvent: (event: RunEvent) => void = () => {},
): Promise<{ readonly view: RunView; readonly events: readonly RunEvent[] }> {
  const system = createSystem({ env });
  const events: RunEvent[] = [];
  try {
    const view = await new Engine({ system, root: shop }).run({
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

const kubectl = (...args: readonly string[]): string => {
  const result = spawnSync('kubectl', ['-n', namespace, ...args], { encoding: 'utf8', env });
  return result.stdout.trim();
};
const liveImages = (): string =>
  kubectl('get', 'deployment', 'shop-api', '-o', 'jsonpath={.spec.template.spec.containers[0].image}');
interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly deletionTimestamp?: string };
    readonly spec: { readonly containers: readonly { readonly image: string }[] };
  }[];
}
/** Images of the pods that are not on their way out. */
const servingPods = (): readonly string[] =>
  (JSON.parse(kubectl('get', 'pods', '-l', 'app=shop-api', '-o', 'json')) as Pods).items
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .map((pod) => pod.spec.containers[0]?.image ?? '');
const events = (id: string): readonly RunEvent[] =>
  readFileSync(join(shop, '.slipway/runs', id, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const newestRun = (): string => readdirSync(join(shop, '.slipway/runs')).sort().at(-1) ?? '';

let goodImage = '';
const timings: string[] = [];

test('a first run goes from commit to a verified rollout and a URL that answers', async () => {
  const { code, out } = slipway('run', '--env', 'dev');
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
  goodImage = liveImages();
  assert.match(goodImage, /@sha256:/);
  const all = events(newestRun());
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
  const { code, out } = slipway('--json', 'run', '--env', 'dev');
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
  assert.equal(liveImages(), goodImage);
});

test('a HIGH finding stops before the final tag exists', async () => {
  const before = liveImages();
  edit(shop, 'docker/api.Dockerfile', (text) =>
    text.replace(
      'COPY orders ./orders\n',
      'COPY orders ./orders\nCOPY orders/vulnerable /usr/lib/python3/dist-packages/PyYAML-5.3.dist-info\n',
    ),
  );
  const folder = join(shop, 'orders/vulnerable');
  spawnSync('mkdir', ['-p', folder]);
  spawnSync('sh', ['-c', 'printf "Metadata-Version: 2.1\\nName: PyYAML\\nVersion: 5.3\\n" > METADATA'], {
    cwd: folder,
  });
  const head = commit(shop, 'An old PyYAML');
  const { code, out } = slipway('run', '--env', 'dev');
  assert.equal(code, 1, out);
  assert.match(out, /CRITICAL CVE-2020-\d+ PyYAML 5\.3, fixed in 5\./i);
  assert.match(out, /Fix: Update PyYAML to/);
  assert.equal(
    await registry.digestOf(`${prefix}/api:main-${head.slice(0, 7)}`),
    undefined,
    'the tag was not published',
  );
  assert.equal(liveImages(), before, 'nothing was deployed');
  edit(shop, 'docker/api.Dockerfile', (text) => text.replace(/COPY orders\/vulnerable.*\n/, ''));
  rmSync(folder, { recursive: true });
  commit(shop, 'Without it');
});

test('a misspelt tag is caught before the deploy, with the nearest tags', async () => {
  const { code, out } = slipway('run', '--env', 'dev', '--tag', 'main-0000000');
  assert.equal(code, 1, out);
  assert.match(out, /main-0000000 is not in the registry/);
  assert.match(out, /Nearest tags: main-/);
  assert.doesNotMatch(out, /slipway-staging/);
  assert.equal(liveImages(), goodImage, 'nothing was deployed');
});

test('a tag deleted after the check is named at once and undone within 10 s', async () => {
  // A commit of its own, so that the node does not have the image yet.
  edit(shop, 'orders/queue.py', (text) => `${text}\n# changed for the test\n`);
  commit(shop, 'A new image');
  let digest = '';
  let removed: Promise<unknown> = Promise.resolve();
  const { view, events: all } = await engineRun((event) => {
    if (event.type === 'image.published' && event.image === 'api') digest = event.digest;
    if (event.type === 'step.finished' && event.step === 'check:dev') {
      removed = registry.remove(lab.registry, `${prefix.split('/')[1]}/api`, digest);
    }
  });
  assert.equal(await removed, true);
  assert.equal(view.state, 'failed');
  assert.equal(view.failure?.code, 'image.missing', JSON.stringify(view.failure));
  assert.equal(view.rolledBack, true);
  const finished = all.find((event) => event.type === 'rollback.finished');
  assert.ok(finished?.type === 'rollback.finished' && finished.outcome === 'restored');
  assert.deepEqual([...new Set(servingPods())], [goodImage], 'the old version alone serves');
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

const command = (program: string) => (text: string) =>
  text.replace(/^CMD .*$/m, `CMD ${JSON.stringify(['sh', '-c', program])}`);
const serve = 'exec gunicorn --bind=0.0.0.0:8000 --threads=8 --worker-tmp-dir=/dev/shm shop.wsgi';

test('a crash loop ends in a rollback to the version that served before', async () => {
  edit(shop, 'docker/api.Dockerfile', command('echo "cannot start: the cellar is flooded"; exit 3'));
  commit(shop, 'A version that crashes');
  const { code, out } = slipway('run', '--env', 'dev');
  assert.equal(code, 1, out);
  assert.match(out, /failed 3 times with exit code 3.*cannot start: the cellar is flooded/);
  assert.match(out, /Rollback: Back at revision \d+, which alone serves again/);
  assert.deepEqual([...new Set(servingPods())], [goodImage]);
  timings.push(`crash loop: ${/serves again ([\d.]+ s)/.exec(out)?.[1]} after the deploy began`);
});

test('a failing smoke test ends in a rollback', async () => {
  edit(
    shop,
    'docker/api.Dockerfile',
    command(
      `mkdir -p /tmp/x && cp -r /app/. /tmp/x && cd /tmp/x && sed -i 's/"count": len(primes)/"count": 0/' shop/views.py && ${serve}`,
    ),
  );
  commit(shop, 'A version that counts wrong');
  const { code, out } = slipway('run', '--env', 'dev');
  assert.equal(code, 1, out);
  assert.match(out, /✗ primes/);
  assert.match(out, /Rollback: Back at revision \d+/);
  assert.deepEqual([...new Set(servingPods())], [goodImage]);
});

test('crash twice, then healthy, is a success', async () => {
  edit(
    shop,
    'docker/api.Dockerfile',
    command(
      `n=$(cat /tmp/n 2>/dev/null || echo 0); echo $((n+1)) > /tmp/n; if [ $n -lt 2 ]; then echo "not yet"; exit 1; fi; ${serve}`,
    ),
  );
  edit(shop, 'charts/shop/values-dev.yaml', (text) => `${text}api: { replicas: 1 }\n`);
  commit(shop, 'A version that needs three starts');
  const { code, out } = slipway('run', '--env', 'dev');
  assert.equal(code, 0, out);
  assert.doesNotMatch(out, /Rollback/);
});

/** Every process that has to do with this run, by the folder in its arguments or environment. */
function processesOfWork(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return text.includes(work) || text.includes(prefix) ? [`${pid} ${text}`] : [];
      } catch {
        // It ended while we looked.
        return [];
      }
    });
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once('close', (code) => resolve(code)));

test('20 cancelled runs leave no process, no container and an honest journal', async () => {
  const containers = () =>
    spawnSync('docker', ['ps', '-aq', '--filter', 'label=dev.slipway.run'], { encoding: 'utf8', env }).stdout.trim();
  for (let round = 0; round < 20; round += 1) {
    edit(shop, 'orders/work.py', (text) => `${text}# ${round}\n`);
    const child = spawn(process.execPath, [cli, '-C', shop, 'run', '--until', 'publish'], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let seen = '';
    let isStopped = false;
    const at = ['Build api: started', 'Build worker: done', 'Scan api', 'Test app: started'][round % 4] ?? '';
    child.stdout.on('data', (bytes) => {
      seen += bytes;
      if (!isStopped && seen.includes(at)) {
        isStopped = true;
        child.kill(round % 2 === 0 ? 'SIGINT' : 'SIGTERM');
      }
    });
    const code = await ended(child);
    assert.equal(code, 130, `round ${round} (${at}): ${seen}`);
    const last = events(newestRun()).at(-1);
    assert.ok(last?.type === 'run.finished' && last.outcome === 'cancelled', JSON.stringify(last));
  }
  assert.deepEqual(processesOfWork(), []);
  assert.equal(containers(), '');
});

await run('main-job', async () => {
  spawnSync('kubectl', ['delete', 'namespace', namespace, '--wait=false'], { env });
  rmSync(work, { recursive: true, force: true });
  for (const line of timings) console.log(`     ${line}`);
});
process.exit();
