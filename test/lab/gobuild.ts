// Programs built from Go modules, one module per part under parts/: pinned by go.mod, verified by go.sum, kept in the
// cache beside a key over everything that went in, and built again only when that changes.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import { paths } from './paths.ts';
import { LabError, messageOf } from './problem.ts';

export interface GoProgram {
  /** File name in the lab's bin folder. */
  readonly name: string;
  /** Folder under parts/ with the module. */
  readonly module: string;
  /** What to build in it: a package path, or "." */
  readonly target: string;
  /** Values for string variables of the program (its version), by full name. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly tags?: string;
  /** Further names it answers to. */
  readonly links?: readonly string[];
}

/** Everything the program is made from. The Go version is left out: a newer compiler is no reason to build for minutes. */
function keyOf(program: GoProgram): string {
  const hash = createHash('sha256').update(JSON.stringify(program));
  const folder = join(paths.parts, program.module);
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(go|mod|sum)$/.test(file),
  );
  for (const file of sources.sort()) hash.update(file).update(readFileSync(join(folder, file)));
  return hash.digest('hex').slice(0, 16);
}

const environmentOf = (program: GoProgram) => ({ GOFLAGS: undefined, CGO_ENABLED: '0', ...program.env });
const keyPath = (program: GoProgram) => join(paths.bin, `${program.name}.key`);

export function isBuilt(program: GoProgram): boolean {
  const names = [program.name, ...(program.links ?? [])];
  if (!names.every((name) => existsSync(join(paths.bin, name)))) return false;
  return existsSync(keyPath(program)) && readFileSync(keyPath(program), 'utf8') === keyOf(program);
}

/** Builds it unless it is there. Minutes, and a gigabyte of memory for the big ones. */
export async function build(program: GoProgram, report: (text: string) => void): Promise<void> {
  if (isBuilt(program)) return;
  report(`building ${program.name}`);
  const flags = Object.entries(program.variables ?? {}).map(([name, value]) => `-X ${name}=${value}`);
  const output = join(paths.bin, `.${program.name}.new`);
  const args = [
    ...['build', '-trimpath', '-buildvcs=false', '-mod=readonly'],
    ...(program.tags === undefined ? [] : ['-tags', program.tags]),
    ...['-ldflags', ['-s', '-w', ...flags].join(' '), '-o', output, program.target],
  ];
  const log = `build-${program.name}`;
  try {
    await run('go', args, {
      cwd: join(paths.parts, program.module),
      env: environmentOf(program),
      log,
    });
  } catch (error) {
    rmSync(output, { force: true });
    if (error instanceof LabError) throw error;
    throw new LabError(`${program.name} is built from source and needs Go 1.26 or newer on PATH: ${messageOf(error)}`);
  }
  renameSync(output, join(paths.bin, program.name));
  for (const link of program.links ?? []) {
    rmSync(join(paths.bin, link), { force: true });
    symlinkSync(program.name, join(paths.bin, link));
  }
  writeFileSync(keyPath(program), keyOf(program));
}

/** Downloads the modules of what {@link build} compiles, and no others. Throws when it cannot. */
export async function fetchModules(program: GoProgram): Promise<void> {
  if (isBuilt(program)) return;
  const tags = program.tags === undefined ? [] : ['-tags', program.tags];
  await run('go', ['list', '-mod=readonly', '-deps', '-f', '', ...tags, program.target], {
    cwd: join(paths.parts, program.module),
    env: environmentOf(program),
  });
}

/** The folder of a dependency's sources in Go's module cache; they are fetched when absent. */
export async function moduleFolder(module: string, dependency: string): Promise<string> {
  const cwd = join(paths.parts, module);
  await run('go', ['mod', 'download', dependency], { cwd, env: { GOFLAGS: '-mod=mod' } });
  const folder = await run('go', ['list', '-mod=readonly', '-m', '-f', '{{.Dir}}', dependency], {
    cwd,
    env: { GOFLAGS: undefined },
  });
  return folder.trim();
}
