import { join } from 'node:path';
import { applyEdits, Lines } from '../gitops/index.ts';
import type { Diagnostic, Severity } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { lintWorkflow } from '../workflows/index.ts';
import type { LintFinding, LintFix } from './findings.ts';
import { loopFindings } from './loopFindings.ts';
import { workflowFixes } from './workflowFixes.ts';
import { readWorkspace, type WorkspaceFiles } from './workspaceFiles.ts';

/**
 * Mistakes in CI workflows and in Flux's and Argo CD's files, and the feedback loops between them, worst first. Reads
 * files only: it works offline and in Restricted Mode.
 */
export async function lintWorkspace(system: System, root: string): Promise<readonly LintFinding[]> {
  return lintFiles(await readWorkspace(system, root));
}

export function lintFiles(files: WorkspaceFiles): readonly LintFinding[] {
  const { findings, index, texts, root } = files;
  const objects = findings.paths.flatMap((path) => (texts.has(join(root, path)) ? index.diagnostics(path) : []));
  return sorted([
    ...workflowFindings(files),
    ...objects.map((diagnostic) => ({ ...diagnostic, fixes: replacementFix(diagnostic, texts) })),
  ]);
}

/** Only what is wrong in the workflows, and between them and the image bots. */
export function lintWorkflows(files: WorkspaceFiles): readonly LintFinding[] {
  return sorted(workflowFindings(files));
}

function workflowFindings(files: WorkspaceFiles): readonly LintFinding[] {
  const { findings, texts } = files;
  const plain = findings.pipelines.flatMap(({ workflow }) =>
    lintWorkflow(workflow).map((diagnostic) => {
      const text = texts.get(diagnostic.place.file);
      const own = text === undefined ? [] : workflowFixes(diagnostic, workflow, text);
      return { ...diagnostic, fixes: [...replacementFix(diagnostic, texts), ...own] };
    }),
  );
  return [...loopFindings(files), ...plain];
}

function sorted(found: readonly LintFinding[]): readonly LintFinding[] {
  const order: Readonly<Record<Severity, number>> = { error: 0, warning: 1, info: 2 };
  return found.toSorted(
    (a, b) =>
      order[a.severity] - order[b.severity] ||
      (a.place.file < b.place.file ? -1 : a.place.file > b.place.file ? 1 : 0) ||
      (a.place.range?.start.line ?? 0) - (b.place.range?.start.line ?? 0),
  );
}

function replacementFix(
  { place, replacement, fix }: Diagnostic,
  texts: ReadonlyMap<string, string>,
): readonly LintFix[] {
  const text = texts.get(place.file);
  if (replacement === undefined || place.range === undefined || text === undefined) return [];
  const lines = new Lines(text);
  const start = lines.offsetAt(place.range.start.line, place.range.start.character);
  const end = lines.offsetAt(place.range.end.line, place.range.end.character);
  return [{ title: fix ?? `Write ${replacement}`, file: place.file, edits: [{ start, end, text: replacement }] }];
}

export interface FixedFile {
  /** Absolute. */
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly titles: readonly string[];
}

/**
 * The files as they are when the first fix of every finding is applied. Edits that meet are left for the next time.
 * Writes nothing.
 */
export async function fixedFiles(system: System, findings: readonly LintFinding[]): Promise<readonly FixedFile[]> {
  const fixes = findings.flatMap((finding) => finding.fixes.slice(0, 1));
  const byFile = Map.groupBy(fixes, ({ file }) => file);
  const fixed: FixedFile[] = [];
  for (const [file, list] of byFile) {
    const before = await system.files.readText(file);
    if (before === undefined) continue;
    const taken: LintFix[] = [];
    for (const fix of list) {
      const others = taken.flatMap(({ edits }) => edits);
      const isSame = taken.some((other) => JSON.stringify(other.edits) === JSON.stringify(fix.edits));
      if (
        isSame ||
        fix.edits.some((edit) => others.some((other) => edit.start <= other.end && other.start <= edit.end))
      )
        continue;
      taken.push(fix);
    }
    const edits = taken.flatMap((fix) => fix.edits).sort((a, b) => a.start - b.start);
    fixed.push({ file, before, after: applyEdits(before, edits), titles: taken.map(({ title }) => title) });
  }
  return fixed;
}
