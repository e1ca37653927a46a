import * as vscode from 'vscode';
import type { CiJob, CiRun, CiStep, CommitStory } from '../../engine/ci/index.ts';
import { isCancelled, toFailure } from '../../engine/problems/index.ts';
import { Owner } from '../events.ts';
import { toTreeItem } from '../views/treeRow.ts';
import {
  jobItem,
  noteItem,
  runItem,
  signInItem,
  sourceItem,
  stepItem,
  storyEnvironmentItem,
  storyImageItem,
  storyItem,
} from './ciItems.ts';
import type { CiSource } from './ciSource.ts';
import type { CiSources } from './ciSources.ts';
import { ciStateKey, ciViewId } from './ids.ts';

export type CiNode =
  | { readonly kind: 'source'; readonly source: CiSource }
  | {
      readonly kind: 'note';
      readonly source: CiSource;
      readonly label: string;
      readonly detail: string;
      readonly icon: 'warning' | 'info';
    }
  /** The way out where the host wants another token, or one at all. */
  | { readonly kind: 'sign-in'; readonly source: CiSource }
  | { readonly kind: 'run'; readonly source: CiSource; readonly id: string }
  | { readonly kind: 'job'; readonly source: CiSource; readonly run: string; readonly job: CiJob }
  | {
      readonly kind: 'step';
      readonly source: CiSource;
      readonly run: string;
      readonly job: CiJob;
      readonly step: CiStep;
    }
  | { readonly kind: 'story'; readonly source: CiSource; readonly id: string }
  | {
      readonly kind: 'image';
      readonly source: CiSource;
      readonly run: string;
      readonly image: CommitStory['images'][number];
    }
  | {
      readonly kind: 'environment';
      readonly source: CiSource;
      readonly run: string;
      readonly environment: CommitStory['environments'][number];
    };

/** States with rows; the others have a welcome text with its buttons. */
const SHOWN: ReadonlySet<string> = new Set(['ready', 'failed', 'sign-in']);
const TICK_MS = 30_000;
const NONE = vscode.TreeItemCollapsibleState.None;

/** Runs → jobs → steps of the CI host. Asks only while it is on the screen. */
export class CiTree extends Owner implements vscode.TreeDataProvider<CiNode> {
  readonly #sources: CiSources;
  readonly #changed = this.own(new vscode.EventEmitter<CiNode | undefined>());
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<CiNode>;
  readonly #runs = new Map<string, Extract<CiNode, { kind: 'run' }>>();
  readonly #timer: NodeJS.Timeout;

  constructor(sources: CiSources) {
    super();
    this.#sources = sources;
    this.#view = this.own(
      vscode.window.createTreeView<CiNode>(ciViewId, { treeDataProvider: this, showCollapseAll: true }),
    );
    this.own(this.#view.onDidChangeVisibility(() => this.#onVisibility()));
    this.own(
      this.#view.onDidExpandElement(({ element }) => element.kind === 'run' && element.source.openRun(element.id)),
    );
    this.own(
      this.#view.onDidCollapseElement(({ element }) => element.kind === 'run' && element.source.closeRun(element.id)),
    );
    this.own(sources.onDidChange((change) => this.#onChange(change)));
    this.#timer = setInterval(() => this.#view.visible && this.#changed.fire(undefined), TICK_MS);
    this.#timer.unref();
    this.own({ dispose: () => clearInterval(this.#timer) });
    this.#onVisibility();
    this.#say();
  }

  get isVisible(): boolean {
    return this.#view.visible;
  }

  async getChildren(node?: CiNode): Promise<CiNode[]> {
    if (node === undefined) {
      const all = this.#sources.all.filter(({ state }) => SHOWN.has(state.kind));
      const [only] = all;
      if (all.length > 1) return all.map((source): CiNode => ({ kind: 'source', source }));
      return only === undefined ? [] : this.#rows(only);
    }
    if (node.kind === 'source') return this.#rows(node.source);
    try {
      const signal = AbortSignal.timeout(60_000);
      if (node.kind === 'run') {
        const { source, id } = node;
        const jobs = await source.loadJobs(id, signal);
        const rows = jobs.map((job): CiNode => ({ kind: 'job', source, run: id, job }));
        return (source.run(id)?.commit ?? '') === '' ? rows : [...rows, { kind: 'story', source, id }];
      }
      if (node.kind === 'story') return await this.#storyRows(node.source, node.id, signal);
      if (node.kind === 'job') {
        const steps = await (await node.source.connected()).steps(node.job, signal);
        return steps.map((step): CiNode => ({ kind: 'step', source: node.source, run: node.run, job: node.job, step }));
      }
    } catch (error) {
      if (isCancelled(error)) return [];
      const { message, fix = '' } = toFailure(error);
      return [{ kind: 'note', source: node.source, label: message, detail: fix, icon: 'warning' }];
    }
    return [];
  }

  getTreeItem(node: CiNode): vscode.TreeItem {
    const now = Date.now();
    const { source } = node;
    const id = `${source.folder}#${node.kind}`;
    if (node.kind === 'source') {
      const repository = source.client?.repository ?? source.found?.repository;
      const item = sourceItem(repository?.path ?? source.folder, repository?.host ?? '', source.client?.credential);
      return toTreeItem(item, id, vscode.TreeItemCollapsibleState.Expanded);
    }
    if (node.kind === 'note') {
      const row = toTreeItem(noteItem(node.label, node.detail, node.icon), `${id}/${node.label}/${node.detail}`, NONE);
      row.command = { command: 'slipway.ci.refresh', title: vscode.l10n.t('Refresh CI') };
      return row;
    }
    if (node.kind === 'sign-in') {
      const row = toTreeItem(signInItem(source.found?.repository?.host ?? ''), id, NONE);
      row.command = { command: 'slipway.ci.signIn', title: vscode.l10n.t('Sign In'), arguments: [node] };
      return row;
    }
    if (node.kind === 'run') {
      const run = source.run(node.id);
      if (run === undefined) return new vscode.TreeItem(node.id);
      return toTreeItem(
        runItem(run, source.jobs(node.id), now),
        `${id}/${node.id}`,
        vscode.TreeItemCollapsibleState.Collapsed,
      );
    }
    if (node.kind === 'job') {
      const row = toTreeItem(
        jobItem(node.job, now),
        `${id}/${node.run}/${node.job.id}`,
        vscode.TreeItemCollapsibleState.Collapsed,
      );
      row.command = { command: 'slipway.ci.openLog', title: vscode.l10n.t('Open CI Log'), arguments: [node] };
      return row;
    }
    if (node.kind === 'story') {
      const run = source.run(node.id);
      if (run === undefined) return new vscode.TreeItem(node.id);
      return toTreeItem(storyItem(run), `${id}/${node.id}`, vscode.TreeItemCollapsibleState.Collapsed);
    }
    if (node.kind === 'image') {
      const { image, digest } = node.image;
      return toTreeItem(storyImageItem(node.image), `${id}/${node.run}/${image}/${digest}`, NONE);
    }
    if (node.kind === 'environment') {
      const { name, journalRun } = node.environment;
      return toTreeItem(storyEnvironmentItem(node.environment, now), `${id}/${node.run}/${name}/${journalRun}`, NONE);
    }
    const row = toTreeItem(stepItem(node.step, now), `${id}/${node.job.id}/${node.step.number}`, NONE);
    row.command = { command: 'slipway.ci.openLog', title: vscode.l10n.t('Open CI Log'), arguments: [node] };
    return row;
  }

  getParent(): undefined {
    return undefined;
  }

  async #storyRows(source: CiSource, id: string, signal: AbortSignal): Promise<CiNode[]> {
    const { story, unread } = await this.#sources.story(source, id, signal);
    const images = story?.images ?? [];
    const environments = story?.environments ?? [];
    const faults = unread.map((detail): CiNode => {
      return { kind: 'note', source, label: vscode.l10n.t('Images were not read'), detail, icon: 'warning' };
    });
    if (images.length + environments.length + faults.length === 0) {
      const label = vscode.l10n.t('Nothing is known of this commit');
      const detail = vscode.l10n.t('neither in the journal of this workspace nor in the registries of its images');
      return [{ kind: 'note', source, label, detail, icon: 'info' }];
    }
    return [
      ...images.map((image): CiNode => ({ kind: 'image', source, run: id, image })),
      ...environments.map((environment): CiNode => ({ kind: 'environment', source, run: id, environment })),
      ...faults,
    ];
  }

  #rows(source: CiSource): CiNode[] {
    const { state } = source;
    if (state.kind === 'sign-in') {
      const note: CiNode = { kind: 'note', source, label: state.message, detail: state.fix, icon: 'warning' };
      // A view of several repositories has no place above the rows for what one of them says.
      return [...(this.#sources.all.length > 1 ? [note] : []), { kind: 'sign-in', source }];
    }
    const notes: CiNode[] =
      state.kind === 'failed'
        ? [{ kind: 'note', source, label: state.message, detail: state.fix, icon: 'warning' }]
        : state.kind === 'ready' && state.why !== undefined
          ? [{ kind: 'note', source, label: vscode.l10n.t('Not up to date'), detail: state.why, icon: 'warning' }]
          : state.kind === 'ready' && source.runs.length === 0
            ? [
                {
                  kind: 'note',
                  source,
                  label: vscode.l10n.t('No runs yet'),
                  detail: source.client?.repository.path ?? '',
                  icon: 'info',
                },
              ]
            : [];
    return [...notes, ...source.runs.map((run) => this.#runNode(source, run))];
  }

  // VS Code refreshes a row only when it gets the very object it was given before.
  #runNode(source: CiSource, { id }: CiRun): CiNode {
    const key = `${source.folder}#${id}`;
    const known = this.#runs.get(key);
    if (known !== undefined && known.source === source) return known;
    const node = { kind: 'run', source, id } as const;
    this.#runs.set(key, node);
    return node;
  }

  #onChange({ source, run }: { readonly source?: CiSource; readonly run?: string }): void {
    const node = source === undefined || run === undefined ? undefined : this.#runs.get(`${source.folder}#${run}`);
    this.#changed.fire(node);
    this.#say();
  }

  #onVisibility(): void {
    if (this.#view.visible) this.#sources.show();
    else this.#sources.hide();
  }

  /** Which welcome text is shown where there are no rows, and what stands above the rows. */
  #say(): void {
    const states = this.#sources.all.map(({ state }) => state);
    const first = states.find(({ kind }) => SHOWN.has(kind)) ?? states[0];
    void vscode.commands.executeCommand('setContext', ciStateKey, first?.kind ?? 'no-folder');
    this.#view.message = first?.kind === 'sign-in' && states.length === 1 ? `${first.message} ${first.fix}` : '';
    const running = this.#sources.all.flatMap(({ runs }) => runs.filter(({ state }) => state === 'running')).length;
    this.#view.badge =
      running === 0 ? undefined : { value: running, tooltip: vscode.l10n.t('{0} CI runs in progress', running) };
  }
}
