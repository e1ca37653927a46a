import { join } from 'node:path';
import { isScannedName, MarkerIndex, mayHoldObjects } from '../gitops/index.ts';
import { type Findings, findEverything } from '../project/index.ts';
import type { System } from '../system/index.ts';

/** What the linters read, once. No process is started and nothing outside of the workspace is contacted. */
export interface WorkspaceFiles {
  readonly root: string;
  readonly findings: Findings;
  /** Markers and GitOps objects; files are relative with `/`, objects name them absolutely. */
  readonly index: MarkerIndex;
  /** Absolute path → text, of workflows and of files with markers or GitOps objects. */
  readonly texts: ReadonlyMap<string, string>;
  /** What `origin` calls its default branch, when git's files say so. */
  readonly defaultBranch: string | undefined;
}

const LARGEST_BYTES = 1_000_000;

export async function readWorkspace(system: System, root: string): Promise<WorkspaceFiles> {
  const findings = await findEverything(system, root);
  const index = new MarkerIndex((file) => join(root, file));
  const texts = new Map<string, string>();
  const workflows = new Set(findings.pipelines.map(({ path }) => path));
  for (const path of findings.paths) {
    const isWorkflow = workflows.has(path);
    if (!isWorkflow && !isScannedName(path)) continue;
    const file = join(root, path);
    const stat = await system.files.stat(file);
    if (stat === undefined || stat.isFolder || stat.size > LARGEST_BYTES) continue;
    const text = await system.files.readText(file);
    if (text === undefined) continue;
    if (!isWorkflow) index.update(path, text);
    if (isWorkflow || mayHoldObjects(text) || text.includes('$imagepolicy')) texts.set(file, text);
  }
  return { root, findings, index, texts, defaultBranch: await defaultBranchOf(system, root) };
}

/**
 * The same for a repository whose markers and objects somebody keeps an index of already, as the editor does with unsaved
 * changes. `root` is what the index's files are relative to; `openText` gives the text of a file that is open.
 */
export async function readIndexed(
  system: System,
  root: string,
  index: MarkerIndex,
  openText: (file: string) => string | undefined,
): Promise<WorkspaceFiles> {
  const readText = async (file: string) => openText(file) ?? system.files.readText(file);
  const findings = await findEverything({ ...system, files: { ...system.files, readText } }, root);
  const texts = new Map<string, string>();
  for (const { workflow } of findings.pipelines) {
    const text = await readText(workflow.file);
    if (text !== undefined) texts.set(workflow.file, text);
  }
  for (const path of index.files) {
    const text = index.textOf(path);
    if (text !== undefined) texts.set(join(root, path), text);
  }
  return { root, findings, index, texts, defaultBranch: await defaultBranchOf(system, root) };
}

async function defaultBranchOf(system: System, root: string): Promise<string | undefined> {
  const head = await system.files.readText(join(root, '.git/refs/remotes/origin/HEAD')).catch(() => undefined);
  return /^ref: refs\/remotes\/origin\/(\S+)/.exec(head ?? '')?.[1];
}
