import { createHash } from 'node:crypto';
import { join, relative, sep } from 'node:path';
import type { System } from '../system/index.ts';
import { dockerIgnore } from './dockerignore.ts';
import type { GitFacts } from './gitFacts.ts';
import type { ImageConfig, Project } from './model.ts';

/** What a build of an image depends on besides its configuration. */
export interface ContextFacts {
  /** Hash over path, mode and content of every file the builder would get; undefined for a remote context. */
  readonly hash?: string;
  readonly files: number;
  readonly dockerfileHash?: string;
  /** It holds files that git ignores: a command before the build may make them anew after this hash was taken. */
  readonly hasGenerated?: boolean;
}

/**
 * Hashes the build contexts: clean tracked files by their git blob id, so nothing is read twice; changed, untracked and
 * git-ignored files by content. A hash of an ignored file is remembered by size and time (`.slipway/hashes.json`).
 */
export async function readContexts(
  system: System,
  project: Project,
  git: GitFacts,
): Promise<ReadonlyMap<string, ContextFacts>> {
  const memory = new HashMemory(system, join(project.root, '.slipway', 'hashes.json'));
  await memory.load();
  const contexts = new Map<string, ContextFacts>();
  for (const image of project.images)
    contexts.set(image.name, await readContext(system, project.root, image, git, memory));
  await memory.save();
  return contexts;
}

async function readContext(
  system: System,
  root: string,
  image: ImageConfig,
  git: GitFacts,
  memory: HashMemory,
): Promise<ContextFacts> {
  if (/^(https?|git|ssh):\/\/|^git@/.test(image.context)) return { files: 0 };
  const dockerfile = await system.files.readBytes(image.dockerfile);
  const ignoreText =
    (await system.files.readText(`${image.dockerfile}.dockerignore`)) ??
    (await system.files.readText(join(image.context, '.dockerignore'))) ??
    '';
  const judge = dockerIgnore(ignoreText);
  const below = relative(root, image.context).split(sep).join('/');
  const prefix = below === '' ? '' : `${below}/`;
  const hash = createHash('sha256');
  let files = 0;
  let hasGenerated = false;
  const take = (path: string, mode: string, id: string): void => {
    files += 1;
    hash.update(`${mode} ${id} ${path}\0`);
  };
  if (below.startsWith('..')) {
    for (const path of await listBelow(system, image.context)) {
      if (judge(path) === 'sent') take(path, '', await memory.hashOf(join(image.context, path)));
    }
  } else {
    for (const { path, mode, id } of git.files) {
      if (!path.startsWith(prefix) || path.startsWith('.slipway/')) continue;
      const inside = path.slice(prefix.length);
      if (judge(inside) === 'sent') take(inside, mode, id);
    }
    for (const entry of git.ignored) {
      // Something above the context may be ignored as a whole: then all of the context's files are git-ignored.
      const isAbove = entry.endsWith('/') && prefix.startsWith(entry);
      if (!isAbove && !entry.startsWith(prefix)) continue;
      if (entry.startsWith('.slipway')) continue;
      const folder = isAbove ? '' : entry.slice(prefix.length).replace(/\/$/, '');
      if (folder !== '' && judge(folder) === 'ignored' && !ignoreText.includes('!')) continue;
      const paths = entry.endsWith('/') ? await listBelow(system, join(image.context, folder)) : [''];
      for (const path of paths) {
        const inside = [folder, path].filter((part) => part !== '').join('/');
        if (judge(inside) !== 'sent') continue;
        hasGenerated = true;
        take(inside, '', await memory.hashOf(join(image.context, inside)));
      }
    }
  }
  return {
    hash: hash.digest('hex'),
    files,
    ...(hasGenerated && { hasGenerated }),
    ...(dockerfile !== undefined && { dockerfileHash: createHash('sha256').update(dockerfile).digest('hex') }),
  };
}

async function listBelow(system: System, folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  const walk = async (path: string): Promise<void> => {
    for (const entry of (await system.files.list(join(folder, path))) ?? []) {
      const inside = path === '' ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) await walk(inside);
      else found.push(inside);
    }
  };
  await walk('');
  return found.sort();
}

class HashMemory {
  readonly #system: System;
  readonly #path: string;
  #known: Record<string, readonly [size: number, mtimeMs: number, hash: string]> = {};
  readonly #used: Record<string, readonly [size: number, mtimeMs: number, hash: string]> = {};
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

  async hashOf(path: string): Promise<string> {
    const stat = await this.#system.files.stat(path);
    if (stat === undefined) return 'gone';
    const known = this.#known[path];
    const isKnown = known !== undefined && known[0] === stat.size && known[1] === stat.mtimeMs;
    const hash = isKnown
      ? known[2]
      : createHash('sha256')
          .update((await this.#system.files.readBytes(path)) ?? '')
          .digest('hex');
    this.#used[path] = [stat.size, stat.mtimeMs, hash];
    if (!isKnown) this.#isChanged = true;
    return hash;
  }

  async save(): Promise<void> {
    if (this.#isChanged) await this.#system.files.writeAtomic(this.#path, JSON.stringify(this.#used));
  }
}
