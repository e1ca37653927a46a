// Kills a run with SIGKILL at a random moment, again and again, and resumes it: nothing may be lost, deployed twice or left
// locked. Each round is a new commit, so there is always something to publish and to deploy.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from '../../src/engine/images/index.ts';
import type { RunEvent } from '../../src/engine/main.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { bundledCli } from '../bundle.ts';
import { commit, git } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from '../pipeline/support/actor.ts';

const at = process.argv.indexOf('--count');
const count = at === -1 ? 100 : Number(process.argv[at + 1]);
const seedAt = process.argv.indexOf('--seed');
let seed = seedAt === -1 ? Date.now() % 2 ** 31 : Number(process.argv[seedAt + 1]);
/** A small generator of our own, so that a bad round can be played again with --seed. */
const random = (): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return seed / 2 ** 31;
};

const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
const cli = bundledCli();
const folder = mkdtempSync(join(tmpdir(), 'slipway-kill-'));
const namespace = `faults-kill-${process.pid}`;
const repository = `${lab.registry}/faults-kill-${process.pid}/app`;
const registry = new Registry(createSystem({ env }));
const base = `${lab.registry}/faults/actor`;
await pushActor(env, base, '1.0.0');

mkdirSync(join(folder, 'deploy'));
writeFileSync(join(folder, 'Dockerfile'), `FROM ${base}:1.0.0\nCOPY round /round\n`);
writeFileSync(
  join(folder, 'slipway.yaml'),
  `version: 1
name: kill
images: { app: { repository: ${repository}, platforms: [linux/amd64] } }
scan: { severity: [CRITICAL] }
environments:
  dev:
    namespace: ${namespace}
    deploy: { manifests: { paths: deploy } }
    rollout: { stability: 0s }
`,
);
writeFileSync(
  join(folder, 'deploy/app.yaml'),
  `apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: app, image: ${repository} }]
`,
);
writeFileSync(join(folder, '.gitignore'), '.slipway/\n');
git(folder, ['init', '-q', '-b', 'main']);

const runs = join(folder, '.slipway/runs');
const newest = (): string | undefined => (existsSync(runs) ? readdirSync(runs).sort().at(-1) : undefined);
const eventsOf = (run: string): readonly RunEvent[] =>
  readFileSync(join(runs, run, 'events.jsonl'), 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return line === '' ? [] : [JSON.parse(line) as RunEvent];
      } catch {
        // The line that the kill cut off.
        return [];
      }
    });
const kubectl = (...args: readonly string[]): string =>
  spawnSync('kubectl', ['-n', namespace, ...args], { encoding: 'utf8', env }).stdout.trim();
const revision = (): number =>
  Number(
    kubectl(
      'get',
      'deployment',
      'app',
      '-o',
      'jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}',
    ) || 0,
  );

/** Runs the CLI and kills it after `ms`; true when it was still running then. */
function runAndKill(args: readonly string[], ms: number): Promise<boolean> {
  const child = spawn(process.execPath, [cli, '-C', folder, ...args], { env, stdio: 'ignore' });
  return new Promise((resolve) => {
    let isKilled = false;
    const timer = setTimeout(() => {
      isKilled = true;
      child.kill('SIGKILL');
    }, ms);
    child.once('close', () => {
      clearTimeout(timer);
      resolve(isKilled);
    });
  });
}

function slipway(...args: readonly string[]) {
  const result = spawnSync(process.execPath, [cli, '-C', folder, ...args], { encoding: 'utf8', env });
  return { code: result.status, out: `${result.stdout}${result.stderr}` };
}

const lost: string[] = [];
const twice: string[] = [];
const stuck: string[] = [];
const moments = new Map<string, number>();
let kills = 0;
let longest = 0;
let rounds = 0;

// How long a whole run takes here, so that the kills fall all over it.
writeFileSync(join(folder, 'round'), 'warm-up\n');
commit(folder, 'warm-up');
const warmUp = Date.now();
const first = slipway('run', '--env', 'dev');
assert.equal(first.code, 0, first.out);
longest = Date.now() - warmUp;
console.log(`a run takes ${(longest / 1000).toFixed(1)} s; seed ${seed}`);

while (kills < count) {
  rounds += 1;
  const before = revision();
  writeFileSync(join(folder, 'round'), `${rounds}\n`);
  const head = commit(folder, `round ${rounds}`);
  const previous = newest();
  const wasKilled = await runAndKill(['run', '--env', 'dev'], 50 + random() * longest);
  if (wasKilled) kills += 1;
  let run = newest();
  // Killed before it had begun: there is nothing to resume, the person starts it again.
  if (run === previous) {
    const { code, out } = slipway('run', '--env', 'dev');
    moments.set('before it began', (moments.get('before it began') ?? 0) + 1);
    if (/is in use by run/.test(out)) stuck.push(`round ${rounds}: ${out}`);
    else if (code !== 0) lost.push(`round ${rounds}: ${out}`);
    run = newest();
  } else if (wasKilled && run !== undefined) {
    const last = eventsOf(run).findLast((event) => event.step !== undefined);
    const where = last === undefined ? 'at the start' : `${last.step?.split(':')[0]} ${last.type.split('.')[1]}`;
    moments.set(where, (moments.get(where) ?? 0) + 1);
    // Resuming may be killed as well.
    if (random() < 0.3 && kills < count && (await runAndKill(['resume'], 50 + random() * longest))) kills += 1;
    const { code, out } = slipway('resume');
    if (/is in use by run|still goes on/.test(out)) stuck.push(`round ${rounds}: ${out}`);
    else if (code !== 0 && !/has succeeded; nothing is left/.test(out)) lost.push(`round ${rounds} (${where}): ${out}`);
  }
  const tag = `main-${head.slice(0, 7)}`;
  const digest = await registry.digestOf(`${repository}:${tag}`);
  const live = kubectl('get', 'deployment', 'app', '-o', 'jsonpath={.spec.template.spec.containers[0].image}');
  if (digest === undefined || live !== `${repository}:${tag}@${digest}`)
    lost.push(`round ${rounds}: live is ${live}, published is ${digest}`);
  const deploys = revision() - before;
  if (deploys > 1) twice.push(`round ${rounds}: ${deploys} revisions`);
  const end = run === undefined ? undefined : eventsOf(run).at(-1);
  if (end?.type !== 'run.finished' || end.outcome !== 'succeeded')
    lost.push(`round ${rounds}: the journal ends with ${end?.type}`);
  const locks = join(folder, '.slipway/locks');
  if (existsSync(locks) && readdirSync(locks).length > 0)
    stuck.push(`round ${rounds}: ${readdirSync(locks).join(', ')}`);
}

spawnSync('kubectl', ['delete', 'namespace', namespace, '--wait=false'], { env });
rmSync(folder, { recursive: true, force: true });
for (const [where, times] of [...moments].sort((a, b) => b[1] - a[1]))
  console.log(`  ${String(times).padStart(3)} × ${where}`);
for (const problem of [...lost, ...twice, ...stuck]) console.log(problem);
console.log(
  `${kills} kills in ${rounds} rounds: ${lost.length} lost, ${twice.length} deployed twice, ${stuck.length} stuck locks`,
);
const bad = lost.length + twice.length + stuck.length;
console.log(`kill: ${rounds - Math.min(rounds, bad)} passed, ${bad} failed`);
process.exit(bad === 0 ? 0 : 1);
