import * as vscode from 'vscode';
import { readLog } from '../../engine/run/journal.ts';
import type { System } from '../../engine/system/index.ts';
import { Owner } from '../events.ts';
import type { Root, Workspace } from '../workspace.ts';
import { followLog } from './logFollower.ts';

const scheme = 'slipway-log';

/** A step's log as a read-only document: searchable, foldable, readable by a screen reader. Grows while it is open. */
export class LogDocuments extends Owner implements vscode.TextDocumentContentProvider {
  readonly #workspace: Workspace;
  readonly #system: System;
  readonly #changed = this.own(new vscode.EventEmitter<vscode.Uri>());
  readonly onDidChange = this.#changed.event;
  readonly #followed = new Map<string, AbortController>();

  constructor(workspace: Workspace, system: System) {
    super();
    this.#workspace = workspace;
    this.#system = system;
    this.own(vscode.workspace.registerTextDocumentContentProvider(scheme, this));
    this.own(vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#unfollow(uri)));
    this.own({
      dispose: () => {
        for (const stop of this.#followed.values()) stop.abort();
      },
    });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const { folder, run, step } = JSON.parse(uri.query) as Readonly<Record<'folder' | 'run' | 'step', string>>;
    const root = this.#workspace.roots.find(({ path }) => path === folder);
    if (root === undefined) return '';
    this.#follow(uri, root, run, step);
    const lines = (await readLog(this.#system.files, folder, run, step)).flatMap((event) =>
      event.type === 'log' ? [event.text] : [],
    );
    return lines.length === 0 ? vscode.l10n.t('This step has written nothing.') : `${lines.join('\n')}\n`;
  }

  #follow(uri: vscode.Uri, root: Root, run: string, step: string): void {
    const key = uri.toString();
    if (this.#followed.has(key) || root.runs.get(run)?.isLive !== true) return;
    const stop = new AbortController();
    this.#followed.set(key, stop);
    const onLines = (lines: readonly unknown[], isFirst: boolean) => {
      if (!isFirst && lines.length > 0) this.#changed.fire(uri);
    };
    void followLog(this.#system.files, { root: root.path, run, step }, onLines, stop.signal).catch(() => stop.abort());
  }

  #unfollow(uri: vscode.Uri): void {
    if (uri.scheme !== scheme) return;
    this.#followed.get(uri.toString())?.abort();
    this.#followed.delete(uri.toString());
  }
}

export function logUri(root: Root, run: string, step: string): vscode.Uri {
  return vscode.Uri.from({
    scheme,
    path: `/${run}/${step.replaceAll('/', '-')}.log`,
    query: JSON.stringify({ folder: root.path, run, step }),
  });
}
