// `npm run fuzz -- edits --count 1000000 [--seed N] [--workers N]`: random files through the editor of marked values.
// The last line is `N passed, N failed`; each failure is printed with its seed and text.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import fc from 'fast-check';
import { checkEdit } from './check.ts';
import { randomFile } from './documents.ts';

interface Job {
  readonly seed: number;
  readonly count: number;
}

interface Progress {
  readonly done: number;
  readonly edited: number;
  readonly values: number;
  readonly skipped: number;
  readonly failures: readonly string[];
}

const batch = 1000;

function work({ seed, count }: Job): void {
  for (let done = 0; done < count; done += batch) {
    const progress = { done: 0, edited: 0, values: 0, skipped: 0, failures: [] as string[] };
    const batchSeed = seed + done;
    for (const [index, file] of fc
      .sample(randomFile, { seed: batchSeed, numRuns: Math.min(batch, count - done) })
      .entries()) {
      progress.done += 1;
      try {
        const { result, problem } = checkEdit(file);
        if (result.changes.length > 0) progress.edited += 1;
        progress.values += result.changes.length;
        if (result.skipped !== undefined) progress.skipped += 1;
        if (problem !== undefined)
          progress.failures.push(`seed ${batchSeed}, file ${index}: ${problem}\n${JSON.stringify(file)}`);
      } catch (error) {
        progress.failures.push(`seed ${batchSeed}, file ${index}: ${error}\n${JSON.stringify(file)}`);
      }
    }
    parentPort?.postMessage(progress satisfies Progress);
  }
}

export async function runEdits(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: 'string', default: '20000' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: String(availableParallelism()) },
    },
  });
  const count = Number(values.count);
  const workers = Math.max(1, Math.min(Number(values.workers), Math.ceil(count / batch)));
  const share = Math.ceil(count / workers);
  const total = { done: 0, edited: 0, values: 0, skipped: 0, failed: 0 };
  let shown = 0;
  await Promise.all(
    Array.from({ length: workers }, (_, index) => {
      const job: Job = { seed: Number(values.seed) + index * share, count: Math.min(share, count - index * share) };
      const worker = new Worker(new URL(import.meta.url), { workerData: job });
      worker.on('message', (progress: Progress) => {
        total.done += progress.done;
        total.edited += progress.edited;
        total.values += progress.values;
        total.skipped += progress.skipped;
        total.failed += progress.failures.length;
        for (const failure of progress.failures) {
          shown += 1;
          if (shown <= 5) console.log(`FAIL ${failure}`);
        }
        if (Math.floor(total.done / 50_000) > Math.floor((total.done - progress.done) / 50_000))
          console.log(`${total.done} files`);
      });
      return new Promise<void>((resolve, reject) => {
        worker.on('error', reject);
        worker.on('exit', () => resolve());
      });
    }),
  );
  console.log(`${total.edited} files edited, ${total.values} values written, ${total.skipped} files that Flux skips`);
  console.log(`${total.done - total.failed} passed, ${total.failed} failed`);
  process.exitCode = total.failed > 0 || total.done !== count ? 1 : 0;
}

if (!isMainThread) work(workerData as Job);
