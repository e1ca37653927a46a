import * as vscode from 'vscode';
import type { CiClient, CommitStory, FoundRepository, KnownHost, KnownHosts } from '../../engine/ci/index.ts';
import type { System } from '../../engine/system/index.ts';
import { Emitter, Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Workspace } from '../workspace.ts';
import type { CiAccounts } from './accounts.ts';
import { CiSource } from './ciSource.ts';

const HOSTS_KEY = 'slipway.ciHosts';
/** The host takes a moment to read a pushed workflow. */
const AFTER_PUSH_MS = 2_500;

export interface KnownStory {
  readonly story: CommitStory | undefined;
  /** What a registry that could not be asked said. */
  readonly unread: readonly string[];
}

/** The CI of each workspace folder; asked only while somebody looks. */
export class CiSources extends Owner {
  readonly #system: System;
  readonly #loader: EngineLoader;
  readonly #workspace: Workspace;
  readonly #accounts: CiAccounts;
  readonly #memento: vscode.Memento;
  readonly #changed = this.own(new Emitter<{ readonly source?: CiSource; readonly run?: string }>());
  readonly onDidChange = this.#changed.event;
  #all: readonly CiSource[] = [];
  /** What became of the commits that were looked at, by folder, run and state: a list that is drawn anew asks nobody again. */
  readonly #stories = new Map<string, Promise<KnownStory>>();
  #isShown = false;
  #pushed: NodeJS.Timeout | undefined;

  constructor(parts: {
    readonly system: System;
    readonly loader: EngineLoader;
    readonly workspace: Workspace;
    readonly accounts: CiAccounts;
    readonly memento: vscode.Memento;
  }) {
    super();
    this.#system = parts.system;
    this.#loader = parts.loader;
    this.#workspace = parts.workspace;
    this.#accounts = parts.accounts;
    this.#memento = parts.memento;
    this.#open();
    this.own(
      parts.workspace.onDidChange((change) => {
        if (change.kind === 'roots') this.#open();
        this.#stories.clear();
      }),
    );
    this.own(parts.accounts.onDidChange(() => this.reset()));
    this.own(vscode.workspace.onDidGrantWorkspaceTrust(() => this.reset()));
    this.own(
      vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration('slipway.ci') && this.reset()),
    );
    // A push moves the remote's branches: a run will follow.
    const watcher = this.own(vscode.workspace.createFileSystemWatcher('**/.git/refs/remotes/**'));
    const pushed = () => this.#pushedSoon();
    this.own(watcher.onDidChange(pushed));
    this.own(watcher.onDidCreate(pushed));
    this.own({ dispose: () => clearTimeout(this.#pushed) });
    this.own({
      dispose: () => {
        for (const source of this.#all) source.dispose();
      },
    });
  }

  get all(): readonly CiSource[] {
    return this.#all;
  }

  show(): void {
    this.#isShown = true;
    // Nothing is contacted in Restricted Mode, and looking for the remote alone would show nothing.
    if (vscode.workspace.isTrusted) for (const source of this.#all) source.start();
  }

  hide(): void {
    this.#isShown = false;
    for (const source of this.#all) source.stop();
  }

  refresh(): void {
    this.#stories.clear();
    if (vscode.workspace.isTrusted) for (const source of this.#all) source.refresh();
  }

  reset(): void {
    for (const source of this.#all) source.reset();
    if (this.#isShown) this.show();
  }

  /** Asks the host of a folder's remote what it is, and remembers it. Undefined when it is none of ours. */
  async askHost(source: CiSource, signal: AbortSignal): Promise<KnownHost | undefined> {
    const ci = await this.engine();
    const found = source.found ?? (await this.#find(source.folder));
    if (found === undefined) return undefined;
    const host = await ci.probeHost(this.#system, found.remote, signal);
    if (host === undefined) return undefined;
    await this.#memento.update(HOSTS_KEY, { ...this.#remembered(), [ci.hostKey(found.remote)]: host });
    source.reset();
    if (this.#isShown) source.start();
    return host;
  }

  /** Images and environments of a run's commit, by the journal and the registries of the project. */
  story(source: CiSource, id: string, signal: AbortSignal): Promise<KnownStory> {
    const run = source.run(id);
    if (run === undefined) return Promise.resolve({ story: undefined, unread: [] });
    const key = `${source.folder}#${id}#${run.attempt}#${run.state}`;
    const known = this.#stories.get(key);
    if (known !== undefined) return known;
    const asked = this.engine().then(async (ci) => {
      const unread: string[] = [];
      const registry = vscode.workspace.isTrusted ? 'ask' : 'leave';
      const onUnread = (message: string) => unread.push(message);
      const [story] = await ci.commitStories(this.#system, source.folder, [run], { registry, onUnread, signal });
      return { story, unread };
    });
    this.#stories.set(key, asked);
    asked.catch(() => this.#stories.delete(key));
    return asked;
  }

  #open(): void {
    const before = this.#all;
    const parts = {
      system: this.#system,
      load: () => this.engine(),
      find: (folder: string) => this.#find(folder),
      connect: (found: FoundRepository) => this.#connect(found),
    };
    this.#all = this.#workspace.roots.map(
      ({ path }) => before.find(({ folder }) => folder === path) ?? this.#listen(new CiSource(path, parts)),
    );
    for (const source of before) if (!this.#all.includes(source)) source.dispose();
    if (this.#isShown) this.show();
    this.#changed.fire({});
  }

  #listen(source: CiSource): CiSource {
    source.own(source.onDidChange((run) => this.#changed.fire({ source, ...(run !== undefined && { run }) })));
    return source;
  }

  /** What lies in the engine's bundle, loaded when it is needed. */
  async engine() {
    return (await this.#loader.module()).loadCi();
  }

  async #find(folder: string): Promise<FoundRepository | undefined> {
    const ci = await this.engine();
    const remote = vscode.workspace.getConfiguration('slipway').get<string>('ci.remote', '');
    return ci.findRepository(this.#system, folder, { hosts: this.#hosts(), ...(remote !== '' && { remote }) });
  }

  async #connect({ repository }: FoundRepository): Promise<CiClient | undefined> {
    if (repository === undefined) return undefined;
    const ci = await this.engine();
    const token = await this.#accounts.tokenFor(repository);
    return ci.openCi(this.#system, repository, new ci.Secrets(), token);
  }

  /** Settings of the person win over what hosts said. */
  #hosts(): KnownHosts {
    const given = vscode.workspace.getConfiguration('slipway').get<Record<string, unknown>>('ci.hosts', {});
    const told = Object.entries(given).flatMap(([host, kind]) =>
      kind === 'github' || kind === 'gitlab' || kind === 'gitea' ? [[host, { kind }] as const] : [],
    );
    return { ...this.#remembered(), ...Object.fromEntries(told) };
  }

  #remembered(): KnownHosts {
    return this.#memento.get<KnownHosts>(HOSTS_KEY, {});
  }

  #pushedSoon(): void {
    clearTimeout(this.#pushed);
    this.#pushed = setTimeout(() => this.#isShown && this.refresh(), AFTER_PUSH_MS);
    this.#pushed.unref();
  }
}
