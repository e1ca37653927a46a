import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { RunId } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { fileNameOf, folderOf } from './journal.ts';

export interface LockHolder {
  readonly run: RunId;
  readonly pid: number;
  readonly host: string;
  /** Start of the process in the clock ticks of its machine where known: a reused pid is another process. */
  readonly processStart?: string;
  /** ISO time. */
  readonly since: string;
  readonly token: string;
}

/** The holder shows life by touching its file this often; from another machine, silence three times as long is death. */
const BEAT_MS = 10_000;
const SILENCE_MS = 3 * BEAT_MS;

/**
 * Takes the lock of one environment in this workspace. A lock whose process has died (same machine) or has fallen silent
 * for 30 s (another machine, a container) is taken over. Throws SlipwayError `locked`, naming the holder.
 */
export async function takeLock(
  system: System,
  root: string,
  environment: string,
  run: RunId,
): Promise<{ release(): Promise<void> }> {
  const path = join(folderOf(root), 'locks', `${fileNameOf(environment)}.json`);
  const start = await processStart(system, system.pid);
  const mine: LockHolder = {
    run,
    pid: system.pid,
    host: system.host,
    ...(start !== undefined && { processStart: start }),
    since: new Date(system.clock.now()).toISOString(),
    token: randomBytes(8).toString('hex'),
  };
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (await system.files.createExclusive(path, JSON.stringify(mine))) return hold(system, path, mine);
    const holder = parse(await system.files.readText(path));
    const stat = await system.files.stat(path);
    if (stat === undefined) continue;
    const isTorn = holder === undefined && system.clock.now() - stat.mtimeMs > SILENCE_MS;
    if (isTorn || (holder !== undefined && (await isDead(system, holder, stat.mtimeMs)))) {
      await takeAway(system, path, holder);
      continue;
    }
    throw new SlipwayError({
      reason: 'locked',
      code: 'lock.environment',
      message: `Environment ${environment} is in use by run ${holder?.run ?? 'unknown'} (process ${holder?.pid ?? '?'} on ${holder?.host ?? '?'}, since ${holder?.since ?? '?'}).`,
      fix: `Wait for that run to end, or cancel it. If its machine is gone, the lock frees itself ${SILENCE_MS / 1000} s after its last sign of life.`,
      place: { file: path },
    });
  }
  throw new SlipwayError({
    reason: 'locked',
    code: 'lock.contended',
    message: `The lock of environment ${environment} changes hands faster than it can be taken.`,
    fix: 'Try again.',
    place: { file: path },
  });
}

function hold(system: System, path: string, mine: LockHolder): { release(): Promise<void> } {
  const beat = setInterval(() => void system.files.touch(path).catch(() => false), BEAT_MS);
  beat.unref();
  return {
    async release() {
      clearInterval(beat);
      // Only our own lock: after a long sleep of this machine somebody may rightly have taken it over.
      const holder = parse(await system.files.readText(path));
      if (holder?.token === mine.token) await system.files.remove(path);
    },
  };
}

/**
 * Removes a dead lock. Looking and removing are two acts, so they happen under a second lock named after the dead one:
 * of several that see the same dead holder exactly one removes it, and none removes the lock that follows.
 */
async function takeAway(system: System, path: string, holder: LockHolder | undefined): Promise<void> {
  const claim = `${path}.${holder?.token ?? 'torn'}`;
  if (!(await system.files.createExclusive(claim, ''))) {
    const stat = await system.files.stat(claim);
    // Whoever claimed it was killed within these few milliseconds of work.
    if (stat !== undefined && system.clock.now() - stat.mtimeMs > SILENCE_MS) await system.files.remove(claim);
    await system.clock.sleep(50);
    return;
  }
  try {
    const current = parse(await system.files.readText(path));
    if (current?.token === holder?.token) await system.files.remove(path);
  } finally {
    await system.files.remove(claim);
  }
}

async function isDead(system: System, holder: LockHolder, lastSign: number): Promise<boolean> {
  if (holder.host !== system.host) return system.clock.now() - lastSign > SILENCE_MS;
  return !(await isProcessAlive(system, holder.pid, holder.processStart));
}

/** Whether that very process still runs here; `start` tells it from a later one with the same number. */
export async function isProcessAlive(system: System, pid: number, start?: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  if (start === undefined) return true;
  const now = await processStart(system, pid);
  return now === undefined || now === start;
}

/** Field 22 of /proc/<pid>/stat on Linux; undefined elsewhere. The command name may hold spaces and parentheses. */
async function processStart(system: System, pid: number): Promise<string | undefined> {
  if (system.platform !== 'linux') return undefined;
  const stat = await system.files.readText(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function parse(text: string | undefined): LockHolder | undefined {
  try {
    return text === undefined || text === '' ? undefined : (JSON.parse(text) as LockHolder);
  } catch {
    return undefined;
  }
}

/** Whether somebody still works on this run: its process lives here, or it runs on another machine and was not ended. */
export async function isRunLive(
  system: System,
  run: { readonly state: string; readonly pid: number; readonly host: string },
): Promise<boolean> {
  if (run.state !== 'running') return false;
  return run.host !== system.host || (run.pid !== system.pid && (await isProcessAlive(system, run.pid)));
}
