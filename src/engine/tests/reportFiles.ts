import { join, sep } from 'node:path';
import picomatch from 'picomatch';
import type { System } from '../system/index.ts';
import { readJunit, type TestReport } from './junit.ts';

/** Files that match, written since `since` (ms): an old one from before would tell of another run. */
export async function freshFiles(
  patterns: readonly string[],
  system: System,
  since: number,
): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    for (const path of await expand(pattern, system)) {
      const stat = await system.files.stat(path);
      // File systems round times; a second is less than any step before this one took.
      if (stat !== undefined && stat.mtimeMs >= since - 1_000) found.add(path);
    }
  }
  return [...found];
}

export interface ReportFile {
  readonly path: string;
  readonly text: string;
}

/** The files among these that are JUnit reports, and their sum; undefined when there is none. */
export function sumReports(files: readonly ReportFile[]): {
  readonly report: TestReport | undefined;
  readonly files: readonly ReportFile[];
} {
  let sum: TestReport | undefined;
  const kept: ReportFile[] = [];
  for (const file of files) {
    const report = readJunit(file.text);
    if (report === undefined) continue;
    kept.push(file);
    sum = {
      passed: (sum?.passed ?? 0) + report.passed,
      failed: (sum?.failed ?? 0) + report.failed,
      skipped: (sum?.skipped ?? 0) + report.skipped,
      failures: [...(sum?.failures ?? []), ...report.failures],
    };
  }
  return { report: sum, files: kept };
}

async function expand(pattern: string, system: System): Promise<readonly string[]> {
  const { base, isGlob } = picomatch.scan(pattern.split(sep).join('/'));
  if (!isGlob) return [pattern];
  const isMatch = picomatch(pattern.split(sep).join('/'));
  const found: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const entry of (await system.files.list(folder)) ?? []) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'node_modules' && entry.name !== '.git') await walk(path);
      } else if (isMatch(path.split(sep).join('/'))) found.push(path);
    }
  };
  await walk(base);
  return found;
}
