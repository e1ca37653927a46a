import * as vscode from 'vscode';
import type { ObjectRef, PodView } from '../../engine/events/index.ts';
import type { LiveState, LiveWorkloadView } from '../../engine/main.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import { Owner } from '../events.ts';
import { viewIds } from '../ids.ts';
import { toTreeItem } from '../views/treeRow.ts';
import type { Root, Workspace } from '../workspace.ts';
import type { ScaleUndo } from './scaleUndo.ts';
import { liveEnvironmentItem, noteItem, podItem, troubled, workloadItem } from './workloadItems.ts';
import type { EnvironmentKey, WorkloadStore } from './workloadStore.ts';

export type WorkloadNode =
  | { readonly kind: 'environment'; readonly root: Root; readonly environment: string }
  | { readonly kind: 'workload'; readonly root: Root; readonly environment: string; readonly ref: ObjectRef }
  | {
      readonly kind: 'pod';
      readonly root: Root;
      readonly environment: string;
      readonly ref: ObjectRef;
      readonly pod: string;
    }
  | {
      readonly kind: 'note';
      readonly root: Root;
      readonly environment: string;
      readonly text: string;
      readonly tone: 'info' | 'error';
    };

/** Watches of a view that nobody sees any more end after this. */
const LINGER_MS = 60_000;
/** Ages on screen. */
const TICK_MS = 30_000;

/** Environments → workloads → pods, live. An environment is asked when it is expanded, and not before. */
export class WorkloadsTree extends Owner implements vscode.TreeDataProvider<WorkloadNode> {
  readonly #workspace: Workspace;
  readonly #store: WorkloadStore;
  readonly #scaled: ScaleUndo;
  readonly #changed = this.own(new vscode.EventEmitter<WorkloadNode | undefined>());
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<WorkloadNode>;
  readonly #nodes = new Map<string, WorkloadNode>();
  /** Rows ask for their workload one by one; a thousand must not look through a thousand each. */
  readonly #index = new WeakMap<LiveState, ReadonlyMap<string, LiveWorkloadView>>();
  readonly #expanded = new Map<string, EnvironmentKey>();
  #linger: NodeJS.Timeout | undefined;
  #ticker: NodeJS.Timeout | undefined;

  constructor(workspace: Workspace, store: WorkloadStore, scaled: ScaleUndo) {
    super();
    this.#workspace = workspace;
    this.#store = store;
    this.#scaled = scaled;
    this.#view = this.own(
      vscode.window.createTreeView<WorkloadNode>(viewIds.workloads, { treeDataProvider: this, showCollapseAll: true }),
    );
    this.own(this.#view.onDidChangeVisibility(() => this.#onVisibility()));
    this.own(
      this.#view.onDidExpandElement(({ element }) => {
        if (element.kind === 'environment') this.#expanded.set(this.#id(element), keyOf(element));
      }),
    );
    this.own(
      this.#view.onDidCollapseElement(({ element }) => {
        if (element.kind !== 'environment') return;
        this.#expanded.delete(this.#id(element));
        this.#store.close(keyOf(element));
      }),
    );
    this.own(store.onDidChange((key) => this.#refresh(key)));
    this.own(scaled.onDidChange((key) => this.#refresh(key)));
    this.own(
      workspace.onDidChange((change) => {
        if (change.kind === 'runs') {
          for (const run of change.runs) {
            const view = change.root.runs.get(run)?.view;
            // A deploy may have changed which objects the environment consists of.
            if (view !== undefined && view.state !== 'running' && view.environment !== null) {
              void this.#store.reopen({ folder: change.root.path, environment: view.environment });
            }
          }
          return;
        }
        this.#nodes.clear();
        this.#changed.fire(undefined);
      }),
    );
    this.own({
      dispose: () => {
        clearTimeout(this.#linger);
        clearInterval(this.#ticker);
      },
    });
    this.#onVisibility();
  }

  async getChildren(node?: WorkloadNode): Promise<WorkloadNode[]> {
    if (node === undefined) {
      return this.#workspace.roots.flatMap((root) =>
        (root.project?.environments ?? []).map(({ name }) =>
          this.#node({ kind: 'environment', root, environment: name }),
        ),
      );
    }
    const { root, environment } = node;
    if (node.kind === 'environment') {
      await this.#store.open(keyOf(node));
      return this.#childrenOf(node);
    }
    if (node.kind !== 'workload') return [];
    return (this.#workload(node)?.pods ?? []).map((pod) =>
      this.#node({ kind: 'pod', root, environment, ref: node.ref, pod: pod.name }),
    );
  }

  getParent(node: WorkloadNode): WorkloadNode | undefined {
    const { root, environment } = node;
    if (node.kind === 'environment') return undefined;
    if (node.kind === 'pod') return this.#node({ kind: 'workload', root, environment, ref: node.ref });
    return this.#node({ kind: 'environment', root, environment });
  }

  getTreeItem(node: WorkloadNode): vscode.TreeItem {
    const now = Date.now();
    const { None, Collapsed } = vscode.TreeItemCollapsibleState;
    switch (node.kind) {
      case 'environment': {
        const environment = this.#environment(node);
        if (environment === undefined) return new vscode.TreeItem(node.environment);
        const project = this.#workspace.roots.length > 1 ? node.root.project?.name : undefined;
        return toTreeItem(
          liveEnvironmentItem(environment, this.#store.get(keyOf(node)), project),
          this.#id(node),
          Collapsed,
        );
      }
      case 'workload': {
        const workload = this.#workload(node);
        if (workload === undefined) return new vscode.TreeItem(node.ref.name);
        const { kind, name } = node.ref;
        const undo = this.#scaled.offer({ ...keyOf(node), named: `${kind.toLowerCase()}/${name}` }, workload.desired);
        const item = workloadItem(workload, now, undo);
        return toTreeItem(item, this.#id(node), workload.pods.length === 0 ? None : Collapsed);
      }
      case 'pod': {
        const pod = this.#pod(node);
        return pod === undefined ? new vscode.TreeItem(node.pod) : toTreeItem(podItem(pod, now), this.#id(node), None);
      }
      case 'note':
        return toTreeItem(noteItem(node.text, node.tone), this.#id(node), None);
    }
  }

  #childrenOf(node: Extract<WorkloadNode, { kind: 'environment' }>): WorkloadNode[] {
    const { root, environment } = node;
    const note = (text: string, tone: 'info' | 'error'): WorkloadNode[] => [
      { kind: 'note', root, environment, text, tone },
    ];
    const standing = this.#store.get(keyOf(node));
    if (standing.kind === 'failed') {
      const { message, fix } = standing.failure;
      return [...note(message, 'error'), ...(fix === undefined ? [] : note(fix, 'info'))];
    }
    if (standing.kind !== 'live') return [];
    if (standing.state.workloads.length === 0)
      return note(vscode.l10n.t('Nothing of this environment is deployed.'), 'info');
    return standing.state.workloads.map(({ ref }) => this.#node({ kind: 'workload', root, environment, ref }));
  }

  #environment(node: { readonly root: Root; readonly environment: string }): EnvironmentConfig | undefined {
    return node.root.project?.environments.find(({ name }) => name === node.environment);
  }

  #workload(node: Extract<WorkloadNode, { kind: 'workload' | 'pod' }>): LiveWorkloadView | undefined {
    const standing = this.#store.get(keyOf(node));
    if (standing.kind !== 'live') return undefined;
    let index = this.#index.get(standing.state);
    if (index === undefined) {
      index = new Map(standing.state.workloads.map((workload) => [refId(workload.ref), workload]));
      this.#index.set(standing.state, index);
    }
    return index.get(refId(node.ref));
  }

  #pod(node: Extract<WorkloadNode, { kind: 'pod' }>): PodView | undefined {
    return this.#workload(node)?.pods.find(({ name }) => name === node.pod);
  }

  #refresh(key: EnvironmentKey): void {
    const root = this.#workspace.roots.find(({ path }) => path === key.folder);
    if (root === undefined) return;
    const known = this.#nodes.get(this.#id({ kind: 'environment', root, environment: key.environment }));
    if (known !== undefined) this.#changed.fire(known);
    this.#badge();
  }

  #badge(): void {
    const count = this.#store.openKeys.reduce((sum, key) => {
      const standing = this.#store.get(key);
      return sum + (standing.kind === 'live' ? troubled(standing.state.workloads) : 0);
    }, 0);
    this.#view.badge =
      count === 0
        ? undefined
        : {
            value: count,
            tooltip:
              count === 1
                ? vscode.l10n.t('1 workload is not ready')
                : vscode.l10n.t('{0} workloads are not ready', count),
          };
  }

  #onVisibility(): void {
    clearTimeout(this.#linger);
    clearInterval(this.#ticker);
    if (this.#view.visible) {
      void this.#workspace.show();
      for (const key of this.#expanded.values()) if (this.#store.get(key).kind === 'closed') this.#refresh(key);
      this.#ticker = setInterval(() => {
        for (const key of this.#store.openKeys) this.#refresh(key);
      }, TICK_MS);
      this.#ticker.unref();
      return;
    }
    this.#linger = setTimeout(() => {
      for (const key of this.#store.openKeys) this.#store.close(key);
    }, LINGER_MS);
    this.#linger.unref();
  }

  #node<T extends WorkloadNode>(node: T): T {
    const id = this.#id(node);
    const known = this.#nodes.get(id);
    if (known !== undefined) return known as T;
    this.#nodes.set(id, node);
    return node;
  }

  #id(node: WorkloadNode): string {
    const base = `${node.root.folder.uri.toString()}#live/${node.environment}`;
    switch (node.kind) {
      case 'environment':
        return base;
      case 'workload':
        return `${base}/${refId(node.ref)}`;
      case 'pod':
        return `${base}/${refId(node.ref)}/${node.pod}`;
      case 'note':
        return `${base}/note/${node.text}`;
    }
  }
}

const keyOf = ({ root, environment }: { readonly root: Root; readonly environment: string }): EnvironmentKey => ({
  folder: root.path,
  environment,
});

const refId = ({ kind, namespace, name }: ObjectRef): string => `${kind}/${namespace ?? ''}/${name}`;
