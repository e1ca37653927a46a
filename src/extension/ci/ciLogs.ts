import * as vscode from 'vscode';
import { isCancelled, toFailure } from '../../engine/problems/index.ts';
import type { System } from '../../engine/system/index.ts';
import { Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { CiSources } from './ciSources.ts';

const scheme = 'slipway-ci-log';

interface Place {
  readonly folder: string;
  readonly run: string;
  readonly job: string;
  readonly step?: { readonly startedAt?: string; readonly finishedAt?: string };
}

/** A job's log (or the part of one step) as a read-only document that follows the job while it is open. */
export class CiLogs extends Owner implements vscode.TextDocumentContentProvider {
  readonly #sources: CiSources;
  readonly #system: System;
  readonly #loader: EngineLoader;
  readonly #changed = this.own(new vscode.EventEmitter<vscode.Uri>());
  readonly onDidChange = this.#changed.event;
  readonly #texts = new Map<string, string>();
  readonly #followed = new Map<string, AbortController>();

  constructor(sources: CiSources, system: System, loader: EngineLoader) {
    super();
    this.#sources = sources;
    this.#system = system;
    this.#loader = loader;
    this.own(vscode.workspace.registerTextDocumentContentProvider(scheme, this));
    this.own(
      vscode.workspace.onDidCloseTextDocument(({ uri }) => {
        if (uri.scheme !== scheme) return;
        this.#followed.get(uri.toString())?.abort();
        this.#followed.delete(uri.toString());
        this.#texts.delete(uri.toString());
      }),
    );
    this.own({
      dispose: () => {
        for (const stop of this.#followed.values()) stop.abort();
      },
    });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const key = uri.toString();
    const known = this.#texts.get(key);
    if (known !== undefined || this.#followed.has(key)) return known ?? '';
    const stop = new AbortController();
    this.#followed.set(key, stop);
    const { promise, resolve } = Promise.withResolvers<string>();
    let isFirst = true;
    const show = (text: string): void => {
      this.#texts.set(key, text);
      if (isFirst) resolve(text);
      else this.#changed.fire(uri);
      isFirst = false;
    };
    void this.#follow(JSON.parse(uri.query) as Place, show, stop.signal).catch((error: unknown) => {
      const { message, fix } = toFailure(error);
      if (!isCancelled(error)) show(`${message}\n${fix ?? ''}\n`);
      else resolve('');
    });
    return promise;
  }

  async #follow(place: Place, show: (text: string) => void, signal: AbortSignal): Promise<void> {
    const source = this.#sources.all.find(({ folder }) => folder === place.folder);
    if (source === undefined) return show('');
    const client = await source.connected();
    const ci = await (await this.#loader.module()).loadCi();
    let text = '';
    const shown = (): string => {
      const part = place.step === undefined ? undefined : ci.logOfStep(text, place.step);
      return ci.plainLog(part ?? text);
    };
    for await (const piece of ci.followLog(this.#system, client, place.job, place.run, { signal })) {
      if (piece.kind === 'text') {
        text = piece.isReset ? piece.text : `${text}${piece.text}`;
        show(shown());
      } else if (piece.kind === 'pending' && text === '') {
        show(`${vscode.l10n.t('{0} is {1}: {2}.', piece.job.name, piece.job.state, piece.why)}\n`);
      } else if (piece.kind === 'end' && piece.why !== undefined)
        show(`${vscode.l10n.t('There is no log: {0}.', piece.why)}\n`);
    }
  }
}

/** Opens the log where the first error stands. */
export async function openCiLog(place: Place, title: string): Promise<void> {
  const name = title.replace(/[\\/:*?"<>|]+/g, '-');
  const uri = vscode.Uri.from({ scheme, path: `/${name}.log`, query: JSON.stringify(place) });
  const document = await vscode.workspace.openTextDocument(uri);
  const lines = document.getText().split('\n');
  const at = lines.findIndex((line) => /^(##\[error\]|::error\b|ERROR: |Error: |error: |fatal: )/.test(line));
  const position = at === -1 ? undefined : new vscode.Position(at, 0);
  await vscode.window.showTextDocument(document, {
    preview: true,
    ...(position !== undefined && { selection: new vscode.Range(position, position) }),
  });
}
