import type { FindingView } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';

/** One vulnerability, whichever scanner found it. */
export interface Finding extends Omit<FindingView, 'isNew' | 'dockerfileLine' | 'origin'> {
  readonly aliases: readonly string[];
  readonly purl?: string;
  readonly status?: string;
  readonly target: string;
  /** Uncompressed layer that brought the package. */
  readonly layer?: string;
  /** Stable over scans: what "new since the last scan" compares. */
  readonly fingerprint: string;
}

/** What a scanner said of one platform of an image. */
export interface ScanReport {
  readonly engine: string;
  readonly version?: string;
  /** ISO time of the advisories. */
  readonly databaseUpdatedAt?: string;
  readonly findings: readonly Finding[];
  /** Targets that were looked at (operating system, lock files); none means that nothing was scanned. */
  readonly targets: number;
  readonly hasOperatingSystem: boolean;
  /** Uncompressed layers from the bottom, with the instruction that made each. */
  readonly layers: readonly { readonly diffId: string; readonly createdBy: string }[];
}

export type Severity = FindingView['severity'];
const SEVERITIES: readonly Severity[] = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'];

export function severityOf(text: string | undefined): Severity {
  const upper = (text ?? '').toUpperCase();
  if (upper === 'NEGLIGIBLE') return 'LOW';
  return SEVERITIES.find((severity) => severity === upper) ?? 'UNKNOWN';
}

export const rankOf = (severity: Severity): number => SEVERITIES.indexOf(severity);

interface TrivyReport {
  readonly SchemaVersion?: number;
  readonly Trivy?: { readonly Version?: string };
  readonly Metadata?: {
    readonly OS?: { readonly Family?: string };
    readonly DiffIDs?: readonly string[];
    readonly ImageConfig?: {
      readonly history?: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
    };
  };
  readonly Results?: readonly {
    readonly Target?: string;
    readonly Class?: string;
    readonly Vulnerabilities?: readonly TrivyVulnerability[] | null;
  }[];
}

interface TrivyVulnerability {
  readonly VulnerabilityID?: string;
  readonly VendorIDs?: readonly string[];
  readonly PkgName?: string;
  readonly PkgPath?: string;
  readonly PkgIdentifier?: { readonly PURL?: string };
  readonly InstalledVersion?: string;
  readonly FixedVersion?: string;
  readonly Status?: string;
  readonly Layer?: { readonly DiffID?: string };
  readonly PrimaryURL?: string;
  readonly Title?: string;
  readonly Severity?: string;
}

/** Reads Trivy's JSON (SchemaVersion 2; every field is optional there). Throws SlipwayError for what is no report. */
export function readTrivyReport(text: string): ScanReport {
  const report = parseReport(text, 'Trivy') as TrivyReport;
  if (report.SchemaVersion === undefined && report.Results === undefined && report.Metadata === undefined)
    throw notAReport('Trivy', text);
  const history = (report.Metadata?.ImageConfig?.history ?? []).filter((entry) => entry.empty_layer !== true);
  const findings = (report.Results ?? []).flatMap((result) =>
    (result.Vulnerabilities ?? []).map((found): Finding => {
      const id = found.VulnerabilityID ?? 'unknown';
      return {
        id,
        aliases: found.VendorIDs ?? [],
        package: found.PkgName ?? '',
        installed: found.InstalledVersion ?? '',
        severity: severityOf(found.Severity),
        target: result.Target ?? '',
        // Not Trivy's own Fingerprint (0.68 and later): it changes with the image, so after every build all would be new.
        fingerprint: [id, found.PkgName, found.InstalledVersion, found.PkgPath ?? ''].join(' '),
        ...(found.FixedVersion !== undefined && found.FixedVersion !== '' && { fixed: found.FixedVersion }),
        ...(found.Title !== undefined && { title: found.Title }),
        ...(found.PrimaryURL !== undefined && { url: found.PrimaryURL }),
        ...(found.PkgPath !== undefined && { path: found.PkgPath }),
        ...(found.PkgIdentifier?.PURL !== undefined && { purl: found.PkgIdentifier.PURL }),
        ...(found.Status !== undefined && { status: found.Status }),
        ...(found.Layer?.DiffID !== undefined && { layer: found.Layer.DiffID }),
      };
    }),
  );
  return {
    engine: 'trivy',
    ...(report.Trivy?.Version !== undefined && { version: report.Trivy.Version }),
    findings,
    targets: report.Results?.length ?? 0,
    hasOperatingSystem: report.Metadata?.OS?.Family !== undefined,
    layers: (report.Metadata?.DiffIDs ?? []).map((diffId, index) => ({
      diffId,
      createdBy: history[index]?.created_by ?? '',
    })),
  };
}

interface GrypeReport {
  readonly matches?: readonly {
    readonly vulnerability?: {
      readonly id?: string;
      readonly severity?: string;
      readonly description?: string;
      readonly dataSource?: string;
      readonly fix?: { readonly versions?: readonly string[]; readonly state?: string };
    };
    readonly relatedVulnerabilities?: readonly { readonly id?: string }[];
    readonly artifact?: {
      readonly name?: string;
      readonly version?: string;
      readonly type?: string;
      readonly purl?: string;
      readonly locations?: readonly { readonly path?: string; readonly layerID?: string }[];
    };
  }[];
  readonly distro?: { readonly name?: string };
  readonly source?: {
    readonly target?: {
      readonly layers?: readonly { readonly digest?: string }[];
      /** The image's configuration, JSON in base64. */
      readonly config?: string;
    };
  };
  readonly descriptor?: {
    readonly version?: string;
    readonly db?: { readonly built?: string; readonly status?: { readonly built?: string } };
  };
}

/** How many packages a CycloneDX list names; undefined when it is none. Grype lists the files it read as well. */
export function packagesIn(text: string): number | undefined {
  try {
    const list = JSON.parse(text) as {
      readonly bomFormat?: string;
      readonly components?: readonly { readonly type?: string }[];
    };
    if (list.bomFormat !== 'CycloneDX') return undefined;
    return (list.components ?? []).filter(({ type }) => type !== 'file').length;
  } catch {
    // Without it, what was looked at is judged by the report alone.
    return undefined;
  }
}

/** Reads Grype's JSON. `packages`: how many it found in the image, when that is known. Throws SlipwayError for what is no report. */
export function readGrypeReport(text: string, packages?: number): ScanReport {
  const report = parseReport(text, 'Grype') as GrypeReport;
  if (report.matches === undefined) throw notAReport('Grype', text);
  const built = report.descriptor?.db?.status?.built ?? report.descriptor?.db?.built;
  return {
    engine: 'grype',
    ...(report.descriptor?.version !== undefined && { version: report.descriptor.version }),
    ...(built !== undefined && { databaseUpdatedAt: built }),
    findings: report.matches.map(({ vulnerability, relatedVulnerabilities, artifact }): Finding => {
      const id = vulnerability?.id ?? 'unknown';
      const fixed = vulnerability?.fix?.versions?.join(', ');
      const location = artifact?.locations?.[0];
      return {
        id,
        aliases: (relatedVulnerabilities ?? []).flatMap((related) => (related.id === undefined ? [] : [related.id])),
        package: artifact?.name ?? '',
        installed: artifact?.version ?? '',
        severity: severityOf(vulnerability?.severity),
        target: artifact?.type ?? '',
        fingerprint: [id, artifact?.name, artifact?.version, location?.path ?? ''].join(' '),
        ...(fixed !== undefined && fixed !== '' && { fixed }),
        ...(vulnerability?.description !== undefined && { title: vulnerability.description.split('\n')[0] ?? '' }),
        ...(vulnerability?.dataSource !== undefined && { url: vulnerability.dataSource }),
        ...(location?.path !== undefined && { path: location.path }),
        ...(location?.layerID !== undefined && { layer: location.layerID }),
        ...(artifact?.purl !== undefined && { purl: artifact.purl }),
        ...(vulnerability?.fix?.state !== undefined && { status: vulnerability.fix.state }),
      };
    }),
    // Its report does not say what it looked at; without a distribution and without a match there may have been nothing.
    targets: packages ?? (report.matches.length > 0 || (report.distro?.name ?? '') !== '' ? 1 : 0),
    hasOperatingSystem: report.distro?.name !== undefined && report.distro.name !== '',
    layers: (report.source?.target?.layers ?? []).map((layer, index) => ({
      diffId: layer.digest ?? '',
      createdBy: grypeHistory(report)[index] ?? '',
    })),
  };
}

/** The instruction of each layer, from the bottom; empty when the configuration is not there. */
function grypeHistory(report: GrypeReport): readonly string[] {
  try {
    const config = JSON.parse(Buffer.from(report.source?.target?.config ?? '', 'base64').toString('utf8')) as {
      readonly history?: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
    };
    return (config.history ?? []).filter((entry) => entry.empty_layer !== true).map((entry) => entry.created_by ?? '');
  } catch {
    // Without it, whose layer it is stays untold.
    return [];
  }
}

function parseReport(text: string, engine: string): unknown {
  try {
    const report: unknown = JSON.parse(text);
    if (typeof report === 'object' && report !== null) return report;
  } catch {
    // Told below: an interrupted scanner leaves half a file.
  }
  throw notAReport(engine, text);
}

function notAReport(engine: string, text: string): SlipwayError {
  return new SlipwayError({
    reason: 'tool-failed',
    code: 'scan.report',
    message: `${engine} did not leave a whole report (${text.length} bytes).`,
    fix: 'Run the scan again; see its log.',
  });
}
