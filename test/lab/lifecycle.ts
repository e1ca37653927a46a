// Bringing parts up in dependency order and down in reverse, with a line of progress for each.
import { rmSync } from 'node:fs';
import { readLedger } from './ledger.ts';
import { withLock } from './lock.ts';
import { restoreNetwork } from './network.ts';
import type { Part } from './part.ts';
import { partNamed, parts } from './parts.ts';
import { makeFolders, paths } from './paths.ts';
import { LabError, messageOf } from './problem.ts';

export type Say = (line: string) => void;

/** The parts of the names (groups or parts) and all they need, in an order that starts needs first. */
export function select(names: readonly string[]): readonly Part[] {
  const chosen = new Set<Part>();
  const add = (part: Part) => {
    for (const need of part.needs) add(partNamed(need));
    chosen.add(part);
  };
  for (const name of names) {
    const ofGroup = parts.filter(({ group }) => group === name);
    for (const part of ofGroup.length > 0 ? ofGroup : [partNamed(name)]) add(part);
  }
  return [...chosen];
}

const seconds = (from: number) => `${((Date.now() - from) / 1000).toFixed(1)} s`;

/**
 * Prepares parts one at a time, in the order asked: two builds at once only slow each other down. Downloads wait for the network
 * and not for the processor: those of the next parts go on meanwhile, one after the other.
 */
function preparer(say: Say): (part: Part) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  let fetched: Promise<void> = Promise.resolve();
  return (part) => {
    if (part.external !== undefined || part.isPrepared()) return Promise.resolve();
    fetched = fetched.then(() => part.fetch?.()).catch(() => {});
    const mine = Promise.all([last, fetched]).then(async () => {
      // What an earlier part brought may be all this one needed.
      if (part.isPrepared()) return;
      const started = Date.now();
      let doing = 'preparing';
      const report = (text: string) => {
        doing = text;
        say(`${part.name}: ${text}`);
      };
      const pulse = setInterval(() => say(`${part.name}: still ${doing}, ${seconds(started)}`), 60_000);
      try {
        await part.prepare(report);
      } finally {
        clearInterval(pulse);
      }
      say(`${part.name}: prepared (${seconds(started)})`);
    });
    last = mine.catch(() => {});
    return mine;
  };
}

/** Starts a part whose needs run, unless it runs. */
async function startUnlessReady(part: Part, say: Say): Promise<void> {
  if (part.external !== undefined) return say(`${part.name}: using ${part.external}`);
  if (part.service === undefined || (await part.service.isReady())) return say(`${part.name}: ready`);
  if (process.getuid?.() !== 0) throw new LabError('The lab must run as root: it starts containers and networks.');
  const started = Date.now();
  await part.service.start((text) => say(`${part.name}: ${text}`));
  say(`${part.name}: started (${seconds(started)})`);
}

const change = <T>(who: string, say: Say, fn: () => Promise<T>) =>
  withLock('change', who, fn, (holder) => say(`waiting for ${holder}`));

/** Builds and installs what is missing and starts nothing. Throws LabError when a part fails. */
export function prepareOnly(names: readonly string[], say: Say): Promise<void> {
  return change('lab build', say, async () => {
    makeFolders();
    const prepare = preparer(say);
    for (const part of select(names)) await prepare(part);
  });
}

/**
 * Brings the parts up. What runs stays as it is; what is missing is built one part at a time while others start.
 * Throws LabError naming every part that failed, after the rest came up.
 */
export function up(names: readonly string[], say: Say): Promise<void> {
  return change('lab up', say, async () => {
    makeFolders();
    const failures: string[] = [];
    const done = new Map<string, Promise<boolean>>();
    const prepare = preparer(say);
    const bring = async (part: Part): Promise<boolean> => {
      try {
        await prepare(part);
        const needs = await Promise.all(part.needs.map((need) => done.get(need) ?? true));
        if (needs.includes(false)) throw new LabError('not started, because it needs a part that failed');
        await startUnlessReady(part, say);
        return true;
      } catch (error) {
        say(`${part.name}: FAILED`);
        failures.push(`${part.name}: ${messageOf(error)}`);
        return false;
      }
    };
    // In selection order: needs come first, so each finds the promises of its own.
    for (const part of select(names)) done.set(part.name, bring(part));
    await Promise.all(done.values());
    if (failures.length > 0) throw new LabError(failures.join('\n'));
  });
}

/** Ends everything `up` started, last first, and puts the machine back. Goes on past failures and reports them at the end. */
export function down(say: Say): Promise<void> {
  return change('lab down', say, () => stopAll(say));
}

async function stopAll(say: Say): Promise<void> {
  const failures: string[] = [];
  for (const part of [...parts].reverse()) {
    if (part.external !== undefined || part.service === undefined) continue;
    const started = Date.now();
    try {
      const wasRunning = part.service.pid() !== undefined;
      await part.service.stop();
      if (wasRunning) say(`${part.name}: stopped (${seconds(started)})`);
    } catch (error) {
      failures.push(`${part.name}: ${messageOf(error)}`);
    }
  }
  try {
    await restoreNetwork();
    if (readLedger().mounts.length === 0) rmSync(paths.run, { recursive: true, force: true });
  } catch (error) {
    failures.push(messageOf(error));
  }
  if (failures.length > 0) throw new LabError(failures.join('\n'));
}

/** Forgets what the cluster and the registry hold, and brings back up what ran. Built programs and images stay. */
export async function reset(say: Say): Promise<void> {
  const running: string[] = [];
  for (const part of parts) if (part.service !== undefined && (await part.service.isReady())) running.push(part.name);
  await change('lab reset', say, async () => {
    await stopAll(say);
    for (const part of parts) await part.service?.wipe?.();
  });
  say('cluster and registry are empty');
  if (running.length > 0) await up(running, say);
}

export interface PartState {
  readonly name: string;
  readonly group: string;
  readonly what: string;
  readonly version: string;
  /** `ready`: usable. `stopped`: installed but not running. `absent`: not built or installed. `failing`: runs, does not answer. */
  readonly state: 'ready' | 'stopped' | 'absent' | 'failing' | 'external';
  readonly pid?: number;
}

export function status(): Promise<readonly PartState[]> {
  return Promise.all(
    parts.map(async (part): Promise<PartState> => {
      const { name, group, what, version } = part;
      const pid = part.service?.pid();
      const base = { name, group, what, version, ...(pid !== undefined && { pid }) };
      if (part.external !== undefined) return { ...base, state: 'external' };
      if (!part.isPrepared()) return { ...base, state: 'absent' };
      if (part.service === undefined || (await part.service.isReady().catch(() => false)))
        return { ...base, state: 'ready' };
      return { ...base, state: pid === undefined ? 'stopped' : 'failing' };
    }),
  );
}

/** Ends one part, as a fault; those that need it stay up. */
export async function stopPart(name: string): Promise<void> {
  await service(name).stop();
}

/** Starts one part that was stopped. Its needs must run. */
export async function startPart(name: string): Promise<void> {
  await service(name).start(() => {});
}

export async function restartPart(name: string): Promise<void> {
  await stopPart(name);
  await startPart(name);
}

function service(name: string) {
  const part = partNamed(name);
  if (part.external !== undefined) throw new LabError(`${name} is ${part.external}, not the lab's to stop or start.`);
  if (part.service === undefined) throw new LabError(`${name} is a program, not a service.`);
  return part.service;
}
