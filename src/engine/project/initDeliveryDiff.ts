import { lineDiff } from './init.ts';
import type { ProposedFile } from './initDeliveryPlan.ts';

/** A proposed file as a diff: whole when it is new, else its changed lines with the three around them. */
export function proposedDiff({ path, text, existing }: ProposedFile): readonly string[] {
  const head = [`--- ${existing === undefined ? '(new)' : path}`, `+++ ${path}`];
  if (existing === undefined)
    return [
      ...head,
      ...text
        .trimEnd()
        .split('\n')
        .map((line) => `+${line}`),
    ];
  return [...head, ...changedLines(lineDiff(existing, text))];
}

function changedLines(lines: readonly string[]): readonly string[] {
  const near = lines.map((_, index) =>
    lines.slice(Math.max(0, index - 3), index + 4).some((line) => !line.startsWith(' ')),
  );
  return lines.flatMap((line, index) => (near[index] === true ? [line] : near[index - 1] === true ? ['…'] : []));
}
