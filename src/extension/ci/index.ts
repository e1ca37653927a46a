import type * as vscode from 'vscode';
import type { System } from '../../engine/system/index.ts';
import type { CommandSpec } from '../commands/register.ts';
import { Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Workspace } from '../workspace.ts';
import { CiAccounts } from './accounts.ts';
import { ciCommands } from './ciCommands.ts';
import { CiLogs } from './ciLogs.ts';
import { CiProblems } from './ciProblems.ts';
import { CiSources } from './ciSources.ts';
import { CiTree } from './ciTree.ts';
import { PushAnswers } from './pushAnswers.ts';
import { pushCommands } from './pushCommands.ts';

export interface CiParts {
  readonly system: System;
  readonly loader: EngineLoader;
  readonly workspace: Workspace;
  readonly log: vscode.LogOutputChannel;
  readonly context: vscode.ExtensionContext;
}

/** The CI view. Contacts a host when the view is on the screen or one of its commands is run, and stops when it is hidden. */
export function registerCi({
  system,
  loader,
  workspace,
  log,
  context,
}: CiParts): Owner & { readonly commands: readonly CommandSpec[] } {
  const owner = new Owner();
  const accounts = owner.own(new CiAccounts(context.secrets));
  const sources = owner.own(new CiSources({ system, loader, workspace, accounts, memento: context.globalState }));
  owner.own(new CiTree(sources));
  owner.own(new CiLogs(sources, system, loader));
  owner.own(new CiProblems(sources, log));
  const answers = owner.own(new PushAnswers({ system, loader, log }));
  const commands = [
    ...ciCommands({ sources, accounts, system }),
    ...pushCommands({ answers, workspace, system, loader }),
  ];
  return Object.assign(owner, { commands });
}
