import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import type { Place } from '../../engine/problems/index.ts';
import type { System } from '../../engine/system/index.ts';
import { Owner } from '../events.ts';
import { type CommandId, rolloutViewType } from '../ids.ts';
import { followLog } from '../run/logFollower.ts';
import { conditionOf } from '../words.ts';
import type { Root } from '../workspace.ts';
import { DiagnosisSource } from './diagnosisSource.ts';
import { rolloutHtml } from './html.ts';
import { offersOf } from './offers.ts';
import type { PageMemory } from './pageMemory.ts';
import { type LogLine, type Offer, parseToHost, type RolloutState, type ToHost, type ToView } from './protocol.ts';

/** What the page may ask of the rest of the extension. */
export interface PanelActions {
  readonly cancel: (root: Root, run: string) => Promise<void>;
  readonly runAgain: (root: Root, run: string) => Promise<void>;
  readonly resume: (root: Root, run: string) => Promise<void>;
  readonly openLog: (root: Root, run: string, step: string) => Promise<void>;
  readonly openReport: (root: Root, run: string, path: string) => Promise<void>;
  readonly openPlace: (place: Place) => Promise<void>;
}

export interface PanelContext {
  readonly system: System;
  readonly extensionUri: vscode.Uri;
  readonly log: vscode.LogOutputChannel;
  readonly actions: PanelActions;
  readonly memory: PageMemory;
}

/** Snapshots in a burst of events become one. */
const QUIET_MS = 80;
/** Lines kept for the page; the whole log opens as a document. */
const MOST_LINES = 50_000;

const commandOf: Readonly<Partial<Record<Offer, CommandId>>> = {
  rollBack: 'slipway.rollBack',
  deploy: 'slipway.deploy',
  smoke: 'slipway.smoke',
  diagnose: 'slipway.diagnose',
  unlock: 'slipway.unlock',
};

/** One rollout page: shows the runs of one environment of one root, one at a time. */
export class RolloutPanel extends Owner {
  readonly root: Root;
  readonly environment: string | null;
  readonly #context: PanelContext;
  readonly #panel: vscode.WebviewPanel;
  #run: string;
  #focus: string | undefined;
  #step: string | undefined;
  #seq = 0;
  #isReady = false;
  #timer: NodeJS.Timeout | undefined;
  #log: AbortController | undefined;
  readonly #diagnosis: DiagnosisSource;

  constructor(
    panel: vscode.WebviewPanel,
    context: PanelContext,
    shown: { readonly root: Root; readonly environment: string | null; readonly run: string; readonly step?: string },
  ) {
    super();
    this.#panel = this.own(panel);
    this.#context = context;
    this.root = shown.root;
    this.environment = shown.environment;
    this.#run = shown.run;
    this.#focus = shown.step;
    this.#step = shown.step;
    this.#diagnosis = new DiagnosisSource(context.system.files, shown.root.path, (message) => this.#post(message));
    panel.webview.options = {
      enableScripts: true,
      localResourceRoots: [
        vscode.Uri.joinPath(context.extensionUri, 'dist', 'webview'),
        vscode.Uri.joinPath(context.extensionUri, 'media'),
      ],
    };
    panel.iconPath = {
      light: vscode.Uri.joinPath(context.extensionUri, 'media', 'slipway-light.svg'),
      dark: vscode.Uri.joinPath(context.extensionUri, 'media', 'slipway-dark.svg'),
    };
    this.own(panel.webview.onDidReceiveMessage((message: unknown) => this.#onMessage(message)));
    this.own(panel.onDidDispose(() => this.dispose()));
    this.own(
      panel.onDidChangeViewState(() => {
        // A hidden page lost what was sent to it; the whole state comes when it is shown again.
        if (panel.visible) this.#sendSoon(0);
      }),
    );
    this.own(
      shown.root.runs.onDidChange((runs) => {
        if (runs.some((run) => run === this.#run || this.#isOfHere(run))) this.#sendSoon(QUIET_MS);
      }),
    );
    this.own({ dispose: () => clearTimeout(this.#timer) });
    this.own({ dispose: () => this.#log?.abort() });
    this.#title();
    this.#remember();
    panel.webview.html = this.#html();
  }

  get run(): string {
    return this.#run;
  }

  get isVisible(): boolean {
    return this.#panel.visible;
  }

  /** Shows another run of the same environment, or another step's log. */
  show(run: string, step: string | undefined, reveal: 'reveal' | 'stay'): void {
    this.#run = run;
    this.#focus = step;
    this.#step = step ?? this.#step;
    this.#remember();
    this.#title();
    if (reveal === 'reveal') this.#panel.reveal(undefined, true);
    this.#sendSoon(0);
  }

  #isOfHere(run: string): boolean {
    return this.root.runs.get(run)?.view.environment === this.environment;
  }

  #title(): void {
    this.#panel.title =
      this.environment === null ? vscode.l10n.t('Images') : vscode.l10n.t('Rollout: {0}', this.environment);
  }

  #html(): string {
    const { webview } = this.#panel;
    const uri = (...path: readonly string[]) =>
      webview.asWebviewUri(vscode.Uri.joinPath(this.#context.extensionUri, 'dist', 'webview', ...path)).toString();
    return rolloutHtml({
      cspSource: webview.cspSource,
      nonce: randomBytes(16).toString('base64'),
      script: uri('rollout.js'),
      styles: [uri('rollout-page.css')],
      codicons: uri('codicon.css'),
      title: this.#panel.title,
    });
  }

  #sendSoon(afterMs: number): void {
    if (!this.#isReady || !this.#panel.visible) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(), afterMs);
  }

  #send(): void {
    const state = this.#state();
    if (state === undefined) {
      this.#post({ kind: 'gone', message: vscode.l10n.t('Run {0} is no longer in the journal.', this.#run) });
      return;
    }
    this.#seq += 1;
    this.#post({ kind: 'snapshot', seq: this.#seq, state });
    this.#focus = undefined;
    void this.#diagnosis.send(state.run).catch((error: unknown) => this.#context.log.error(error as Error));
  }

  /** Shows what was collected now, in `folder`, instead of what the run left. */
  showDiagnosis(folder: string): void {
    this.#diagnosis.collected(this.#run, folder);
    this.#panel.reveal(undefined, true);
    this.#sendSoon(0);
  }

  #post(message: ToView): void {
    void this.#panel.webview.postMessage(message);
  }

  #state(): RolloutState | undefined {
    const entry = this.root.runs.get(this.#run);
    if (entry === undefined) return undefined;
    const { view, isLive } = entry;
    const { offers, fixes } = vscode.workspace.isTrusted ? offersOf(view, isLive) : { offers: [], fixes: [] };
    const history = this.root.runs
      .list()
      .filter((other) => other.view.environment === this.environment)
      .slice(0, 24)
      .reverse();
    return {
      project: this.root.project?.name ?? this.root.folder.name,
      folder: this.root.path,
      run: view,
      isLive,
      offers,
      fixes,
      history: history.map((other) => ({
        run: other.view.id,
        condition: conditionOf(other.view, other.isLive),
        startedAt: other.view.startedAt,
        ...(other.view.durationMs !== undefined && { durationMs: other.view.durationMs }),
        ...(other.view.tag !== undefined && { tag: other.view.tag }),
      })),
      now: new Date().toISOString(),
      ...(this.#focus !== undefined && { focus: this.#focus }),
    };
  }

  #onMessage(value: unknown): void {
    const message = parseToHost(value);
    if (message === undefined) {
      this.#context.log.warn(`The rollout page sent something unknown: ${JSON.stringify(value)?.slice(0, 300)}`);
      return;
    }
    void this.#answer(message).catch((error: unknown) => this.#context.log.error(error as Error));
  }

  async #answer(message: ToHost): Promise<void> {
    const { actions } = this.#context;
    const view = this.root.runs.get(this.#run)?.view;
    switch (message.kind) {
      case 'ready':
        this.#isReady = true;
        // A page that was hidden begins anew, with nothing of what was sent before.
        this.#diagnosis.forget();
        this.#focus ??= this.#step;
        this.#send();
        return;
      case 'do':
        if (message.offer === 'cancel') await actions.cancel(this.root, this.#run);
        if (message.offer === 'resume') await actions.resume(this.root, this.#run);
        if (message.offer === 'runAgain') await actions.runAgain(this.root, this.#run);
        await this.#command(message.offer);
        return;
      case 'showRun':
        if (this.#isOfHere(message.run)) this.show(message.run, undefined, 'stay');
        return;
      case 'followLog':
        this.#followLog(message.step);
        return;
      case 'openLog':
        if (view?.steps.some(({ id }) => id === message.step))
          await actions.openLog(this.root, this.#run, message.step);
        return;
      case 'openEndpoint':
        if (
          view?.endpoints.some(({ url }) => url === message.url) ||
          view?.smoke.some(({ url }) => url === message.url)
        )
          await openExternal(message.url);
        return;
      case 'openFailure': {
        const failure =
          message.step === undefined ? view?.failure : view?.steps.find(({ id }) => id === message.step)?.failure;
        if (failure?.place !== undefined) await actions.openPlace(failure.place);
        return;
      }
      case 'openFinding': {
        const scan = view?.scans.find(
          ({ image, platform }) => image === message.image && platform === message.platform,
        );
        const finding = scan?.gating.find((other) => other.id === message.id && other.package === message.package);
        if (message.what === 'advisory') {
          if (finding?.url !== undefined) await openExternal(finding.url);
          return;
        }
        const image = this.root.project?.images.find(({ name }) => name === message.image);
        if (image === undefined || finding?.dockerfileLine === undefined) return;
        const at = { line: finding.dockerfileLine, character: 0 };
        await actions.openPlace({ file: image.dockerfile, range: { start: at, end: at } });
        return;
      }
      case 'openDiagnosis':
        await this.#diagnosis.open(view);
        return;
      case 'openReport':
        if (view?.scans.some(({ reports }) => reports.includes(message.path)))
          await actions.openReport(this.root, this.#run, message.path);
    }
  }

  /** The rest is what commands do; they ask for what they need, and in Restricted Mode they refuse. */
  async #command(offer: Offer): Promise<void> {
    const command = commandOf[offer];
    if (command === undefined || this.environment === null) return;
    await vscode.commands.executeCommand(command, { root: this.root, environment: this.environment });
  }

  #remember(): void {
    this.#context.memory.remember({
      folder: this.root.path,
      environment: this.environment,
      run: this.#run,
      ...(this.#step !== undefined && { step: this.#step }),
    });
  }

  #followLog(step: string | undefined): void {
    this.#step = step;
    this.#remember();
    this.#log?.abort();
    this.#log = undefined;
    const run = this.#run;
    if (step === undefined || this.root.runs.get(run)?.view.steps.every(({ id }) => id !== step)) return;
    const stop = new AbortController();
    this.#log = stop;
    const { files } = this.#context.system;
    void followLog(
      files,
      { root: this.root.path, run, step },
      (events, isFirst) => {
        const kept = events.slice(-MOST_LINES);
        const lines: readonly LogLine[] = kept.map(({ seq, time, stream, text }) => ({ seq, time, stream, text }));
        this.#post({ kind: 'log', run, step, isFirst, dropped: events.length - kept.length, lines: [...lines] });
      },
      stop.signal,
    ).catch((error: unknown) => this.#context.log.error(error as Error));
  }
}

/** Only web addresses: what stands in an event came from a cluster or a scanner. */
async function openExternal(url: string): Promise<void> {
  if (/^https?:\/\//.test(url)) await vscode.env.openExternal(vscode.Uri.parse(url, true));
}

export function createPanel(): vscode.WebviewPanel {
  return vscode.window.createWebviewPanel(rolloutViewType, '', {
    viewColumn: vscode.ViewColumn.Active,
    preserveFocus: true,
  });
}
