import { join } from 'node:path';
import type { System } from '../system/index.ts';
import { type TrivyDatabase, trivyCacheFolder } from './trivyVersion.ts';

/** Trivy's scan cache takes one writer: a second one on it waits, and then fails with "cache may be in use". */
interface Lane {
  /** Arguments that put the scan cache elsewhere; none for the person's own. */
  readonly cache: readonly string[];
  readonly isBusy: boolean;
}

interface Lanes {
  lanes: Lane[];
  readonly waiting: ((lane: Lane) => void)[];
}

const known = new WeakMap<System, Promise<Lanes>>();

/**
 * Runs Trivy in a cache that nobody else of this process uses. There are two: the person's own, and one below it that
 * shares the database by a link, so that two images are scanned at a time and both caches keep their layers. While the
 * database is due for an update there is only the first: Trivy would download it twice.
 */
export async function inLane<T>(
  system: System,
  database: TrivyDatabase,
  work: (cache: readonly string[]) => Promise<T>,
): Promise<T> {
  let asked = known.get(system);
  if (asked === undefined) {
    asked = openLanes(system, database);
    known.set(system, asked);
  }
  const all = await asked;
  const lane = await take(all);
  try {
    return await work(lane.cache);
  } finally {
    give(all, lane);
  }
}

function take(all: Lanes): Promise<Lane> | Lane {
  const free = all.lanes.find(({ isBusy }) => !isBusy);
  if (free === undefined) return new Promise((resolve) => all.waiting.push(resolve));
  const taken = { ...free, isBusy: true };
  all.lanes = all.lanes.map((lane) => (lane === free ? taken : lane));
  return taken;
}

function give(all: Lanes, lane: Lane): void {
  const next = all.waiting.shift();
  if (next !== undefined) next(lane);
  else all.lanes = all.lanes.map((other) => (other === lane ? { ...lane, isBusy: false } : other));
}

async function openLanes(system: System, database: TrivyDatabase): Promise<Lanes> {
  const own: Lane = { cache: [], isBusy: false };
  const second = await secondCache(system, database).catch(() => undefined);
  const lanes = second === undefined ? [own] : [own, { cache: ['--cache-dir', second], isBusy: false }];
  return { lanes, waiting: [] };
}

/** Undefined where links cannot be made, or where the database is not there or not fresh. */
async function secondCache(system: System, database: TrivyDatabase): Promise<string | undefined> {
  const { env, clock, files } = system;
  const next = database.NextUpdate;
  const isFresh = next !== undefined && Date.parse(next) > clock.now();
  if (!isFresh && env.TRIVY_SKIP_DB_UPDATE !== 'true') return undefined;
  const cache = trivyCacheFolder(system);
  if (cache === undefined || (await files.stat(join(cache, 'db', 'trivy.db'))) === undefined) return undefined;
  const second = join(cache, 'slipway-second');
  await files.makeFolder(second);
  for (const name of ['db', 'java-db', 'policy']) {
    if ((await files.stat(join(cache, name))) !== undefined)
      await files.linkFolder(join(cache, name), join(second, name));
  }
  return second;
}
