import * as vscode from 'vscode';
import { Owner } from '../events.ts';
import type { Root, Workspace } from '../workspace.ts';
import { scanProblems } from './scanProblems.ts';

/** Scan findings of the newest runs in the Problems panel, at the Dockerfile lines that brought them. */
export class Problems extends Owner {
  readonly #collection = this.own(vscode.languages.createDiagnosticCollection('slipway-scan'));
  readonly #workspace: Workspace;
  readonly #shown = new Map<Root, string>();

  constructor(workspace: Workspace) {
    super();
    this.#workspace = workspace;
    this.own(
      workspace.onDidChange((change) => {
        if (change.kind === 'roots') this.#renderAll();
        else this.#render(change.root);
      }),
    );
    this.own(
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('slipway.problems')) this.#renderAll();
      }),
    );
  }

  #renderAll(): void {
    this.#shown.clear();
    this.#collection.clear();
    for (const root of this.#workspace.roots) this.#render(root);
  }

  #render(root: Root): void {
    const isWanted = vscode.workspace.getConfiguration('slipway', root.folder.uri).get('problems.scanFindings', true);
    const runs = isWanted ? root.runs.list().map(({ view }) => view) : [];
    const problems = scanProblems(runs, root.project?.images ?? []);
    // Runs tell of every step; the problems change seldom.
    const text = JSON.stringify(problems);
    if (this.#shown.get(root) === text) return;
    this.#shown.set(root, text);
    const files = new Map<string, vscode.Diagnostic[]>();
    for (const file of root.project?.images.map(({ dockerfile }) => dockerfile) ?? []) files.set(file, []);
    for (const problem of problems) {
      const range = new vscode.Range(problem.line, 0, problem.line, Number.MAX_SAFE_INTEGER);
      const isGrave = problem.severity === 'CRITICAL' || problem.severity === 'HIGH';
      const diagnostic = new vscode.Diagnostic(
        range,
        problem.message,
        isGrave ? vscode.DiagnosticSeverity.Error : vscode.DiagnosticSeverity.Warning,
      );
      diagnostic.source = 'Slipway';
      diagnostic.code =
        problem.url !== undefined && /^https?:\/\//.test(problem.url)
          ? { value: problem.id, target: vscode.Uri.parse(problem.url, true) }
          : problem.id;
      files.set(problem.file, [...(files.get(problem.file) ?? []), diagnostic]);
    }
    for (const [file, diagnostics] of files) this.#collection.set(vscode.Uri.file(file), diagnostics);
  }
}
