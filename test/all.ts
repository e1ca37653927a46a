// `npm test`: every test there is, in the order in which failing early saves most time. Each suite is a program that ends
// with a line `N passed, N failed`; this adds them up. Names given as arguments run only those suites.
import { spawn, spawnSync } from 'node:child_process';
import { ensureLab, labEnv } from './lab/lab.ts';

interface Suite {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  /** Lab groups that must be up. */
  readonly lab?: readonly string[];
}

const suites: readonly Suite[] = [
  { name: 'check', argv: ['node', 'test/check.ts'] },
  { name: 'package', argv: ['node', 'test/package/main.ts', '--test'] },
  { name: 'lab', argv: ['node', 'test/lab/main.ts', 'check'], lab: ['core'] },
  { name: 'deploy', argv: ['node', 'test/pipeline/deploy.ts'], lab: ['core'] },
  { name: 'preflight', argv: ['node', 'test/pipeline/preflight.ts'], lab: ['core'] },
  { name: 'main job', argv: ['node', 'test/pipeline/mainJob.ts'], lab: ['core'] },
  { name: 'rollback', argv: ['node', 'test/pipeline/rollback.ts'], lab: ['core'] },
  { name: 'environment', argv: ['node', 'test/pipeline/environment.ts'], lab: ['core'] },
  { name: 'kill', argv: ['node', 'test/faults/main.ts', 'kill', '--count', '5'], lab: ['core'] },
  { name: 'editor', argv: ['node', 'test/editor/main.ts', 'host', 'tree', 'page'], lab: ['core', 'vscode'] },
];

interface Result {
  readonly suite: Suite;
  readonly passed: number;
  readonly failed: number;
  readonly ms: number;
}

/** Runs a suite with its output shown as it comes; a suite that ends without its closing line has failed. */
function run(suite: Suite): Promise<Result> {
  const started = Date.now();
  console.log(`\n== ${suite.name}: ${suite.argv.join(' ')}`);
  return new Promise((resolve) => {
    let tail = '';
    const child = spawn(suite.argv[0], suite.argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    const take = (stream: NodeJS.WriteStream) => (bytes: Buffer) => {
      stream.write(bytes);
      tail = (tail + bytes.toString('utf8')).slice(-20_000);
    };
    child.stdout.on('data', take(process.stdout));
    child.stderr.on('data', take(process.stderr));
    child.on('error', (error) => console.log(error.message));
    child.on('close', (code) => {
      const count = [...tail.matchAll(/^(?:[\w -]+: )?(\d+) passed, (\d+) failed/gm)].at(-1);
      const passed = Number(count?.[1] ?? 0);
      const failed = Number(count?.[2] ?? 0);
      const isBroken = code !== 0 || count === undefined;
      resolve({ suite, passed, failed: isBroken ? Math.max(1, failed) : failed, ms: Date.now() - started });
    });
  });
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
for (const suite of chosen) {
  // The checks that need no lab come first: a type error should not wait for Kubernetes.
  if (suite.lab !== undefined && !isLabReady) {
    await ensureLab(groups, (line) => console.log(line));
    isLabReady = true;
  }
  results.push(await run(suite));
}
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
