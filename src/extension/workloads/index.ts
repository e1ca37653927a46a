import type * as vscode from 'vscode';
import type { SelectedEnvironment } from '../actions/selectedEnvironment.ts';
import type { TextDocuments } from '../actions/textDocuments.ts';
import type { CommandSpec } from '../commands/register.ts';
import { registerDrift } from '../drift/index.ts';
import { Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Workspace } from '../workspace.ts';
import { Forwards } from './forwards.ts';
import { ScaleUndo } from './scaleUndo.ts';
import { workloadCommands } from './workloadCommands.ts';
import { WorkloadStore } from './workloadStore.ts';
import { WorkloadsTree } from './workloadsTree.ts';

export interface WorkloadParts {
  readonly workspace: Workspace;
  readonly loader: EngineLoader;
}

/** The Workloads view. Contacts a cluster when somebody expands one of its environments. */
export function registerWorkloads({
  workspace,
  loader,
  log,
}: WorkloadParts & { readonly log: vscode.LogOutputChannel }): Owner & {
  readonly store: WorkloadStore;
  readonly scaled: ScaleUndo;
} {
  const owner = new Owner();
  const store = owner.own(
    new WorkloadStore(async ({ folder, environment }, onChange, signal) => {
      const engine = await loader.engine(folder);
      await engine.watch(environment, onChange, signal);
    }),
  );
  const scaled = owner.own(new ScaleUndo());
  const drift = owner.own(registerDrift({ workspace, loader, store, log }));
  owner.own(new WorkloadsTree({ workspace, store, scaled, drift, log }));
  return Object.assign(owner, { store, scaled });
}

/** What one does with what runs. The port-forwards and terminals end with the window. */
export function registerWorkloadCommands(
  parts: WorkloadParts & {
    readonly selected: SelectedEnvironment;
    readonly texts: TextDocuments;
    readonly scaled: ScaleUndo;
  },
): Owner & { readonly commands: readonly CommandSpec[] } {
  const owner = new Owner();
  const forwards = owner.own(new Forwards());
  return Object.assign(owner, { commands: workloadCommands({ ...parts, forwards }) });
}
