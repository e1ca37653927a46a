import { createHash } from 'node:crypto';
import { join, relative, sep } from 'node:path';
import { type Git, openGit } from '../system/git.ts';
import type { System } from '../system/index.ts';

/** One file as git sees it, path relative to the project root with `/`. */
export interface TrackedFile {
  readonly path: string;
  /** git blob id when clean, else a hash of the content now; executable and link bits are part of `mode`. */
  readonly id: string;
  readonly mode: string;
}

/** What git knows about the project. Without a repository: no commit, and every file is hashed. */
export interface GitFacts {
  readonly commit?: string;
  readonly branch?: string;
  /** Tags on the commit, as git sorts versions, newest first. */
  readonly tags: readonly string[];
  /** Commits reachable from HEAD, when wanted; undefined in a shallow clone, where the number would be wrong. */
  readonly commitCount?: number;
  readonly isShallow: boolean;
  readonly isDirty: boolean;
  /** Short hash over all uncommitted changes; tells two dirty trees of one commit apart. */
  readonly dirtyHash?: string;
  /** Tracked, and untracked but not ignored files below the root. */
  readonly files: readonly TrackedFile[];
  /** Ignored files and folders (ending in `/`) below the root; a build context may still hold them. */
  readonly ignored: readonly string[];
  /**
   * Folders below the root (ending in `/`) that git has no file of: the empty ones are among them, alone or further down.
   * git itself keeps none, a builder gets them.
   */
  readonly folders: readonly string[];
}

/**
 * Reads the facts. A start of git costs more than what it says, so each is asked for several things at once; commits are
 * counted only when wanted, as git walks the whole history for that.
 */
export async function readGitFacts(
  system: System,
  root: string,
  wanted: { readonly commitCount: boolean } = { commitCount: false },
): Promise<GitFacts> {
  const git = await openGit(system, root);
  if (git === undefined)
    return { tags: [], isShallow: false, isDirty: false, ...(await filesWithoutGit(system, root)) };
  const quiet = (...args: readonly string[]) =>
    git.raw(...args).then(
      (text) => text.trim(),
      () => '',
    );
  const { isShallow } = git;
  const [head, count, staged, status, others] = await Promise.all([
    quiet('log', '-1', '--no-show-signature', '--decorate=full', '--decorate-refs=refs/tags/*', '--format=%H%x00%D'),
    wanted.commitCount && !isShallow ? quiet('rev-list', '--count', 'HEAD') : '',
    git.raw('ls-files', '-s', '-z', '--', '.'),
    git.raw(
      ...['status', '--porcelain=v1', '--branch', '--no-ahead-behind', '-z', '-uall', '--ignored=matching', '--', '.'],
    ),
    // Without the standard excludes, so that a folder is named once and not looked into.
    git.raw('ls-files', '--others', '--directory', '-z', '--', '.'),
  ]);
  const [commit = '', decoration = ''] = head.split('\0');
  const tags = [...decoration.matchAll(/tag: refs\/tags\/(\S+?)(?=, |$)/g)].map(([, tag = '']) => tag);
  const branch = branchOf(status);
  const { files, ignored, changes } = await mergeStatus(system, git, root, staged, status);
  return {
    ...(commit !== '' && { commit }),
    ...(branch !== undefined ? { branch } : branchFromCi(system)),
    // The order of versions is git's own, and only it has it.
    tags: tags.length < 2 ? tags : (await quiet('tag', '--points-at', 'HEAD', '--sort=-version:refname')).split('\n'),
    ...(count !== '' && { commitCount: Number(count) }),
    isShallow,
    isDirty: changes.length > 0,
    ...(changes.length > 0 && { dirtyHash: hash(changes.join('\n')).slice(0, 8) }),
    files,
    ignored,
    folders: others.split('\0').filter((path) => path.endsWith('/') && !path.startsWith('.slipway/')),
  };
}

/** The branch in the header of `git status --porcelain=v1 --branch -z` (words of git 2.13 and later); none when detached. */
function branchOf(status: string): string | undefined {
  const header = /^## (?:No commits yet on )?([^\0]+)/.exec(status)?.[1] ?? '';
  return header === '' || header === 'HEAD (no branch)' ? undefined : header.split('...')[0]?.split(' ')[0];
}

/** CI checks out a detached commit; the hosts say in the environment which branch it is. */
function branchFromCi(system: System): { readonly branch?: string } {
  const { GITHUB_HEAD_REF, GITHUB_REF_NAME, GITHUB_REF_TYPE, CI_COMMIT_BRANCH, CI_COMMIT_REF_NAME } = system.env;
  const branch =
    GITHUB_HEAD_REF ||
    (GITHUB_REF_TYPE === 'tag' ? undefined : GITHUB_REF_NAME) ||
    CI_COMMIT_BRANCH ||
    CI_COMMIT_REF_NAME;
  return branch === undefined || branch === '' ? {} : { branch };
}

async function mergeStatus(system: System, git: Git, root: string, staged: string, status: string) {
  const files = new Map<string, TrackedFile>();
  for (const entry of staged.split('\0')) {
    const match = /^(\d+) ([0-9a-f]+) \d\t(.*)$/s.exec(entry);
    if (match) files.set(match[3] ?? '', { path: match[3] ?? '', mode: match[1] ?? '', id: match[2] ?? '' });
  }
  // Status paths are relative to the top of the working tree, ls-files' to the folder it was asked in.
  const prefix = relative(git.top, root).split(sep).join('/');
  const ignored: string[] = [];
  const changed: string[] = [];
  const entries = status.split('\0');
  for (let index = 0; index < entries.length; index += 1) {
    const entry = entries[index] ?? '';
    // The first entry is the header with the branch.
    if (entry === '' || entry.startsWith('## ')) continue;
    const code = entry.slice(0, 2);
    const path = local(entry.slice(3), prefix);
    // A rename is followed by its old path as an entry of its own.
    if (code.includes('R') || code.includes('C')) {
      index += 1;
      if (code.includes('R')) changed.push(local(entries[index] ?? '', prefix));
    }
    if (path.startsWith('.slipway/')) continue;
    if (code === '!!') ignored.push(path);
    else changed.push(path);
  }
  const changes: string[] = [];
  for (const path of changed) {
    // A repository of its own that git does not follow: its files count for a build as ignored ones do.
    if (path.endsWith('/')) {
      ignored.push(path);
      changes.push(`${path} repository`);
      continue;
    }
    const now = await contentOf(system, root, path);
    if (now === undefined) {
      files.delete(path);
      changes.push(`${path} deleted`);
    } else {
      files.set(path, { path, ...now });
      changes.push(`${path} ${now.mode} ${now.id}`);
    }
  }
  return { files: [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1)), ignored, changes: changes.sort() };
}

/** A changed file as a build would get it, or a submodule with its files. Undefined where it is gone. */
async function contentOf(system: System, root: string, path: string): Promise<Omit<TrackedFile, 'path'> | undefined> {
  const entry = await system.files.entry(join(root, path));
  if (entry?.kind === 'link') return { id: hash(entry.target ?? ''), mode: '120000' };
  if (entry?.kind === 'folder') {
    const all = (await filesBelow(system, join(root, path))).files.map(({ path, mode, id }) => `${mode} ${id} ${path}`);
    return { id: hash(all.join('\0')), mode: '160000' };
  }
  if (entry?.kind !== 'file') return undefined;
  const bytes = await system.files.readBytes(join(root, path)).catch(() => undefined);
  return bytes && { id: hash(bytes), mode: entry.isExecutable ? '100755' : '100644' };
}

const local = (path: string, prefix: string): string =>
  prefix !== '' && path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : path;

/** Without git: what other tools fill is looked at only where a build context holds it, and with a memory. */
async function filesWithoutGit(system: System, root: string): Promise<Pick<GitFacts, 'files' | 'ignored' | 'folders'>> {
  return filesBelow(system, root, 'node_modules');
}

/** All files of a folder but those of git and Slipway, and the empty folders. `apart`: folders of this name are only named. */
async function filesBelow(
  system: System,
  top: string,
  apart?: string,
): Promise<Pick<GitFacts, 'files' | 'ignored' | 'folders'>> {
  const files: TrackedFile[] = [];
  const ignored: string[] = [];
  const folders: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const entries = (await system.files.list(join(top, folder))) ?? [];
    if (entries.length === 0 && folder !== '') folders.push(`${folder}/`);
    for (const entry of entries) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name === apart) ignored.push(`${path}/`);
        else if (entry.name !== '.git' && entry.name !== '.slipway') await walk(path);
      } else if (entry.name !== '.git') {
        const content = await contentOf(system, top, path);
        if (content !== undefined) files.push({ path, ...content });
      }
    }
  };
  await walk('');
  return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)), ignored, folders };
}

const hash = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');
