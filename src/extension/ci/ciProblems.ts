import { join } from 'node:path';
import * as vscode from 'vscode';
import { isCancelled } from '../../engine/problems/index.ts';
import { Owner } from '../events.ts';
import type { CiSource } from './ciSource.ts';
import type { CiSources } from './ciSources.ts';

const SEVERITY = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  info: vscode.DiagnosticSeverity.Information,
} as const;

/** Remarks of the newest finished run of the branch that is checked out, as Problems. A later good run takes them away. */
export class CiProblems extends Owner {
  readonly #collection = this.own(vscode.languages.createDiagnosticCollection('slipway-ci'));
  /** What the collection shows, by folder: nothing is asked twice. */
  readonly #shown = new Map<string, string>();
  readonly #files = new Map<string, readonly vscode.Uri[]>();
  readonly #log: vscode.LogOutputChannel;

  constructor(sources: CiSources, log: vscode.LogOutputChannel) {
    super();
    this.#log = log;
    this.own(
      sources.onDidChange(({ source }) => {
        if (source?.state.kind !== 'ready') return;
        this.#look(source).catch((error: unknown) => {
          // Asked again with the next look at the list.
          this.#shown.delete(source.folder);
          if (!isCancelled(error))
            this.#log.warn(`CI remarks of ${source.folder}: ${error instanceof Error ? error.message : String(error)}`);
        });
      }),
    );
  }

  async #look(source: CiSource): Promise<void> {
    const { found, client } = source;
    const branch = found?.git.branch;
    if (found === undefined || client === undefined || branch === undefined) return;
    const run = source.runs.find(({ ref, finishedAt }) => ref === branch && finishedAt !== undefined);
    const key = run === undefined ? '' : `${run.id}/${run.attempt}/${run.state}`;
    if (this.#shown.get(source.folder) === key) return;
    this.#shown.set(source.folder, key);
    const isOfInterest = run?.state === 'failed' || run?.state === 'warning' || run?.state === 'succeeded';
    const signal = AbortSignal.timeout(60_000);
    const jobs = run === undefined || !isOfInterest ? [] : await source.loadJobs(run.id, signal);
    const looked = jobs.filter(
      ({ state }) => state === 'failed' || state === 'warning' || client.repository.kind === 'github',
    );
    const remarks = (await Promise.all(looked.map((job) => client.annotations(job, signal)))).flat();
    if (this.isDisposed || this.#shown.get(source.folder) !== key) return;
    for (const uri of this.#files.get(source.folder) ?? []) this.#collection.delete(uri);
    const byFile = Map.groupBy(remarks, ({ path }) => join(found.git.top, path));
    const uris: vscode.Uri[] = [];
    for (const [file, list] of byFile) {
      // A path of a remark is written by a job: it must not lead out of the repository.
      if (!file.startsWith(found.git.top)) continue;
      const uri = vscode.Uri.file(file);
      uris.push(uri);
      this.#collection.set(
        uri,
        list.map(({ line, endLine, column, severity, title, message, job }) => {
          const start = new vscode.Position(Math.max(0, line - 1), Math.max(0, (column ?? 1) - 1));
          const end = new vscode.Position(Math.max(0, (endLine ?? line) - 1), Number.MAX_SAFE_INTEGER);
          const name = jobs.find(({ id }) => id === job)?.name ?? job;
          const diagnostic = new vscode.Diagnostic(new vscode.Range(start, end), message, SEVERITY[severity]);
          diagnostic.source = vscode.l10n.t('CI run #{0}, {1}', run?.number ?? '', name);
          if (title !== undefined) diagnostic.code = title;
          return diagnostic;
        }),
      );
    }
    this.#files.set(source.folder, uris);
  }
}
