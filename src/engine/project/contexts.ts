import { createHash } from 'node:crypto';
import { isAbsolute, join, posix, relative, sep } from 'node:path';
import type { System } from '../system/index.ts';
import { dockerIgnore } from './dockerignore.ts';
import { type GitFacts, readGitFacts } from './gitFacts.ts';
import type { ImageConfig, Project } from './model.ts';

/** What a build of an image depends on besides its configuration. */
export interface ContextFacts {
  /** Hash over path, mode and content of every file the builder would get; undefined for a remote context. */
  readonly hash?: string;
  /** The same without what git ignores: a command before the build may make such files after this was taken. */
  readonly sourceHash?: string;
  readonly files: number;
  readonly dockerfileHash?: string;
}

/**
 * Hashes the build contexts: clean tracked files by their git blob id, so nothing is read twice; changed, untracked and
 * git-ignored files by content, links by where they point, empty folders by their names. A hash of an ignored file is remembered by size and times
 * (`.slipway/hashes.json`).
 */
export async function readContexts(
  system: System,
  project: Project,
  git: GitFacts,
): Promise<ReadonlyMap<string, ContextFacts>> {
  const memory = new HashMemory(system, join(project.root, '.slipway', 'hashes.json'));
  await memory.load();
  const contexts = new Map<string, ContextFacts>();
  for (const image of project.images) contexts.set(image.name, await readAll(system, project.root, image, git, memory));
  await memory.save();
  return contexts;
}

/** The hash of one context as it is now. A command that ran after the plan was made may have changed it. */
export async function hashContext(system: System, root: string, image: ImageConfig): Promise<string | undefined> {
  const memory = new HashMemory(system, join(root, '.slipway', 'hashes.json'));
  await memory.load();
  return (await readAll(system, root, image, await readGitFacts(system, root), memory)).hash;
}

/** The context, the folders beside it, and those of bake targets it is built on. */
async function readAll(
  system: System,
  root: string,
  image: ImageConfig,
  git: GitFacts,
  memory: HashMemory,
): Promise<ContextFacts> {
  const own = await readContext(system, root, image, git, memory);
  const folders = Object.values(image.contexts ?? {}).filter((from) => isAbsolute(from));
  const beside = [...folders.map((context) => ({ context })), ...(image.bake?.linked ?? [])];
  if (beside.length === 0) return own;
  const all = [own];
  for (const place of beside) all.push(await readContext(system, root, place, git, memory));
  const together = (of: (facts: ContextFacts) => string | undefined): string | undefined =>
    all.some((facts) => facts.hash === undefined)
      ? undefined
      : sha256(all.map((facts) => `${of(facts)} ${facts.dockerfileHash}`).join('\n'));
  const hash = together((facts) => facts.hash);
  const sourceHash = together((facts) => facts.sourceHash);
  const { hash: _hash, sourceHash: _sourceHash, ...rest } = own;
  return { ...rest, ...(hash !== undefined && { hash }), ...(sourceHash !== undefined && { sourceHash }) };
}

async function readContext(
  system: System,
  root: string,
  image: { readonly context: string; readonly dockerfile?: string },
  git: GitFacts,
  memory: HashMemory,
): Promise<ContextFacts> {
  if (/^(https?|git|ssh):\/\/|^git@/.test(image.context)) return { files: 0 };
  const dockerfile = image.dockerfile === undefined ? undefined : await system.files.readBytes(image.dockerfile);
  const ignoreText =
    (image.dockerfile === undefined ? undefined : await system.files.readText(`${image.dockerfile}.dockerignore`)) ??
    (await system.files.readText(join(image.context, '.dockerignore'))) ??
    '';
  const judge = dockerIgnore(ignoreText);
  const below = relative(root, image.context).split(sep).join('/');
  const prefix = below === '' ? '' : `${below}/`;
  const hash = createHash('sha256');
  let files = 0;
  const folders = new SentFolders(judge);
  const take = (path: string, mode: string, id: string): void => {
    files += 1;
    folders.fill(path);
    hash.update(`${mode} ${id} ${path}\0`);
  };
  const canSkip = !ignoreText.includes('!');
  /** Whether nothing below the folder is sent. */
  const isPruned = (folder: string): boolean => folder !== '' && canSkip && judge(folder) === 'ignored';
  if (below.startsWith('..')) {
    const found = await listBelow(system, image.context, '', isPruned);
    for (const folder of found.folders) folders.add(folder);
    for (const path of found.files) {
      if (judge(path) === 'sent') take(path, '', await memory.hashOf(join(image.context, path)));
    }
  } else {
    for (const { path, mode, id } of git.files) {
      if (!path.startsWith(prefix) || path.startsWith('.slipway/')) continue;
      const inside = path.slice(prefix.length);
      if (judge(inside) === 'sent') take(inside, mode, id);
      else folders.add(posix.dirname(inside));
    }
    const ignored = new Set(git.ignored);
    for (const entry of git.folders) {
      const isAbove = prefix.startsWith(entry);
      if ((!isAbove && !entry.startsWith(prefix)) || ignored.has(entry)) continue;
      const folder = isAbove ? '' : entry.slice(prefix.length, -1);
      const found = await listBelow(
        system,
        image.context,
        folder,
        (path) => isPruned(path) || ignored.has(`${prefix}${path}/`) || `${prefix}${path}` === '.slipway',
      );
      for (const each of found.folders) folders.add(each);
    }
  }
  const source = hash.copy();
  for (const folder of folders.empty()) source.update(`folder ${folder}\0`);
  const sourceHash = source.digest('hex');
  if (!below.startsWith('..')) {
    for (const entry of git.ignored) {
      // Something above the context may be ignored as a whole: then all of the context's files are git-ignored.
      const isAbove = entry.endsWith('/') && prefix.startsWith(entry);
      if (!isAbove && !entry.startsWith(prefix)) continue;
      if (entry.startsWith('.slipway')) continue;
      const folder = isAbove ? '' : entry.slice(prefix.length).replace(/\/$/, '');
      if (isPruned(folder)) continue;
      const found = entry.endsWith('/')
        ? await listBelow(system, image.context, folder, isPruned)
        : { files: [folder], folders: [] };
      for (const each of found.folders) folders.add(each);
      for (const inside of found.files) {
        if (judge(inside) !== 'sent') folders.add(posix.dirname(inside));
        else take(inside, '', await memory.hashOf(join(image.context, inside)));
      }
    }
  }
  for (const folder of folders.empty()) hash.update(`folder ${folder}\0`);
  return {
    hash: hash.digest('hex'),
    sourceHash,
    files,
    ...(dockerfile !== undefined && { dockerfileHash: createHash('sha256').update(dockerfile).digest('hex') }),
  };
}

/**
 * The folders of a context that the builder gets and that stay empty there: BuildKit copies them, with all their files left
 * out or without any.
 */
class SentFolders {
  readonly #judge: (path: string) => 'sent' | 'ignored';
  readonly #filled = new Set<string>();
  readonly #seen = new Set<string>();

  constructor(judge: (path: string) => 'sent' | 'ignored') {
    this.#judge = judge;
  }

  /** A file that is sent. */
  fill(path: string): void {
    for (let folder = posix.dirname(path); folder !== '.' && !this.#filled.has(folder); folder = posix.dirname(folder))
      this.#filled.add(folder);
  }

  add(folder: string): void {
    for (let each = folder; each !== '.' && each !== '' && !this.#seen.has(each); each = posix.dirname(each))
      this.#seen.add(each);
  }

  /** The innermost ones; those they lie in come with them. */
  empty(): readonly string[] {
    const sent = [...this.#seen].filter((folder) => !this.#filled.has(folder) && this.#judge(folder) === 'sent');
    const outer = new Set(sent.map((folder) => posix.dirname(folder)));
    return sent.filter((folder) => !outer.has(folder)).sort();
  }
}

/** Files and folders below a folder of `top`, by paths from `top`; what is pruned is not entered. */
async function listBelow(
  system: System,
  top: string,
  start: string,
  isPruned: (folder: string) => boolean,
): Promise<{ readonly files: readonly string[]; readonly folders: readonly string[] }> {
  const files: string[] = [];
  const folders: string[] = [];
  const walk = async (path: string): Promise<void> => {
    if (isPruned(path)) return;
    if (path !== '') folders.push(path);
    for (const entry of (await system.files.list(join(top, path))) ?? []) {
      const inside = path === '' ? entry.name : `${path}/${entry.name}`;
      // A repository inside is taken by its files, like the one around it.
      if (entry.name === '.git') continue;
      if (entry.isDirectory()) await walk(inside);
      else files.push(inside);
    }
  };
  await walk(start);
  return { files: files.sort(), folders };
}

/** Size, modification and change time in ms, hash. */
type Remembered = readonly [size: number, mtimeMs: number, ctimeMs: number, hash: string];

class HashMemory {
  readonly #system: System;
  readonly #path: string;
  #known: Record<string, Remembered> = {};
  readonly #used: Record<string, Remembered> = {};
  #isChanged = false;

  constructor(system: System, path: string) {
    this.#system = system;
    this.#path = path;
  }

  async load(): Promise<void> {
    try {
      this.#known = JSON.parse((await this.#system.files.readText(this.#path)) ?? '{}');
    } catch {
      // Unreadable: everything is hashed again.
    }
  }

  /** What a builder would get for the path: content and whether it can be executed, or where a link points. */
  async hashOf(path: string): Promise<string> {
    const entry = await this.#system.files.entry(path);
    if (entry === undefined) return 'gone';
    if (entry.kind === 'link') return `link ${sha256(entry.target ?? '')}`;
    if (entry.kind !== 'file') return 'no file';
    const { size, mtimeMs, ctimeMs } = entry;
    const known = this.#known[path];
    const isKnown = known !== undefined && known[0] === size && known[1] === mtimeMs && known[2] === ctimeMs;
    const hash = isKnown ? known[3] : sha256((await this.#system.files.readBytes(path)) ?? '');
    this.#used[path] = [size, mtimeMs, ctimeMs, hash];
    if (!isKnown) this.#isChanged = true;
    return entry.isExecutable ? `executable ${hash}` : hash;
  }

  async save(): Promise<void> {
    if (this.#isChanged) await this.#system.files.writeAtomic(this.#path, JSON.stringify(this.#used));
  }
}

const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');
