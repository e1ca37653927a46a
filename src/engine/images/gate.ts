import { DockerfileParser } from 'dockerfile-ast';
import type { FindingView, ScanOutcome } from '../events/index.ts';
import type { Diagnostic } from '../problems/index.ts';
import type { ScanConfig } from '../project/model.ts';
import { type Ignore, ignoreFor, isExpired } from './ignores.ts';
import { type Finding, rankOf, type ScanReport, type Severity } from './report.ts';

export interface GateInput {
  readonly report: ScanReport;
  readonly scan: Pick<ScanConfig, 'severity' | 'ignoreUnfixed' | 'databaseMaxAgeDays'>;
  readonly ignores: readonly Ignore[];
  /** ms since the epoch. */
  readonly now: number;
  /** Of the last scan of this image and platform; undefined when there was none. */
  readonly before?: ReadonlySet<string>;
  readonly dockerfile?: string;
}

export interface GateResult {
  readonly outcome: Exclude<ScanOutcome, 'failed'>;
  /** One sentence with numbers. */
  readonly message: string;
  readonly counts: Readonly<Record<Severity, number>>;
  /** What the gate counts, worst first. */
  readonly gating: readonly FindingView[];
  /** Of the severities that count, but accepted by an ignore or without a fix. */
  readonly suppressed: number;
  readonly diagnostics: readonly Diagnostic[];
}

const DAY_MS = 86_400_000;
/** Statuses that mean there is no fix to install (Trivy's `--ignore-unfixed`). */
const UNFIXED = new Set(['affected', 'will_not_fix', 'fix_deferred', 'end_of_life', 'not-fixed', 'wont-fix']);

/** The verdict of the gate over a report. Pure: the scanner's own exit code is never asked, it cannot tell outcomes apart. */
export function gate(input: GateInput): GateResult {
  const { report, scan, ignores, now } = input;
  const counts: Record<Severity, number> = { CRITICAL: 0, HIGH: 0, MEDIUM: 0, LOW: 0, UNKNOWN: 0 };
  const origin = originOf(report, input.dockerfile);
  const used = new Set<Ignore>();
  const gating: FindingView[] = [];
  let suppressed = 0;
  for (const finding of report.findings) {
    counts[finding.severity] += 1;
    if (!scan.severity.includes(finding.severity)) continue;
    const ignore = ignoreFor(finding, ignores, now);
    const isUnfixed = finding.fixed === undefined || UNFIXED.has(finding.status ?? '');
    if (ignore !== undefined) used.add(ignore);
    if (ignore !== undefined || (scan.ignoreUnfixed && isUnfixed)) suppressed += 1;
    else gating.push(toView(finding, origin(finding), input.before));
  }
  gating.sort(
    (a, b) =>
      rankOf(a.severity) - rankOf(b.severity) ||
      (a.package < b.package ? -1 : a.package > b.package ? 1 : a.id < b.id ? -1 : 1),
  );
  const age =
    report.databaseUpdatedAt === undefined ? undefined : (now - Date.parse(report.databaseUpdatedAt)) / DAY_MS;
  const isStale = scan.databaseMaxAgeDays > 0 && age !== undefined && age > scan.databaseMaxAgeDays;
  const outcome =
    gating.length > 0 ? 'findings' : report.targets === 0 ? 'not-scanned' : isStale ? 'stale-database' : 'clean';
  return {
    outcome,
    message: describe(outcome, gating, suppressed, scan, age),
    counts,
    gating,
    suppressed,
    diagnostics: ignores
      .filter((ignore) => isExpired(ignore, now))
      .map((ignore) => ({
        severity: 'warning',
        code: 'ignore.expired',
        message: `The exception for ${ignore.id} ended on ${ignore.until ?? ''}: the finding counts again.`,
        place: ignore.place,
        fix: 'Update the package, or give the exception a new date and reason.',
      })),
  };
}

function describe(
  outcome: GateResult['outcome'],
  gating: readonly FindingView[],
  suppressed: number,
  scan: GateInput['scan'],
  age: number | undefined,
): string {
  const beside = suppressed === 0 ? '' : `, ${suppressed} accepted or without a fix`;
  switch (outcome) {
    case 'findings': {
      const by = scan.severity
        .map((severity) => [severity, gating.filter((finding) => finding.severity === severity).length] as const)
        .filter(([, count]) => count > 0)
        .map(([severity, count]) => `${count} ${severity}`);
      const fixable = gating.filter((finding) => finding.fixed !== undefined).length;
      return `${by.join(', ')} (${fixable} with a fix${beside})`;
    }
    case 'not-scanned':
      return 'nothing in the image could be scanned: no operating system packages and no lock files';
    case 'stale-database':
      return `no findings, but the advisories are ${Math.floor(age ?? 0)} days old (allowed: ${scan.databaseMaxAgeDays})`;
    case 'clean':
      return `no ${scan.severity.join(' or ')} findings${beside}`;
  }
}

interface Origin {
  readonly origin?: 'base' | 'own';
  readonly dockerfileLine?: number;
}

/**
 * Which layers are ours: the last instructions of the Dockerfile's last stage that make layers (RUN, COPY, ADD) made the
 * top layers, in order; what lies below came with the base image.
 */
function originOf(report: ScanReport, dockerfile: string | undefined): (finding: Finding) => Origin {
  if (dockerfile === undefined || report.layers.every(({ createdBy }) => createdBy === '')) return () => ({});
  const instructions = DockerfileParser.parse(dockerfile).getInstructions();
  const lastFrom = instructions.findLastIndex((instruction) => instruction.getKeyword() === 'FROM');
  const making = instructions
    .slice(lastFrom + 1)
    .filter((instruction) => ['RUN', 'COPY', 'ADD', 'WORKDIR'].includes(instruction.getKeyword()))
    .map((instruction) => ({ keyword: instruction.getKeyword(), line: instruction.getRange().start.line }));
  // WORKDIR makes a layer only when the folder was new, so both are matched from the top by the words of the history.
  const lines = new Map<string, number>();
  let at = making.length - 1;
  for (const layer of report.layers.toReversed()) {
    const keyword =
      /(?:^|#\(nop\)\s*)(RUN|COPY|ADD|WORKDIR)\b/.exec(layer.createdBy)?.[1] ??
      (layer.createdBy.includes('buildkit') ? 'RUN' : undefined);
    while (at >= 0 && making[at]?.keyword === 'WORKDIR' && keyword !== 'WORKDIR') at -= 1;
    const instruction = making[at];
    if (instruction === undefined || keyword !== instruction.keyword) break;
    lines.set(layer.diffId, instruction.line);
    at -= 1;
  }
  const known = new Set(report.layers.map((layer) => layer.diffId));
  return (finding) => {
    if (finding.layer === undefined || !known.has(finding.layer)) return {};
    const line = lines.get(finding.layer);
    return line === undefined ? { origin: 'base' } : { origin: 'own', dockerfileLine: line };
  };
}

function toView(finding: Finding, origin: Origin, before: ReadonlySet<string> | undefined): FindingView {
  const { id, package: name, installed, fixed, severity, title, url, path } = finding;
  return {
    id,
    package: name,
    installed,
    severity,
    ...(fixed !== undefined && { fixed }),
    ...(title !== undefined && { title }),
    ...(url !== undefined && { url }),
    ...(path !== undefined && { path }),
    ...origin,
    ...(before !== undefined && { isNew: !before.has(finding.fingerprint) }),
  };
}
