// Short-lived commands of the lab, run through the engine's own Processes: argv only, nothing outlives us.
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Processes } from '../../src/engine/system/index.ts';
import { paths } from './paths.ts';
import { LabError, logTail } from './problem.ts';

const processes = new Processes({
  env: {
    ...process.env,
    PATH: `${paths.bin}:${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`,
  },
});

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
  readonly timeoutMs?: number;
  /** Name of a log in the log folder that gets both streams; a failure then shows its end. */
  readonly log?: string;
}

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs to the end and gives code and output, whatever the code. Throws when the program is missing or too slow. */
export async function attempt(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { log, ...rest } = options;
  if (log === undefined) return processes.run({ file, args, ...rest });
  const path = join(paths.logs, `${log}.log`);
  writeFileSync(path, `$ ${[file, ...args].join(' ')}\n`);
  const write = (text: string) => appendFileSync(path, text);
  return processes.run({ file, args, ...rest, onStdout: write, onStderr: write });
}

/** As {@link attempt}, and throws LabError with the end of the output when the code is not 0. */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await attempt(file, args, options);
  if (result.code === 0) return result.stdout;
  const how = result.code === null ? 'was ended by a signal' : `failed with exit code ${result.code}`;
  const shown =
    options.log === undefined
      ? `\n${(result.stderr.trim() || result.stdout.trim()).split('\n').slice(-20).join('\n')}`
      : logTail(join(paths.logs, `${options.log}.log`));
  throw new LabError(`${file} ${args.slice(0, 3).join(' ')} ${how}:${shown}`);
}

/** Ends every command that still runs. */
export function stopCommands(): Promise<void> {
  return processes.dispose(2_000);
}
