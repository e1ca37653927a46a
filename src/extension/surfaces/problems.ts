import * as vscode from 'vscode';
import { Owner } from '../events.ts';
import type { Root, Workspace } from '../workspace.ts';
import { type RunProblem, scanProblems } from './scanProblems.ts';
import { stepProblems } from './stepProblems.ts';

const SEVERITIES: Readonly<Record<RunProblem['severity'], vscode.DiagnosticSeverity>> = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  info: vscode.DiagnosticSeverity.Information,
};

/** Scan findings and what other steps of the newest runs found, in the Problems panel, at the Dockerfile lines that brought them. */
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
    const runs = root.runs.list().map(({ view }) => view);
    const problems = [
      ...(isWanted ? scanProblems(runs, root.project?.images ?? []) : []),
      ...stepProblems(runs, root.project),
    ];
    // Runs tell of every step; the problems change seldom.
    const text = JSON.stringify(problems);
    if (this.#shown.get(root) === text) return;
    this.#shown.set(root, text);
    const files = new Map<string, vscode.Diagnostic[]>();
    for (const file of root.project?.images.map(({ dockerfile }) => dockerfile) ?? []) files.set(file, []);
    for (const problem of problems) {
      const range = new vscode.Range(problem.line, 0, problem.line, Number.MAX_SAFE_INTEGER);
      const diagnostic = new vscode.Diagnostic(range, problem.message, SEVERITIES[problem.severity]);
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
