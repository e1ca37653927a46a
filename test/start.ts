// `npm start`: the main job on real parts. Brings the lab up (installing what is missing), takes examples/shop from commit
// to a verified rollout with the built CLI, and leaves it running at the URL it prints.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { materialise } from './lab/examples.ts';
import { ensureLab } from './lab/lab.ts';

const root = join(import.meta.dirname, '..');
const started = Date.now();
const seconds = (): string => `${((Date.now() - started) / 1000).toFixed(0)} s`;

console.log(
  '1. Real parts: Docker, registry, Kubernetes, Helm, Trivy (the first time they are built: about 20 minutes)',
);
const lab = await ensureLab(['core'], (line) => console.log(`   ${line}`));

console.log(`2. Slipway itself (${seconds()})`);
const built = spawnSync(process.execPath, ['esbuild.mjs'], { cwd: root, stdio: 'inherit' });
if (built.status !== 0) process.exit(built.status ?? 1);

const folder = join(tmpdir(), 'slipway-shop');
if (!existsSync(join(folder, '.git'))) {
  rmSync(folder, { recursive: true, force: true });
  materialise('shop', folder);
}
console.log(`3. slipway run --env dev in ${folder} (${seconds()})`);
const env = { ...process.env, ...lab.env };
const run = spawnSync(process.execPath, [join(root, 'dist', 'cli.mjs'), '-C', folder, 'run', '--env', 'dev'], {
  stdio: ['ignore', 'inherit', 'inherit'],
  env,
});
if (run.status !== 0) process.exit(run.status ?? 1);

const port = spawnSync(
  'kubectl',
  ['-n', 'shop-dev', 'get', 'service', 'shop-api', '-o', 'jsonpath={.spec.ports[0].nodePort}'],
  {
    encoding: 'utf8',
    env,
  },
).stdout.trim();
const url = `http://${lab.nodeAddress}:${port}`;
const answer = await fetch(`${url}/compute/prime?n=100`, { signal: AbortSignal.timeout(10_000) });
const body = await answer.text();
if (answer.status !== 200) {
  console.error(`${url}/compute/prime?n=100 answers ${answer.status}: ${body}`);
  process.exit(1);
}
console.log(`\n${url}/compute/prime?n=100 answers ${body} (${seconds()} in all)`);
console.log('Change something in the folder above and run it again; stop everything with: npm run lab -- down');
process.exit(0);
