// The ways back as a person chooses between them: what each changes in git, and what every controller would do next.
import type { RollbackWay } from '../project/model.ts';
import { type GoBack, nextSteps, readBranch, recipeOf, tagAfter, textsOf, WAYS, type WayStep } from './fluxRollback.ts';

export interface RollbackChoice {
  readonly how: RollbackWay;
  readonly title: string;
  /** `sticks`: the wanted version stays. `differs`: another one will run, see `tag`. `bounces`: Flux would undo it. */
  readonly verdict: 'sticks' | 'differs' | 'bounces';
  /** What will run. */
  readonly tag: string;
  /** What each controller does next, in order. */
  readonly next: readonly { readonly controller: string; readonly does: string }[];
  readonly warnings: readonly string[];
  /** What changes on the branch. */
  readonly files: readonly ChangedFile[];
}

export interface ChangedFile {
  readonly path: string;
  readonly before: string;
  readonly after: string;
  /** Of the first line that differs, from 1. */
  readonly line: number;
  /** From the first to the last line that differs. */
  readonly removed: readonly string[];
  readonly added: readonly string[];
}

/** All that can be carried out, best first. Writes nothing. */
export async function waysBack(back: GoBack): Promise<readonly RollbackChoice[]> {
  const branch = await readBranch(back);
  const choices: RollbackChoice[] = [];
  for (const how of WAYS) {
    const found = await Promise.all(back.steps.map((step) => recipeOf(back, step, how, branch)));
    const ways = found.filter((way): way is WayStep => way !== undefined);
    if (ways.length === 0 || ways.length < found.length) continue;
    const texts = textsOf(ways, branch, back);
    const suspended = how === 'suspend' ? ways.flatMap(({ recipe }) => recipe?.edits ?? []) : [];
    const files = new Map([
      ...suspended.map(({ file, text }) => [file, text] as const),
      ...texts.map(({ path, text }) => [path, text] as const),
    ]);
    const recipes = ways.flatMap(({ recipe }) => recipe ?? []);
    const active = ways.flatMap(({ step }) => step.policy.active);
    choices.push({
      how,
      title:
        recipes.length > 0
          ? recipes.map(({ title }) => title).join('; ')
          : `Write ${ways.map(({ step }) => step.good).join(', ')} into git`,
      verdict:
        how === 'revert'
          ? active.length > 0
            ? 'bounces'
            : 'sticks'
          : ((['bounces', 'differs', 'sticks'] as const).find((verdict) =>
              recipes.some((one) => one.verdict === verdict),
            ) ?? 'sticks'),
      tag: ways.map(tagAfter).join(', '),
      next: nextSteps(how, ways),
      warnings: [...new Set(recipes.flatMap(({ warnings }) => warnings))],
      files: [...files].map(([path, after]) => changedFile(path, branch.texts.get(path) ?? '', after)),
    });
  }
  const order = { sticks: 0, differs: 1, bounces: 2 } as const;
  return choices.sort((a, b) => order[a.verdict] - order[b.verdict]);
}

function changedFile(path: string, before: string, after: string): ChangedFile {
  const lines = (text: string) => text.split('\n').map((line) => line.replace(/\r$/, ''));
  const old = lines(before);
  const now = lines(after);
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let tail = 0;
  while (tail < old.length - start && tail < now.length - start && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  return {
    path,
    before,
    after,
    line: start + 1,
    removed: old.slice(start, old.length - tail),
    added: now.slice(start, now.length - tail),
  };
}
