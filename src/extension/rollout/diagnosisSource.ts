import { join } from 'node:path';
import * as vscode from 'vscode';
import { runFolder } from '../../engine/run/journal.ts';
import type { RunView } from '../../engine/run/projection.ts';
import type { Files } from '../../engine/system/index.ts';
import { parseDiagnosis } from './diagnosis.ts';
import type { ToView } from './protocol.ts';

/** Where a run leaves its diagnosis, as its journal says. */
const REPORT = 'reports/diagnostics/report.md';

/** The diagnosis that a rollout page shows: what the run left when it failed, or what somebody had collected since. */
export class DiagnosisSource {
  readonly #files: Files;
  readonly #root: string;
  readonly #post: (message: ToView) => void;
  /** What the page has. */
  #sent: string | undefined;
  #asked: { readonly run: string; readonly folder: string; isSeen: boolean } | undefined;

  constructor(files: Files, root: string, post: (message: ToView) => void) {
    this.#files = files;
    this.#root = root;
    this.#post = post;
  }

  /** The page has nothing any more. */
  forget(): void {
    this.#sent = undefined;
  }

  /** Somebody had it collected while the page showed the run. */
  collected(run: string, folder: string): void {
    this.#asked = { run, folder, isSeen: false };
    this.#sent = undefined;
  }

  /** Sends what there is and the page does not have yet. A file that is gone or cannot be read is nothing. */
  async send(run: RunView): Promise<void> {
    if (this.#asked !== undefined && this.#asked.run !== run.id) this.#asked = undefined;
    const asked = this.#asked;
    const folder = asked?.folder ?? folderOf(this.#root, run);
    const key = `${run.id} ${folder}`;
    if (folder === undefined || this.#sent === key) return;
    this.#sent = key;
    const text = await this.#files.readText(join(folder, 'diagnosis.json'));
    const data = text === undefined ? undefined : parseDiagnosis(text);
    if (data === undefined || this.#sent !== key) return;
    const isAsked = asked?.isSeen === false;
    if (asked !== undefined) asked.isSeen = true;
    this.#post({ kind: 'diagnosis', run: run.id, origin: asked === undefined ? 'run' : 'now', isAsked, data });
  }

  /** The report as a document. */
  async open(run: RunView | undefined): Promise<void> {
    if (run === undefined) return;
    const folder = this.#asked?.run === run.id ? this.#asked.folder : folderOf(this.#root, run);
    if (folder === undefined) return;
    await vscode.commands.executeCommand('markdown.showPreview', vscode.Uri.file(join(folder, 'report.md')));
  }
}

/** Only the one place, whatever a journal says. */
const folderOf = (root: string, run: RunView): string | undefined =>
  run.reports.some(({ path }) => path === REPORT) ? join(runFolder(root, run.id), REPORT, '..') : undefined;
