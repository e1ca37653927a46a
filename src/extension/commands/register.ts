import * as vscode from 'vscode';
import { isCancelled, SlipwayError, toFailure } from '../../engine/problems/index.ts';
import { Owner } from '../events.ts';
import type { CommandId } from '../ids.ts';

export interface CommandSpec {
  readonly id: CommandId;
  /** `trusted`: starts processes or contacts something, so it is refused in Restricted Mode. */
  readonly needs: 'nothing' | 'trusted';
  /** Gets what VS Code passes: a tree node, arguments of a keybinding, or nothing from the palette. */
  readonly run: (argument: unknown) => Promise<void> | void;
}

/** Registers all commands through one wrapper: trust, errors with their fix, one log entry each, cancellation silent. */
export function registerCommands(specs: readonly CommandSpec[], log: vscode.LogOutputChannel): Owner {
  const owner = new Owner();
  for (const spec of specs) {
    owner.own(
      vscode.commands.registerCommand(spec.id, async (argument: unknown) => {
        log.debug(`command ${spec.id}`);
        try {
          if (spec.needs === 'trusted') refuseUntrusted();
          await spec.run(argument);
        } catch (error) {
          if (isCancelled(error)) return;
          await showError(error, log);
        }
      }),
    );
  }
  return owner;
}

export function refuseUntrusted(): void {
  if (vscode.workspace.isTrusted) return;
  throw new SlipwayError({
    reason: 'untrusted',
    code: 'workspace.untrusted',
    message: vscode.l10n.t('This workspace is in Restricted Mode, so Slipway starts no program and contacts nothing.'),
    fix: vscode.l10n.t('Trust the workspace if you know where its files come from.'),
  });
}

/** One notification with the cause, the fix and the way there; the evidence goes to the log. */
export async function showError(error: unknown, log: vscode.LogOutputChannel): Promise<void> {
  const failure = toFailure(error);
  log.error([failure.message, ...(failure.evidence ?? []).map((line) => `  | ${line}`)].join('\n'));
  if (failure.reason === 'internal' && error instanceof Error) log.error(error);
  const trust = vscode.l10n.t('Manage Workspace Trust');
  const open = vscode.l10n.t('Open File');
  const show = vscode.l10n.t('Show Output');
  const actions = [
    ...(failure.reason === 'untrusted' ? [trust] : []),
    ...(failure.place === undefined ? [] : [open]),
    ...(failure.reason === 'untrusted' ? [] : [show]),
  ];
  const text = failure.fix === undefined ? failure.message : `${failure.message} ${failure.fix}`;
  const chosen = await vscode.window.showErrorMessage(text, ...actions);
  if (chosen === trust) await vscode.commands.executeCommand('workbench.trust.manage');
  if (chosen === show) log.show(true);
  if (chosen === open && failure.place !== undefined) await openPlace(failure.place);
}

/** The cursor goes to where it begins: a selection would be overwritten by the next key, and ends on the line after it. */
export async function openPlace(place: NonNullable<SlipwayError['place']>): Promise<void> {
  const start = place.range?.start;
  const at = start === undefined ? undefined : new vscode.Position(start.line, start.character);
  await vscode.window.showTextDocument(vscode.Uri.file(place.file), {
    ...(at !== undefined && { selection: new vscode.Range(at, at) }),
  });
}
