import { join, relative, resolve, sep } from 'node:path';
import type { StepContext, StepKind } from '../plan/step.ts';
import { type Diagnostic, SlipwayError } from '../problems/index.ts';
import type { ScanConfig } from '../project/model.ts';
import { expiredWarning, type Ignore, ignoreFiles, isExpired, isPathOf, readIgnores } from './ignores.ts';
import { type Misconfiguration, readMisconfigurations } from './misconfiguration.ts';
import { scanConfig } from './scanners.ts';

/** Looks for misconfiguration in a Dockerfile, chart or manifests. Only `config: gate` lets it stop the run. */
export const configStep: StepKind<'config'> = {
  kind: 'config',
  async run({ target, scan }, context) {
    const { system, emit, signal, folder } = context;
    const reports = join(folder, 'reports');
    await system.files.makeFolder(reports);
    const name = `config-${target.name}.json`;
    const text = await scanConfig(
      system,
      { path: target.path, values: target.values, reportFile: join(reports, name), timeoutMs: scan.timeoutMs },
      signal,
      (line) => emit({ type: 'log', stream: 'err', text: line }),
    );
    const all = readMisconfigurations(text);
    const base = (await system.files.stat(target.path))?.isFolder === true ? target.path : join(target.path, '..');
    const ignores = await ignoresOf(scan, context);
    const now = system.clock.now();
    const fits = ({ id, paths }: Ignore, { ids, target: path }: Misconfiguration): boolean =>
      ids.includes(id.replace(/^AVD-/, '')) &&
      (paths.length === 0 ||
        paths.some((pattern) => namesOf(path, base, context.root).some((name) => isPathOf(pattern, name))));
    const found = all.filter((one) => !ignores.some((ignore) => !isExpired(ignore, now) && fits(ignore, one)));
    for (const ignore of ignores) {
      if (isExpired(ignore, now) && all.some((one) => fits(ignore, one)))
        emit({ type: 'diagnostic', diagnostic: expiredWarning(ignore) });
    }
    for (const one of found) emit({ type: 'diagnostic', diagnostic: diagnosticOf(one, base) });
    emit({ type: 'report', title: `Configuration of ${target.name}`, path: `reports/${name}` });
    const gating = found.filter(({ severity }) => scan.severity.includes(severity));
    emit({ type: 'step.progress', message: `${found.length} found, ${gating.length} ${scan.severity.join(' or ')}` });
    if (scan.config === 'gate' && gating.length > 0) {
      const [worst] = gating;
      throw new SlipwayError({
        reason: 'gate',
        code: 'gate.config',
        message: `${relative(context.root, target.path) || target.path}: ${gating.length} ${scan.severity.join(' or ')} misconfiguration${gating.length === 1 ? '' : 's'}, so no tag was published.`,
        fix: `${worst?.resolution ?? 'Correct it'}, or accept ${worst?.ids[0] ?? 'it'} with a reason and a date in .trivyignore.yaml.`,
        ...(worst !== undefined && { place: diagnosticOf(worst, base).place }),
        evidence: gating.slice(0, 10).map((one) => `${one.severity} ${one.ids[0]} ${one.target}: ${one.message}`),
      });
    }
    return { found: found.length, gating: gating.length, accepted: all.length - found.length };
  },
};

function diagnosticOf(one: Misconfiguration, base: string): Diagnostic {
  const start = one.line ?? 0;
  return {
    severity: one.severity === 'CRITICAL' || one.severity === 'HIGH' ? 'warning' : 'info',
    code: `trivy.${one.ids[0] ?? 'config'}`,
    message: `${one.title}: ${one.message}`,
    place: {
      file: resolve(base, one.target),
      ...(one.line !== undefined && {
        range: { start: { line: start, character: 0 }, end: { line: (one.endLine ?? start) + 1, character: 0 } },
      }),
    },
    ...(one.resolution !== undefined && { fix: one.resolution }),
  };
}

/** How an exception may call a file: as Trivy does, from what was scanned, or from the workspace. */
const namesOf = (target: string, base: string, root: string): readonly string[] => [
  target,
  relative(root, resolve(base, target)).split(sep).join('/'),
];

/** Exceptions for misconfiguration; what is wrong in their file is told. */
async function ignoresOf(scan: ScanConfig, { system, root, emit }: StepContext): Promise<readonly Ignore[]> {
  // Trivy looks for misconfiguration whatever the engine of the gate.
  for (const file of ignoreFiles(root, { ...scan, engine: 'trivy' }).flat()) {
    const text = await system.files.readText(file);
    if (text === undefined) continue;
    const { ignores, diagnostics } = readIgnores(text, file, 'misconfigurations');
    for (const diagnostic of diagnostics) emit({ type: 'diagnostic', diagnostic });
    return ignores;
  }
  return [];
}
