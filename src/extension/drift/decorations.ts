import * as vscode from 'vscode';
import type { ObjectRef } from '../../engine/events/index.ts';
import { Owner } from '../events.ts';
import type { EnvironmentKey } from '../workloads/workloadStore.ts';
import type { DriftStore } from './driftStore.ts';
import { driftText } from './driftWords.ts';

const LIVE_SCHEME = 'slipway-live';

/** What stands for a workload of an environment where VS Code wants the address of a file. */
export const liveUri = ({ folder, environment }: EnvironmentKey, { kind, namespace, name }: ObjectRef): vscode.Uri =>
  vscode.Uri.from({
    scheme: LIVE_SCHEME,
    path: `/${[environment, kind, namespace ?? '', name].join('/')}`,
    query: folder,
  });

/** Marks files in the Explorer, and workloads in their view, whose live state is another one than the files say. */
export class DriftDecorations extends Owner implements vscode.FileDecorationProvider {
  readonly #store: DriftStore;
  readonly #changed = this.own(new vscode.EventEmitter<vscode.Uri[]>());
  readonly onDidChangeFileDecorations = this.#changed.event;
  #texts: ReadonlyMap<string, string> = new Map();

  constructor(store: DriftStore) {
    super();
    this.#store = store;
    this.own(store.onDidChange(() => this.#read()));
    this.own(vscode.window.registerFileDecorationProvider(this));
  }

  provideFileDecoration(uri: vscode.Uri): vscode.FileDecoration | undefined {
    const text = this.#texts.get(uri.toString());
    if (text === undefined) return undefined;
    const color = new vscode.ThemeColor('gitDecoration.modifiedResourceForeground');
    const decoration = new vscode.FileDecoration(
      '≠',
      vscode.l10n.t('Live state differs from the files\n{0}', text),
      color,
    );
    decoration.propagate = uri.scheme === 'file';
    return decoration;
  }

  #read(): void {
    const found = new Map<string, string[]>();
    const add = (uri: vscode.Uri, text: string) => {
      const texts = found.get(uri.toString());
      if (texts === undefined) found.set(uri.toString(), [text]);
      else texts.push(text);
    };
    for (const { key, drifts } of this.#store.all) {
      for (const drift of drifts) {
        const text = driftText(key.environment, [drift]);
        add(vscode.Uri.file(drift.file), text);
        add(liveUri(key, drift.object), text);
      }
    }
    const before = this.#texts;
    this.#texts = new Map([...found].map(([uri, texts]) => [uri, texts.join('\n')]));
    const changed = [...new Set([...before.keys(), ...this.#texts.keys()])].filter(
      (uri) => before.get(uri) !== this.#texts.get(uri),
    );
    if (changed.length > 0) this.#changed.fire(changed.map((uri) => vscode.Uri.parse(uri)));
  }
}
