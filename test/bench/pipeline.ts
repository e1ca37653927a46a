// A pipeline against the shell script it replaces, and a run in which nothing changed.
//
//   npm run bench -- pipeline [--rounds 5]
//
// 1. Two images of examples/shop for two platforms, from an edited source to tags in the registry behind a Trivy gate:
//    `slipway run` against the same commands one after the other (buildx build --push, trivy per platform, imagetools
//    create for the final tag). Each round edits the source anew, so that nothing is cached but the base.
// 2. The same with the app's own tests in the built image, beside Postgres and Redis.
// 3. `slipway run` of 20 images when nothing changed.
// Whole processes are timed, their start included. Rounds alternate, so that a busy machine is busy for both; where
// other work shares the cores, the least disturbed round of each is shown as well.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { commit, edit, git, materialise } from '../lab/examples.ts';
import { labEnv } from '../lab/lab.ts';
import { pushActor } from '../pipeline/support/actor.ts';

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: { rounds: { type: 'string', default: '5' }, profile: { type: 'boolean', default: false } },
});
const rounds = Number(values.rounds);
const lab = await labEnv();
const env = { ...process.env, ...lab.env };
const work = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
/** The program people install: one bundle. */
const bundle = join(import.meta.dirname, '../../dist/cli.mjs');
const built = spawnSync(process.execPath, ['esbuild.mjs', '--production'], {
  cwd: join(import.meta.dirname, '../..'),
  encoding: 'utf8',
});
if (built.status !== 0) throw new Error(built.stderr);

function timed(file: string, args: readonly string[], cwd: string): number {
  const started = performance.now();
  const result = spawnSync(file, [...args], { cwd, env, encoding: 'utf8', maxBuffer: 1e8 });
  const seconds = (performance.now() - started) / 1000;
  if (result.status !== 0) throw new Error(`${file} ${args.join(' ')}:\n${result.stdout}${result.stderr}`);
  return seconds;
}

const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
const show = (list: readonly number[]): string =>
  `${median(list).toFixed(2)} s (${list.map((value) => value.toFixed(2)).join(', ')})`;

const prefix = `${lab.registry}/bench-pipeline-${process.pid}`;

const tests = `docker network create bench-$$ >/dev/null
trap 'docker rm -fv bench-pg-$$ bench-redis-$$ >/dev/null 2>&1; docker network rm bench-$$ >/dev/null' EXIT
docker run -d --name bench-pg-$$ --network bench-$$ --network-alias postgres -e POSTGRES_DB=shop -e POSTGRES_USER=shop -e POSTGRES_PASSWORD=test-only ${lab.registry}/base/postgres:15 >/dev/null
docker run -d --name bench-redis-$$ --network bench-$$ --network-alias redis ${lab.registry}/base/redis:7 >/dev/null
until docker exec bench-pg-$$ pg_isready -q -h 127.0.0.1 -U shop; do sleep 0.2; done
docker pull -q --platform linux/amd64 ${prefix}/api:unscanned >/dev/null
docker run --rm --network bench-$$ -v "$PWD:/workspace" -w /workspace -u "$(id -u):$(id -g)" -e HOME=/tmp -e POSTGRES_HOST=postgres -e POSTGRES_PORT=5432 -e REDIS_HOST=redis -e REDIS_PORT=6379 -e POSTGRES_DB=shop -e POSTGRES_USER=shop -e POSTGRES_PASSWORD=test-only -e JUNIT_FILE=reports/junit.xml ${prefix}/api:unscanned python3 manage.py test >/dev/null 2>&1
`;

/** The commands as people write them into a script today. */
const script = (middle: string): string => `#!/bin/sh
set -eu
tag="script-$(git rev-parse --short HEAD)"
for image in api worker; do
  docker buildx build -q --provenance=false --platform linux/amd64,linux/arm64 -f docker/$image.Dockerfile -t ${prefix}/$image:unscanned --push .
done
${middle}for image in api worker; do
  for platform in linux/amd64 linux/arm64; do
    trivy image --quiet --exit-code 10 --severity HIGH,CRITICAL --ignore-unfixed --scanners vuln --image-src remote --platform $platform --insecure ${prefix}/$image:unscanned
  done
done
for image in api worker; do
  docker buildx imagetools create -t ${prefix}/$image:$tag ${prefix}/$image:unscanned
done
`;

/** The median of slipway over that of the script; a copy of the shop with or without its tests. */
function compare(name: string, title: string, hasTests: boolean): number {
  const shop = materialise('shop', join(work, name));
  edit(shop, 'slipway.yaml', (text) => {
    const own = text.replaceAll('localhost:5000/shop', prefix);
    return hasTests ? own : own.replace(/^test:[\s\S]*?(?=^scan:)/m, '');
  });
  const file = join(work, `${name}.sh`);
  writeFileSync(file, script(hasTests ? tests : ''));
  const round = (message: string): void => {
    edit(shop, 'orders/work.py', (text) => `${text}# ${message}\n`);
    commit(shop, message);
  };
  const slipway = () => timed(process.execPath, [bundle, 'run', '--until', 'publish'], shop);
  round('warm-up of the script');
  timed('sh', [file], shop);
  for (const index of [1, 2]) {
    round(`warm-up ${index} of slipway`);
    slipway();
  }
  const byScript: number[] = [];
  const bySlipway: number[] = [];
  for (let index = 0; index < rounds; index += 1) {
    round(`script ${index}`);
    byScript.push(timed('sh', [file], shop));
    round(`slipway ${index}`);
    bySlipway.push(slipway());
  }
  const ratio = median(bySlipway) / median(byScript);
  const least = Math.min(...bySlipway) / Math.min(...byScript);
  console.log(`${title}, ${rounds} rounds:`);
  console.log(`  shell script  ${show(byScript)}`);
  console.log(`  slipway run   ${show(bySlipway)}`);
  console.log(
    `  ratio         ${ratio.toFixed(2)} of the medians, ${least.toFixed(2)} of the least disturbed rounds (goal: 0.80)`,
  );
  if (values.profile) profile(shop);
  return ratio;
}

function profile(shop: string): void {
  const runs = join(shop, '.slipway/runs');
  const last = readdirSync(runs).sort().at(-1) ?? '';
  for (const line of readFileSync(join(runs, last, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')) {
    const event = JSON.parse(line) as { time: string; type: string; step?: string; durationMs?: number };
    if (/^(step\.(started|finished)|run\.)/.test(event.type))
      console.log(`  ${event.time.slice(14)} ${event.type} ${event.step ?? ''} ${event.durationMs ?? ''}`);
  }
}

const plain = compare('plain', 'two images, two platforms, scanned and published', false);
const whole = compare('whole', 'the same with the tests of the app in between', true);

const many = join(work, 'many');
mkdirSync(many);
const base = `${lab.registry}/bench/actor`;
await pushActor(env, base, '1.0.0');
const names = Array.from({ length: 20 }, (_, index) => `app${index + 1}`);
writeFileSync(
  join(many, 'slipway.yaml'),
  `version: 1\nimages:\n${names.map((name) => `  ${name}: { context: ${name}, repository: ${prefix}/${name} }`).join('\n')}\n`,
);
for (const name of names) {
  mkdirSync(join(many, name));
  writeFileSync(join(many, name, 'Dockerfile'), `FROM ${base}:1.0.0\nCOPY . /app\n`);
  cpSync(join(work, 'plain', 'orders'), join(many, name, 'orders'), { recursive: true });
}
writeFileSync(join(many, '.gitignore'), '.slipway/\n');
git(many, ['init', '-q', '-b', 'main']);
commit(many, 'Twenty images');
timed(process.execPath, [bundle, 'run'], many);
const unchanged = Array.from({ length: rounds }, () => timed(process.execPath, [bundle, 'run'], many));
const plans = Array.from({ length: rounds }, () => timed(process.execPath, [bundle, 'plan'], many));
console.log('20 images, nothing changed:');
console.log(`  slipway run   ${show(unchanged)} (goal: at most 2 s)`);
console.log(`  slipway plan  ${show(plans)}`);
rmSync(work, { recursive: true, force: true });
process.exitCode = plain <= 0.8 && whole <= 0.8 && median(unchanged) <= 2 ? 0 : 1;
