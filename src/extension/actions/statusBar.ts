import * as vscode from 'vscode';
import { Owner } from '../events.ts';
import { activityOf, age, causeOf, conditionOf, duration, type RunCondition } from '../words.ts';
import { troubled } from '../workloads/workloadItems.ts';
import type { WorkloadStore } from '../workloads/workloadStore.ts';
import type { Workspace } from '../workspace.ts';
import type { SelectedEnvironment } from './selectedEnvironment.ts';

const icons: Readonly<Record<RunCondition, string>> = {
  running: '$(sync~spin)',
  succeeded: '$(pass)',
  failed: '$(error)',
  'rolled back': '$(discard)',
  unknown: '$(question)',
  cancelled: '$(circle-slash)',
  interrupted: '$(debug-disconnect)',
};

const TICK_MS = 1_000;

/** The selected environment and how it stands: by its newest run, and by its workloads while somebody follows them. */
export class StatusBar extends Owner {
  readonly #item = this.own(
    vscode.window.createStatusBarItem('slipway.environment', vscode.StatusBarAlignment.Left, 40),
  );
  readonly #selected: SelectedEnvironment;
  readonly #store: WorkloadStore;
  #timer: NodeJS.Timeout | undefined;

  constructor(workspace: Workspace, selected: SelectedEnvironment, store: WorkloadStore) {
    super();
    this.#selected = selected;
    this.#store = store;
    this.#item.name = vscode.l10n.t('Slipway environment');
    this.#item.command = 'slipway.environmentMenu';
    this.own(workspace.onDidChange(() => this.#render()));
    this.own(selected.onDidChange(() => this.#render()));
    this.own(store.onDidChange(() => this.#render()));
    this.own(
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('slipway.statusBar')) this.#render();
      }),
    );
    this.own({ dispose: () => clearTimeout(this.#timer) });
    this.#render();
  }

  #render(): void {
    clearTimeout(this.#timer);
    const current = this.#selected.current();
    if (current === undefined || !vscode.workspace.getConfiguration('slipway').get('statusBar', true)) {
      this.#item.hide();
      return;
    }
    const { root, environment } = current;
    const entry = root.runs.latest(environment);
    const condition = entry === undefined ? undefined : conditionOf(entry.view, entry.isLive);
    const standing = this.#store.get({ folder: root.path, environment });
    const bad = standing.kind === 'live' ? troubled(standing.state.workloads) : 0;
    const now = Date.now();
    const words =
      entry === undefined
        ? vscode.l10n.t('not run yet')
        : condition === 'running'
          ? `${activityOf(entry.view)}, ${duration(now - Date.parse(entry.view.startedAt))}`
          : `${condition} ${age(entry.view.finishedAt ?? entry.view.startedAt, now)}`;
    const live = standing.kind === 'live' ? liveWords(standing.state.workloads.length, bad) : undefined;
    const icon = bad > 0 ? '$(warning)' : condition === undefined ? '$(server-environment)' : icons[condition];
    const standingWords = condition === 'running' ? words : condition === 'interrupted' ? vscode.l10n.t('resume?') : '';
    this.#item.text = `${icon} ${environment}${standingWords === '' ? '' : `: ${standingWords}`}`;
    const cause = entry === undefined ? undefined : causeOf(entry.view);
    this.#item.tooltip = new vscode.MarkdownString(
      [
        `**${root.project?.name ?? root.folder.name}: ${environment}**`,
        words,
        ...(condition !== 'succeeded' && condition !== 'running' && cause !== undefined ? [cause] : []),
        ...(condition === 'interrupted' ? [vscode.l10n.t('It can be resumed: what is done is not done again.')] : []),
        ...(live === undefined ? [] : [live]),
      ].join('\n\n'),
    );
    this.#item.accessibilityInformation = {
      label: [
        `Slipway environment ${environment}`,
        words,
        ...(condition === 'interrupted' ? [vscode.l10n.t('can be resumed')] : []),
        ...(live === undefined ? [] : [live]),
      ].join(', '),
    };
    const isBad = bad > 0 || ['failed', 'rolled back', 'unknown', 'interrupted'].includes(condition ?? '');
    this.#item.backgroundColor = isBad ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
    this.#item.show();
    if (condition === 'running') {
      this.#timer = setTimeout(() => this.#render(), TICK_MS);
      this.#timer.unref();
    }
  }
}

const liveWords = (count: number, bad: number): string =>
  bad === 0
    ? vscode.l10n.t('{0} workloads, all ready', count)
    : vscode.l10n.t('{0} of {1} workloads not ready', bad, count);
