import { join, relative, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as vscode from 'vscode';
import type {
  ImagePolicyObject,
  LinkedMarker,
  MarkerIndex,
  MarkerState,
  TagStore,
  UpdaterTarget,
} from '../../engine/markers/index.ts';
import type { System } from '../../engine/system/index.ts';
import { Emitter, Owner } from '../events.ts';

export type Markers = typeof import('../../engine/markers/index.ts');

/** Work between two turns of the event loop, at most: the extension host also serves other extensions. */
const SLICE_MS = 8;
/** Files read at once. */
const PARALLEL = 16;
const QUIET_MS = 300;

export type RepositoryChange =
  /** Which files and objects there are. */
  { readonly kind: 'files' } | { readonly kind: 'tags' };

interface Links {
  readonly all: readonly LinkedMarker[];
  readonly byPolicy: ReadonlyMap<ImagePolicyObject | undefined, readonly LinkedMarker[]>;
  readonly byImage: ReadonlyMap<string | undefined, readonly LinkedMarker[]>;
}

/** The markers and policies of one git repository, as far as it is open in this window, unsaved changes included. */
export class Repository extends Owner {
  /** Top of the working tree; paths of the index and of automations are relative to it. */
  readonly top: string;
  readonly markers: Markers;
  readonly index: MarkerIndex;
  readonly tags: TagStore;
  readonly #system: System;
  readonly #log: vscode.LogOutputChannel;
  readonly #folders: readonly vscode.WorkspaceFolder[];
  readonly #versions = new Map<string, number>();
  readonly #stale = new Set<string>();
  readonly #changed = this.own(new Emitter<RepositoryChange>());
  readonly onDidChange = this.#changed.event;
  #timer: NodeJS.Timeout | undefined;
  #linked: Links | undefined;
  #isReady = false;
  #opening: Promise<void> | undefined;

  constructor(options: {
    readonly top: string;
    readonly folders: readonly vscode.WorkspaceFolder[];
    readonly markers: Markers;
    readonly system: System;
    readonly log: vscode.LogOutputChannel;
  }) {
    super();
    const { top, folders, markers, system, log } = options;
    this.top = top;
    this.markers = markers;
    this.#folders = folders;
    this.#system = system;
    this.#log = log;
    this.index = new markers.MarkerIndex((file) => join(top, file));
    this.tags = new markers.TagStore(system, folders[0]?.uri.fsPath ?? top);
    this.own({ dispose: () => clearTimeout(this.#timer) });
  }

  /** False while the files are being read for the first time. */
  get isReady(): boolean {
    return this.#isReady;
  }

  get folders(): readonly vscode.WorkspaceFolder[] {
    return this.#folders;
  }

  /** Reads all files, a little at a time. Starts no process of ours and contacts nothing. */
  open(): Promise<void> {
    this.#opening ??= this.#openOnce();
    return this.#opening;
  }

  async #openOnce(): Promise<void> {
    const started = performance.now();
    this.#watch();
    const [found] = await Promise.all([this.listFiles(), this.tags.load()]);
    for (let at = 0; at < found.length; at += PARALLEL) {
      if (this.isDisposed) return;
      await Promise.all(found.slice(at, at + PARALLEL).map((uri) => this.#read(uri)));
    }
    await this.#inSlices(this.index.files, (file) => this.index.warm(file));
    if (this.isDisposed) return;
    this.#isReady = true;
    this.#changed.fire({ kind: 'files' });
    const took = Math.round(performance.now() - started);
    this.#log.debug(`Read ${found.length} YAML files of ${this.top} for markers in ${took} ms`);
  }

  /** Every file that Flux might read. */
  async listFiles(): Promise<readonly vscode.Uri[]> {
    const lists = await Promise.all(
      this.#folders.map((folder) =>
        vscode.workspace.findFiles(
          new vscode.RelativePattern(folder, '**/{*.yaml,*.yml,Kustomization}'),
          '**/{node_modules,.git,.slipway}/**',
        ),
      ),
    );
    return lists.flat();
  }

  /** Does the work for each item without holding the event loop. Ends early when this is disposed. */
  async #inSlices<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
    let since = performance.now();
    for (const item of items) {
      if (this.isDisposed) return;
      work(item);
      if (performance.now() - since < SLICE_MS) continue;
      await nextTurn();
      since = performance.now();
    }
  }

  /** As {@link Repository.#inSlices}, for what looks at every file. */
  eachFile(work: (file: string) => void): Promise<void> {
    return this.#inSlices(this.index.files, work);
  }

  fileOf(uri: vscode.Uri): string | undefined {
    if (uri.scheme !== 'file') return undefined;
    return this.fileOfPath(uri.fsPath);
  }

  fileOfPath(path: string): string {
    return relative(this.top, path).split(sep).join('/');
  }

  uriOf(file: string): vscode.Uri {
    return vscode.Uri.file(join(this.top, file));
  }

  /** Takes the text of an open document in, when it is not the one known already. Returns its path in the index. */
  sync(document: vscode.TextDocument): string | undefined {
    const file = this.fileOf(document.uri);
    if (file === undefined) return undefined;
    if (this.#versions.get(file) !== document.version) {
      this.#versions.set(file, document.version);
      this.index.update(file, document.getText());
      this.#linked = undefined;
    }
    return file;
  }

  /** Text of a file as the person sees it: the open document's, else the one on disk, without a byte order mark. */
  async textOf(file: string): Promise<string | undefined> {
    const path = join(this.top, file);
    const open = vscode.workspace.textDocuments.find(({ uri }) => uri.scheme === 'file' && uri.fsPath === path);
    if (open !== undefined) return open.getText();
    return withoutMark(await this.#system.files.readText(path));
  }

  /** Markers of a policy whose value Flux would change, by the tags known now. */
  behind(policy: ImagePolicyObject): readonly LinkedMarker[] {
    return this.linkedOf(policy).filter((linked) => this.stateOf(linked).kind === 'behind');
  }

  /** All markers that name a policy. */
  linkedOf(policy: ImagePolicyObject): readonly LinkedMarker[] {
    return this.#links().byPolicy.get(policy) ?? [];
  }

  /** All markers whose policy looks at an image. */
  linkedTo(image: string): readonly LinkedMarker[] {
    return this.#links().byImage.get(image) ?? [];
  }

  /** Every marker of the repository. */
  allLinked(): readonly LinkedMarker[] {
    return this.#links().all;
  }

  /** Made once for a state of the files. */
  #links(): Links {
    if (this.#linked !== undefined) return this.#linked;
    const all = this.index.filesWithMarkers.flatMap((file) => this.index.linked(file));
    this.#linked = {
      all,
      byPolicy: Map.groupBy(all, ({ policy }) => policy),
      byImage: Map.groupBy(all, ({ repository }) => repository?.image),
    };
    return this.#linked;
  }

  stateOf(linked: LinkedMarker): MarkerState {
    return this.markers.markerState(this.index, linked, (image) => this.tags.of(image));
  }

  updaterTargets(file: string): Promise<readonly UpdaterTarget[]> {
    const { markers, index } = this;
    return markers.updaterTargets(
      index,
      file,
      (path) => this.fileOfPath(path),
      (one) => this.textOf(one),
    );
  }

  /** After tags were fetched, here or in another window. */
  tagsChanged(): void {
    this.#changed.fire({ kind: 'tags' });
  }

  async #read(uri: vscode.Uri): Promise<void> {
    const file = this.fileOf(uri);
    // The open document is ahead of the disk, and knows the file's encoding.
    const open = vscode.workspace.textDocuments.find((document) => document.uri.toString() === uri.toString());
    if (open !== undefined) {
      this.sync(open);
      return;
    }
    if (file === undefined) return;
    this.#versions.delete(file);
    this.#linked = undefined;
    const text = withoutMark(await this.#system.files.readText(uri.fsPath).catch(() => undefined));
    if (text === undefined) this.index.remove(file);
    else this.index.update(file, text);
  }

  #watch(): void {
    for (const folder of this.#folders) {
      const watcher = this.own(
        vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(folder, '**/{*.yaml,*.yml,Kustomization}')),
      );
      const stale = (uri: vscode.Uri) => {
        if (!/[\\/](?:node_modules|\.git|\.slipway)[\\/]/.test(uri.fsPath)) this.#readSoon(uri);
      };
      this.own(watcher.onDidCreate(stale));
      this.own(watcher.onDidChange(stale));
      this.own(watcher.onDidDelete(stale));
    }
    const ours = (document: vscode.TextDocument): boolean => {
      const file = this.fileOf(document.uri);
      return file !== undefined && !file.startsWith('..') && this.markers.isScannedName(file);
    };
    this.own(
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0 && ours(document)) this.#readSoon(document.uri);
      }),
    );
    // Closing without saving brings the text on disk back.
    this.own(
      vscode.workspace.onDidCloseTextDocument((document) => {
        if (ours(document)) this.#readSoon(document.uri);
      }),
    );
    // Another window or a terminal may fetch tags too.
    const [first] = this.#folders;
    if (first === undefined) return;
    const tags = this.own(
      vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(first, '.slipway/tags/*.json')),
    );
    const load = () => {
      void this.tags.load().then((isChanged) => {
        if (isChanged && !this.isDisposed) this.tagsChanged();
      });
    };
    this.own(tags.onDidCreate(load));
    this.own(tags.onDidChange(load));
  }

  #readSoon(uri: vscode.Uri): void {
    this.#stale.add(uri.toString());
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const uris = [...this.#stale].map((text) => vscode.Uri.parse(text, true));
      this.#stale.clear();
      void Promise.all(uris.map((one) => this.#read(one))).then(() => {
        if (!this.isDisposed && this.#isReady) this.#changed.fire({ kind: 'files' });
      });
    }, QUIET_MS);
    this.#timer.unref();
  }
}

const withoutMark = (text: string | undefined): string | undefined => text?.replace(/^\ufeff/, '');
