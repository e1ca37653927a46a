// The extension's entry: wires and returns. Nothing here starts a process, asks the network or waits.
import { performance } from 'node:perf_hooks';
import * as vscode from 'vscode';
import { createSystem } from '../engine/system/index.ts';
import { registerActions } from './actions/index.ts';
import { SelectedEnvironment } from './actions/selectedEnvironment.ts';
import { registerAgents } from './agents/index.ts';
import { registerCi } from './ci/index.ts';

import { openPlace, refuseUntrusted, registerCommands, showError } from './commands/register.ts';
import { type RunCommandParts, runCommands, startRun } from './commands/runCommands.ts';
import { openLog, openReport, viewCommands } from './commands/viewCommands.ts';
import { registerConfig } from './config/index.ts';
import { deliveryCommands } from './delivery/index.ts';
import { Owner } from './events.ts';
import { registerMarkers } from './markers/index.ts';
import { PageMemory } from './rollout/pageMemory.ts';
import type { PanelActions } from './rollout/panel.ts';
import { RolloutPanels } from './rollout/panels.ts';
import { sameAgain } from './rollout/sameAgain.ts';
import { EngineLoader } from './run/engineLoader.ts';
import { LogDocuments } from './run/logDocuments.ts';
import { Runner } from './run/runner.ts';
import { RunsTree } from './runs/runsTree.ts';
import { registerSurfaces } from './surfaces/index.ts';
import { PipelinesTree } from './views/pipelinesTree.ts';
import { registerWorkloadCommands, registerWorkloads } from './workloads/index.ts';
import { Workspace } from './workspace.ts';

/** By then the editor has opened what it had open. */
const READ_AFTER_MS = 500;

let stop: (() => Promise<void>) | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const started = performance.now();
  const owner = new Owner();
  const log = owner.own(vscode.window.createOutputChannel('Slipway', { log: true }));
  const system = createSystem({ isTrusted: () => vscode.workspace.isTrusted });
  const loader = new EngineLoader(context.extensionPath, system);
  const workspace = owner.own(new Workspace(system, loader, log));
  const runner = owner.own(new Runner(loader, system, log));
  const guarded = <A extends readonly unknown[]>(work: (...args: A) => Promise<void>) => {
    return async (...args: A): Promise<void> => {
      try {
        await work(...args);
      } catch (error) {
        await showError(error, log);
      }
    };
  };
  // Commands and pages need each other: pages ask for what the commands do.
  const actions: PanelActions = {
    cancel: guarded(async (root, run) => {
      const entry = root.runs.get(run);
      if (entry !== undefined) runner.cancel(root, entry.view);
    }),
    runAgain: guarded(async (root, run) => {
      refuseUntrusted();
      const view = root.runs.get(run)?.view;
      const found = root.project?.environments.find(({ name }) => name === view?.environment) ?? null;
      await startRun(parts, root, found, view === undefined ? {} : sameAgain(view));
    }),
    resume: async (root, run) => {
      await vscode.commands.executeCommand('slipway.resume', { root, run });
    },
    openLog: guarded(openLog),
    openReport: guarded(openReport),
    openPlace: guarded(openPlace),
  };
  const panels = owner.own(
    new RolloutPanels(workspace, {
      system,
      extensionUri: context.extensionUri,
      log,
      actions,
      memory: new PageMemory(context.workspaceState),
    }),
  );
  const tree = owner.own(new PipelinesTree(workspace));
  owner.own(new RunsTree(workspace));
  const workloads = owner.own(registerWorkloads({ workspace, loader, log }));
  const selected = owner.own(new SelectedEnvironment(context.workspaceState, workspace));
  const parts: RunCommandParts = { workspace, runner, panels, tree, selected };
  owner.own(new LogDocuments(workspace, system));
  const stages = owner.own(registerActions({ ...parts, loader, store: workloads.store }));
  const { texts } = stages;
  const operations = owner.own(
    registerWorkloadCommands({ workspace, loader, selected, texts, scaled: workloads.scaled }),
  );
  const surfaces = owner.own(registerSurfaces(parts, String(context.extension.packageJSON.version)));
  const markers = owner.own(registerMarkers({ system, loader, workspace, log }));
  const ci = owner.own(registerCi({ system, loader, workspace, log, context }));
  owner.own(
    registerCommands(
      [
        ...markers.commands,
        ...stages.commands,
        ...operations.commands,
        ...surfaces.commands,
        ...deliveryCommands({ workspace, loader, selected, system, texts }),
        ...ci.commands,
        ...runCommands(parts),
        ...viewCommands({ workspace, panels, loader, log }),
      ],
      log,
    ),
  );
  owner.own(registerConfig({ workspace, loader, system, log }));
  owner.own(registerAgents({ context, workspace, runner, loader, system, log }));
  context.subscriptions.push(owner);
  // Status bar and Problems say what the files say, whether or not a view is open; nothing of it holds up the start.
  const reading = setTimeout(() => void workspace.show(), READ_AFTER_MS);
  owner.own({ dispose: () => clearTimeout(reading) });
  // VS Code waits a few seconds for this when a window closes: time for every child to be ended.
  stop = () => runner.stopAll();
  log.info(`Activated in ${(performance.now() - started).toFixed(1)} ms`);
}

export function deactivate(): Promise<void> | undefined {
  return stop?.();
}
