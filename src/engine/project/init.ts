import { join } from 'node:path';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { bakePrinter } from './bake.ts';
import { CONFIG_FILES, readConfig } from './config.ts';
import { makeDraft } from './discovery/draft.ts';
import type { Draft } from './discovery/draftModel.ts';
import type { Findings } from './discovery/findings.ts';
import { draftProject, findEverything } from './discovery.ts';
import { draftText } from './initText.ts';
import type { Project } from './model.ts';

/** A file that `slipway init` would write. */
export interface InitProposal {
  /** Absolute. */
  readonly file: string;
  readonly text: string;
  /** The file's content now, when it exists. */
  readonly existing?: string;
  /** What the text means, with the guesses and what was left out as diagnostics. */
  readonly project: Project;
}

export interface InitOptions {
  /**
   * Whether `docker buildx bake --print` is asked for what cannot be told by reading bake files. `may` (default): where it
   * is needed, and what it cannot say is left; `must`: it fails then; `never`: starts no process.
   */
  readonly bake?: 'may' | 'must' | 'never';
  readonly signal?: AbortSignal;
}

/**
 * The commented slipway.yaml that the workspace suggests. Reads files, and asks buildx of bake files as `bake` says; with
 * `must` it throws SlipwayError `tool-failed` with buildx's words when it cannot.
 */
export async function proposeConfig(system: System, root: string, options: InitOptions = {}): Promise<InitProposal> {
  const { bake = 'may', signal } = options;
  return propose(
    system,
    await findEverything(system, root, {
      ...(bake !== 'never' && { printBake: bakePrinter(system, root, signal) }),
      ...(bake === 'must' && { needsBake: true as const }),
    }),
  );
}

/** The proposal that findings add up to. */
export async function propose(
  system: System,
  findings: Findings,
  draft: Draft = makeDraft(findings),
): Promise<InitProposal> {
  const { root } = findings;
  const project = draftProject(draft, findings);
  const text = draftText(draft, findings);
  const file = await currentFile(system, root);
  const existing = await system.files.readText(file);
  // What is written must be readable: a mistake of ours is better named here than found at the next run.
  const broken = readConfig(text, file, root).diagnostics[0];
  if (broken !== undefined) {
    throw new SlipwayError({
      reason: 'internal',
      code: 'init.unreadable',
      message: `The proposed configuration does not fit its own schema: ${broken.message}`,
      evidence: text.split('\n'),
    });
  }
  return { file, text, ...(existing !== undefined && { existing }), project };
}

async function currentFile(system: System, root: string): Promise<string> {
  for (const name of CONFIG_FILES) {
    const file = join(root, name);
    if ((await system.files.stat(file)) !== undefined) return file;
  }
  return join(root, CONFIG_FILES[0]);
}

/** Writes the proposal. Throws SlipwayError `refused` when the file exists, unless it is to be replaced. */
export async function writeProposal(
  system: System,
  proposal: Pick<InitProposal, 'file' | 'text'>,
  existing: 'keep' | 'replace' = 'keep',
): Promise<void> {
  if (existing === 'replace') return system.files.writeAtomic(proposal.file, proposal.text);
  if (await system.files.createExclusive(proposal.file, proposal.text)) return;
  throw new SlipwayError({
    reason: 'refused',
    code: 'init.exists',
    message: `${proposal.file} exists and was not changed.`,
    place: { file: proposal.file },
    fix: 'See what would change with --dry-run, or replace it with --force.',
  });
}

/** Lines of a unified view: ` ` kept, `-` gone, `+` new. Empty when the texts are the same. */
export function lineDiff(before: string, after: string): readonly string[] {
  if (before === after) return [];
  const a = before.replace(/\n$/, '').split('\n');
  const b = after.replace(/\n$/, '').split('\n');
  // Longest common subsequence from the ends; the files are a few hundred lines.
  const common: number[][] = Array.from({ length: a.length + 1 }, () => Array<number>(b.length + 1).fill(0));
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    const row = common[i] ?? [];
    for (let j = b.length - 1; j >= 0; j -= 1) {
      row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(` ${a[i]}`);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) {
      lines.push(`-${a[i]}`);
      i += 1;
    } else {
      lines.push(`+${b[j]}`);
      j += 1;
    }
  }
  return lines;
}
