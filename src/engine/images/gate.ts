import type { FindingView, ScanOutcome } from '../events/index.ts';
import type { Diagnostic } from '../problems/index.ts';
import type { ScanConfig } from '../project/model.ts';
import { expiredWarning, type Ignore, ignoreFor, isExpired } from './ignores.ts';
import { type Origin, originsOf } from './layerOrigins.ts';
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
  /** Stage that was built; absent = the last one. */
  readonly target?: string;
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
  const origin = originsOf(report, input.dockerfile, input.target);
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
    else gating.push(toView(finding, origin(finding.layer), input.before));
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
    diagnostics: ignores.filter((ignore) => isExpired(ignore, now)).map(expiredWarning),
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
