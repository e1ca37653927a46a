import * as vscode from 'vscode';
import type { Diagnostic } from '../../engine/problems/index.ts';
import { Owner } from '../events.ts';
import type { Workspace } from '../workspace.ts';
import { type ConfigDocuments, configSelector, schemaIsServed, toRange } from './documents.ts';

/** While a person types, mistakes wait for a pause. */
const QUIET_MS = 250;

/** What the JSON schema finds as well. */
const SCHEMA_CODES = new Set(['yaml.syntax', 'config.unknown-key', 'config.value', 'config.missing-key']);

const SEVERITIES = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  info: vscode.DiagnosticSeverity.Information,
} as const;

/** Mistakes of slipway.yaml as Problems: of open files as they are on the screen, of others as they are on the disk. */
export class ConfigDiagnostics extends Owner implements vscode.CodeActionProvider {
  readonly #documents: ConfigDocuments;
  readonly #workspace: Workspace;
  readonly #log: vscode.LogOutputChannel;
  readonly #collection = this.own(vscode.languages.createDiagnosticCollection('slipway'));
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** All that was found, also what the schema's server shows. */
  readonly #found = new Map<string, { readonly version: number; readonly diagnostics: readonly Diagnostic[] }>();

  constructor(documents: ConfigDocuments, workspace: Workspace, log: vscode.LogOutputChannel) {
    super();
    this.#documents = documents;
    this.#workspace = workspace;
    this.#log = log;
    this.own(vscode.workspace.onDidOpenTextDocument((document) => this.#soon(document, 0)));
    this.own(vscode.workspace.onDidChangeTextDocument(({ document }) => this.#soon(document, QUIET_MS)));
    this.own(vscode.workspace.onDidCloseTextDocument((document) => this.#closed(document)));
    this.own(vscode.extensions.onDidChange(() => this.#checkAll()));
    this.own(
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration('yaml.validate')) this.#checkAll();
      }),
    );
    this.own(
      workspace.onDidChange((change) => {
        if (change.kind === 'project') this.#projectRead(change.root.project?.configFile);
      }),
    );
    this.own(
      vscode.languages.registerCodeActionsProvider(configSelector, this, {
        providedCodeActionKinds: [vscode.CodeActionKind.QuickFix],
      }),
    );
    this.own({
      dispose: () => {
        for (const timer of this.#timers.values()) clearTimeout(timer);
      },
    });
    this.#checkAll();
  }

  provideCodeActions(document: vscode.TextDocument, range: vscode.Range): vscode.CodeAction[] {
    const found = this.#found.get(document.uri.toString());
    if (found?.version !== document.version) return [];
    const shown = this.#collection.get(document.uri) ?? [];
    return found.diagnostics.flatMap((diagnostic): vscode.CodeAction[] => {
      const at = diagnostic.place.range === undefined ? undefined : toRange(diagnostic.place.range);
      if (at === undefined || diagnostic.replacement === undefined || at.intersection(range) === undefined) return [];
      const action = new vscode.CodeAction(
        vscode.l10n.t('Change to "{0}"', diagnostic.replacement),
        vscode.CodeActionKind.QuickFix,
      );
      action.edit = new vscode.WorkspaceEdit();
      action.edit.replace(document.uri, at, diagnostic.replacement);
      action.diagnostics = shown.filter((other) => other.range.isEqual(at));
      action.isPreferred = true;
      return [action];
    });
  }

  #checkAll(): void {
    for (const document of vscode.workspace.textDocuments) this.#soon(document, 0);
  }

  #soon(document: vscode.TextDocument, waitMs: number): void {
    if (!this.#documents.isConfig(document)) return;
    const key = document.uri.toString();
    clearTimeout(this.#timers.get(key));
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      void this.#check(document).catch((error: unknown) => this.#log.error(error as Error));
    }, waitMs);
    this.#timers.set(key, timer);
  }

  async #check(document: vscode.TextDocument): Promise<void> {
    const { version } = document;
    const language = await this.#documents.language();
    const { diagnostics } = await language.checkConfig(
      this.#documents.systemOf(document),
      document.getText(),
      document.uri.fsPath,
      this.#documents.rootOf(document),
    );
    // A newer text is checked by its own turn.
    if (this.isDisposed || document.isClosed || document.version !== version) return;
    this.#found.set(document.uri.toString(), { version, diagnostics });
    const shown = diagnostics.filter(({ code }) => !SCHEMA_CODES.has(code) || !schemaIsServed(document));
    this.#collection.set(
      document.uri,
      shown.map((diagnostic) => toDiagnostic(diagnostic, document)),
    );
  }

  #closed(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    if (!this.#found.delete(key)) return;
    this.#collection.delete(document.uri);
    this.#projectRead(document.uri.fsPath);
  }

  /** A file that nobody has open is shown as the workspace read it. */
  #projectRead(file: string | undefined): void {
    if (file === undefined) return;
    const uri = vscode.Uri.file(file);
    if (this.#found.has(uri.toString())) return;
    const root = this.#workspace.roots.find(({ project }) => project?.configFile === file);
    this.#collection.set(
      uri,
      (root?.project?.diagnostics ?? [])
        .filter(({ place }) => place.file === file)
        .map((diagnostic) => toDiagnostic(diagnostic)),
    );
  }
}

function toDiagnostic(
  { severity, code, message, fix, place, replacement }: Diagnostic,
  document?: vscode.TextDocument,
): vscode.Diagnostic {
  const range =
    place.range === undefined ? (document?.lineAt(0).range ?? new vscode.Range(0, 0, 0, 0)) : toRange(place.range);
  // The quick fix says what the suggestion is; words for it would say it again.
  const text = fix === undefined || replacement !== undefined ? message : `${message} ${fix}`;
  const diagnostic = new vscode.Diagnostic(range, text, SEVERITIES[severity]);
  diagnostic.source = 'Slipway';
  diagnostic.code = code;
  return diagnostic;
}
