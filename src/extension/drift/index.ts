import { performance } from 'node:perf_hooks';
import * as vscode from 'vscode';
import { Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { WorkloadStore } from '../workloads/workloadStore.ts';
import type { Root, Workspace } from '../workspace.ts';
import { DriftDecorations } from './decorations.ts';
import { DriftStore } from './driftStore.ts';

export interface DriftServices {
  readonly workspace: Workspace;
  readonly loader: EngineLoader;
  readonly store: WorkloadStore;
  readonly log: vscode.LogOutputChannel;
}

/** Compares the environments that a person watches in the Workloads view with the files, unless they do not want it. */
export function registerDrift({ workspace, loader, store, log }: DriftServices): DriftStore {
  const rootOf = (folder: string): Root | undefined => workspace.roots.find(({ path }) => path === folder);
  const isWanted = (root: Root | undefined): boolean =>
    vscode.workspace.getConfiguration('slipway', root?.folder.uri).get('drift', true);
  const owner = new DriftStore({
    store,
    compare: async ({ folder, environment }, signal) => {
      if (!isWanted(rootOf(folder))) return [];
      const started = performance.now();
      const engine = await loader.engine(folder);
      const drifts = await engine.drift(environment, signal);
      const ms = (performance.now() - started).toFixed(0);
      log.debug(`Compared ${environment} with the files in ${ms} ms: ${drifts.length} differ`);
      return drifts;
    },
    isBusy: ({ folder, environment }) =>
      rootOf(folder)
        ?.runs.list()
        .some(({ view, isLive }) => isLive && view.environment === environment) ?? false,
    onError: ({ environment }, error) => log.warn(`Comparing ${environment} with the files failed`, error as Error),
  });
  owner.own(new DriftDecorations(owner));
  owner.own(followFiles(workspace, owner));
  owner.own(
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('slipway.drift')) for (const { path } of workspace.roots) owner.filesChanged(path);
    }),
  );
  return owner;
}

/** The files are watched from the first comparison on. */
function followFiles(workspace: Workspace, store: DriftStore): Owner {
  const owner = new Owner();
  const first = store.onDidWatch(() => {
    first.dispose();
    const files = owner.own(vscode.workspace.createFileSystemWatcher('**/*.{yaml,yml,tpl}'));
    const stale = (uri: vscode.Uri) => {
      const root = workspace.rootOf(uri);
      if (root !== undefined && !uri.path.includes('/.slipway/')) store.filesChanged(root.path);
    };
    owner.own(files.onDidChange(stale));
    owner.own(files.onDidCreate(stale));
    owner.own(files.onDidDelete(stale));
  });
  owner.own(first);
  return owner;
}
