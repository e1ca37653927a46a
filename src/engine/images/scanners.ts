import { join } from 'node:path';
import { SlipwayError } from '../problems/index.ts';
import type { ScanConfig } from '../project/model.ts';
import { type ProcessResult, requireTool, type System } from '../system/index.ts';
import { runGrype, STALE_DATABASE } from './grype.ts';
import { readTrivyReport, type ScanReport } from './report.ts';
import { scanFailure } from './scanFailure.ts';
import type { ScanTarget } from './scanTarget.ts';
import { inLane } from './trivyLanes.ts';
import { trivyDatabase, trivyVersion } from './trivyVersion.ts';

export { STALE_DATABASE };

/** Asks the scanner for its version while other steps run. Throws SlipwayError when it is missing, or refused. */
export async function prepareScanner(system: System, scan: ScanConfig, signal: AbortSignal): Promise<undefined> {
  requireTool(scan.engine, system.env, system.platform);
  if (scan.engine === 'trivy') await trivyVersion(system, signal);
}

/** Runs the scanner on the registry's own bytes and gives its report. Throws SlipwayError when it could not scan. */
export function scanImage(
  system: System,
  scan: ScanConfig,
  target: ScanTarget,
  signal: AbortSignal,
  onText: (text: string) => void,
): Promise<ScanReport> {
  return scan.engine === 'grype'
    ? runGrype(system, scan, target, signal, onText)
    : runTrivy(system, scan, target, signal, onText);
}

async function runTrivy(
  system: System,
  scan: ScanConfig,
  target: ScanTarget,
  signal: AbortSignal,
  onText: (text: string) => void,
): Promise<ScanReport> {
  const version = await trivyVersion(system, signal);
  const database = await trivyDatabase(system, signal);
  const args = [
    'image',
    '--format',
    'json',
    '--output',
    target.reportFile,
    '--exit-code',
    '0',
    '--no-progress',
    '--scanners',
    'vuln',
    '--image-src',
    'remote',
    '--timeout',
    `${Math.ceil(scan.timeoutMs / 1000)}s`,
    // A trivy.yaml in the working folder would change our scan unseen; the gate is ours, and so is the ignore file.
    '--config',
    join(target.reportFile, '..', 'no-trivy.yaml'),
    '--ignorefile',
    join(target.reportFile, '..', 'no-trivyignore'),
    ...(target.platform === 'default' ? [] : ['--platform', target.platform]),
    ...(target.isPlainHttp ? ['--insecure'] : []),
    target.reference,
  ];
  await system.files.writeAtomic(join(target.reportFile, '..', 'no-trivyignore'), '');
  await system.files.writeAtomic(join(target.reportFile, '..', 'no-trivy.yaml'), '{}\n');
  await system.files.remove(target.reportFile);
  const result = await inLane(system, database, (cache) =>
    system.processes.run({
      file: 'trivy',
      args: [...args.slice(0, -1), ...cache, target.reference],
      env: target.isPlainHttp ? { TRIVY_NON_SSL: 'true' } : {},
      timeoutMs: scan.timeoutMs + 30_000,
      signal,
      onStderr: onText,
    }),
  );
  if (result.code !== 0) throw trivyFailure(result, target);
  const report = readTrivyReport((await system.files.readText(target.reportFile)) ?? '');
  // Trivy may have updated the database for this scan.
  const updated = (await trivyDatabase(system, signal)).UpdatedAt;
  return {
    ...report,
    ...(version !== undefined && { version }),
    ...(updated !== undefined && { databaseUpdatedAt: updated }),
  };
}

function trivyFailure(result: ProcessResult, target: ScanTarget): SlipwayError {
  const text = result.stderr;
  const fatal = text.split('\n').findLast((line) => /FATAL|ERROR/.test(line)) ?? text.trim().split('\n').at(-1) ?? '';
  const words = fatal.replace(/^\S+\s+(FATAL|ERROR)\s+/, '').replaceAll('\t', ' ');
  const evidence = text.trim().split('\n').slice(-12);
  if (/TOOMANYREQUESTS|failed to download vulnerability DB|first run cannot skip downloading DB|DB error/i.test(text)) {
    return new SlipwayError({
      reason: 'tool-failed',
      code: 'scan.database',
      message: `Trivy has no usable vulnerability database: ${words}`,
      fix: 'Download it: trivy image --download-db-only; behind a limit, set TRIVY_DB_REPOSITORY to a mirror.',
      evidence,
    });
  }
  return scanFailure('Trivy', target, { words, text, evidence });
}

/** Runs `trivy config` on a file or folder and gives its JSON. Charts are rendered by Trivy itself, with the values files. */
export async function scanConfig(
  system: System,
  target: {
    readonly path: string;
    readonly values: readonly string[];
    readonly reportFile: string;
    readonly timeoutMs: number;
  },
  signal: AbortSignal,
  onText: (text: string) => void,
): Promise<string> {
  await trivyVersion(system, signal);
  const database = await trivyDatabase(system, signal);
  const folder = join(target.reportFile, '..');
  await system.files.writeAtomic(join(folder, 'no-trivyignore'), '');
  await system.files.writeAtomic(join(folder, 'no-trivy.yaml'), '{}\n');
  await system.files.remove(target.reportFile);
  const result = await inLane(system, database, (cache) =>
    system.processes.run({
      file: 'trivy',
      args: [
        'config',
        ...cache,
        '--format',
        'json',
        '--output',
        target.reportFile,
        '--exit-code',
        '0',
        '--config',
        join(folder, 'no-trivy.yaml'),
        '--ignorefile',
        join(folder, 'no-trivyignore'),
        ...target.values.flatMap((file) => ['--helm-values', file]),
        target.path,
      ],
      timeoutMs: target.timeoutMs,
      signal,
      onStderr: onText,
    }),
  );
  if (result.code !== 0) {
    throw new SlipwayError({
      reason: 'tool-failed',
      code: 'scan.failed',
      message: `Trivy could not check the configuration of ${target.path}: ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
      fix: 'See the log of the step.',
      evidence: result.stderr.trim().split('\n').slice(-12),
    });
  }
  return (await system.files.readText(target.reportFile)) ?? '';
}

/** Writes a platform's SBOM by Trivy from the registry's own bytes. Throws SlipwayError when it cannot. */
export async function writeSbom(
  system: System,
  target: ScanTarget & { readonly format: string },
  signal: AbortSignal,
  onText: (text: string) => void,
): Promise<void> {
  await trivyVersion(system, signal);
  const folder = join(target.reportFile, '..');
  await system.files.writeAtomic(join(folder, 'no-trivy.yaml'), '{}\n');
  await system.files.remove(target.reportFile);
  const result = await inLane(system, await trivyDatabase(system, signal), (cache) =>
    system.processes.run({
      file: 'trivy',
      args: [
        'image',
        ...cache,
        '--format',
        target.format,
        '--output',
        target.reportFile,
        '--no-progress',
        '--image-src',
        'remote',
        '--config',
        join(folder, 'no-trivy.yaml'),
        ...(target.platform === 'default' ? [] : ['--platform', target.platform]),
        ...(target.isPlainHttp ? ['--insecure'] : []),
        target.reference,
      ],
      env: target.isPlainHttp ? { TRIVY_NON_SSL: 'true' } : {},
      timeoutMs: SBOM_TIMEOUT_MS,
      signal,
      onStderr: onText,
    }),
  );
  if (result.code !== 0) throw trivyFailure(result, target);
}

const SBOM_TIMEOUT_MS = 10 * 60_000;

/** Writes SARIF beside a report for code hosts and editors. Best effort: the gate does not depend on it. */
export async function writeSarif(
  system: System,
  engine: ScanConfig['engine'],
  reportFile: string,
  sarifFile: string,
  signal: AbortSignal,
): Promise<boolean> {
  // Grype has written it along with its report.
  if (engine === 'grype') return (await system.files.stat(sarifFile)) !== undefined;
  const result = await system.processes.run({
    file: 'trivy',
    args: ['convert', '--format', 'sarif', '--output', sarifFile, reportFile],
    timeoutMs: 60_000,
    signal,
  });
  return result.code === 0;
}
