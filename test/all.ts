// `npm test`: every test there is, in the order in which failing early saves most time. Each suite is a program that ends
// with a line `N passed, N failed`; this adds them up. Names given as arguments run only those suites.
import { spawn, spawnSync } from 'node:child_process';
import { ensureLab, labEnv } from './lab/lab.ts';

interface Suite {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  /** Lab groups that must be up. */
  readonly lab?: readonly string[];
  /** Waits for the cluster or the editor more than it computes, measures no time, and disturbs nobody: it may share the machine. */
  readonly isSociable?: true;
}

const suites: readonly Suite[] = [
  { name: 'check', argv: ['node', 'test/check.ts'] },
  { name: 'package', argv: ['node', 'test/package/main.ts', '--test'] },
  { name: 'lab', argv: ['node', 'test/lab/main.ts', 'check'], lab: ['core'] },
  { name: 'deploy', argv: ['node', 'test/pipeline/deploy.ts'], lab: ['core'] },
  { name: 'preflight', argv: ['node', 'test/pipeline/preflight.ts'], lab: ['core'] },
  { name: 'main job', argv: ['node', 'test/pipeline/mainJob.ts'], lab: ['core'] },
  { name: 'rollback', argv: ['node', 'test/pipeline/rollback.ts'], lab: ['core'] },
  { name: 'flux', argv: ['node', 'test/pipeline/flux.ts'], lab: ['core', 'flux', 'gitea'] },
  { name: 'delivery', argv: ['node', 'test/pipeline/delivery.ts'], lab: ['core', 'flux'], isSociable: true },
  { name: 'argocd', argv: ['node', 'test/pipeline/argocd.ts'], lab: ['core', 'gitea'], isSociable: true },
  { name: 'gitea', argv: ['node', 'test/pipeline/gitea.ts'], lab: ['core', 'gitea'] },
  { name: 'agents', argv: ['node', 'test/pipeline/agents.ts'], lab: ['core'] },
  { name: 'environment', argv: ['node', 'test/pipeline/environment.ts'], lab: ['core'] },
  { name: 'everyday', argv: ['node', 'test/pipeline/everyday.ts'], lab: ['core'] },
  { name: 'undo', argv: ['node', 'test/pipeline/wholeUndo.ts'], lab: ['core'] },
  { name: 'diagnosis', argv: ['node', 'test/pipeline/diagnosis.ts'], lab: ['core'] },
  { name: 'smoke', argv: ['node', 'test/pipeline/smokeKinds.ts'], lab: ['core'] },
  { name: 'kill', argv: ['node', 'test/faults/main.ts', 'kill', '--count', '5'], lab: ['core'] },
  { name: 'gate', argv: ['node', 'test/pipeline/gate.ts'], lab: ['core', 'cosign'] },
  { name: 'locks', argv: ['node', 'test/pipeline/locks.ts'], lab: ['core'] },
  { name: 'setups', argv: ['node', 'test/pipeline/setups.ts'], lab: ['core'] },
  { name: 'faults', argv: ['node', 'test/pipeline/rolloutFaults.ts'], lab: ['core'] },
  {
    name: 'corpus',
    argv: ['node', 'test/rollout/main.ts', '--quick', '--jobs', '10'],
    lab: ['core'],
    isSociable: true,
  },
  {
    name: 'editor',
    argv: ['node', 'test/editor/main.ts', 'host', 'tree', 'page', 'surfaces', 'rollout', 'trust', 'lab', 'markers'],
    lab: ['core', 'vscode'],
    isSociable: true,
  },
  { name: 'registry faults', argv: ['node', 'test/faults/main.ts', 'registry'], lab: ['core'] },
];
/** Sociable suites that run at the same time. */
const LANES = 2;

interface Result {
  readonly suite: Suite;
  readonly passed: number;
  readonly failed: number;
  readonly ms: number;
}

/** Runs a suite; one that ends without its closing line has failed. Output that cannot be shown as it comes is shown at the end. */
function run(suite: Suite, output: 'as it comes' | 'at the end'): Promise<Result> {
  const started = Date.now();
  const title = `\n== ${suite.name}: ${suite.argv.join(' ')}\n`;
  if (output === 'as it comes') process.stdout.write(title);
  return new Promise((resolve) => {
    let text = '';
    const child = spawn(suite.argv[0], suite.argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    const take = (bytes: Buffer) => {
      text += bytes.toString('utf8');
      if (output === 'as it comes') process.stdout.write(bytes);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => console.log(error.message));
    child.on('close', (code) => {
      if (output === 'at the end') process.stdout.write(title + text);
      const count = [...text.matchAll(/^(?:[\w -]+: )?(\d+) passed, (\d+) failed/gm)].at(-1);
      const passed = Number(count?.[1] ?? 0);
      const failed = Number(count?.[2] ?? 0);
      const isBroken = code !== 0 || count === undefined;
      resolve({ suite, passed, failed: isBroken ? Math.max(1, failed) : failed, ms: Date.now() - started });
    });
  });
}

async function bringUp(): Promise<void> {
  if (isLabReady) return;
  await ensureLab(groups, (line) => console.log(line));
  isLabReady = true;
}

const wanted = process.argv.slice(2);
const chosen = suites.filter((suite) => wanted.length === 0 || wanted.includes(suite.name));
const groups = [...new Set(chosen.flatMap((suite) => suite.lab ?? []))];
const results: Result[] = [];
const started = Date.now();
let isLabOurs = false;
if (groups.length > 0) {
  // What this brings up, it takes down; a lab that was there before is left as it was.
  isLabOurs = await labEnv(groups).then(
    () => false,
    () => true,
  );
  console.log(`\n== lab: ${groups.join(', ')} (${isLabOurs ? 'bringing it up' : 'is up'})`);
}
let isLabReady = !isLabOurs;
for (const suite of chosen.filter(({ isSociable }) => isSociable !== true)) {
  // The checks that need no lab come first: a type error should not wait for Kubernetes.
  if (suite.lab !== undefined) await bringUp();
  results.push(await run(suite, 'as it comes'));
}
const sociable = chosen.filter(({ isSociable }) => isSociable === true);
if (sociable.length > 0) await bringUp();
await Promise.all(
  Array.from({ length: LANES }, async () => {
    for (let suite = sociable.shift(); suite !== undefined; suite = sociable.shift()) {
      results.push(await run(suite, 'at the end'));
    }
  }),
);
if (isLabOurs && isLabReady) spawnSync(process.execPath, ['test/lab/main.ts', 'down'], { stdio: 'inherit' });

console.log('');
for (const { suite, passed, failed, ms } of results) {
  console.log(
    `${failed === 0 ? 'ok  ' : 'FAIL'} ${suite.name}: ${passed} of ${passed + failed} in ${(ms / 1000).toFixed(0)} s`,
  );
}
console.log(`in ${((Date.now() - started) / 60_000).toFixed(1)} min`);
const sum = (pick: (result: Result) => number) => results.reduce((total, result) => total + pick(result), 0);
console.log(`${sum((result) => result.passed)} passed, ${sum((result) => result.failed)} failed`);
process.exitCode = sum((result) => result.failed) === 0 && results.length > 0 ? 0 : 1;
