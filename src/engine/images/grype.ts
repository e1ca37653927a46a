import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { SlipwayError } from '../problems/index.ts';
import type { ScanConfig } from '../project/model.ts';
import type { ProcessResult, System } from '../system/index.ts';
import { packagesIn, readGrypeReport, type ScanReport } from './report.ts';
import { scanFailure } from './scanFailure.ts';
import type { ScanTarget } from './scanTarget.ts';

/** The code of the failure that is the outcome "stale database". */
export const STALE_DATABASE = 'gate.stale-database';

/**
 * Runs Grype on the registry's own bytes; its report, SARIF, and the list of what it looked at come in one go. Throws
 * SlipwayError when it could not scan.
 */
export async function runGrype(
  system: System,
  scan: ScanConfig,
  target: ScanTarget,
  signal: AbortSignal,
  onText: (text: string) => void,
): Promise<ScanReport> {
  const folder = join(target.reportFile, '..');
  const base = target.reportFile.replace(/\.json$/, '');
  const packagesFile = `${base}.packages.json`;
  // A .grype.yaml in the working folder would change our scan unseen; its `ignore` rules are read by the gate.
  const config = join(folder, 'no-grype.yaml');
  await system.files.writeAtomic(config, '{}\n');
  for (const file of [target.reportFile, packagesFile, `${base}.sarif`]) await system.files.remove(file);
  const result = await system.processes.run({
    file: 'grype',
    args: [
      `registry:${target.reference}`,
      ...['--config', config],
      ...['--output', `json=${target.reportFile}`],
      ...['--output', `sarif=${base}.sarif`],
      ...['--output', `cyclonedx-json=${packagesFile}`],
      ...(target.platform === 'default' ? [] : ['--platform', target.platform]),
    ],
    env: {
      GRYPE_CHECK_FOR_APP_UPDATE: 'false',
      // Its colours would stand in our messages.
      NO_COLOR: '1',
      ...(target.isPlainHttp && { GRYPE_REGISTRY_INSECURE_USE_HTTP: 'true' }),
      // With a limit of ours the gate judges the age; without one Grype keeps its own, five days by default.
      ...(scan.databaseMaxAgeDays > 0 && { GRYPE_DB_VALIDATE_AGE: 'false' }),
    },
    timeoutMs: scan.timeoutMs,
    signal,
    onStderr: onText,
  });
  const text = await system.files.readText(target.reportFile);
  // 2: a threshold set in the environment was reached. The gate is ours, and the report is whole.
  if (result.code !== 0 && !(result.code === 2 && text !== undefined)) {
    // It leaves them empty, and who collects reports would stumble over that.
    for (const file of [target.reportFile, packagesFile, `${base}.sarif`]) await system.files.remove(file);
    throw grypeFailure(result, target);
  }
  const packages = packagesIn((await system.files.readText(packagesFile)) ?? '');
  await system.files.remove(packagesFile);
  return readGrypeReport(text ?? '', packages);
}

function grypeFailure(result: ProcessResult, target: ScanTarget): SlipwayError {
  // Some versions colour their log in any case.
  const lines = stripVTControlCharacters(result.stderr).trim().split('\n');
  const at = lines.findLastIndex((line) => /\bERROR\b/.test(line));
  const words = (lines[at] ?? lines.at(-1) ?? '').replace(/^\[\d+\]\s+ERROR\s+/, '') || `exit code ${result.code}`;
  const all = lines.slice(Math.max(0, at)).join('\n');
  const evidence = lines.slice(-12);
  const age = /was built (.+? ago) \(max allowed age is ([^)]+)\)/.exec(all);
  if (age !== null) {
    return new SlipwayError({
      reason: 'gate',
      code: STALE_DATABASE,
      message: `Grype's vulnerability database was built ${age[1]} (it allows ${age[2]}): no verdict for ${target.reference}.`,
      fix: 'Update it: grype db update; or set scan.databaseMaxAge to the days you allow.',
      evidence,
    });
  }
  if (result.code === 100 || /vulnerability db|vulnerability database|database does not exist/i.test(all)) {
    return new SlipwayError({
      reason: 'tool-failed',
      code: 'scan.database',
      message: `Grype has no usable vulnerability database: ${words}`,
      fix: 'Download it: grype db update; behind a proxy, set GRYPE_DB_UPDATE_URL to a mirror. grype db status shows its state.',
      evidence,
    });
  }
  return scanFailure('Grype', target, { words, text: all, evidence, denied: lines.at(-1)?.trim() ?? words });
}
