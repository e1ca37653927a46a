// `npm run bench -- gitops`: policies over 100,000 tags (beside Flux's own Go code when Go is there), the marker index of
// 10,000 files, and the lenses of a file of 5,000 lines.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { MarkerIndex } from '../../src/engine/gitops/markerIndex.ts';
import { findMarkers } from '../../src/engine/gitops/markers.ts';
import { type PolicyRules, selectTag } from '../../src/engine/gitops/policy.ts';
import * as markers from '../../src/engine/markers/index.ts';
import { markerTitle } from '../../src/extension/markers/words.ts';

/** Milliseconds of each of `times` runs after one that does not count, sorted. */
function measure(times: number, run: (round: number) => void): readonly number[] {
  run(-1);
  return Array.from({ length: times }, (_, round) => {
    const start = performance.now();
    run(round);
    return performance.now() - start;
  }).sort((a, b) => a - b);
}
/** Milliseconds that the process itself worked in the cheapest of `times` runs. */
function leastProcessorTime(times: number, run: (round: number) => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < times; round += 1) {
    const before = process.cpuUsage();
    run(round);
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}
const median = (values: readonly number[]): number => values[values.length >> 1] ?? Number.NaN;
const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`;

const count = 100_000;
const numbers = Array.from({ length: count }, (_, index) => index);
const versions = numbers.map((index) => `1.${index % 300}.${(index * 7) % 1000}-rc.${index % 9}`);
const stamped = numbers.map((index) => `main-${((index * 2654435761) >>> 0).toString(16)}-${1_700_000_000 + index}`);
const times = numbers.map((index) => String(1_700_000_000 + ((index * 7919) % count)));
const policies: readonly (readonly [string, PolicyRules, readonly string[]])[] = [
  ['semver', { policy: { semver: { range: '>=1.0.0 <2.0.0-0' } } }, versions],
  ['alphabetical', { policy: { alphabetical: { order: 'asc' } } }, stamped],
  ['numerical', { policy: { numerical: { order: 'asc' } } }, times],
  [
    'numerical, filterTags with extract',
    {
      policy: { numerical: { order: 'asc' } },
      filterTags: { pattern: '^main-[a-f0-9]+-(?P<ts>[0-9]+)$', extract: '$ts' },
    },
    stamped,
  ],
  [
    'semver, filter with flags and classes',
    {
      policy: { semver: { range: '*-0' } },
      filterTags: { pattern: '(?i)^V?(?P<v>1\\.[[:digit:]]+\\..*)$', extract: '$v' },
    },
    versions,
  ],
  [
    'semver, filter with a Unicode class',
    { policy: { semver: { range: '*-0' } }, filterTags: { pattern: '^\\pL?(?P<v>1\\..*)$', extract: '$v' } },
    versions,
  ],
  [
    'semver, filter that only re2js runs (a group that not every round sets)',
    { policy: { semver: { range: '*-0' } }, filterTags: { pattern: '^(?:v|(?P<v>1\\..*))+$', extract: '$v' } },
    versions,
  ],
];

interface GoAnswer {
  readonly latest?: readonly string[];
  readonly microseconds: number;
}

/** Flux's own selection of the same tags, in the same minute on the same machine; undefined without Go. */
function askGo(): readonly GoAnswer[] | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  try {
    const binary = join(folder, 'reflector');
    const cwd = join(import.meta.dirname, '../conformance/oracle/reflector');
    execFileSync('go', ['build', '-o', binary, '.'], { cwd, stdio: 'pipe' });
    const input = policies
      .map(([, rules, tags]) => `${JSON.stringify({ ...rules, exclusionList: [], tags, runs: 15 })}\n`)
      .join('');
    const output = execFileSync(binary, { input, encoding: 'utf8', maxBuffer: 2 ** 30 });
    return output
      .trim()
      .split('\n')
      .map((line): GoAnswer => JSON.parse(line));
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const go = askGo();
console.log(
  `policies over ${count} tags: processor time, the least of 15 runs (in brackets the median by the clock)${go === undefined ? '; no Go here, so nothing to compare with' : '; Flux (Go): processor time, the least of 15'}`,
);
for (const [index, [name, rules, tags]] of policies.entries()) {
  let latest: string | undefined;
  const run = (): void => {
    latest = selectTag({ ...rules, exclusionList: [] }, tags).latest;
  };
  const runs = measure(15, run);
  // What else the machine does at the moment does not show in the processor time, so that is compared.
  const time = leastProcessorTime(15, run);
  const answer = go?.[index];
  const theirs = answer === undefined ? undefined : answer.microseconds / 1000;
  const agrees =
    answer === undefined || answer.latest?.[0] === latest ? '' : `  DIFFERENT ANSWER: ${latest} / ${answer.latest}`;
  console.log(
    `  ${name}: ${ms(time)} (${ms(median(runs))})${theirs === undefined ? '' : `, Go ${ms(theirs)}, ratio ${(time / theirs).toFixed(2)}`}${agrees}`,
  );
  if (agrees !== '') process.exitCode = 1;
}

const deployment = (name: string, version: string): string => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  namespace: apps
  labels:
    app.kubernetes.io/name: ${name}
spec:
  replicas: 3
  selector:
    matchLabels:
      app: ${name}
  template:
    metadata:
      labels:
        app: ${name}
    spec:
      containers:
      - name: app
        image: ghcr.io/acme/${name}:${version} # {"$imagepolicy": "apps:${name}"}
        ports:
        - containerPort: 8080
          name: http
        env:
        - name: A
          value: "b"
`;
const policy = (name: string): string => `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: ${name}, namespace: apps}
spec: {image: ghcr.io/acme/${name}, interval: 5m}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: ${name}, namespace: apps}
spec:
  imageRepositoryRef: {name: ${name}}
  policy: {semver: {range: ">=1.0.0"}}
`;
const automation = `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {name: apps, namespace: apps}
spec:
  update: {path: ./}
`;

const files = new Map<string, string>([['flux/automation.yaml', automation]]);
for (let index = 0; index < 10_000; index += 1) {
  const name = `app-${index}`;
  if (index % 10 === 0) files.set(`flux/${name}.yaml`, policy(name));
  else if (index % 10 < 4)
    files.set(`apps/${name}.yaml`, deployment(`app-${index - (index % 10)}`, `1.${index % 50}.0`));
  else
    files.set(
      `other/${name}.yaml`,
      deployment(name, '1.0.0')
        .replace(/ # \{.*\}/, '')
        .repeat(2),
    );
}
const bytes = [...files.values()].reduce((sum, text) => sum + text.length, 0);
let index = new MarkerIndex();
const fill = median(
  measure(5, () => {
    index = new MarkerIndex();
    for (const [file, text] of files) index.update(file, text);
  }),
);
const fresh = new MarkerIndex();
for (const [file, text] of files) fresh.update(file, text);
let longest = 0;
const step = (work: () => void): void => {
  const start = performance.now();
  work();
  longest = Math.max(longest, performance.now() - start);
};
const warmStart = performance.now();
for (const file of fresh.files) step(() => fresh.warm(file));
const warmTime = performance.now() - warmStart;
step(() => void fresh.objects);
const firstStep = longest;
for (const file of fresh.files) step(() => void fresh.diagnostics(file));
const linkStart = performance.now();
const linked = [...files.keys()].flatMap((file) => index.linked(file));
const linkTime = performance.now() - linkStart;
const diagnoseStart = performance.now();
const problems = [...files.keys()].flatMap((file) => index.diagnostics(file));
const diagnoseTime = performance.now() - diagnoseStart;
console.log(`marker index of ${files.size} files, ${(bytes / 1e6).toFixed(1)} MB`);
console.log(`  taking all files in: ${ms(fill)}`);
const sampled = [...files.values()].filter((_, at) => at % 20 === 7);
const naive = leastProcessorTime(2, () => {
  for (const text of sampled) for (const document of parseAllDocuments(text)) document.toJS();
});
console.log(
  `  the naive way, every file read with the yaml package: about ${ms(naive * 20)} of processor time (measured on every twentieth)`,
);
console.log(
  `  the same as the editor does it, file by file between other work: ${ms(warmTime)}; longest step ${ms(firstStep)}, with diagnostics ${ms(longest)}`,
);
console.log(`  reading and linking all ${linked.length} markers, once: ${ms(linkTime)}`);
console.log(`  diagnostics of all files after that: ${ms(diagnoseTime)} (${problems.length} found)`);

const documents = Array.from({ length: 180 }, (_, at) => deployment(`app-${at * 10}`, `1.${at}.0`));
const big = documents.join('---\n');
console.log(`lenses of one file of ${big.split('\n').length} lines with ${documents.length} markers`);
const busyFrom = process.cpuUsage();
const whole = measure(60, (round) => void findMarkers(`${big}# ${round}\n`, 'apps/big.yaml'));
const busy = process.cpuUsage(busyFrom);
console.log(
  `  reading it whole: ${ms(median(whole))} (median of 60), fastest ${ms(whole[0] ?? Number.NaN)}, processor time ${ms((busy.user + busy.system) / 61_000)}`,
);
const typed = measure(60, (round) => {
  const changed = documents.with(90, deployment('app-900', `1.${round + 100}.0`)).join('---\n');
  index.update('apps/big.yaml', changed);
  index.linked('apps/big.yaml');
});
console.log(
  `  after a change in it, with links and verdicts: ${ms(median(typed))} (median of 60), fastest ${ms(typed[0] ?? Number.NaN)}, slowest ${ms(typed.at(-1) ?? Number.NaN)}; the goal is 5 ms`,
);
const tags: markers.TagList = {
  image: '',
  fetchedAt: new Date().toISOString(),
  tags: Array.from({ length: 500 }, (_, at) => `1.${at}.0`),
  details: {},
};
const shown = measure(60, (round) => {
  const changed = documents.with(90, deployment('app-900', `1.${round + 200}.0`)).join('---\n');
  index.update('apps/big.yaml', changed);
  const titles = index.linked('apps/big.yaml').map((linked) =>
    markerTitle(
      markers,
      linked,
      markers.markerState(index, linked, () => tags),
      Date.now(),
    ),
  );
  if (titles.length !== documents.length) throw new Error('lenses are missing');
});
console.log(
  `  the same with states against 500 tags and the words of every lens: ${ms(median(shown))} (median of 60), fastest ${ms(shown[0] ?? Number.NaN)}, slowest ${ms(shown.at(-1) ?? Number.NaN)}`,
);
