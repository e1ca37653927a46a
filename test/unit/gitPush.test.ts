import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RemoteBranch } from '../../src/engine/system/gitPush.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { workspace } from './workspaces.ts';

const system = createSystem();
const { signal } = new AbortController();
const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };
const git = (folder: string, ...args: readonly string[]) =>
  execFileSync('git', ['-c', 'user.name=Kim', '-c', 'user.email=kim@example.com', '-C', folder, ...args], {
    env,
    encoding: 'utf8',
    stdio: 'pipe',
  });

/** A bare remote with one commit, and a clone of it. */
function repository(files: Readonly<Record<string, string>>): { readonly remote: string; readonly clone: string } {
  const remote = workspace({});
  git(remote, 'init', '--quiet', '--bare', '--initial-branch=main');
  const clone = workspace(files);
  git(clone, 'init', '--quiet', '--initial-branch=main');
  git(clone, 'add', '--all');
  git(clone, 'commit', '--quiet', '-m', 'first');
  git(clone, 'remote', 'add', 'origin', remote);
  git(clone, 'push', '--quiet', 'origin', 'main');
  return { remote, clone };
}

const open = (clone: string, branch = 'main') => RemoteBranch.open(system, clone, 'origin', branch);
const replace =
  (path: string, from: string, to: string) => async (head: { read(path: string): Promise<string | undefined> }) => {
    const text = (await head.read(path)) ?? '';
    return text.includes(from) ? [{ path, text: text.replace(from, to) }] : [];
  };

describe('a commit on a remote branch', () => {
  it('changes exactly the text, and nothing the person has in the folder', async () => {
    const odd = '\uFEFFimage: a:1 # x\r\n\r\ncafé: ☕\r\nlast: no newline';
    const { remote, clone } = repository({ 'k8s/app.yaml': odd, 'other.txt': 'x\n' });
    writeFileSync(join(clone, 'k8s/app.yaml'), 'half-written');
    writeFileSync(join(clone, 'staged.txt'), 'staged');
    git(clone, 'add', 'staged.txt');
    const before = [git(clone, 'status', '--porcelain'), git(clone, 'rev-parse', 'HEAD')];
    const branch = await open(clone);
    const pushed = await branch.commit({ message: 'bump', edit: replace('k8s/app.yaml', 'a:1', 'a:2'), signal });
    expect(pushed).toMatchObject({ outcome: 'pushed', files: ['k8s/app.yaml'] });
    expect(git(remote, 'show', 'main:k8s/app.yaml')).toBe(odd.replace('a:1', 'a:2'));
    expect(git(remote, 'show', '--stat', '--format=%s', 'main')).toMatch(
      /^bump\n\n k8s\/app\.yaml \| 2 \+-\n 1 file changed/,
    );
    expect([git(clone, 'status', '--porcelain'), git(clone, 'rev-parse', 'HEAD')]).toEqual(before);
    expect(readFileSync(join(clone, 'k8s/app.yaml'), 'utf8')).toBe('half-written');
    const again = await branch.commit({ message: 'bump', edit: replace('k8s/app.yaml', 'a:1', 'a:2'), signal });
    expect(again).toMatchObject({ outcome: 'unchanged', commit: pushed.commit });
    expect(await branch.holds(pushed.commit, pushed.before)).toBe(true);
    expect(await branch.holds(pushed.before, pushed.commit)).toBe(false);
    expect((await branch.log(pushed.commit, ['k8s/app.yaml'], 5)).map(({ subject }) => subject)).toEqual([
      'bump',
      'first',
    ]);
  });

  it('starts again from what others pushed meanwhile', async () => {
    const { remote, clone } = repository({ 'a.yaml': 'image: a:1\n', 'b.yaml': 'b: 1\n' });
    const other = workspace({});
    git(other, 'clone', '--quiet', remote, '.');
    let rounds = 0;
    const branch = await open(clone);
    const pushed = await branch.commit({
      message: 'ours',
      edit: async (head) => {
        rounds += 1;
        if (rounds === 1) {
          writeFileSync(join(other, 'b.yaml'), 'b: 2\n');
          git(other, 'commit', '--quiet', '-am', 'theirs');
          git(other, 'push', '--quiet', 'origin', 'main');
        }
        return replace('a.yaml', 'a:1', 'a:2')(head);
      },
      signal,
    });
    expect(rounds).toBe(2);
    expect(git(remote, 'log', '--format=%s', 'main')).toBe('ours\ntheirs\nfirst\n');
    expect(git(remote, 'show', 'main:b.yaml')).toBe('b: 2\n');
    expect(pushed.commit).toBe(git(remote, 'rev-parse', 'main').trim());
  });

  it('says that the server refuses, and does not try again', async () => {
    const { remote, clone } = repository({ 'a.yaml': 'image: a:1\n' });
    writeFileSync(join(remote, 'hooks/pre-receive'), '#!/bin/sh\necho "main is protected" >&2\nexit 1\n', {
      mode: 0o755,
    });
    const branch = await open(clone);
    await expect(branch.commit({ message: 'x', edit: replace('a.yaml', 'a:1', 'a:2'), signal })).rejects.toMatchObject({
      reason: 'refused',
      code: 'git.push-refused',
    });
    expect(git(remote, 'log', '--format=%s', 'main')).toBe('first\n');
  });

  it('finds files by their words, below folders and with odd names', async () => {
    const marker = '{"$imagepolicy": "a:b"}';
    const { clone } = repository({
      'apps/one.yaml': `image: x # ${marker}\n`,
      'apps/zwei ö.yml': `image: x # ${marker}\n`,
      'apps/three.txt': marker,
      'apps/four.yaml': 'image: x\n',
    });
    const head = await (await open(clone)).head();
    expect([...(await head.filesWith(['$imagepolicy']))].sort()).toEqual(['apps/one.yaml', 'apps/zwei ö.yml']);
    expect(await head.filesWith(['nowhere'])).toEqual([]);
    expect(await head.read('apps/none.yaml')).toBeUndefined();
  });

  it('names what is missing: repository, remote, branch, UTF-8', async () => {
    const { clone } = repository({ 'a.yaml': 'a\n' });
    await expect(open(workspace({}))).rejects.toMatchObject({ code: 'git.no-remote' });
    await expect(RemoteBranch.open(system, clone, 'upstream', 'main')).rejects.toMatchObject({ code: 'git.no-remote' });
    await expect((await open(clone, 'none')).head()).rejects.toMatchObject({ code: 'git.no-branch' });
    writeFileSync(join(clone, 'latin.yaml'), Buffer.from([0x61, 0xe9, 0x0a]));
    git(clone, 'add', '--all');
    git(clone, 'commit', '--quiet', '-m', 'latin');
    git(clone, 'push', '--quiet', 'origin', 'main');
    await expect((await (await open(clone)).head()).read('latin.yaml')).rejects.toMatchObject({ code: 'git.not-utf8' });
  });
});
