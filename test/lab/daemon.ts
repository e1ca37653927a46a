// Long-lived programs: each in a session of its own, with a log and a pid file, so that they outlive the command that
// started them and can be ended by exactly who they are: a number alone may belong to another process by now.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { paths } from './paths.ts';
import { LabError, logTail } from './problem.ts';

export interface DaemonSpec {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** True when it serves. Called every 50 ms until then; throwing counts as not yet. */
  readonly isReady: () => Promise<boolean>;
  /** Milliseconds until a start that is not ready counts as failed. Default 60 000. */
  readonly readyTimeoutMs?: number;
}

interface PidFile {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks from boot to the process's start. Tells a reused pid from ours. */
  readonly startTicks: string;
  readonly argv: readonly string[];
}

const pidPath = (name: string) => join(paths.pids, `${name}.json`);
export const logPath = (name: string) => join(paths.logs, `${name}.log`);

/** Fields of /proc/PID/stat from the third (state) on; empty when the process is gone. */
function statOf(pid: number): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold spaces and brackets: fields count from the last closing bracket.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/** Ticks from boot to the start of the process, or undefined when it is gone or only a zombie. */
function startTicksOf(pid: number): string | undefined {
  const [state, ...rest] = statOf(pid);
  return state === 'Z' || state === 'X' ? undefined : rest[18];
}

export function parentOf(pid: number): number | undefined {
  const parent = statOf(pid)[1];
  return parent === undefined ? undefined : Number(parent);
}

/** The pid of the daemon when the very process that was started still runs. */
export function pidOf(name: string): number | undefined {
  try {
    const file = JSON.parse(readFileSync(pidPath(name), 'utf8')) as PidFile;
    return startTicksOf(file.pid) === file.startTicks ? file.pid : undefined;
  } catch {
    return undefined;
  }
}

/** True when the daemon runs with other arguments than `argv`: it must be restarted to take a change. */
export function isOutdated(name: string, argv: readonly string[]): boolean {
  try {
    const file = JSON.parse(readFileSync(pidPath(name), 'utf8')) as PidFile;
    return JSON.stringify(file.argv) !== JSON.stringify(argv);
  } catch {
    return false;
  }
}

/** Names of all daemons with a pid file, running or not. */
export function knownDaemons(): readonly string[] {
  if (!existsSync(paths.pids)) return [];
  return readdirSync(paths.pids)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length));
}

/** Starts it unless it runs already, and waits until it is ready. Throws LabError with the end of its log. */
export async function startDaemon(spec: DaemonSpec): Promise<void> {
  if (pidOf(spec.name) === undefined) {
    const log = openSync(logPath(spec.name), 'a');
    const [file, ...args] = spec.argv;
    const child = spawn(file, args, {
      cwd: spec.cwd ?? '/',
      // Nothing of the caller leaks into a program that outlives it, but for what a program needs to find others.
      env: {
        HOME: process.env.HOME ?? '/root',
        PATH: `${paths.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
        LANG: 'C.UTF-8',
        ...spec.env,
      },
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const error = await new Promise<Error | undefined>((resolve) => {
      child.once('error', resolve);
      child.once('spawn', () => resolve(undefined));
    });
    if (error !== undefined || child.pid === undefined)
      throw new LabError(`${spec.name} could not be started: ${error?.message ?? 'no pid'}`);
    const startTicks = startTicksOf(child.pid) ?? '';
    writeFileSync(
      pidPath(spec.name),
      JSON.stringify({ pid: child.pid, startTicks, argv: spec.argv } satisfies PidFile),
    );
    child.unref();
  }
  await waitReady(spec);
}

async function waitReady(spec: DaemonSpec): Promise<void> {
  const timeoutMs = spec.readyTimeoutMs ?? 60_000;
  const end = Date.now() + timeoutMs;
  while (Date.now() < end) {
    if (pidOf(spec.name) === undefined) {
      rmSync(pidPath(spec.name), { force: true });
      throw new LabError(`${spec.name} ended while starting.${logTail(logPath(spec.name))}`);
    }
    if (await spec.isReady().catch(() => false)) return;
    await sleep(50);
  }
  throw new LabError(`${spec.name} was not ready after ${timeoutMs / 1000} s.${logTail(logPath(spec.name))}`);
}

/** Ends it: SIGTERM, after `graceMs` SIGKILL to its group; resolves when it is gone. Nothing happens when it is not ours. */
export async function stopDaemon(name: string, graceMs = 10_000): Promise<boolean> {
  const pid = pidOf(name);
  if (pid !== undefined) {
    signal(pid, 'SIGTERM');
    const end = Date.now() + graceMs;
    while (pidOf(name) !== undefined && Date.now() < end) await sleep(20);
    // Children of its group that did not follow, and the daemon itself when it is stuck.
    if (pidOf(name) !== undefined) signal(-pid, 'SIGKILL');
    while (pidOf(name) !== undefined) await sleep(20);
  }
  rmSync(pidPath(name), { force: true });
  return pid !== undefined;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Already gone.
  }
}

export function killQuietly(pid: number): void {
  signal(pid, 'SIGKILL');
}

/** The arguments a process was started with; empty when it is gone. */
export function commandLineOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}
