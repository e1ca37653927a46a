import * as vscode from 'vscode';
import type { Diagnostic } from '../../engine/problems/index.ts';
import { Owner } from '../events.ts';
import { addEdits } from './edits.ts';
import { toRange, yamlFiles } from './lenses.ts';
import { type GitOpsModel, isOfInterest } from './model.ts';
import type { Repository } from './repository.ts';

const severities = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  info: vscode.DiagnosticSeverity.Information,
} as const;

/** What is wrong between markers, policies and automations, in the Problems view, with the fixes that there are. */
export class MarkerDiagnostics extends Owner implements vscode.CodeActionProvider {
  readonly #model: GitOpsModel;
  readonly #log: vscode.LogOutputChannel;
  readonly #collection = this.own(vscode.languages.createDiagnosticCollection('slipway-gitops'));
  /** What each file shows now, so that a file whose problems stay the same is not sent again. */
  readonly #shown = new Map<string, string>();
  #running: Promise<void> | undefined;
  #isStale = false;

  constructor(model: GitOpsModel, log: vscode.LogOutputChannel) {
    super();
    this.#model = model;
    this.#log = log;
    this.own(
      vscode.languages.registerCodeActionsProvider(yamlFiles, this, {
        providedCodeActionKinds: [vscode.CodeActionKind.QuickFix],
      }),
    );
    this.own(
      model.onDidChange(({ kind }) => {
        if (kind !== 'tags') this.#refresh();
      }),
    );
  }

  #refresh(): void {
    this.#isStale = true;
    this.#running ??= this.#refreshAll()
      .catch((error: unknown) => this.#log.error('Checking markers failed', error as Error))
      .finally(() => {
        this.#running = undefined;
        if (this.#isStale && !this.isDisposed) this.#refresh();
      });
  }

  async #refreshAll(): Promise<void> {
    this.#isStale = false;
    const seen = new Set<string>();
    for (const repository of this.#model.repositories) {
      if (!repository.isReady) continue;
      await repository.eachFile((file) => {
        const uri = repository.uriOf(file);
        seen.add(uri.toString());
        this.#show(uri, repository.index.diagnostics(file));
      });
    }
    for (const key of this.#shown.keys()) {
      if (seen.has(key)) continue;
      this.#shown.delete(key);
      this.#collection.delete(vscode.Uri.parse(key, true));
    }
  }

  async resolveCodeAction(action: vscode.CodeAction): Promise<vscode.CodeAction> {
    if (action instanceof LateFix) action.edit = await action.make();
    return action;
  }

  #show(uri: vscode.Uri, found: readonly Diagnostic[]): void {
    const key = uri.toString();
    const text = JSON.stringify(found);
    if ((this.#shown.get(key) ?? '[]') === text) return;
    this.#shown.set(key, text);
    this.#collection.set(uri, found.map(toDiagnostic));
  }

  async provideCodeActions(
    document: vscode.TextDocument,
    range: vscode.Range,
    context: vscode.CodeActionContext,
  ): Promise<vscode.CodeAction[]> {
    if (!isOfInterest(document.getText())) return [];
    const repository = await this.#model.of(document.uri);
    const file = repository?.sync(document);
    if (repository === undefined || file === undefined) return [];
    const ours = context.diagnostics.filter(({ source }) => source === 'slipway');
    return [
      ...deadMarkerFixes(repository, document, file, range, ours),
      ...ours.flatMap((diagnostic) => replacementFixes(repository, document, file, diagnostic)),
      ...valueFixes(repository, document, file, range, ours),
      ...(await pathFixes(repository, file, range, ours)),
      ...unusedPolicyFixes(repository, file, ours),
    ];
  }
}

function toDiagnostic({ message, fix, severity, code, place }: Diagnostic): vscode.Diagnostic {
  const range = toRange(place.range) ?? new vscode.Range(0, 0, 0, 0);
  const text = fix === undefined ? message : `${message} ${fix}`;
  const diagnostic = new vscode.Diagnostic(range, text, severities[severity]);
  diagnostic.source = 'slipway';
  diagnostic.code = code;
  return diagnostic;
}

function quickFix(
  title: string,
  diagnostics: readonly vscode.Diagnostic[],
  change: vscode.WorkspaceEdit | vscode.Command,
): vscode.CodeAction {
  const action = new vscode.CodeAction(title, vscode.CodeActionKind.QuickFix);
  action.diagnostics = [...diagnostics];
  if (change instanceof vscode.WorkspaceEdit) action.edit = change;
  else action.command = change;
  return action;
}

const withCode = (diagnostics: readonly vscode.Diagnostic[], code: string | RegExp): readonly vscode.Diagnostic[] =>
  diagnostics.filter((one) => (typeof code === 'string' ? one.code === code : code.test(String(one.code))));

/** Comments that were meant as markers: rewritten or moved, when Flux would then act on them. */
function deadMarkerFixes(
  { index, markers }: Repository,
  document: vscode.TextDocument,
  file: string,
  range: vscode.Range,
  diagnostics: readonly vscode.Diagnostic[],
): readonly vscode.CodeAction[] {
  const text = document.getText();
  return index.markersOf(file).dead.flatMap((dead) => {
    const at = new vscode.Range(document.positionAt(dead.comment.start), document.positionAt(dead.comment.end));
    if (at.intersection(range) === undefined) return [];
    const edits = markers.repairMarker(text, file, dead);
    if (edits === undefined) return [];
    const edit = new vscode.WorkspaceEdit();
    addEdits(edit, document, edits);
    const about = withCode(diagnostics, /^gitops\.marker-/).filter((one) => one.range.intersection(at) !== undefined);
    const action = quickFix(vscode.l10n.t('Make this a marker that Flux acts on'), about, edit);
    action.isPreferred = true;
    return [action];
  });
}

/** The one sensible edit that the engine names itself. */
function replacementFixes(
  { index }: Repository,
  document: vscode.TextDocument,
  file: string,
  diagnostic: vscode.Diagnostic,
): readonly vscode.CodeAction[] {
  const found = index
    .diagnostics(file)
    .find(({ code, place }) => code === diagnostic.code && toRange(place.range)?.isEqual(diagnostic.range) === true);
  if (found?.replacement === undefined) return [];
  const edit = new vscode.WorkspaceEdit();
  edit.replace(document.uri, diagnostic.range, found.replacement);
  const action = quickFix(vscode.l10n.t('Write "{0}"', found.replacement), [diagnostic], edit);
  action.isPreferred = true;
  return [action];
}

function valueFixes(
  repository: Repository,
  document: vscode.TextDocument,
  file: string,
  range: vscode.Range,
  diagnostics: readonly vscode.Diagnostic[],
): readonly vscode.CodeAction[] {
  const about = withCode(diagnostics, 'gitops.value-not-allowed');
  if (about.length === 0) return [];
  return repository.index.linked(file).flatMap((linked) => {
    const { marker } = linked;
    const at = new vscode.Range(document.positionAt(marker.value.start), document.positionAt(marker.value.end));
    if (at.intersection(range) === undefined) return [];
    const argument = { uri: document.uri.toString(), address: repository.markers.addressOf(marker) };
    const state = repository.stateOf(linked);
    const command = (id: string, title: string): vscode.CodeAction =>
      quickFix(title, about, { command: id, title, arguments: [argument] });
    return [
      ...(state.kind === 'behind' ? [command('slipway.bumpTag', vscode.l10n.t('Bump to {0}', state.policy.tag))] : []),
      ...(state.kind === 'not-fetched' ? [command('slipway.fetchTags', vscode.l10n.t('Fetch tags'))] : []),
      command('slipway.pickTag', vscode.l10n.t('Pick tag…')),
    ];
  });
}

/** A file outside every automation's path: the path is widened to the folder that holds both. */
async function pathFixes(
  repository: Repository,
  file: string,
  range: vscode.Range,
  diagnostics: readonly vscode.Diagnostic[],
): Promise<readonly vscode.CodeAction[]> {
  const about = withCode(diagnostics, 'gitops.outside-path');
  if (about.length === 0) return [];
  const { index, markers } = repository;
  const linked = index.linked(file).find(({ place }) => toRange(place.range)?.intersection(range) !== undefined);
  const policy = linked?.policy;
  if (policy === undefined) return [];
  const actions: vscode.CodeAction[] = [];
  for (const automation of index.automationsFor(policy)) {
    const wider = commonFolder(automation.path, file);
    const document = await vscode.workspace.openTextDocument(vscode.Uri.file(automation.source.file));
    const edits = markers.setValue(document.getText(), automation.source, ['spec', 'update', 'path'], {
      text: `./${wider}`,
    });
    if (edits === undefined) continue;
    const edit = new vscode.WorkspaceEdit();
    addEdits(edit, document, edits);
    actions.push(quickFix(vscode.l10n.t('Let {0} write below ./{1}', automation.name, wider), about, edit));
  }
  return actions;
}

export function commonFolder(path: string, file: string): string {
  const folders = path.split('/');
  const parts = file.split('/').slice(0, -1);
  let length = 0;
  while (length < folders.length && folders[length] === parts[length]) length += 1;
  return parts.slice(0, length).join('/');
}

/** A fix whose edit takes reading many files: made when it is chosen. */
class LateFix extends vscode.CodeAction {
  readonly make: () => Promise<vscode.WorkspaceEdit>;

  constructor(title: string, diagnostics: readonly vscode.Diagnostic[], make: () => Promise<vscode.WorkspaceEdit>) {
    super(title, vscode.CodeActionKind.QuickFix);
    this.diagnostics = [...diagnostics];
    this.make = make;
  }
}

/** A policy that no marker names: markers behind the values of its image, in files of this repository. */
function unusedPolicyFixes(
  repository: Repository,
  file: string,
  diagnostics: readonly vscode.Diagnostic[],
): readonly vscode.CodeAction[] {
  const about = withCode(diagnostics, 'gitops.policy-unused');
  const { index } = repository;
  return index.objectsIn(file).flatMap((policy) => {
    const image = policy.kind === 'ImagePolicy' ? index.repositoryOf(policy)?.image : undefined;
    const { namespace, name } = policy;
    const isMeant = about.some((one) => toRange(policy.place.range)?.isEqual(one.range) === true);
    if (image === undefined || namespace === undefined || !isMeant) return [];
    const title = vscode.l10n.t('Put markers behind the uses of {0}', image);
    return [new LateFix(title, about, () => markersFor(repository, image, `${namespace}:${name}`))];
  });
}

async function markersFor(repository: Repository, image: string, policy: string): Promise<vscode.WorkspaceEdit> {
  const edit = new vscode.WorkspaceEdit();
  for (const uri of await repository.listFiles()) {
    const file = repository.fileOfPath(uri.fsPath);
    const text = await repository.textOf(file);
    if (text?.includes(image) !== true) continue;
    const edits = repository.markers.markerEdits(text, file, image, policy);
    if (edits.length === 0) continue;
    addEdits(edit, await vscode.workspace.openTextDocument(uri), edits);
  }
  if (edit.size === 0) {
    vscode.window.setStatusBarMessage(vscode.l10n.t('No value of {0} without a comment was found', image), 5_000);
  }
  return edit;
}
