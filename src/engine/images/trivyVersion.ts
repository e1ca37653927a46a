import { join } from 'node:path';
import * as v from 'valibot';
import { SlipwayError } from '../problems/index.ts';
import { Remembered } from '../problems/remembered.ts';
import { findTool, type System } from '../system/index.ts';

/** Versions that carried malware (CVE-2026-33634, 19 March 2026). */
const MALICIOUS_TRIVY = new Set(['0.69.4', '0.69.5', '0.69.6']);

/** ISO times, as Trivy writes them into its database's metadata. */
const Database = v.object({ UpdatedAt: v.optional(v.string()), NextUpdate: v.optional(v.string()) });
export type TrivyDatabase = v.InferOutput<typeof Database>;

const Version = v.object({ Version: v.optional(v.string()), VulnerabilityDB: v.optional(Database) });
const Memory = v.object({ path: v.string(), size: v.number(), mtimeMs: v.number(), version: v.string() });

/** What each binary said, for the life of the process. */
const versions = new WeakMap<System, Remembered<string | undefined>>();

/**
 * The version of the Trivy on PATH. A start of it takes a second of processor time, so its answer is remembered in Trivy's
 * own cache folder until the program file changes. Throws SlipwayError `refused` for a version that carried malware, and
 * what {@link System.processes} throws when there is none.
 */
export async function trivyVersion(system: System, signal: AbortSignal): Promise<string | undefined> {
  const path = findTool('trivy', system.env, system.platform);
  const stat = path === undefined ? undefined : await system.files.stat(path);
  const key = `${path} ${stat?.size} ${stat?.mtimeMs}`;
  const asked = versions.get(system) ?? new Remembered<string | undefined>();
  versions.set(system, asked);
  const program = path === undefined || stat === undefined ? undefined : { path, ...stat };
  const version = await asked.get(() => rememberedOrAsked(system, program, signal), key);
  if (MALICIOUS_TRIVY.has((version ?? '').replace(/^v/, ''))) {
    throw new SlipwayError({
      reason: 'refused',
      code: 'trivy.malicious',
      message: `Trivy ${version} is a version that was replaced by malware (CVE-2026-33634). It was not run on your images.`,
      fix: 'Remove it, change every secret this machine could read, and install a release from 0.70 on.',
    });
  }
  return version;
}

async function rememberedOrAsked(
  system: System,
  program: { readonly path: string; readonly size: number; readonly mtimeMs: number } | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const folder = trivyCacheFolder(system);
  const memory = folder === undefined ? undefined : join(folder, 'slipway-version.json');
  if (memory !== undefined && program !== undefined) {
    const known = readJson(Memory, await system.files.readText(memory).catch(() => undefined));
    if (known?.path === program.path && known.size === program.size && known.mtimeMs === program.mtimeMs) {
      return known.version;
    }
  }
  const { Version: version } = await ask(system, signal);
  if (memory !== undefined && program !== undefined && version !== undefined) {
    const { path, size, mtimeMs } = program;
    // A cache folder that cannot be written means that the question is asked again, nothing more.
    await system.files.writeAtomic(memory, JSON.stringify({ path, size, mtimeMs, version })).catch(() => undefined);
  }
  return version;
}

/** How old the advisories are: by the file beside them, and where that cannot be found, by asking Trivy. */
export async function trivyDatabase(system: System, signal: AbortSignal): Promise<TrivyDatabase> {
  const folder = trivyCacheFolder(system);
  const text =
    folder === undefined
      ? undefined
      : await system.files.readText(join(folder, 'db', 'metadata.json')).catch(() => undefined);
  return readJson(Database, text) ?? (await ask(system, signal)).VulnerabilityDB ?? {};
}

async function ask(system: System, signal: AbortSignal): Promise<v.InferOutput<typeof Version>> {
  const { stdout } = await system.processes.check({
    file: 'trivy',
    args: ['version', '--format', 'json'],
    timeoutMs: 30_000,
    signal,
  });
  return readJson(Version, stdout) ?? {};
}

function readJson<T>(schema: v.GenericSchema<unknown, T>, text: string | undefined): T | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(text ?? ''));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** As Trivy finds it: its variable, else the user's cache folder as Go's os.UserCacheDir gives it. */
export function trivyCacheFolder({ env, platform }: System): string | undefined {
  if (env.TRIVY_CACHE_DIR !== undefined && env.TRIVY_CACHE_DIR !== '') return env.TRIVY_CACHE_DIR;
  if (platform === 'win32') return env.LOCALAPPDATA === undefined ? undefined : join(env.LOCALAPPDATA, 'trivy');
  if (env.HOME === undefined) return undefined;
  if (platform === 'darwin') return join(env.HOME, 'Library', 'Caches', 'trivy');
  return join(env.XDG_CACHE_HOME || join(env.HOME, '.cache'), 'trivy');
}
