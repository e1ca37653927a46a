import type { StepKind } from '../plan/step.ts';
import { SlipwayError } from '../problems/index.ts';

/** A command of the person's own before or after a stage. */
export const commandStep: StepKind<'command'> = {
  kind: 'command',
  async run({ command }, { system, emit, signal }) {
    const [file, ...args] = command.run;
    const result = await system.processes.run({
      file,
      args,
      cwd: command.cwd,
      env: command.env,
      signal,
      onStdout: (text) => emit({ type: 'log', stream: 'out', text }),
      onStderr: (text) => emit({ type: 'log', stream: 'err', text }),
      ...(command.timeoutMs !== undefined && { timeoutMs: command.timeoutMs }),
    });
    if (result.code !== 0) {
      throw new SlipwayError({
        reason: 'test',
        code: 'command.failed',
        message: `${command.name} ended with exit code ${result.code ?? result.signal}.`,
        fix: 'See its log.',
        place: command.place,
        evidence: (result.stderr.trim() === '' ? result.stdout : result.stderr).trim().split('\n').slice(-15),
      });
    }
    return { code: 0 };
  },
};
