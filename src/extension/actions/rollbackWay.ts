// How a rollback under Flux is to stay: the person chooses, and sees what each controller would do next.
import * as vscode from 'vscode';
import type { RollbackWay, RollbackWays } from '../../engine/main.ts';
import { CancelledError } from '../../engine/problems/index.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import { asking } from '../commands/asking.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Root } from '../workspace.ts';
import type { TextDocuments } from './textDocuments.ts';

type Choice = RollbackWays['choices'][number];

interface WayItem extends vscode.QuickPickItem {
  readonly choice: Choice;
}

export interface WayParts {
  readonly loader: EngineLoader;
  readonly texts: TextDocuments;
}

/**
 * Undefined for environments that Flux does not deliver: there is one way back, and it stays. `{ "how": "pin" }` of a
 * keybinding is taken as it is. Throws CancelledError; SlipwayError when there is nothing to go back to.
 */
export async function pickWay(
  { loader, texts }: WayParts,
  root: Root,
  environment: EnvironmentConfig,
  to: string | undefined,
  argument: unknown,
): Promise<RollbackWay | undefined> {
  if (environment.deploy.kind !== 'flux') return undefined;
  const given = (argument as { readonly how?: unknown } | undefined)?.how;
  const title = vscode.l10n.t('Slipway: the ways back of {0}', environment.name);
  const ways = await asking(title, async (signal) =>
    (await loader.engine(root.path)).rollbackWays(environment.name, to, signal),
  );
  if (ways === undefined) return undefined;
  const known = ways.choices.find(({ how }) => how === given);
  if (known !== undefined) return known.how;
  return choose(ways, texts);
}

function choose({ to, choices }: RollbackWays, texts: TextDocuments): Promise<RollbackWay> {
  const pick = vscode.window.createQuickPick<WayItem>();
  pick.title = vscode.l10n.t('How shall the rollback to {0} stay?', to);
  pick.placeholder = vscode.l10n.t('Each way is written into git; the pencil shows its changes');
  pick.ignoreFocusOut = true;
  pick.matchOnDescription = true;
  pick.matchOnDetail = true;
  pick.items = choices.map(itemOf);
  return new Promise<RollbackWay>((resolve, reject) => {
    pick.onDidAccept(() => {
      const [item] = pick.selectedItems;
      if (item !== undefined) resolve(item.choice.how);
    });
    pick.onDidTriggerItemButton(({ item }) => void showChanges(item.choice, texts));
    pick.onDidHide(() => reject(new CancelledError()));
    pick.show();
  }).finally(() => pick.dispose());
}

function itemOf(choice: Choice): WayItem {
  const { how, title, verdict, tag, next, warnings } = choice;
  const icons = { sticks: 'pass', differs: 'info', bounces: 'warning' } as const;
  const words = {
    sticks: vscode.l10n.t('stays'),
    differs: vscode.l10n.t('stays, at {0}', tag),
    bounces: vscode.l10n.t('does not stay, so it is refused'),
  } as const;
  return {
    label: `$(${icons[verdict]}) ${how}: ${title}`,
    description: words[verdict],
    // One line has room for the last of the controllers, which decides; all of them are with the changes.
    detail: [...next.slice(-1).map(({ controller, does }) => `${controller} ${does}.`), ...warnings].join(' '),
    buttons: [{ iconPath: new vscode.ThemeIcon('edit'), tooltip: vscode.l10n.t('Changes, and what happens next') }],
    choice,
  };
}

/** Beside the open question: the lines that change, then what every controller does with them. */
async function showChanges({ how, title, next, warnings, files }: Choice, texts: TextDocuments): Promise<void> {
  const text = [
    `# ${how}: ${title}`,
    '',
    ...files.flatMap(({ path, line, removed, added }) => [
      `--- ${path}`,
      `+++ ${path}`,
      `@@ -${line},${removed.length} +${line},${added.length} @@`,
      ...removed.map((text) => `-${text}`),
      ...added.map((text) => `+${text}`),
      '',
    ]),
    ...next.map(({ controller, does }) => `# ${controller} ${does}`),
    ...warnings.map((warning) => `# ! ${warning}`),
  ].join('\n');
  const document = await vscode.workspace.openTextDocument(texts.put(`roll back by ${how}.diff`, text));
  await vscode.window.showTextDocument(document, { preview: true, preserveFocus: true });
}
