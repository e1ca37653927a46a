// `npm test`: every test there is, in the order in which failing early saves most time. Each suite is a program that ends
// with a line `N passed, N failed`; this adds them up. Names given as arguments run only those suites.
import { spawn, spawnSync } from 'node:child_process';
import { BUILT, buildBundle } from './bundle.ts';
import { ensureLab, labEnv } from './lab/lab.ts';

/**
 * With whom a suite shares the machine. `nobody`: it measures time or disturbs others. `editors`: windows of the editor, few at a
 * time, as a click that comes late is a red test. `anybody`: it waits for the cluster or for builds more than it computes.
 */
type Company = 'nobody' | 'editors' | 'anybody';
interface Suite {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  /** Lab groups that must be up. */
  readonly lab?: readonly string[];
  readonly company: Company;
}

const pipeline = (name: string, file: string, ...more: readonly string[]): Suite => ({
  name,
  argv: ['node', `test/pipeline/${file}.ts`],
  lab: ['core', ...more],
  company: 'anybody',
});
const alone = (suite: Suite): Suite => ({ ...suite, company: 'nobody' });
const editor = (name: string): Suite => ({
  name: `editor ${name}`,
  argv: ['node', 'test/editor/main.ts', name],
  lab: ['core', 'vscode'],
  company: 'editors',
});

const suites: readonly Suite[] = [
  { name: 'check', argv: ['node', 'test/check.ts'], company: 'nobody' },
  { name: 'package', argv: ['node', 'test/package/main.ts', '--test'], company: 'nobody' },
  { name: 'lab', argv: ['node', 'test/lab/main.ts', 'check'], lab: ['core'], company: 'nobody' },
  alone(pipeline('main job', 'mainJob')),
  alone(pipeline('rollback', 'rollback')),
  alone(pipeline('api server', 'apiServer')),
  { name: 'registry faults', argv: ['node', 'test/faults/main.ts', 'registry'], lab: ['core'], company: 'nobody' },
  // The long ones first, so that no lane waits for them in the end.
  ...['lab', 'page', 'markers', 'trust', 'rollout', 'tree', 'surfaces', 'windows', 'ci', 'host'].map(editor),
  { ...editor('gitea'), lab: ['core', 'vscode', 'gitea'] },
  pipeline('flux', 'flux', 'flux', 'gitea'),
  pipeline('argocd', 'argocd', 'gitea'),
  pipeline('flux sources', 'fluxSources', 'flux'),
  {
    name: 'corpus',
    argv: ['node', 'test/rollout/main.ts', '--quick', '--jobs', '8'],
    lab: ['core'],
    company: 'anybody',
  },
  pipeline('everyday', 'everyday'),
  pipeline('undo', 'wholeUndo'),
  pipeline('diagnosis', 'diagnosis'),
  pipeline('bad versions', 'badVersions'),
  pipeline('environment', 'environment'),
  pipeline('cancelled', 'cancelled'),
  pipeline('locks', 'locks'),
  pipeline('faults', 'rolloutFaults'),
  pipeline('gate', 'gate', 'grype'),
  pipeline('stages', 'stages'),
  pipeline('signing', 'signing', 'cosign'),
  pipeline('builders', 'builders', 'builders'),
  pipeline('setups', 'setups'),
  pipeline('deploy', 'deploy'),
  pipeline('gitea', 'gitea', 'gitea'),
  pipeline('generated', 'generated', 'flux', 'gitea'),
  pipeline('smoke', 'smokeKinds'),
  { name: 'kill', argv: ['node', 'test/faults/main.ts', 'kill', '--count', '5'], lab: ['core'], company: 'anybody' },
  pipeline('delivery', 'delivery', 'flux'),
  pipeline('agents', 'agents'),
  pipeline('preflight', 'preflight'),
];
/** How many run at the same time on the two cores that this must be fast on: suites that wait make room for those that compute. */
const LANES: Readonly<Record<Company, number>> = { nobody: 1, editors: 2, anybody: 4 };
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
    const child = spawn(suite.argv[0], suite.argv.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
      env: { ...process.env, ...BUILT },
    });
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

let ready: Promise<void> | undefined;
/** The lab, and the bundles that its suites drive. */
function bringUp(): Promise<void> {
  ready ??= (async () => {
    if (isLabOurs) await ensureLab(groups, (line) => console.log(line));
    buildBundle();
  })();
  return ready;
}

const wanted = process.argv.slice(2);
// `editor` means all of its suites.
const isWanted = ({ name }: Suite) => wanted.includes(name) || wanted.some((word) => name.startsWith(`${word} `));
const chosen = suites.filter((suite) => wanted.length === 0 || isWanted(suite));
if (chosen.length === 0) {
  console.error(`no such suite; there are ${suites.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
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
for (const company of ['nobody', 'editors', 'anybody'] as const) {
  const waiting = chosen.filter((suite) => suite.company === company);
  const lanes = LANES[company];
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let suite = waiting.shift(); suite !== undefined; suite = waiting.shift()) {
        // The checks that need no lab come first: a type error should not wait for Kubernetes.
        if (suite.lab !== undefined) await bringUp();
        results.push(await run(suite, lanes === 1 ? 'as it comes' : 'at the end'));
      }
    }),
  );
}
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
if (isLabOurs && ready !== undefined) spawnSync(process.execPath, ['test/lab/main.ts', 'down'], { stdio: 'inherit' });

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
