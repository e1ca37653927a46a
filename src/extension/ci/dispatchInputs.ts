import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { CiKind, CiWorkflow, DispatchInput } from '../../engine/ci/index.ts';
import { CancelledError } from '../../engine/problems/index.ts';

/** The workflows that say they can be started by hand, by the files here; one whose file is not here is offered, too. */
export async function dispatchable(
  top: string,
  workflows: readonly CiWorkflow[],
  kind: CiKind,
  readInputs: (text: string) => readonly DispatchInput[] | undefined,
): Promise<readonly { readonly workflow: CiWorkflow; readonly inputs: readonly DispatchInput[] }[]> {
  if (kind === 'gitlab') return workflows.map((workflow) => ({ workflow, inputs: [] }));
  const read = await Promise.all(
    workflows.map(async (workflow) => {
      try {
        return { workflow, inputs: readInputs(await readFile(join(top, workflow.file), 'utf8')) };
      } catch {
        return { workflow, inputs: [] };
      }
    }),
  );
  return read.flatMap(({ workflow, inputs }) => (inputs === undefined ? [] : [{ workflow, inputs }]));
}

/** One question after the other. Throws CancelledError when one is not answered. */
export async function askInputs(inputs: readonly DispatchInput[]): Promise<Readonly<Record<string, string>>> {
  const given: Record<string, string> = {};
  for (const input of inputs) {
    const title = `${input.name}${input.description === '' ? '' : `: ${input.description}`}`;
    const options = input.type === 'boolean' ? ['true', 'false'] : input.options;
    const answer =
      options.length > 0
        ? await vscode.window.showQuickPick(
            [...options].sort((a, b) => Number(b === input.value) - Number(a === input.value)),
            { title },
          )
        : await vscode.window.showInputBox({
            title,
            value: input.value,
            validateInput: (text) =>
              input.isRequired && text === ''
                ? vscode.l10n.t('A value is needed.')
                : input.type === 'number' && Number.isNaN(Number(text))
                  ? vscode.l10n.t('A number is needed.')
                  : undefined,
          });
    if (answer === undefined) throw new CancelledError();
    if (answer !== '' || input.isRequired) given[input.name] = answer;
  }
  return given;
}
