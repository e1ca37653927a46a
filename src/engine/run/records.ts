import { join } from 'node:path';
import type { Outputs, RunId, StepId } from '../events/index.ts';
import type { Files } from '../system/index.ts';
import { fileNameOf, folderOf } from './journal.ts';

/** The last success of a step: what the plan compares its key with to say "unchanged". */
export interface StepRecord {
  readonly step: StepId;
  readonly key: string;
  readonly outputs: Outputs;
  /** What the key was made of, to say later what changed. */
  readonly inputs?: readonly { readonly name: string; readonly value: string }[];
  readonly run: RunId;
  /** ISO time. */
  readonly finishedAt: string;
}

const recordsFolder = (root: string): string => join(folderOf(root), 'steps');

/** One small file a step, so that runs at the same time on different steps never write over each other. */
export async function readRecords(files: Files, root: string): Promise<ReadonlyMap<StepId, StepRecord>> {
  const entries = (await files.list(recordsFolder(root))) ?? [];
  const records = new Map<StepId, StepRecord>();
  await Promise.all(
    entries
      .filter((entry) => entry.name.endsWith('.json'))
      .map(async (entry) => {
        const text = await files.readText(join(recordsFolder(root), entry.name));
        const record = parse(text);
        if (record !== undefined) records.set(record.step, record);
      }),
  );
  return records;
}

export async function writeRecord(files: Files, root: string, record: StepRecord): Promise<void> {
  await files.writeAtomic(join(recordsFolder(root), `${fileNameOf(record.step)}.json`), JSON.stringify(record));
}

function parse(text: string | undefined): StepRecord | undefined {
  if (text === undefined) return undefined;
  try {
    const record = JSON.parse(text) as Partial<StepRecord>;
    return typeof record.step === 'string' && typeof record.key === 'string' && typeof record.outputs === 'object'
      ? (record as StepRecord)
      : undefined;
  } catch {
    // Unreadable is the same as absent: the step runs again.
    return undefined;
  }
}
