import * as vscode from 'vscode';
import type { Forward } from '../../engine/main.ts';
import { Owner } from '../events.ts';

interface Open {
  readonly forward: Forward;
  readonly environment: string;
  readonly stop: AbortController;
}

/** The port-forwards of this window: a status bar item while there is one; they end with the window. */
export class Forwards extends Owner {
  readonly #item = this.own(vscode.window.createStatusBarItem('slipway.forwards', vscode.StatusBarAlignment.Left, 39));
  readonly #open = new Set<Open>();

  constructor() {
    super();
    this.#item.name = vscode.l10n.t('Slipway port-forwards');
    this.#item.command = 'slipway.stopForward';
    this.own({
      dispose: () => {
        for (const { stop } of this.#open) stop.abort();
      },
    });
  }

  get list(): readonly Open[] {
    return [...this.#open];
  }

  add(open: Open): void {
    this.#open.add(open);
    open.stop.signal.addEventListener('abort', () => {
      this.#open.delete(open);
      this.#render();
    });
    this.#render();
  }

  #render(): void {
    const open = this.list;
    if (open.length === 0) {
      this.#item.hide();
      return;
    }
    const [first] = open;
    this.#item.text =
      open.length === 1 ? `$(plug) ${first?.forward.target} :${first?.forward.port}` : `$(plug) ${open.length}`;
    this.#item.tooltip = new vscode.MarkdownString(
      open.map(({ forward, environment }) => `${forward.url} → ${forward.target} (${environment})`).join('\n\n'),
    );
    this.#item.accessibilityInformation = {
      label: vscode.l10n.t('{0} port-forwards of Slipway', open.length),
    };
    this.#item.show();
  }
}
