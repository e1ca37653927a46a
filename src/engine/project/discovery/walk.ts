import { join } from 'node:path';
import type { System } from '../../system/index.ts';
import { dockerIgnoreEntry } from '../dockerignore.ts';

/** Folders that hold other people's files, or none worth reading. */
const SKIPPED = new Set([
  '.git',
  '.slipway',
  '.venv',
  '.tox',
  '.terraform',
  '.next',
  '.gradle',
  '__pycache__',
  'node_modules',
  'bower_components',
  'site-packages',
  'venv',
  'vendor',
  'third_party',
]);

const MOST_FILES = 50_000;
const DEEPEST = 12;

export interface WorkspaceFiles {
  /** Relative to the root, sorted. */
  readonly paths: readonly string[];
  /** True when the limit of files was met and the list is not whole. */
  readonly isCut: boolean;
}

/**
 * The workspace's files, without what git ignores, found by reading folders only: no process starts, so this works in
 * Restricted Mode. Bounded in number and depth.
 */
export async function walkWorkspace(system: System, root: string): Promise<WorkspaceFiles> {
  const paths: string[] = [];
  const rules: string[] = [];
  let judge = dockerIgnoreEntry('');
  let isCut = false;
  // Breadth first: when the limit is met, what is missing lies deepest.
  let level: readonly string[] = [''];
  for (let depth = 0; depth <= DEEPEST && level.length > 0 && !isCut; depth += 1) {
    const next: string[] = [];
    for (const folder of level) {
      const entries = (await system.files.list(join(root, folder)).catch(() => undefined)) ?? [];
      if (entries.some((entry) => entry.name === '.gitignore')) {
        const text = (await system.files.readText(join(root, folder, '.gitignore'))) ?? '';
        rules.push(...contextPatterns(text, folder));
        judge = dockerIgnoreEntry(rules.join('\n'));
      }
      for (const entry of entries) {
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
        if (entry.isDirectory()) {
          if (!SKIPPED.has(entry.name) && judge(path) === 'sent') next.push(path);
        } else if (entry.isFile() && judge(path) === 'sent') {
          if (paths.length >= MOST_FILES) isCut = true;
          else paths.push(path);
        }
      }
    }
    level = next;
  }
  return { paths: paths.sort(), isCut };
}

/** A .gitignore in the words of a .dockerignore: a pattern without an inner slash holds at every depth. */
function contextPatterns(text: string, folder: string): readonly string[] {
  const prefix = folder === '' ? '' : `${folder}/`;
  return text
    .split(/\r?\n/)
    .map((line) => line.replace(/(?<!\\)\s+$/, ''))
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const isException = line.startsWith('!');
      const pattern = (isException ? line.slice(1) : line).replace(/\/$/, '');
      const inner = pattern.replace(/^\//, '');
      const isAnchored = pattern.includes('/');
      return `${isException ? '!' : ''}${prefix}${isAnchored ? inner : `**/${inner}`}`;
    });
}
