// Commits on top of a remote branch without a working tree: blobs, a tree of its own index file, a commit, a push. Nothing
// the person has checked out, staged or edited is read or touched.
import { createHash, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SlipwayError, throwIfCancelled } from '../problems/index.ts';
import { type Git, openGit } from './git.ts';
import type { System } from './index.ts';

/** The state of a branch at its remote. */
export interface BranchHead {
  /** Full hash. */
  readonly commit: string;
  /** Paths from the top of the repository whose text holds one of the words; only YAML files. */
  filesWith(words: readonly string[]): Promise<readonly string[]>;
  /** Undefined when there is no such file. Throws SlipwayError `config` for a file that is not UTF-8. */
  read(path: string): Promise<string | undefined>;
}

export interface NewText {
  readonly path: string;
  readonly text: string;
}

export interface CommitRequest {
  readonly message: string;
  /**
   * The new texts, made from what the branch holds now; none = there is nothing to do. Asked again, on the newer state,
   * when somebody else pushed meanwhile.
   */
  readonly edit: (head: BranchHead) => Promise<readonly NewText[]>;
  readonly signal: AbortSignal;
}

export interface Pushed {
  /** `unchanged`: the branch held it already, and `commit` is its head. */
  readonly outcome: 'pushed' | 'unchanged';
  readonly commit: string;
  /** The head it was made on. */
  readonly before: string;
  readonly files: readonly string[];
}

/** So often may others be faster. */
const ATTEMPTS = 6;

/** One branch of a remote, for reading and for commits on top of it. */
export class RemoteBranch {
  readonly #system: System;
  readonly #git: Git;
  readonly remote: string;
  readonly branch: string;

  constructor(system: System, git: Git, remote: string, branch: string) {
    this.#system = system;
    this.#git = git;
    this.remote = remote;
    this.branch = branch;
  }

  /**
   * Throws SlipwayError `config` when the folder is in no git repository or has no such remote. Contacts nothing.
   */
  static async open(system: System, folder: string, remote: string, branch: string): Promise<RemoteBranch> {
    const git = await openGit(system, folder);
    const urls = git === undefined ? '' : await git.raw('remote').catch(() => '');
    if (git === undefined || !urls.split('\n').includes(remote)) {
      throw new SlipwayError({
        reason: 'config',
        code: 'git.no-remote',
        message: git === undefined ? `${folder} is in no git repository.` : `${git.top} has no remote "${remote}".`,
        fix: 'Name the checkout that Flux reads under `deploy.flux.repository`, and its remote under `remote`.',
      });
    }
    return new RemoteBranch(system, git, remote, branch);
  }

  /** The remote's address without credentials. */
  async url(): Promise<string> {
    const url = (await this.#git.raw('remote', 'get-url', this.remote)).trim();
    return url.replace(/\/\/[^@/]+@/, '//');
  }

  /** Asks the remote. Throws SlipwayError `network`, `refused` or `config` with git's words. */
  async head(): Promise<BranchHead> {
    // A ref of our own: FETCH_HEAD is the person's.
    const ref = `refs/slipway/${this.branch}`;
    const fetch = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', this.remote] as const;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#git.raw(...fetch, `+refs/heads/${this.branch}:${ref}`);
        break;
      } catch (error) {
        // Another fetch of ours, here or in another process, has just moved it.
        const isRace = error instanceof Error && /cannot lock ref|unable to update local ref/i.test(error.message);
        if (!isRace || attempt === ATTEMPTS) throw explained(error, this.remote, this.branch);
        await this.#system.clock.sleep(50 * attempt);
      }
    }
    const commit = (await this.#git.raw('rev-parse', '--verify', `${ref}^{commit}`)).trim();
    return {
      commit,
      read: (path) => this.#read(commit, path),
      filesWith: (words) => this.#filesWith(commit, words),
    };
  }

  /** Whether `older` is `newer` or one of its ancestors; false for unknown commits. */
  async holds(newer: string, older: string): Promise<boolean> {
    if (newer === older) return true;
    // Not --is-ancestor: its answer is an exit code without words, which the library does not tell.
    const base = await this.#git.raw('merge-base', older, newer).catch(() => '');
    return base.trim() === older;
  }

  /** `git log` of files, newest first. */
  async log(commit: string, paths: readonly string[], most: number) {
    if (paths.length === 0) return [];
    const text = await this.#git.raw('log', `-${most}`, '--format=%H%x00%cI%x00%an%x00%s', commit, '--', ...paths);
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [hash = '', at = '', author = '', subject = ''] = line.split('\0');
        return { commit: hash, at, author, subject };
      });
  }

  /** The text of a file at a commit that is here; undefined when there is none. */
  readAt(commit: string, path: string): Promise<string | undefined> {
    return this.#read(commit, path);
  }

  async #filesWith(commit: string, words: readonly string[]): Promise<readonly string[]> {
    const patterns = words.flatMap((word) => ['-e', word]);
    // Ends with 1 and no words when nothing matches.
    const text = await this.#git
      .raw(
        'grep',
        '--full-name',
        '-l',
        '-z',
        '-F',
        ...patterns,
        commit,
        '--',
        ':/*.yaml',
        ':/*.yml',
        ':/*Kustomization',
      )
      .catch(() => '');
    return text
      .split('\0')
      .filter((line) => line !== '')
      .map((line) => line.slice(line.indexOf(':') + 1));
  }

  async #entry(commit: string, path: string): Promise<{ readonly mode: string; readonly id: string } | undefined> {
    const line = await this.#git.raw('ls-tree', '-z', '--full-tree', commit, '--', path);
    const match = /^(\d+) blob ([0-9a-f]+)\t/.exec(line);
    return match === null ? undefined : { mode: match[1] ?? '', id: match[2] ?? '' };
  }

  async #read(commit: string, path: string): Promise<string | undefined> {
    const entry = await this.#entry(commit, path);
    if (entry === undefined || entry.mode === '120000') return undefined;
    const text = await this.#git.raw('cat-file', 'blob', entry.id);
    // Output comes as text: only what gives the same blob again is text without loss.
    if (blobId(text, entry.id.length) === entry.id) return text;
    throw new SlipwayError({
      reason: 'config',
      code: 'git.not-utf8',
      message: `${path} is not UTF-8.`,
      fix: 'Save it as UTF-8.',
      place: { file: join(this.#git.top, path) },
    });
  }

  /**
   * Commits and pushes. When others were faster it starts again from their state; a push that the server refuses throws
   * SlipwayError `refused`. The commit's author is who git says the person is.
   */
  async commit({ message, edit, signal }: CommitRequest): Promise<Pushed> {
    let last: unknown;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      throwIfCancelled(signal);
      const head = await this.head();
      const texts = await edit(head);
      if (texts.length === 0) return { outcome: 'unchanged', commit: head.commit, before: head.commit, files: [] };
      const commit = await this.#make(head.commit, texts, message);
      throwIfCancelled(signal);
      try {
        await this.#git.raw('push', '--quiet', '--porcelain', this.remote, `${commit}:refs/heads/${this.branch}`);
        return { outcome: 'pushed', commit, before: head.commit, files: texts.map(({ path }) => path) };
      } catch (error) {
        last = error;
        if (!isOutrun(error)) throw explained(error, this.remote, this.branch);
        await this.#system.clock.sleep(100 * (attempt + 1), signal);
      }
    }
    throw new SlipwayError(
      {
        reason: 'locked',
        code: 'git.outrun',
        message: `Others pushed to ${this.branch} ${ATTEMPTS} times while this commit was made.`,
        fix: 'Try again.',
      },
      { cause: last },
    );
  }

  async #make(parent: string, texts: readonly NewText[], message: string): Promise<string> {
    const folder = join(tmpdir(), `slipway-git-${randomBytes(6).toString('hex')}`);
    const { files } = this.#system;
    try {
      await files.makeFolder(folder);
      const git = this.#git.withIndex(join(folder, 'index'));
      await git.raw('read-tree', parent);
      for (const [index, { path, text }] of texts.entries()) {
        const mode = (await this.#entry(parent, path))?.mode ?? '100644';
        const file = join(folder, String(index));
        await files.writeAtomic(file, text);
        const id = (await git.raw('hash-object', '-w', '--no-filters', file)).trim();
        await git.raw('update-index', '--add', '--cacheinfo', `${mode},${id},${path}`);
      }
      const tree = (await git.raw('write-tree')).trim();
      const isSigned = (await git.raw('config', '--bool', '--get', 'commit.gpgsign').catch(() => '')).trim() === 'true';
      const args = [tree, '-p', parent, ...(isSigned ? ['-S'] : []), '-m', message];
      return (await git.raw(...(await this.#identity()), 'commit-tree', ...args)).trim();
    } finally {
      await files.remove(folder);
    }
  }

  /** A machine without an identity (a CI job) commits under our name. */
  async #identity(): Promise<readonly string[]> {
    const has = async (key: string) => (await this.#git.raw('config', '--get', key).catch(() => '')).trim() !== '';
    if ((await has('user.email')) && (await has('user.name'))) return [];
    return ['-c', 'user.name=slipway', '-c', `user.email=slipway@${this.#system.host}`];
  }
}

function blobId(text: string, length: number): string {
  const bytes = Buffer.from(text, 'utf8');
  return createHash(length === 64 ? 'sha256' : 'sha1')
    .update(`blob ${bytes.length}\0`)
    .update(bytes)
    .digest('hex');
}

/** The branch moved between our fetch and our push. */
const isOutrun = (error: unknown): boolean =>
  error instanceof Error &&
  /\(fetch first\)|\(non-fast-forward\)|\[rejected\]|cannot lock ref|failed to update ref|incorrect old value/i.test(
    error.message,
  ) &&
  !/hook declined|protected branch/i.test(error.message);

function explained(error: unknown, remote: string, branch: string): unknown {
  if (!(error instanceof Error)) return error;
  const text = error.message;
  const evidence = text.split('\n').filter((line) => line.trim() !== '');
  const say = (failure: { reason: 'refused' | 'config' | 'network'; code: string; message: string; fix: string }) =>
    new SlipwayError({ ...failure, evidence }, { cause: error });
  if (/hook declined|protected branch|remote rejected|not allowed to push/i.test(text))
    return say({
      reason: 'refused',
      code: 'git.push-refused',
      message: `The git server refuses a push to ${branch}.`,
      fix: 'Use a branch that may be pushed to, or write the change by a pull request.',
    });
  if (
    /Authentication failed|could not read (Username|Password)|Permission denied|terminal prompts disabled|403|401/i.test(
      text,
    )
  )
    return say({
      reason: 'refused',
      code: 'git.auth',
      message: `The git server of ${remote} does not let you in.`,
      fix: 'Log in with git itself once (`git fetch` in a terminal), so that a credential helper or key is there.',
    });
  if (/couldn't find remote ref/i.test(text))
    return say({
      reason: 'config',
      code: 'git.no-branch',
      message: `${remote} has no branch ${branch}.`,
      fix: 'Correct `deploy.flux.branch`, or push the branch.',
    });
  if (/Could not resolve host|Connection refused|timed out|unable to access/i.test(text))
    return say({
      reason: 'network',
      code: 'git.unreachable',
      message: `The git server of ${remote} cannot be reached.`,
      fix: 'Look at the network and at the address of the remote.',
    });
  return error;
}
