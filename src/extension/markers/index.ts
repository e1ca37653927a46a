import type * as vscode from 'vscode';
import type { System } from '../../engine/system/index.ts';
import type { CommandSpec } from '../commands/register.ts';
import { Owner } from '../events.ts';
import { LintProblems } from '../lint/index.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Workspace } from '../workspace.ts';
import { markerCommands } from './commands.ts';
import { MarkerDiagnostics } from './diagnostics.ts';
import { MarkerHover } from './hover.ts';
import { ImagesTree } from './imagesTree.ts';
import { MarkerLenses } from './lenses.ts';
import { GitOpsModel } from './model.ts';
import { MarkerNavigation } from './navigation.ts';
import { WhyDocuments } from './why.ts';

export interface MarkerParts {
  readonly system: System;
  readonly loader: EngineLoader;
  readonly workspace: Workspace;
  readonly log: vscode.LogOutputChannel;
}

/** Everything about image markers and policies in the editor. Reads nothing until somebody looks at one. */
export function registerMarkers(parts: MarkerParts): Owner & { readonly commands: readonly CommandSpec[] } {
  const { system, loader, workspace, log } = parts;
  const owner = new Owner();
  const model = owner.own(new GitOpsModel(system, loader, log));
  owner.own(new MarkerLenses(model));
  owner.own(new MarkerHover(model));
  owner.own(new MarkerNavigation(model));
  owner.own(new MarkerDiagnostics(model, log));
  owner.own(new LintProblems({ model, system, loader, log }));
  owner.own(new WhyDocuments(model));
  owner.own(new ImagesTree(model, workspace));
  return Object.assign(owner, { commands: markerCommands(model, system, workspace) });
}
