// Versions of examples/shop that are bad once they run: each ends in the version that served before, and one that only starts
// badly is none of them.
import assert from 'node:assert/strict';
import { commit, edit } from '../lab/examples.ts';
import { openShop } from './support/shop.ts';
import { run, test } from './support/suite.ts';

const shop = openShop('bad-versions');
let goodImage = '';
const timings: string[] = [];

const command = (program: string) => (text: string) =>
  text.replace(/^CMD .*$/m, `CMD ${JSON.stringify(['sh', '-c', program])}`);
const serve = 'exec gunicorn --bind=0.0.0.0:8000 --threads=8 --worker-tmp-dir=/dev/shm shop.wsgi';

test('a good version serves', async () => {
  const { code, out } = shop.slipway('run', '--env', 'dev');
  assert.equal(code, 0, out);
  goodImage = shop.liveImage();
  assert.match(goodImage, /@sha256:/);
});

test('a crash loop ends in a rollback to the version that served before', async () => {
  edit(shop.folder, 'docker/api.Dockerfile', command('echo "cannot start: the cellar is flooded"; exit 3'));
  commit(shop.folder, 'A version that crashes');
  const { code, out } = shop.slipway('run', '--env', 'dev');
  assert.equal(code, 1, out);
  assert.match(out, /failed 3 times with exit code 3.*cannot start: the cellar is flooded/);
  assert.match(out, /Rollback: Back at revision \d+, which alone serves again/);
  assert.deepEqual([...new Set(shop.servingPods())], [goodImage]);
  timings.push(`crash loop: ${/serves again ([\d.]+ s)/.exec(out)?.[1]} after the deploy began`);
});

test('a failing smoke test ends in a rollback', async () => {
  edit(
    shop.folder,
    'docker/api.Dockerfile',
    command(
      `mkdir -p /tmp/x && cp -r /app/. /tmp/x && cd /tmp/x && sed -i 's/"count": len(primes)/"count": 0/' shop/views.py && ${serve}`,
    ),
  );
  commit(shop.folder, 'A version that counts wrong');
  const { code, out } = shop.slipway('run', '--env', 'dev');
  assert.equal(code, 1, out);
  assert.match(out, /✗ primes/);
  assert.match(out, /Rollback: Back at revision \d+/);
  assert.deepEqual([...new Set(shop.servingPods())], [goodImage]);
});

test('crash twice, then healthy, is a success', async () => {
  edit(
    shop.folder,
    'docker/api.Dockerfile',
    command(
      `n=$(cat /tmp/n 2>/dev/null || echo 0); echo $((n+1)) > /tmp/n; if [ $n -lt 2 ]; then echo "not yet"; exit 1; fi; ${serve}`,
    ),
  );
  edit(shop.folder, 'charts/shop/values-dev.yaml', (text) => `${text}api: { replicas: 1 }\n`);
  commit(shop.folder, 'A version that needs three starts');
  const { code, out } = shop.slipway('run', '--env', 'dev');
  assert.equal(code, 0, out);
  assert.doesNotMatch(out, /Rollback/);
});

await run('bad-versions', async () => {
  shop.remove();
  for (const line of timings) console.log(`     ${line}`);
});
process.exit();
