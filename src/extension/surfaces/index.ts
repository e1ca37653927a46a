import * as vscode from 'vscode';
import type { CommandSpec } from '../commands/register.ts';
import type { RunCommandParts } from '../commands/runCommands.ts';
import { Owner } from '../events.ts';
import type { Workspace } from '../workspace.ts';
import { Problems } from './problems.ts';
import { reportIssueCommand } from './reportIssue.ts';
import { Tasks } from './tasks.ts';
import { TerminalLinks } from './terminalLinks.ts';

export interface Surfaces extends Owner {
  readonly commands: readonly CommandSpec[];
}

/** Where Slipway shows up in VS Code's own places: Problems, tasks, terminals, walkthrough, issue reporter. */
export function registerSurfaces(parts: RunCommandParts, version: string): Surfaces {
  const owner = new Owner();
  owner.own(new Problems(parts.workspace));
  owner.own(new Tasks(parts));
  owner.own(new TerminalLinks(parts.workspace));
  owner.own(followShipped(parts.workspace));
  return Object.assign(owner, { commands: [reportIssueCommand(parts.workspace, version)] });
}

/** The walkthrough's last step is done when something has been shipped. */
function followShipped(workspace: Workspace) {
  let isSaid = false;
  return workspace.onDidChange((change) => {
    if (isSaid || change.kind !== 'runs') return;
    const hasShipped = change.runs.some((run) => {
      const view = change.root.runs.get(run)?.view;
      return view?.state === 'succeeded' && view.environment !== null;
    });
    if (!hasShipped) return;
    isSaid = true;
    void vscode.commands.executeCommand('setContext', 'slipway.hasShipped', true);
  });
}
