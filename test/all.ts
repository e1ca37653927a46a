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

const pipeline = (name: string, file: string, ...more: readonly string[]): Suite => ({
  name,
  argv: ['node', `test/pipeline/${file}.ts`],
  lab: ['core', ...more],
});
const sociable = (suite: Suite): Suite => ({ ...suite, isSociable: true });
const editorSuites = ['host', 'tree', 'page', 'ci', 'surfaces', 'rollout', 'trust', 'lab', 'markers', 'windows'];

const suites: readonly Suite[] = [
  { name: 'check', argv: ['node', 'test/check.ts'] },
  { name: 'package', argv: ['node', 'test/package/main.ts', '--test'] },
  { name: 'lab', argv: ['node', 'test/lab/main.ts', 'check'], lab: ['core'] },
  pipeline('main job', 'mainJob'),
  pipeline('rollback', 'rollback'),
  { name: 'editor', argv: ['node', 'test/editor/main.ts', ...editorSuites], lab: ['core', 'vscode'] },
  // The long ones first, so that no lane waits for them in the end.
  sociable(pipeline('flux', 'flux', 'flux', 'gitea')),
  sociable({ name: 'corpus', argv: ['node', 'test/rollout/main.ts', '--quick', '--jobs', '8'], lab: ['core'] }),
  sociable(pipeline('argocd', 'argocd', 'gitea')),
  sociable(pipeline('setups', 'setups')),
  sociable(pipeline('diagnosis', 'diagnosis')),
  sociable(pipeline('everyday', 'everyday')),
  sociable(pipeline('undo', 'wholeUndo')),
  sociable(pipeline('smoke', 'smokeKinds')),
  sociable(pipeline('gitea', 'gitea', 'gitea')),
  sociable(pipeline('agents', 'agents')),
  sociable(pipeline('deploy', 'deploy')),
  sociable(pipeline('environment', 'environment')),
  sociable(pipeline('gate', 'gate', 'cosign')),
  sociable(pipeline('locks', 'locks')),
  sociable(pipeline('delivery', 'delivery', 'flux')),
  sociable(pipeline('preflight', 'preflight')),
  { name: 'kill', argv: ['node', 'test/faults/main.ts', 'kill', '--count', '5'], lab: ['core'] },
  { name: 'registry faults', argv: ['node', 'test/faults/main.ts', 'registry'], lab: ['core'] },
  pipeline('faults', 'rolloutFaults'),
];
/** Sociable suites that run at the same time. */
const LANES = 3;
/** Only there to end a hopeless wait: a suite takes some minutes. */
const LIMIT_MS = 25 * 60_000;

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
    const child = spawn(suite.argv[0], suite.argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS });
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
const waiting = chosen.filter(({ isSociable }) => isSociable === true);
if (waiting.length > 0) await bringUp();
await Promise.all(
  Array.from({ length: LANES }, async () => {
    for (let suite = waiting.shift(); suite !== undefined; suite = waiting.shift()) {
      results.push(await run(suite, 'at the end'));
    }
  }),
);
// On the real parts of a busy machine a suite can meet what is no fault of the product. A red one is run once more, alone, and
// named in the end either way: one that is red twice is red, one that is red once wants its cause found.
const unsteady: string[] = [];
for (const [index, first] of results.entries()) {
  if (first.failed === 0 || first.suite.lab === undefined) continue;
  console.log(`\n== ${first.suite.name} was red (${first.failed} failed) and is run once more`);
  const second = await run(first.suite, 'as it comes');
  results[index] = { ...second, ms: first.ms + second.ms };
  unsteady.push(`${first.suite.name}: ${first.failed} failed at first, ${second.failed} when run again`);
}
if (isLabOurs && isLabReady) spawnSync(process.execPath, ['test/lab/main.ts', 'down'], { stdio: 'inherit' });

console.log('');
for (const { suite, passed, failed, ms } of results) {
  console.log(
    `${failed === 0 ? 'ok  ' : 'FAIL'} ${suite.name}: ${passed} of ${passed + failed} in ${(ms / 1000).toFixed(0)} s`,
  );
}
for (const line of unsteady) console.log(`UNSTEADY ${line}`);
console.log(`in ${((Date.now() - started) / 60_000).toFixed(1)} min`);
const sum = (pick: (result: Result) => number) => results.reduce((total, result) => total + pick(result), 0);
console.log(`${sum((result) => result.passed)} passed, ${sum((result) => result.failed)} failed`);
process.exitCode = sum((result) => result.failed) === 0 && results.length > 0 ? 0 : 1;
