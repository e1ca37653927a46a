import { basename, extname, join } from 'node:path';
import type { BuildOutputs, StepContext, StepKind } from '../plan/step.ts';
import { SlipwayError } from '../problems/index.ts';
import type { CommandConfig } from '../project/model.ts';
import { readEnvFile } from './envFile.ts';
import { readJunit } from './junit.ts';
import { freshFiles } from './reportFiles.ts';
import { readSarif } from './sarif.ts';

/** Findings of one report that become diagnostics; the report itself has all of them. */
const MOST_FINDINGS = 500;

/** A command of the person's own before or after a stage. Its reports are kept with the run, also when it fails. */
export const commandStep: StepKind<'command'> = {
  kind: 'command',
  async run({ command }, context) {
    const { system, emit, signal } = context;
    const withImages = (text: string): string =>
      text.replace(/\{image\.([^}]+)\}/g, (_whole, name: string) => {
        const built = context.outputs<BuildOutputs>(`build:${name}`);
        return `${built.repository}@${built.digest}`;
      });
    const [file, ...args] = command.run.map(withImages);
    const started = system.clock.now();
    const env = { ...(await readEnvFile(`command "${command.name}"`, command, context)), ...command.env };
    const result = await system.processes.run({
      file: file ?? '',
      args,
      cwd: command.cwd,
      env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, withImages(value)])),
      signal,
      onStdout: (text) => emit({ type: 'log', stream: 'out', text }),
      onStderr: (text) => emit({ type: 'log', stream: 'err', text }),
      ...(command.timeoutMs !== undefined && { timeoutMs: command.timeoutMs }),
    });
    const kept = await keepReports(command, context, started);
    if (result.code !== 0) {
      const found = kept.findings === 0 ? '' : ` with ${kept.findings} finding${kept.findings === 1 ? '' : 's'}`;
      throw new SlipwayError({
        reason: 'test',
        code: 'command.failed',
        message: `${command.name} ended with exit code ${result.code ?? result.signal}${found}.`,
        fix: kept.reports === 0 ? 'See its log.' : 'See its report and its log.',
        place: command.place,
        evidence:
          kept.worst.length > 0
            ? kept.worst
            : (result.stderr.trim() === '' ? result.stdout : result.stderr).trim().split('\n').slice(-15),
      });
    }
    return { code: 0, reports: kept.reports, findings: kept.findings };
  },
};

/** Copies what the command wrote into the run, and says what is in it. */
async function keepReports(
  command: CommandConfig,
  { system, emit, folder }: StepContext,
  since: number,
): Promise<{ readonly reports: number; readonly findings: number; readonly worst: readonly string[] }> {
  const paths = await freshFiles(command.reports, system, since);
  const names = new Set<string>();
  let findings = 0;
  const worst: string[] = [];
  for (const path of paths) {
    const bytes = await system.files.readBytes(path);
    if (bytes === undefined) continue;
    const extension = extname(path);
    const plain = `${command.name}-${basename(path, extension)}`;
    let name = `${plain}${extension}`;
    for (let count = 2; names.has(name); count += 1) name = `${plain}-${count}${extension}`;
    names.add(name);
    await system.files.makeFolder(join(folder, 'reports'));
    await system.files.writeAtomic(join(folder, 'reports', name), bytes);
    emit({ type: 'report', title: `${command.name}: ${basename(path)}`, path: `reports/${name}` });
    const text = Buffer.from(bytes).toString('utf8');
    const sarif = readSarif(text, command.cwd, command.place);
    if (sarif !== undefined) {
      findings += sarif.diagnostics.length;
      for (const diagnostic of sarif.diagnostics.slice(0, MOST_FINDINGS)) emit({ type: 'diagnostic', diagnostic });
      worst.push(...sarif.diagnostics.filter(({ severity }) => severity === 'error').map(({ message }) => message));
      continue;
    }
    const junit = extension === '.xml' ? readJunit(text) : undefined;
    findings += junit?.failed ?? 0;
    worst.push(...(junit?.failures ?? []).map((failure) => `${failure.name}: ${failure.message}`));
  }
  return { reports: names.size, findings, worst: worst.slice(0, 15) };
}
