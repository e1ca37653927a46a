import * as vscode from 'vscode';
import { Owner } from '../events.ts';
import type { Root, Workspace } from '../workspace.ts';

interface RunLink extends vscode.TerminalLink {
  readonly root: Root;
  readonly run: string;
}

/** A run's id in any terminal leads to its page. */
export class TerminalLinks extends Owner implements vscode.TerminalLinkProvider<RunLink> {
  readonly #workspace: Workspace;

  constructor(workspace: Workspace) {
    super();
    this.#workspace = workspace;
    this.own(vscode.window.registerTerminalLinkProvider(this));
  }

  provideTerminalLinks({ line }: vscode.TerminalLinkContext): RunLink[] {
    return [...line.matchAll(/\b\d{8}T\d{6}Z-[0-9a-f]{6}\b/g)].flatMap((match) => {
      const [run] = match;
      const root = this.#workspace.roots.find(({ runs }) => runs.get(run) !== undefined);
      const tooltip = vscode.l10n.t('Show the rollout');
      return root === undefined ? [] : [{ startIndex: match.index, length: run.length, tooltip, root, run }];
    });
  }

  async handleTerminalLink({ root, run }: RunLink): Promise<void> {
    await vscode.commands.executeCommand('slipway.showRollout', { root, run });
  }
}
