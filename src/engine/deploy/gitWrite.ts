/**
 * Commits to a branch of a remote repository without touching anybody's working tree, index or branches: the branch is
 * fetched, blobs, tree and commit are made with git's plumbing, and the commit is pushed. For deploys through GitOps.
 */
import { createHash, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SlipwayError } from '../problems/index.ts';
import { openGit } from '../system/git.ts';
import type { ProcessResult, System } from '../system/index.ts';

export interface GitTarget {
  readonly system: System;
  /** A folder of the workspace. Its clone's credentials are used where the remote is one of its own. */
  readonly folder: string;
  /** Name of a remote of that clone, or the URL of another repository. */
  readonly remote: string;
  readonly branch: string;
  readonly signal: AbortSignal;
}

/** The files of one commit. Paths are from the root of the repository with `/`. */
export interface GitTree {
  readonly commit: string;
  /** Undefined when there is no such file. Throws `config` for a file that is not UTF-8: it could not be written back. */
  read(path: string): Promise<string | undefined>;
  /** Every file below the folder; the root is the empty text. */
  list(folder: string): Promise<readonly string[]>;
}

export interface GitEdit extends GitTarget {
  /** Called again when somebody else pushed in between. Gives the new texts of the files that are to change. */
  readonly edit: (tree: GitTree) => Promise<ReadonlyMap<string, string>>;
  /** For the files that really change. */
  readonly message: (files: readonly string[]) => string;
}

export interface GitWritten {
  /** The commit that the branch is at now. */
  readonly commit: string;
  /** The commit it was at before. */
  readonly previous: string;
  /** Empty when everything was as wanted already; then nothing was pushed. */
  readonly files: readonly string[];
}

const MOST_ATTEMPTS = 5;
const LIMIT_MS = 120_000;

/**
 * Makes one commit of the edits on top of the branch and pushes it; when the branch has moved meanwhile, the edits are
 * made again on what is there then. Throws SlipwayError `tool-failed` with git's words, `refused` when the server does
 * not let this branch be pushed to, and what `edit` throws.
 */
export async function writeGit(request: GitEdit): Promise<GitWritten> {
  const store = await openStore(request);
  for (let attempt = 1; ; attempt += 1) {
    const tree = await store.fetch();
    const wanted = await request.edit(tree);
    const changed: string[] = [];
    for (const [path, text] of wanted) if ((await tree.read(path)) !== text) changed.push(path);
    if (changed.length === 0) return { commit: tree.commit, previous: tree.commit, files: [] };
    const commit = await store.commit(
      tree.commit,
      new Map(changed.map((path) => [path, wanted.get(path) ?? ''])),
      request.message(changed),
    );
    const pushed = await store.push(commit);
    if (pushed.code === 0) return { commit, previous: tree.commit, files: changed };
    const words = `${pushed.stderr}\n${pushed.stdout}`;
    const isBehind = /non-fast-forward|fetch first|stale info|cannot lock ref|reference already exists/i.test(words);
    if (!isBehind || attempt === MOST_ATTEMPTS) throw pushFailure(request, words);
  }
}

/** The branch as the remote has it now. */
export async function readRemoteBranch(target: GitTarget): Promise<GitTree> {
  return (await openStore(target)).fetch();
}

/** A commit of the remote; it is fetched when it is not here yet. */
export async function readRemoteCommit(target: GitTarget, commit: string): Promise<GitTree> {
  return (await openStore(target)).at(commit);
}

/** Whether `commit` is `base` or comes after it. Both must have been fetched by the functions of this file. */
export async function isAtOrAfter(target: GitTarget, commit: string, base: string): Promise<boolean> {
  if (commit === base) return true;
  const store = await openStore(target);
  await store.at(commit);
  return (await store.git(['merge-base', '--is-ancestor', base, commit])).code === 0;
}

function pushFailure({ remote, branch }: GitTarget, words: string): SlipwayError {
  const evidence = words
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(To |hint:)/.test(line))
    .map((line) => line.replace(/\/\/[^@/\s]+@/g, '//'))
    .slice(-10);
  const isRefused = /remote rejected|protected branch|pre-receive|permission|denied|403/i.test(words);
  return new SlipwayError({
    reason: isRefused ? 'refused' : 'tool-failed',
    code: isRefused ? 'git.push-refused' : 'git.push',
    message: `The commit could not be pushed to ${branch} of ${remote.replace(/\/\/[^@/\s]+@/, '//')}.`,
    fix: isRefused
      ? 'Use credentials that may push to this branch, or let the change go through a pull request.'
      : 'Push something by hand from this machine; the same must work there.',
    evidence,
  });
}

class Store {
  readonly #target: GitTarget;
  /** Where git runs: the workspace's clone, or a bare repository of ours. */
  readonly #cwd: string;

  constructor(target: GitTarget, cwd: string) {
    this.#target = target;
    this.#cwd = cwd;
  }

  async git(
    args: readonly string[],
    options: { readonly stdin?: string; readonly index?: string } = {},
  ): Promise<ProcessResult> {
    const { system, signal } = this.#target;
    return system.processes.run({
      file: 'git',
      args: ['-c', 'core.quotePath=false', ...args],
      cwd: this.#cwd,
      env: { ...cleanEnv(system), ...(options.index !== undefined && { GIT_INDEX_FILE: options.index }) },
      ...(options.stdin !== undefined && { stdin: options.stdin }),
      timeoutMs: LIMIT_MS,
      signal,
    });
  }

  async #check(
    args: readonly string[],
    options: { readonly stdin?: string; readonly index?: string } = {},
  ): Promise<string> {
    const result = await this.git(args, options);
    if (result.code === 0) return result.stdout;
    const lines = result.stderr
      .replace(/\/\/[^@/\s]+@/g, '//')
      .trim()
      .split('\n');
    throw new SlipwayError({
      reason: 'tool-failed',
      code: `git.${args[0] ?? ''}`,
      message: `git ${args[0] ?? ''} failed on ${this.#target.remote.replace(/\/\/[^@/\s]+@/, '//')}: ${lines.at(-1) ?? ''}`,
      fix: 'Check that git on this machine can read this repository without asking for a password.',
      evidence: lines.slice(-10),
    });
  }

  async fetch(): Promise<GitTree> {
    const { remote, branch } = this.#target;
    return this.#tree(await this.#fetched(remote, `refs/heads/${branch}`));
  }

  /** A reference of its own for each fetch: two at once do not meet, and nothing of the person's moves. */
  async #fetched(remote: string, what: string): Promise<string> {
    const own = `refs/slipway/${randomBytes(8).toString('hex')}`;
    try {
      await this.#check(['fetch', '--no-tags', '--quiet', '--no-write-fetch-head', '--', remote, `+${what}:${own}`]);
      return (await this.#check(['rev-parse', '--verify', own])).trim();
    } finally {
      await this.git(['update-ref', '-d', own]);
    }
  }

  async at(commit: string): Promise<GitTree> {
    const known = await this.git(['cat-file', '-e', `${commit}^{commit}`]);
    if (known.code !== 0) await this.#fetched(this.#target.remote, commit);
    return this.#tree((await this.#check(['rev-parse', '--verify', `${commit}^{commit}`])).trim());
  }

  #tree(commit: string): GitTree {
    return {
      commit,
      read: async (path) => {
        const result = await this.git(['cat-file', 'blob', `${commit}:${path}`]);
        if (result.code !== 0) return undefined;
        if (!result.stdout.includes('\ufffd')) return result.stdout;
        throw new SlipwayError({
          reason: 'config',
          code: 'git.not-utf8',
          message: `${path} is not UTF-8, so it cannot be edited without harm.`,
          fix: 'Save the file as UTF-8.',
          place: { file: path },
        });
      },
      list: async (folder) => {
        const under = folder === '' || folder === '.' ? [] : ['--', `${folder}/`];
        const text = await this.#check(['ls-tree', '-r', '-z', '--full-tree', '--name-only', commit, ...under]);
        return text.split('\0').filter((path) => path !== '');
      },
    };
  }

  async commit(parent: string, files: ReadonlyMap<string, string>, message: string): Promise<string> {
    const index = join(tmpdir(), `slipway-index-${randomBytes(8).toString('hex')}`);
    try {
      await this.#check(['read-tree', parent], { index });
      for (const [path, text] of files) {
        const blob = (await this.#check(['hash-object', '-w', '--stdin'], { stdin: text })).trim();
        const mode = /^(\d+) /.exec(await this.#check(['ls-tree', '--full-tree', parent, '--', path]))?.[1] ?? '100644';
        await this.#check(['update-index', '--add', '--cacheinfo', `${mode},${blob},${path}`], { index });
      }
      const tree = (await this.#check(['write-tree'], { index })).trim();
      // commit-tree does not look at commit.gpgSign by itself; who signs commits wants these signed as well.
      const signs = (await this.git(['config', '--type=bool', '--get', 'commit.gpgSign'])).stdout.trim() === 'true';
      const args = ['commit-tree', tree, '-p', parent, ...(signs ? ['-S'] : []), '-F', '-'];
      return (await this.#check([...(await this.#identity()), ...args], { stdin: message })).trim();
    } finally {
      await this.#target.system.files.remove(index);
    }
  }

  /** The person's own, else ours: CI has none. */
  async #identity(): Promise<readonly string[]> {
    const known = await this.git(['config', '--get', 'user.email']);
    return known.code === 0 ? [] : ['-c', 'user.name=slipway', '-c', 'user.email=slipway@localhost.localdomain'];
  }

  push(commit: string): Promise<ProcessResult> {
    const { remote, branch } = this.#target;
    // Hooks of the person's clone are for their commits.
    return this.git(['push', '--no-verify', '--porcelain', '--', remote, `${commit}:refs/heads/${branch}`]);
  }
}

async function openStore(target: GitTarget): Promise<Store> {
  const { system, folder, remote } = target;
  if (!/[:/\\]/.test(remote)) {
    const git = await openGit(system, folder);
    if (git !== undefined) return new Store(target, git.top);
    throw new SlipwayError({
      reason: 'config',
      code: 'git.none',
      message: `${folder} is in no git repository, so its remote ${remote} is not known.`,
      fix: 'Clone the repository, or run where it is cloned.',
    });
  }
  // Another repository, such as one that holds only configuration: kept bare, so that only what is new is fetched.
  const bare = join(folder, '.slipway', 'git', createHash('sha256').update(remote).digest('hex').slice(0, 16));
  if ((await system.files.stat(join(bare, 'HEAD'))) === undefined) {
    await system.files.makeFolder(bare);
    await system.processes.check({ file: 'git', args: ['init', '--bare', '--quiet', bare], env: cleanEnv(system) });
  }
  return new Store(target, bare);
}

/** Without git's own steering variables, which would make it look at another repository; and it never asks. */
function cleanEnv(system: System): Readonly<Record<string, string | undefined>> {
  const gone = Object.keys(system.env).filter((key) =>
    /^GIT_(?!SSL_|HTTP_|PROXY_|CONFIG_(?:GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_|VALUE_))/i.test(key),
  );
  return {
    ...Object.fromEntries(gone.map((key) => [key, undefined])),
    GIT_TERMINAL_PROMPT: '0',
    GIT_OPTIONAL_LOCKS: '0',
    LC_ALL: 'C',
  };
}
