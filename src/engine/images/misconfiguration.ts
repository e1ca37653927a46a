import { SlipwayError } from '../problems/index.ts';
import { type Severity, severityOf } from './report.ts';

/** One failed check of Trivy's configuration scan. */
export interface Misconfiguration {
  /** The id as Trivy writes it, and without its old prefix `AVD-`. */
  readonly ids: readonly string[];
  readonly title: string;
  readonly message: string;
  readonly severity: Severity;
  /** Path relative to what was scanned. */
  readonly target: string;
  readonly resolution?: string;
  readonly url?: string;
  /** 0-based. */
  readonly line?: number;
  readonly endLine?: number;
}

interface ConfigReport {
  readonly SchemaVersion?: number;
  readonly Results?: readonly {
    readonly Target?: string;
    readonly Misconfigurations?:
      | readonly {
          readonly ID?: string;
          readonly AVDID?: string;
          readonly Title?: string;
          readonly Message?: string;
          readonly Resolution?: string;
          readonly Severity?: string;
          readonly PrimaryURL?: string;
          readonly Status?: string;
          readonly CauseMetadata?: { readonly StartLine?: number; readonly EndLine?: number };
        }[]
      | null;
  }[];
}

/** Reads the JSON of `trivy config`, worst first. Throws SlipwayError for what is no report. */
export function readMisconfigurations(text: string): readonly Misconfiguration[] {
  let report: ConfigReport | null = null;
  try {
    report = JSON.parse(text) as ConfigReport | null;
  } catch {
    // Told below.
  }
  if (report?.SchemaVersion === undefined) {
    throw new SlipwayError({
      reason: 'tool-failed',
      code: 'scan.report',
      message: `Trivy did not leave a whole report (${text.length} bytes).`,
      fix: 'Run the scan again; see its log.',
    });
  }
  const order: readonly Severity[] = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'];
  return (report.Results ?? [])
    .flatMap((result) =>
      (result.Misconfigurations ?? [])
        .filter((found) => (found.Status ?? 'FAIL') === 'FAIL')
        .map((found): Misconfiguration => {
          const ids = [found.ID, found.AVDID].flatMap((id) => (id === undefined ? [] : [id.replace(/^AVD-/, '')]));
          const { StartLine, EndLine } = found.CauseMetadata ?? {};
          return {
            ids: [...new Set(ids)],
            title: found.Title ?? 'misconfiguration',
            message: found.Message ?? '',
            severity: severityOf(found.Severity),
            target: result.Target ?? '',
            ...(found.Resolution !== undefined && { resolution: found.Resolution }),
            ...(found.PrimaryURL !== undefined && { url: found.PrimaryURL }),
            // Trivy counts from 1; 0 or absent is "the whole file".
            ...(StartLine !== undefined && StartLine > 0 && { line: StartLine - 1 }),
            ...(EndLine !== undefined && EndLine > 0 && { endLine: EndLine - 1 }),
          };
        }),
    )
    .sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}
