// The corpus of rollouts on the real cluster: `node test/rollout/main.ts [--quick] [--jobs N] [name…]`. Prints a table and
// `N passed, N failed`.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCluster } from '../../src/engine/cluster/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { registryAsker } from '../../src/engine/rollout/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { labEnv } from '../lab/lab.ts';
import { type CorpusCase, readCorpus } from './case.ts';
import { buildImages } from './images.ts';
import { startRegistries } from './registries.ts';
import { type CaseResult, runCase } from './run.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '6' },
    /** Folder for what was told in each case. */
    record: { type: 'string' },
  },
});

const lab = await labEnv();
await buildImages(lab);
const registries = await startRegistries(lab.registry);
const system = createSystem({ env: { ...process.env, ...lab.env } });
const cluster = await openCluster(system, {
  kubeconfig: lab.kubeconfig,
  ...(lab.context !== undefined && { context: lab.context }),
});
const ask = registryAsker(system, new Secrets());
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
for (const path of ['/tmp/slipway-corpus-job-retries']) rmSync(path, { recursive: true, force: true });

const all = readCorpus();
const chosen = all.filter(
  (one) =>
    (positionals.length === 0 || positionals.some((part) => one.name.includes(part))) && !(values.quick && one.isSlow),
);
const waiting = [...chosen].sort((a, b) => Number(b.isSlow) - Number(a.isSlow));
const results: CaseResult[] = [];
const seconds = (ms: number | undefined): string => (ms === undefined ? '     –' : (ms / 1000).toFixed(1).padStart(6));

async function work(): Promise<void> {
  for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
    const result = await runCase(cluster, one, ask, stop.signal);
    results.push(result);
    const code = result.verdict?.causes[0]?.code ?? '';
    console.log(
      `${result.isRight ? 'ok  ' : 'FAIL'} ${one.name.padEnd(28)} ${(result.verdict?.state ?? 'error').padEnd(10)} ${code.padEnd(20)} named ${seconds(result.namedMs)} s, verdict ${seconds(result.verdictMs)} s`,
    );
    if (!result.isRight) console.log(`     ${result.why.slice(0, 1500)}`);
    if (values.record !== undefined) {
      mkdirSync(values.record, { recursive: true });
      writeFileSync(join(values.record, `${one.name}.json`), JSON.stringify(result, null, 2));
    }
  }
}
await Promise.all(Array.from({ length: Number(values.jobs) }, () => work()));
registries.close();
registries.closeAllConnections();
system.processes.dispose();

const of = (kind: CorpusCase['kind']): readonly CaseResult[] =>
  results.filter((result) => all.find(({ name }) => name === result.name)?.kind === kind);
const right = (list: readonly CaseResult[]): number => list.filter(({ isRight }) => isRight).length;
const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
const times = of('broken').flatMap(({ namedMs }) => namedMs ?? []);
console.log('');
console.log(`failures named right: ${right(of('broken'))} of ${of('broken').length}`);
console.log(
  `slow but healthy: ${right(of('healthy'))} of ${of('healthy').length} ready, false failures: ${results.filter(({ isFalseFailure }) => isFalseFailure).length}`,
);
console.log(
  `first named after ${seconds(median(times)).trim()} s in the median, ${seconds(Math.max(0, ...times)).trim()} s at most`,
);
const failed = results.length - right(results);
console.log(`rollout: ${right(results)} passed, ${failed} failed`);
process.exitCode = failed > 0 || results.length === 0 ? 1 : 0;
