import { dirname, join } from 'node:path';
import * as vscode from 'vscode';
import type { System } from '../../engine/system/index.ts';
import { Emitter, Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import { type Markers, Repository, type RepositoryChange } from './repository.ts';

export type ModelChange = RepositoryChange | { readonly kind: 'repositories' };

/** What makes a text worth reading for this part; everything else costs one search. */
const words = /\$imagepolicy|\.toolkit\.fluxcd\.io\/|argoproj\.io\//i;
export const isOfInterest = (text: string): boolean => words.test(text);

/** The repositories of this window. Nothing is read before somebody looks at a marker or at the view. */
export class GitOpsModel extends Owner {
  readonly #system: System;
  readonly #loader: EngineLoader;
  readonly #log: vscode.LogOutputChannel;
  readonly #changed = this.own(new Emitter<ModelChange>());
  readonly onDidChange = this.#changed.event;
  #repositories: readonly Repository[] = [];
  #opening: Promise<readonly Repository[]> | undefined;

  constructor(system: System, loader: EngineLoader, log: vscode.LogOutputChannel) {
    super();
    this.#system = system;
    this.#loader = loader;
    this.#log = log;
    this.own(
      vscode.workspace.onDidChangeWorkspaceFolders(() => {
        if (this.#opening === undefined) return;
        this.#close();
        void this.open().catch((error: unknown) => log.error('Reading markers failed', error as Error));
      }),
    );
    this.own({ dispose: () => this.#close() });
  }

  /** Those that are open; empty before {@link GitOpsModel.open}. */
  get repositories(): readonly Repository[] {
    return this.#repositories;
  }

  /** Loads the engine's part and starts to read the files; does not wait for them. */
  open(): Promise<readonly Repository[]> {
    this.#opening ??= this.#openOnce();
    return this.#opening;
  }

  /** As {@link GitOpsModel.open}, with all files read. */
  async ready(): Promise<readonly Repository[]> {
    const repositories = await this.open();
    await Promise.all(repositories.map((repository) => repository.open()));
    return repositories;
  }

  /** The repository that holds a file; undefined for files outside the workspace's folders. */
  async of(uri: vscode.Uri): Promise<Repository | undefined> {
    if (uri.scheme !== 'file') return undefined;
    const folder = vscode.workspace.getWorkspaceFolder(uri);
    if (folder === undefined) return undefined;
    const repositories = await this.open();
    return repositories.find(({ folders }) => folders.some((one) => one.uri.toString() === folder.uri.toString()));
  }

  async #openOnce(): Promise<readonly Repository[]> {
    const { loadMarkers } = await this.#loader.module();
    const markers: Markers = await loadMarkers();
    const folders = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === 'file');
    const tops = await Promise.all(folders.map(({ uri }) => this.#topOf(uri.fsPath)));
    if (this.isDisposed) return [];
    // Folders of one working tree share policies and automations.
    const grouped = Map.groupBy(folders, (folder) => tops[folders.indexOf(folder)] ?? folder.uri.fsPath);
    this.#repositories = [...grouped].map(([top, members]) => {
      const repository = new Repository({ top, folders: members, markers, system: this.#system, log: this.#log });
      repository.own(repository.onDidChange((change) => this.#changed.fire(change)));
      void repository.open().catch((error: unknown) => this.#log.error(`Reading ${top} failed`, error as Error));
      return repository;
    });
    this.#changed.fire({ kind: 'repositories' });
    return this.#repositories;
  }

  /** The folder above with `.git` in it; git itself is not asked, as it may not run in Restricted Mode. */
  async #topOf(folder: string): Promise<string> {
    for (let at = folder; ; ) {
      if ((await this.#system.files.stat(join(at, '.git')).catch(() => undefined)) !== undefined) return at;
      const parent = dirname(at);
      if (parent === at) return folder;
      at = parent;
    }
  }

  #close(): void {
    for (const repository of this.#repositories) repository.dispose();
    this.#repositories = [];
    this.#opening = undefined;
  }
}
