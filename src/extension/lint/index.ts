import * as vscode from 'vscode';
import type { LintFinding, LintFix } from '../../engine/main.ts';
import type { System } from '../../engine/system/index.ts';
import type { PinRequest } from '../ci/pushCommands.ts';
import { Owner } from '../events.ts';
import { addEdits } from '../markers/edits.ts';
import { toRange } from '../markers/lenses.ts';
import type { GitOpsModel } from '../markers/model.ts';
import type { Repository } from '../markers/repository.ts';
import type { EngineLoader } from '../run/engineLoader.ts';

/** Reading the workflows of a repository waits for a pause in the changes. */
const QUIET_MS = 400;

const WORKFLOW = /(?:^|[\\/])(?:\.(?:github|gitea|forgejo)[\\/]workflows[\\/][^\\/]+\.ya?ml|\.gitlab-ci\.ya?ml)$/;
const yaml: vscode.DocumentSelector = { pattern: '**/*.{yaml,yml}', scheme: 'file' };

const SEVERITIES = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  info: vscode.DiagnosticSeverity.Information,
} as const;

export interface LintParts {
  readonly model: GitOpsModel;
  readonly system: System;
  readonly loader: EngineLoader;
  readonly log: vscode.LogOutputChannel;
}

/**
 * What is wrong in CI workflows and between them and the image bots, in the Problems view with its fixes; the same as
 * `slipway lint` says, of the files as they are on the screen. Reads once a workflow or a marker is looked at.
 */
export class LintProblems extends Owner implements vscode.CodeActionProvider {
  readonly #parts: LintParts;
  readonly #collection = this.own(vscode.languages.createDiagnosticCollection('slipway-lint'));
  /** By the top of the repository. */
  readonly #found = new Map<string, Linted>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: LintParts) {
    super();
    this.#parts = parts;
    const { model } = parts;
    this.own(vscode.languages.registerCodeActionsProvider(yaml, this, { providedCodeActionKinds: [QUICK_FIX] }));
    this.own(
      model.onDidChange(({ kind }) => {
        if (kind !== 'tags') this.#soon();
      }),
    );
    const open = (document: vscode.TextDocument): void => {
      if (!WORKFLOW.test(document.uri.fsPath) || document.uri.scheme !== 'file') return;
      // A file whose folder was made just now may have come without word of it, so opening one is a reason to look again.
      void model.ready().then(
        () => this.#soon(),
        (error: unknown) => parts.log.error('Reading workflows failed', error as Error),
      );
    };
    this.own(vscode.workspace.onDidOpenTextDocument(open));
    for (const document of vscode.workspace.textDocuments) open(document);
    this.own({ dispose: () => clearTimeout(this.#timer) });
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#running = this.#running
        .then(() => this.#refresh())
        .catch((error: unknown) => this.#parts.log.error('Checking workflows failed', error as Error));
    }, QUIET_MS);
    this.#timer.unref();
  }

  async #refresh(): Promise<void> {
    const { model } = this.#parts;
    const ready = model.repositories.filter(({ isReady }) => isReady);
    for (const top of this.#found.keys()) if (!ready.some((one) => one.top === top)) this.#found.delete(top);
    for (const repository of ready) this.#found.set(repository.top, await this.#lint(repository));
    if (this.isDisposed) return;
    const all = [...this.#found.values()].flatMap(({ findings }) => findings);
    this.#collection.clear();
    for (const [file, findings] of Map.groupBy(all, ({ place }) => place.file)) {
      this.#collection.set(vscode.Uri.file(file), findings.map(toDiagnostic));
    }
  }

  async #lint(repository: Repository): Promise<Linted> {
    const { system, loader } = this.#parts;
    const { loadLint } = await loader.module();
    const { lintWorkflows, readIndexed } = await loadLint();
    const open = new Map(
      vscode.workspace.textDocuments
        .filter(({ uri, isClosed }) => uri.scheme === 'file' && !isClosed)
        .map((document) => [document.uri.fsPath, document.getText()]),
    );
    const files = await readIndexed(system, repository.top, repository.index, (file) => open.get(file));
    return { findings: lintWorkflows(files), texts: files.texts };
  }

  async provideCodeActions(
    document: vscode.TextDocument,
    range: vscode.Range,
    context: vscode.CodeActionContext,
  ): Promise<vscode.CodeAction[]> {
    const actions: vscode.CodeAction[] = [];
    for (const { findings, texts } of this.#found.values()) {
      const here = findings.filter(
        (finding) => finding.place.file === document.uri.fsPath && isOnLines(rangeOf(finding), range),
      );
      for (const finding of here) {
        const about = context.diagnostics.filter(
          (one) => one.code === finding.code && one.range.isEqual(rangeOf(finding)),
        );
        const uses = /^(\S+@\S+) can change/.exec(finding.message)?.[1];
        if (finding.code === 'ci.unpinned-action' && uses !== undefined) {
          const action = new vscode.CodeAction(vscode.l10n.t('Pin {0} by its commit', uses), QUICK_FIX);
          const pin = { file: document.uri.fsPath, line: rangeOf(finding).start.line, uses } satisfies PinRequest;
          action.command = { title: action.title, command: 'slipway.ci.pin', arguments: [pin] };
          action.diagnostics = about;
          actions.push(action);
        }
        for (const [index, fix] of finding.fixes.entries()) {
          const edit = await editOf(fix, texts);
          if (edit === undefined) continue;
          const action = new vscode.CodeAction(fix.title, QUICK_FIX);
          action.edit = edit;
          action.diagnostics = about;
          action.isPreferred = index === 0;
          actions.push(action);
        }
      }
    }
    return actions;
  }
}

interface Linted {
  readonly findings: readonly LintFinding[];
  /** What the offsets of the edits are for. */
  readonly texts: ReadonlyMap<string, string>;
}

const QUICK_FIX = vscode.CodeActionKind.QuickFix;

const rangeOf = ({ place }: LintFinding): vscode.Range => toRange(place.range) ?? new vscode.Range(0, 0, 0, 0);

/** From anywhere on the line: what is underlined is a word or two of it. */
const isOnLines = (found: vscode.Range, range: vscode.Range): boolean =>
  found.start.line <= range.end.line && range.start.line <= found.end.line;

/** Undefined when the file is no longer the text that the edits are for; the next reading brings new ones. */
async function editOf(
  { file, edits }: LintFix,
  texts: ReadonlyMap<string, string>,
): Promise<vscode.WorkspaceEdit | undefined> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(file));
  if (document.getText() !== texts.get(file)?.replace(/^\ufeff/, '')) return undefined;
  // The editor keeps a byte order mark out of the text, the disk does not.
  const shift = texts.get(file)?.startsWith('\ufeff') === true ? 1 : 0;
  const edit = new vscode.WorkspaceEdit();
  const shifted = edits.map(({ start, end, text }) => ({ start: start - shift, end: end - shift, text }));
  addEdits(edit, document, shifted);
  return edit;
}

function toDiagnostic(finding: LintFinding): vscode.Diagnostic {
  const { severity, code, message, fix, fixes, related } = finding;
  const text = [message, fix, fixes[0]?.warning].filter((part) => part !== undefined).join(' ');
  const diagnostic = new vscode.Diagnostic(rangeOf(finding), text, SEVERITIES[severity]);
  diagnostic.source = 'slipway';
  diagnostic.code = code;
  if (related === undefined) return diagnostic;
  const { place } = related;
  const location = new vscode.Location(
    vscode.Uri.file(place.file),
    toRange(place.range) ?? new vscode.Range(0, 0, 0, 0),
  );
  diagnostic.relatedInformation = [new vscode.DiagnosticRelatedInformation(location, related.message)];
  return diagnostic;
}
