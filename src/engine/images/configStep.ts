import { join, relative, resolve } from 'node:path';
import type { StepContext, StepKind } from '../plan/step.ts';
import { type Diagnostic, SlipwayError } from '../problems/index.ts';
import type { ScanConfig } from '../project/model.ts';
import { readIgnores } from './ignores.ts';
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
    const accepted = await acceptedIds(scan, context);
    const found = all.filter(({ ids }) => !ids.some((id) => accepted.has(id)));
    const base = (await system.files.stat(target.path))?.isFolder === true ? target.path : join(target.path, '..');
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

/** Ids in the ignore file that are accepted today; Trivy's old and new spelling of one id count as one. */
async function acceptedIds(scan: ScanConfig, { system, root }: StepContext): Promise<ReadonlySet<string>> {
  const usual = ['.trivyignore.yaml', '.trivyignore.yml', '.trivyignore'].map((name) => join(root, name));
  for (const file of scan.ignoreFile === undefined ? usual : [scan.ignoreFile]) {
    const text = await system.files.readText(file);
    if (text === undefined) continue;
    const { ignores } = readIgnores(text, file, 'misconfigurations');
    return new Set(
      ignores
        .filter(({ until }) => until === undefined || Date.parse(until) > system.clock.now())
        .map(({ id }) => id.replace(/^AVD-/, '')),
    );
  }
  return new Set();
}
