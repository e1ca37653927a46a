// The ways back as a person chooses between them: what each changes in git, and what every controller would do next.
import type { RollbackWay } from '../project/model.ts';
import { type GoBack, readBranch, recipeOf, tagAfter, textsOf, WAYS, type WayStep } from './fluxRollback.ts';

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
  /** The files of the branch before and after. */
  readonly files: readonly { readonly path: string; readonly before: string; readonly after: string }[];
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
    const names = [...new Set(active.map(({ metadata }) => metadata.name))].join(', ');
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
      next:
        how === 'revert'
          ? [
              { controller: 'source-controller', does: 'fetches the commit' },
              { controller: 'kustomize-controller', does: `applies ${ways.map(tagAfter).join(', ')}` },
              {
                controller: 'image-automation-controller',
                does:
                  active.length === 0
                    ? 'writes nothing: no active automation covers the markers'
                    : `writes ${ways.map(({ step }) => step.bad).join(', ')} again at the next run of ${names}`,
              },
            ]
          : recipes.flatMap(({ next }) => next),
      warnings: [...new Set(recipes.flatMap(({ warnings }) => warnings))],
      files: [...files].map(([path, after]) => ({ path, before: branch.texts.get(path) ?? '', after })),
    });
  }
  const order = { sticks: 0, differs: 1, bounces: 2 } as const;
  return choices.sort((a, b) => order[a.verdict] - order[b.verdict]);
}
