import type { CommandSpec } from '../commands/register.ts';
import type { RunCommandParts } from '../commands/runCommands.ts';
import { Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { WorkloadStore } from '../workloads/workloadStore.ts';
import { environmentCommands } from './environmentCommands.ts';
import { stageCommands } from './stageCommands.ts';
import { StatusBar } from './statusBar.ts';
import { TextDocuments } from './textDocuments.ts';

export interface ActionParts extends RunCommandParts {
  readonly loader: EngineLoader;
  readonly store: WorkloadStore;
}

export interface Actions extends Owner {
  readonly commands: readonly CommandSpec[];
  readonly texts: TextDocuments;
}

/** Parts of the pipeline, and what one does with an environment; the status bar item. */
export function registerActions(parts: ActionParts): Actions {
  const owner = new Owner();
  const texts = owner.own(new TextDocuments());
  owner.own(new StatusBar(parts.workspace, parts.selected, parts.store));
  const all = { ...parts, texts };
  return Object.assign(owner, { commands: [...stageCommands(all), ...environmentCommands(all)], texts });
}
