import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { isAtOrAfter, readRemoteBranch, readRemoteCommit, writeGit } from '../../src/engine/deploy/gitWrite.ts';
import { createSystem } from '../../src/engine/system/index.ts';

const system = createSystem();
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'init.defaultBranch=main'];
const git = (cwd: string, ...args: readonly string[]) =>
  execFileSync('git', [...identity, ...args], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();

/** A bare server repository and two clones of it; `mine` has uncommitted work. */
function clones() {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-gitwrite-'));
  folders.push(folder);
  const server = join(folder, 'server.git');
  git(folder, 'init', '-q', '--bare', server);
  const mine = join(folder, 'mine');
  git(folder, 'clone', '-q', server, mine);
  git(mine, 'checkout', '-q', '-b', 'main');
  writeFileSync(join(mine, 'values.yaml'), '\ufefftag: "1.0.0"\r\n# größer\r\n');
  writeFileSync(join(mine, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  git(mine, 'add', '-A');
  git(mine, 'commit', '-qm', 'first');
  git(mine, 'push', '-q', 'origin', 'main');
  const other = join(folder, 'other');
  git(folder, 'clone', '-q', '-b', 'main', server, other);
  writeFileSync(join(mine, 'values.yaml'), 'my unsaved work\n');
  writeFileSync(join(mine, 'staged.txt'), 'staged\n');
  git(mine, 'add', 'staged.txt');
  return { folder, server, mine, other };
}

const target = (folder: string, remote = 'origin') => ({
  system,
  folder,
  remote,
  branch: 'main',
  signal: new AbortController().signal,
});

describe('writing to a branch of a remote', () => {
  it('commits on top of the remote branch and leaves working tree, index and branches alone', async () => {
    const { server, mine } = clones();
    const before = [
      git(mine, 'status', '--porcelain'),
      git(mine, 'rev-parse', 'main'),
      git(mine, 'for-each-ref', 'refs/slipway'),
    ];
    const written = await writeGit({
      ...target(mine),
      edit: async (tree) => {
        const text = (await tree.read('values.yaml')) ?? '';
        expect(await tree.list('')).toEqual(['run.sh', 'values.yaml']);
        expect(await tree.read('none.yaml')).toBeUndefined();
        return new Map([
          ['values.yaml', text.replace('1.0.0', '1.1.0')],
          ['run.sh', '#!/bin/sh\nexit 0\n'],
          ['new/file.yaml', 'a: 1\n'],
        ]);
      },
      message: (files) => `Deploy\n\n${files.join(' ')}`,
    });
    expect(written.files).toEqual(['values.yaml', 'run.sh', 'new/file.yaml']);
    expect(git(server, 'rev-parse', 'main')).toBe(written.commit);
    expect(git(server, 'rev-parse', 'main^')).toBe(written.previous);
    expect(execFileSync('git', ['cat-file', 'blob', 'main:values.yaml'], { cwd: server }).toString()).toBe(
      '\ufefftag: "1.1.0"\r\n# größer\r\n',
    );
    expect(git(server, 'ls-tree', 'main', 'run.sh')).toMatch(/^100755 /);
    expect(git(server, 'log', '-1', '--format=%B', 'main')).toBe('Deploy\n\nvalues.yaml run.sh new/file.yaml');
    expect([
      git(mine, 'status', '--porcelain').replace(/^## .*\n/, ''),
      git(mine, 'rev-parse', 'main'),
      git(mine, 'for-each-ref', 'refs/slipway'),
    ]).toEqual(before);
    expect(readFileSync(join(mine, 'values.yaml'), 'utf8')).toBe('my unsaved work\n');
  });

  it('pushes nothing when everything is as wanted', async () => {
    const { mine, server } = clones();
    const at = git(server, 'rev-parse', 'main');
    const same = await writeGit({
      ...target(mine),
      edit: async (tree) => new Map([['run.sh', (await tree.read('run.sh')) ?? '']]),
      message: () => 'x',
    });
    expect(same).toEqual({ commit: at, previous: at, files: [] });
  });

  it('makes the edit again on what somebody else pushed meanwhile', async () => {
    const { mine, other, server } = clones();
    let edits = 0;
    const written = await writeGit({
      ...target(mine),
      edit: async (tree) => {
        edits += 1;
        const text = (await tree.read('values.yaml')) ?? '';
        if (edits === 1) {
          writeFileSync(join(other, 'values.yaml'), 'tag: "1.0.0"\nreplicas: 3\n');
          git(other, 'commit', '-qam', 'theirs');
          git(other, 'push', '-q', 'origin', 'main');
        }
        return new Map([['values.yaml', text.replace('1.0.0', '2.0.0')]]);
      },
      message: () => 'mine',
    });
    expect(edits).toBe(2);
    expect(git(server, 'cat-file', 'blob', 'main:values.yaml')).toBe('tag: "2.0.0"\nreplicas: 3');
    expect(written.previous).toBe(git(other, 'rev-parse', 'main'));
  });

  it('reads and orders commits, and writes to a repository that is not the workspace', async () => {
    const { mine, other, server, folder } = clones();
    const first = git(server, 'rev-parse', 'main');
    const written = await writeGit({
      ...target(folder, server),
      edit: async () => new Map([['a.txt', 'a\n']]),
      message: () => 'a',
    });
    const here = target(mine);
    expect(await (await readRemoteBranch(here)).read('a.txt')).toBe('a\n');
    expect(await (await readRemoteCommit(here, first)).read('a.txt')).toBeUndefined();
    expect(await isAtOrAfter(here, written.commit, first)).toBe(true);
    expect(await isAtOrAfter(here, first, written.commit)).toBe(false);
    expect(git(other, 'rev-parse', 'main')).toBe(first);
  });

  it('says what the server said when it refuses the push', async () => {
    const { mine, server } = clones();
    writeFileSync(join(server, 'hooks/pre-receive'), '#!/bin/sh\necho "main is protected" >&2\nexit 1\n', {
      mode: 0o755,
    });
    const writing = writeGit({ ...target(mine), edit: async () => new Map([['a', 'a']]), message: () => 'a' });
    await expect(writing).rejects.toMatchObject({ reason: 'refused', code: 'git.push-refused' });
    await writing.catch((error: { evidence: readonly string[] }) => {
      expect(error.evidence.join('\n')).toMatch(/main is protected/);
    });
  });

  it('does not guess: no such branch, a file that is not UTF-8', async () => {
    const { mine, other } = clones();
    await expect(readRemoteBranch({ ...target(mine), branch: 'none' })).rejects.toMatchObject({
      reason: 'tool-failed',
    });
    writeFileSync(join(other, 'latin1.yaml'), Buffer.from([0x61, 0xe4, 0x0a]));
    git(other, 'add', '-A');
    git(other, 'commit', '-qm', 'latin1');
    git(other, 'push', '-q', 'origin', 'main');
    const tree = await readRemoteBranch(target(mine));
    await expect(tree.read('latin1.yaml')).rejects.toThrow(/not UTF-8/);
  });
});
