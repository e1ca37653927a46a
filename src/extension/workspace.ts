import * as vscode from 'vscode';
import type { RunId, StepSummary } from '../engine/events/index.ts';
import type { Project } from '../engine/project/model.ts';
import type { System } from '../engine/system/index.ts';
import { Emitter, Owner } from './events.ts';
import { contextKeys, type ViewState } from './ids.ts';
import type { EngineLoader } from './run/engineLoader.ts';
import { RunStore } from './run/runStore.ts';

export type WorkspaceChange =
  | { readonly kind: 'roots' }
  | { readonly kind: 'project'; readonly root: Root }
  | { readonly kind: 'runs'; readonly root: Root; readonly runs: readonly RunId[] };

/** Bursts of file events (a checkout, a save of many files) become one reading. */
const QUIET_MS = 400;

/** One workspace folder: its project as read last, and its runs. */
export class Root extends Owner {
  readonly folder: vscode.WorkspaceFolder;
  readonly runs: RunStore;
  readonly #loader: EngineLoader;
  readonly #outlines = new Map<string | null, readonly StepSummary[]>();
  #project: Project | undefined;
  #reading: Promise<Project> | undefined;

  constructor(folder: vscode.WorkspaceFolder, system: System, loader: EngineLoader) {
    super();
    this.folder = folder;
    this.#loader = loader;
    this.runs = this.own(new RunStore(system, folder.uri.fsPath));
  }

  get path(): string {
    return this.folder.uri.fsPath;
  }

  /** As read last; undefined before the first reading, and where there is nothing for Slipway. */
  get project(): Project | undefined {
    return this.#project;
  }

  /** The steps a run for the environment would have, once known. */
  outline(environment: string | null): readonly StepSummary[] | undefined {
    return this.#outlines.get(environment);
  }

  /** Reads the folder's files anew. Starts no process, contacts nothing. */
  read(): Promise<Project> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readOnce(): Promise<Project> {
    const engine = await this.#loader.engine(this.path);
    const project = await engine.project();
    const isEmpty = project.source === 'discovery' && project.images.length === 0 && project.environments.length === 0;
    this.#outlines.clear();
    for (const environment of [null, ...project.environments.map(({ name }) => name)]) {
      try {
        this.#outlines.set(environment, engine.outline(project, environment));
      } catch {
        // What cannot be planned is a diagnostic of the project already; the row just has no steps yet.
      }
    }
    this.#project = isEmpty ? undefined : project;
    return project;
  }
}

/** The open folders with their projects and runs. Reads when a view is shown or a command needs it, not before. */
export class Workspace extends Owner {
  readonly #system: System;
  readonly #loader: EngineLoader;
  readonly #log: vscode.LogOutputChannel;
  readonly #changed = this.own(new Emitter<WorkspaceChange>());
  readonly onDidChange = this.#changed.event;
  #roots: readonly Root[] = [];
  #shown: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #stale = new Set<Root>();

  constructor(system: System, loader: EngineLoader, log: vscode.LogOutputChannel) {
    super();
    this.#system = system;
    this.#loader = loader;
    this.#log = log;
    this.#openRoots();
    this.own(vscode.workspace.onDidChangeWorkspaceFolders(() => this.#openRoots()));
    this.own({ dispose: () => clearTimeout(this.#timer) });
    this.own({
      dispose: () => {
        for (const root of this.#roots) root.dispose();
      },
    });
    this.#setState(this.#roots.length === 0 ? 'no-folder' : 'loading');
  }

  get roots(): readonly Root[] {
    return this.#roots;
  }

  rootOf(uri: vscode.Uri): Root | undefined {
    const folder = vscode.workspace.getWorkspaceFolder(uri);
    return this.#roots.find((root) => root.folder.uri.toString() === folder?.uri.toString());
  }

  /** Called when something is first looked at: reads projects and journals, and follows their changes. */
  show(): Promise<void> {
    this.#shown ??= this.#showOnce();
    return this.#shown;
  }

  /** Reads everything anew, at once: the person asked. */
  async refresh(): Promise<void> {
    if (this.#shown === undefined) return this.show();
    await Promise.all(this.#roots.flatMap((root) => [this.#read(root), root.runs.follow()]));
  }

  async #showOnce(): Promise<void> {
    this.#watchFiles();
    await Promise.all(this.#roots.map((root) => this.#open(root)));
  }

  async #open(root: Root): Promise<void> {
    root.own(root.runs.onDidChange((runs) => this.#changed.fire({ kind: 'runs', root, runs })));
    await Promise.all([this.#read(root), root.runs.follow()]);
  }

  async #read(root: Root): Promise<void> {
    try {
      await root.read();
    } catch (error) {
      this.#log.error(`Reading ${root.path} failed`, error as Error);
    }
    if (this.isDisposed || root.isDisposed) return;
    this.#setState(this.#roots.some(({ project }) => project !== undefined) ? 'ready' : 'no-project');
    this.#changed.fire({ kind: 'project', root });
  }

  #openRoots(): void {
    const folders = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === 'file');
    const before = this.#roots;
    this.#roots = folders.map(
      (folder) =>
        before.find((root) => root.folder.uri.toString() === folder.uri.toString()) ??
        new Root(folder, this.#system, this.#loader),
    );
    for (const root of before) if (!this.#roots.includes(root)) root.dispose();
    if (this.#shown !== undefined) {
      for (const root of this.#roots) if (!before.includes(root)) void this.#open(root);
      if (this.#roots.length === 0) this.#setState('no-folder');
    }
    this.#changed.fire({ kind: 'roots' });
  }

  #watchFiles(): void {
    // What a project is read from. Everything else a run finds out by itself.
    const sources = this.own(
      vscode.workspace.createFileSystemWatcher(
        '**/{slipway.yaml,slipway.yml,*Dockerfile*,Containerfile,compose*.y*ml,docker-compose*.y*ml,Chart.yaml,kustomization.y*ml}',
      ),
    );
    const stale = (uri: vscode.Uri) => {
      const root = this.rootOf(uri);
      if (root !== undefined) this.#readSoon(root);
    };
    this.own(sources.onDidCreate(stale));
    this.own(sources.onDidDelete(stale));
    this.own(sources.onDidChange(stale));
  }

  #readSoon(root: Root): void {
    this.#stale.add(root);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const roots = [...this.#stale];
      this.#stale.clear();
      for (const stale of roots) void this.#read(stale);
    }, QUIET_MS);
    this.#timer.unref();
  }

  #setState(state: ViewState): void {
    void vscode.commands.executeCommand('setContext', contextKeys.state, state);
  }
}
