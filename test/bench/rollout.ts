// How long until somebody knows: Slipway's verdict against `helm upgrade --atomic`, `kubectl rollout status` and Argo CD's
// own health rules over the deployed objects, on the same manifests, each in a namespace of its own. Prints a table in Markdown.
//
//   npm run bench -- rollout [--limit 60] [--full] [--jobs 4] [--waiting 8] [--out figures.json] [name…]
//
// Without names, eight cases of the corpus. helm's usual limit is 300 s and it notices nothing before it, so a shorter one is
// measured by default and said; `--full` takes every case there is, 300 s for helm and kubectl, and 660 s for Argo CD, whose
// rules wait for progressDeadlineSeconds (600 s unless the manifest has another).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCluster } from '../../src/engine/cluster/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { registryAsker } from '../../src/engine/rollout/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { labEnv } from '../lab/lab.ts';
import { type CorpusCase, readCorpus } from '../rollout/case.ts';
import { buildImages } from '../rollout/images.ts';
import { startRegistries } from '../rollout/registries.ts';
import { runCase } from '../rollout/run.ts';
import { buildArgoHealth } from './rolloutTools/argoHealth/index.ts';
import { type Bench, helm, lookOn, type Outcome } from './rolloutTools/index.ts';

const { values, positionals } = parseArgs({
  args: process.argv.slice(3),
  allowPositionals: true,
  options: {
    limit: { type: 'string', default: '60' },
    full: { type: 'boolean', default: false },
    /** Rollouts that Slipway judges at the same time. */
    jobs: { type: 'string', default: '4' },
    /** Rollouts of the other tools at the same time: they wait, and need little. */
    waiting: { type: 'string', default: '8' },
    out: { type: 'string' },
  },
});
const limit = values.full ? 300 : Number(values.limit);
const argoLimit = values.full ? 660 : limit;
const few = [
  ...['image-missing-tag', 'image-auth-secret-missing', 'config-secret-missing', 'crash-loop-two-pods'],
  ...['admission-podsecurity', 'schedule-too-large', 'crash-twice-two-pods', 'all-at-once'],
];
// What somebody else does to a rollout (paused, superseded) is no matter of being well or not.
const comparable = readCorpus().filter(({ kind }) => kind !== 'other');
const chosen = comparable.filter(({ name }) =>
  positionals.length > 0 ? positionals.some((part) => name.includes(part)) : values.full || few.includes(name),
);

const lab = await labEnv();
await buildImages(lab);
const env = { ...process.env, ...lab.env };
const rules = buildArgoHealth(env);
const registries = await startRegistries(lab.registry);
const system = createSystem({ env });
const target = { kubeconfig: lab.kubeconfig, ...(lab.context !== undefined && { context: lab.context }) };
const bench: Bench = {
  cluster: await openCluster(system, target),
  env,
  folder: mkdtempSync(join(tmpdir(), 'slipway-bench-')),
  askRegistry: registryAsker(system, new Secrets()),
  signal: new AbortController().signal,
};

type Tool = 'slipway' | 'helm' | 'kubectl' | 'argo';
interface Row {
  readonly one: CorpusCase;
  readonly outcomes: Partial<Record<Tool, Outcome>>;
}
const rows: readonly Row[] = chosen.map((one) => ({ one, outcomes: {} }));

/** A case that could not be set up is shown as such, and is not counted for anybody. */
const unset = (error: unknown): Outcome => ({
  seconds: 0,
  state: 'unfit',
  words: error instanceof Error ? error.message.slice(0, 120) : String(error),
});

async function slipway({ one, outcomes }: Row): Promise<void> {
  const result = await runCase(bench.cluster, { ...one, name: `slipway-${one.name}` }, bench.askRegistry, bench.signal);
  const { verdict } = result;
  const cause = verdict?.causes[0];
  outcomes.slipway =
    verdict === undefined
      ? unset(result.why)
      : {
          seconds: result.verdictMs / 1000,
          state: verdict.state === 'ready' ? 'ready' : 'failed',
          words: `${verdict.state} ${cause?.code ?? ''}${result.isRight ? '' : ` (${result.why})`}`.trim(),
          isNamed: result.isRight,
        };
}

async function others({ one, outcomes }: Row, which: 'helm' | 'status'): Promise<void> {
  if (which === 'helm') outcomes.helm = await helm(bench, one, limit).catch(unset);
  else {
    const limits = { kubectlSeconds: limit, argoSeconds: argoLimit };
    const seen = await lookOn(bench, rules, one, limits).catch((error: unknown) => ({
      kubectl: unset(error),
      argo: unset(error),
    }));
    Object.assign(outcomes, seen);
  }
}

async function inLanes(lanes: number, tasks: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = [...tasks];
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) await task();
    }),
  );
}

const loads: number[] = [];
const load = (): number => loads.reduce((sum, one) => sum + one, 0) / Math.max(1, loads.length);
const noting = setInterval(() => loads.push(loadavg()[0] ?? 0), 10_000);
loads.push(loadavg()[0] ?? 0);
const tell = (row: Row, tools: readonly Tool[]): void => {
  for (const tool of tools) {
    const outcome = row.outcomes[tool];
    console.log(
      `${row.one.name.padEnd(28)} ${tool.padEnd(8)} ${(outcome?.seconds ?? 0).toFixed(1).padStart(6)} s  ${outcome?.state} ${outcome?.words}`,
    );
  }
};
await inLanes(
  Number(values.jobs),
  rows.map((row) => () => slipway(row).then(() => tell(row, ['slipway']))),
);
const ownLoad = load();
loads.length = 0;
// The broken ones first: they take the whole limit.
const ordered = [...rows].sort((a, b) => Number(b.one.kind === 'broken') - Number(a.one.kind === 'broken'));
await inLanes(
  Number(values.waiting),
  (['status', 'helm'] as const).flatMap((which) =>
    ordered.map(
      (row) => () => others(row, which).then(() => tell(row, which === 'helm' ? ['helm'] : ['kubectl', 'argo'])),
    ),
  ),
);
clearInterval(noting);
rules.stop();
registries.close();
registries.closeAllConnections();
rmSync(bench.folder, { recursive: true, force: true });
system.processes.dispose();

const cell = (outcome: Outcome | undefined): string =>
  outcome === undefined || outcome.state === 'unfit'
    ? '–'
    : `${outcome.seconds < 10 ? outcome.seconds.toFixed(1) : Math.round(outcome.seconds)} ${WORDS[outcome.state]}`;
const WORDS = { ready: 'ready', failed: 'failed', none: 'no answer', unfit: '' } as const;
const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
const tools = ['slipway', 'helm', 'kubectl', 'argo'] as const;

console.log(
  `\nSeconds from the write to the answer; helm --atomic and kubectl rollout status end at ${limit} s, Argo CD's rules are asked for ${argoLimit} s.`,
);
console.log(
  `${cpus().length} cores; load ${ownLoad.toFixed(1)} while Slipway judged, ${load().toFixed(1)} while the others did.`,
);
for (const kind of ['broken', 'healthy'] as const) {
  const some = rows.filter(({ one }) => one.kind === kind);
  if (some.length === 0) continue;
  console.log(`\n| ${kind} | Slipway | helm --atomic | kubectl rollout status | Argo CD health |`);
  console.log('| --- | --- | --- | --- | --- |');
  for (const { one, outcomes } of some) {
    const mine = `${cell(outcomes.slipway)}${kind === 'broken' ? ` \`${outcomes.slipway?.words.split(' ')[1] ?? ''}\`` : ''}`;
    console.log(
      `| ${one.name} | ${mine} | ${[outcomes.helm, outcomes.kubectl, outcomes.argo].map(cell).join(' | ')} |`,
    );
  }
  const wanted = kind === 'broken' ? 'failed' : 'ready';
  const sums = tools.map((tool) => {
    const known = some.flatMap(({ outcomes }) => outcomes[tool] ?? []).filter(({ state }) => state !== 'unfit');
    const right = known.filter(({ state }) => state === wanted);
    const wrong = known.filter(({ state }) => state !== wanted && state !== 'none');
    const middle = right.length === 0 ? '–' : `${median(right.map(({ seconds }) => seconds)).toFixed(1)} s`;
    const named = right.filter(({ isNamed }) => isNamed).length;
    const why = kind === 'broken' ? `, cause named ${named}` : '';
    return `${right.length} of ${known.length} ${wanted}${why}, ${wrong.length} wrong; median ${middle}`;
  });
  console.log(`| **all** | ${sums.join(' | ')} |`);
}
const notes = rows.flatMap(({ one, outcomes }) =>
  tools.flatMap((tool) => {
    const outcome = outcomes[tool];
    return outcome?.state === 'unfit' && outcome.words !== '' ? [`${one.name} ${tool}: ${outcome.words}`] : [];
  }),
);
if (notes.length > 0) console.log(`\nNot set up:\n${notes.join('\n')}`);
if (values.out !== undefined)
  writeFileSync(
    values.out,
    JSON.stringify(
      { limit, argoLimit, rows: rows.map(({ one, outcomes }) => ({ name: one.name, kind: one.kind, outcomes })) },
      null,
      2,
    ),
  );
