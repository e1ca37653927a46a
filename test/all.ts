// `npm test`: every test there is, in the order in which failing early saves most time. Each suite is a program that ends
// with a line `N passed, N failed`; this adds them up. Names given as arguments run only those suites.
import { spawn } from 'node:child_process';

interface Suite {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  /** Lab groups that must be up. */
  readonly lab?: readonly string[];
}

const suites: readonly Suite[] = [
  { name: 'check', argv: ['node', 'test/check.ts'] },
  { name: 'preflight', argv: ['node', 'test/pipeline/preflight.ts'], lab: ['core'] },
  { name: 'deploy', argv: ['node', 'test/pipeline/deploy.ts'], lab: ['core'] },
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
      const count = [...tail.matchAll(/^(?:\S+: )?(\d+) passed, (\d+) failed/gm)].at(-1);
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
const isUp = async (): Promise<boolean> => {
  const probe = await run({ name: 'lab status', argv: ['node', 'test/lab/main.ts', 'status', '--quiet'] });
  return probe.failed === 0;
};
let isLabOurs = false;
for (const suite of chosen) {
  if (suite.lab !== undefined && !isLabOurs && groups.length > 0) {
    isLabOurs = !(await isUp());
    await run({ name: 'lab up', argv: ['node', 'test/lab/main.ts', 'up', ...groups] });
  }
  results.push(await run(suite));
}
// What this brought up, this takes down; a lab that was there before is left as it was.
if (isLabOurs) await run({ name: 'lab down', argv: ['node', 'test/lab/main.ts', 'down'] });

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
