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
 * Brings the parts up. What runs stays as it is; what is missing is built one part at a time while others start.
 * Throws LabError naming every part that failed, after the rest came up.
 */
export function up(names: readonly string[], say: Say): Promise<void> {
  return withLock(
    'change',
    'lab up',
    async () => {
      makeFolders();
      const chosen = select(names);
      const failures: string[] = [];
      const done = new Map<string, Promise<boolean>>();
      let preparing: Promise<unknown> = Promise.resolve();
      const prepare = (part: Part): Promise<unknown> => {
        const report = (text: string) => say(`${part.name}: ${text}`);
        if (part.isPrepared()) return Promise.resolve();
        const mine = preparing.then(async () => {
          if (part.isPrepared()) return;
          const started = Date.now();
          await part.prepare(report);
          say(`${part.name}: prepared (${seconds(started)})`);
        });
        preparing = mine.catch(() => {});
        return mine;
      };
      const bring = async (part: Part): Promise<boolean> => {
        try {
          if (part.external !== undefined) {
            say(`${part.name}: using ${part.external}`);
            return true;
          }
          await prepare(part);
          const needs = await Promise.all(part.needs.map((need) => done.get(need) ?? true));
          if (needs.includes(false)) {
            failures.push(`${part.name}: not started, because it needs a part that failed`);
            return false;
          }
          if (part.service === undefined || (await part.service.isReady())) {
            say(`${part.name}: ready`);
            return true;
          }
          const started = Date.now();
          await part.service.start((text) => say(`${part.name}: ${text}`));
          say(`${part.name}: started (${seconds(started)})`);
          return true;
        } catch (error) {
          say(`${part.name}: FAILED`);
          failures.push(`${part.name}: ${messageOf(error)}`);
          return false;
        }
      };
      // In selection order: needs come first, so each finds the promises of its own.
      for (const part of chosen) done.set(part.name, bring(part));
      await Promise.all(done.values());
      if (failures.length > 0) throw new LabError(failures.join('\n'));
    },
    (holder) => say(`waiting for ${holder}`),
  );
}

/** Ends everything `up` started, last first, and puts the machine back. Goes on past failures and reports them at the end. */
export function down(say: Say): Promise<void> {
  return withLock(
    'change',
    'lab down',
    () => stopAll(say),
    (holder) => say(`waiting for ${holder}`),
  );
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
  await withLock('change', 'lab reset', async () => {
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
