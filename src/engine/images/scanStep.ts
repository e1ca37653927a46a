import { join } from 'node:path';
import type { BuildOutputs, StepContext, StepKind } from '../plan/step.ts';
import { isCancelled, SlipwayError, toFailure } from '../problems/index.ts';
import type { ScanConfig } from '../project/model.ts';
import { gate } from './gate.ts';
import { type Ignore, ignoreFiles, readIgnores } from './ignores.ts';
import { normalPlatform } from './reference.ts';
import { prepareScanner, STALE_DATABASE, scanImage, writeSarif } from './scanners.ts';

const MOST_IN_EVENT = 200;

/** Scans one platform of a built image by digest and holds the gate. Outputs: outcome and the fingerprints seen. */
export const scanStep: StepKind<'scan'> = {
  kind: 'scan',
  prepare: ({ scan }, { system, signal }) => prepareScanner(system, scan, signal),
  async run({ image, platform, scan, build }, context) {
    const { system, emit, signal } = context;
    const built = context.outputs<BuildOutputs>(build);
    const digest =
      platform === 'default'
        ? (Object.values(built.platforms)[0] ?? built.digest)
        : built.platforms[normalPlatform(platform)];
    if (digest === undefined) {
      throw new SlipwayError({
        reason: 'build',
        code: 'image.platform',
        message: `${image.name} was built without ${platform}; it has ${Object.keys(built.platforms).join(', ')}.`,
        fix: 'Check "platforms" of the image and the base images.',
        place: image.place,
      });
    }
    const reference = `${built.repository}@${digest}`;
    const reports = join(context.folder, 'reports');
    const name = `scan-${image.name}-${platform.replaceAll('/', '-')}`;
    const reportFile = join(reports, `${name}.json`);
    const sarifFile = join(reports, `${name}.sarif`);
    await system.files.makeFolder(reports);
    const { ignores, file: ignoreFile } = await loadIgnores(scan, context);
    const base = { type: 'scan.result' as const, image: image.name, platform, reference };
    const none = { CRITICAL: 0, HIGH: 0, MEDIUM: 0, LOW: 0, UNKNOWN: 0 };
    let report: Awaited<ReturnType<typeof scanImage>>;
    try {
      report = await scanImage(
        system,
        scan,
        { reference, platform, isPlainHttp: /^(localhost|127\.\d+\.\d+\.\d+)(:\d+)?\//.test(reference), reportFile },
        signal,
        (text) => emit({ type: 'log', stream: 'err', text }),
      );
    } catch (error) {
      if (!isCancelled(error)) {
        emit({
          ...base,
          outcome: error instanceof SlipwayError && error.code === STALE_DATABASE ? 'stale-database' : 'failed',
          message: toFailure(error).message,
          counts: none,
          gating: [],
          suppressed: 0,
          reports: [],
        });
      }
      throw error;
    }
    const memory = join(context.root, '.slipway', 'scans', `${name}.json`);
    const before = await readFingerprints(await system.files.readText(memory));
    const dockerfile = await system.files.readText(image.dockerfile);
    const result = gate({
      report,
      scan,
      ignores,
      now: system.clock.now(),
      ...(before !== undefined && { before }),
      ...(dockerfile !== undefined && { dockerfile }),
      ...(image.target !== undefined && { target: image.target }),
    });
    const fingerprints = report.findings.map((finding) => finding.fingerprint);
    await system.files.writeAtomic(memory, JSON.stringify(fingerprints));
    const hasSarif = result.gating.length > 0 && (await writeSarif(system, scan.engine, reportFile, sarifFile, signal));
    for (const diagnostic of result.diagnostics) emit({ type: 'diagnostic', diagnostic });
    emit({
      ...base,
      outcome: result.outcome,
      message: result.message,
      counts: result.counts,
      gating: result.gating.slice(0, MOST_IN_EVENT),
      suppressed: result.suppressed,
      reports: [`reports/${name}.json`, ...(hasSarif ? [`reports/${name}.sarif`] : [])],
      database: {
        engine: report.engine,
        ...(report.version !== undefined && { version: report.version }),
        ...(report.databaseUpdatedAt !== undefined && { updatedAt: report.databaseUpdatedAt }),
      },
    });
    if (result.outcome === 'findings') {
      const worst = result.gating.slice(0, 10);
      throw new SlipwayError({
        reason: 'gate',
        code: 'gate.findings',
        message: `${image.name} for ${platform}: ${result.message}. The gate lets no ${scan.severity.join(' or ')} through, so no tag was published.`,
        fix: fixFor(worst[0], ignoreFile),
        place: { file: image.dockerfile },
        evidence: worst.map(
          (finding) =>
            `${finding.severity} ${finding.id} ${finding.package} ${finding.installed}${finding.fixed === undefined ? ', no fix yet' : `, fixed in ${finding.fixed}`}`,
        ),
      });
    }
    if (result.outcome === 'stale-database') {
      throw new SlipwayError({
        reason: 'gate',
        code: STALE_DATABASE,
        message: `${image.name} for ${platform}: ${result.message}.`,
        fix: `Update the database (${scan.engine === 'grype' ? 'grype db update' : 'trivy image --download-db-only'}), or raise scan.databaseMaxAge.`,
      });
    }
    return { outcome: result.outcome, reference, findings: report.findings.length };
  },
};

function fixFor(
  worst:
    | { readonly package: string; readonly fixed?: string; readonly origin?: string; readonly id: string }
    | undefined,
  ignoreFile: string,
): string {
  if (worst?.fixed === undefined)
    return `Wait for a fix, set scan.ignoreUnfixed, or accept ${worst?.id ?? 'it'} with a reason and a date in ${ignoreFile}.`;
  const where = worst.origin === 'base' ? ' (it comes with the base image: a newer one may have it)' : '';
  return `Update ${worst.package} to ${worst.fixed}${where}, or accept ${worst.id} with a reason and a date in ${ignoreFile}.`;
}

async function loadIgnores(
  scan: ScanConfig,
  context: StepContext,
): Promise<{ readonly ignores: readonly Ignore[]; readonly file: string }> {
  const found: { readonly ignores: readonly Ignore[]; readonly file: string }[] = [];
  for (const list of ignoreFiles(context.root, scan)) {
    for (const file of list) {
      const text = await context.system.files.readText(file);
      if (text === undefined) continue;
      const { ignores, diagnostics } = readIgnores(text, file);
      for (const diagnostic of diagnostics) context.emit({ type: 'diagnostic', diagnostic });
      found.push({ ignores, file });
      break;
    }
  }
  const [first] = found;
  if (first !== undefined) return { ignores: found.flatMap(({ ignores }) => ignores), file: first.file };
  if (scan.ignoreFile !== undefined) {
    throw new SlipwayError({
      reason: 'config',
      code: 'config.missing-file',
      message: `The ignore file ${scan.ignoreFile} does not exist.`,
      fix: 'Correct scan.ignoreFile.',
      place: scan.place,
    });
  }
  return { ignores: [], file: join(context.root, '.trivyignore.yaml') };
}

function readFingerprints(text: string | undefined): ReadonlySet<string> | undefined {
  try {
    return text === undefined ? undefined : new Set(JSON.parse(text) as string[]);
  } catch {
    // An unreadable memory only means that nothing is marked as new.
    return undefined;
  }
}
