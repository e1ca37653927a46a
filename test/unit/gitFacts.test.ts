import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashContext, readConfig, readContexts, readGitFacts } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';

const system = createSystem({ env: { PATH: process.env.PATH, HOME: process.env.HOME } });
let root = '';
const git = (...args: string[]) =>
  execFileSync('git', args, {
    cwd: root,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      HOME: root,
      GIT_AUTHOR_NAME: 'a',
      GIT_AUTHOR_EMAIL: 'a@b',
      GIT_COMMITTER_NAME: 'a',
      GIT_COMMITTER_EMAIL: 'a@b',
    },
  });
const write = (path: string, text: string) => {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
};
const commit = () => {
  git('add', '-A');
  git('commit', '-qm', 'x');
};
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-git-'));
  git('init', '-q', '-b', 'main');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const hashOf = async (config = 'version: 1\nimages: { api: { repository: a/api } }\n') => {
  const project = readConfig(config, join(root, 'slipway.yaml'), root);
  expect(project.diagnostics).toEqual([]);
  return (await readContexts(system, project, await readGitFacts(system, root))).get('api')?.hash;
};

describe('readGitFacts', () => {
  it('knows commit, branch, tags and count of a clean tree', async () => {
    write('a.txt', 'a');
    commit();
    write('sub/ü b.txt', 'b');
    commit();
    for (const tag of ['v1.9.0', 'v1.10.0']) git('tag', tag);
    const facts = await readGitFacts(system, root, { commitCount: true });
    expect(facts).toMatchObject({ branch: 'main', tags: ['v1.10.0', 'v1.9.0'], commitCount: 2, isDirty: false });
    expect(await readGitFacts(system, root)).not.toHaveProperty('commitCount');
    expect(facts.commit).toBe(git('rev-parse', 'HEAD').trim());
    expect(facts.files.map((file) => file.path)).toEqual(['a.txt', 'sub/ü b.txt']);
  });

  it('sees changed, new, renamed and deleted files, and not the ignored ones', async () => {
    for (const name of ['keep', 'change', 'rename', 'delete']) write(name, name.repeat(20));
    write('.gitignore', 'out/\n.slipway\n');
    commit();
    write('change', 'changed');
    write('new', 'new');
    write('out/big', 'x');
    write('.slipway/steps/a.json', '{}');
    renameSync(join(root, 'rename'), join(root, 'renamed'));
    rmSync(join(root, 'delete'));
    git('add', '-A', 'renamed', 'rename');
    const facts = await readGitFacts(system, root);
    expect(facts.isDirty).toBe(true);
    expect(facts.files.map((file) => file.path)).toEqual(['.gitignore', 'change', 'keep', 'new', 'renamed']);
    expect(facts.ignored).toEqual(['out/']);
    const other = await readGitFacts(system, root);
    expect(other.dirtyHash).toBe(facts.dirtyHash);
    write('change', 'changed again');
    expect((await readGitFacts(system, root)).dirtyHash).not.toBe(facts.dirtyHash);
  });

  it('reads a project in a folder of a larger repository', async () => {
    write('apps/shop/a.txt', 'a');
    write('other/b.txt', 'b');
    commit();
    write('apps/shop/a.txt', 'a2');
    write('other/b.txt', 'b2');
    const facts = await readGitFacts(system, join(root, 'apps/shop'));
    expect(facts.files.map((file) => file.path)).toEqual(['a.txt']);
    expect(facts.isDirty).toBe(true);
  });

  it('works before the first commit, on a detached HEAD and without a repository', async () => {
    write('a.txt', 'a');
    expect(await readGitFacts(system, root)).toMatchObject({ branch: 'main', isDirty: true, tags: [] });
    commit();
    git('checkout', '-q', '--detach');
    expect(await readGitFacts(system, root)).not.toHaveProperty('branch');
    rmSync(join(root, '.git'), { recursive: true });
    const facts = await readGitFacts(system, root);
    expect(facts).not.toHaveProperty('commit');
    expect(facts.files.map((file) => file.path)).toEqual(['a.txt']);
  });

  it('knows one tag of either kind, and a branch with an upstream, whatever the person has git show', async () => {
    write('a.txt', 'a');
    commit();
    git('tag', '-a', '-m', 'first, with "words"', 'v1.0.0');
    git('branch', 'feature/a.b,c');
    git('checkout', '-q', 'feature/a.b,c');
    git('branch', '-q', '--set-upstream-to=main');
    git('config', 'log.showSignature', 'true');
    git('config', 'log.decorate', 'full');
    git('config', 'status.branch', 'true');
    write('b.txt', 'b');
    commit();
    git('tag', 'only,one');
    expect(await readGitFacts(system, root)).toMatchObject({
      branch: 'feature/a.b,c',
      tags: ['only,one'],
      isDirty: false,
    });
    git('checkout', '-q', 'main');
    expect(await readGitFacts(system, root)).toMatchObject({ branch: 'main', tags: ['v1.0.0'] });
  });

  it('leaves the count of a shallow clone out', async () => {
    for (const name of ['a', 'b']) {
      write(name, name);
      commit();
    }
    git('clone', '-q', '--depth', '1', `file://${root}`, 'clone');
    const facts = await readGitFacts(system, join(root, 'clone'), { commitCount: true });
    expect(facts).toMatchObject({ isShallow: true, branch: 'main' });
    expect(facts).not.toHaveProperty('commitCount');
  });

  it('refuses in an untrusted workspace', async () => {
    await expect(readGitFacts(createSystem({ isTrusted: () => false }), root)).rejects.toMatchObject({
      reason: 'untrusted',
    });
  });
});

describe('readContexts', () => {
  it('changes with every file the builder would get and with no other', async () => {
    write('Dockerfile', 'FROM scratch\n');
    write('src/a.py', 'a');
    write('docs/b.md', 'b');
    write('.gitignore', 'build/\n');
    write('.dockerignore', 'docs\n');
    write('build/app', '1');
    commit();
    const first = await hashOf();
    expect(await hashOf()).toBe(first);
    write('docs/b.md', 'changed');
    expect(await hashOf()).toBe(first);
    // Ignored by git, but not by the builder: a binary built beside the Dockerfile.
    write('build/app', '22');
    const second = await hashOf();
    expect(second).not.toBe(first);
    write('src/a.py', 'changed');
    expect(await hashOf()).not.toBe(second);
  });

  it('knows a context below the root that git ignores as a whole', async () => {
    write('.gitignore', 'gen/\n');
    write('gen/app/Dockerfile', 'FROM scratch\n');
    write('gen/app/x', '1');
    commit();
    const config = 'version: 1\nimages: { api: { repository: a/api, context: gen/app } }\n';
    const first = await hashOf(config);
    write('gen/app/x', '22');
    expect(await hashOf(config)).not.toBe(first);
  });

  it.each<[string, string, string, 'other' | 'same']>([
    ['an empty folder', '', 'src/empty', 'other'],
    ['one within a new folder', '', 'new/deep/empty', 'other'],
    ['one among what git ignores', '', 'gen/empty', 'other'],
    ['one that is not sent', 'src/empty', 'src/empty', 'same'],
    ['one within a folder that is not sent', 'src\n', 'src/deep/empty', 'same'],
    ['one within a folder that is not sent but for a file', 'src\n!src/a.py\n', 'src/deep/empty', 'same'],
    ["Slipway's own folder", '', '.slipway/runs', 'same'],
  ])('%s in the context', async (_what, ignore, folder, expected) => {
    write('.gitignore', 'gen/\n.slipway/\n');
    write('.dockerignore', ignore);
    write('Dockerfile', 'FROM scratch\n');
    write('src/a.py', 'a');
    write('gen/app', 'x');
    commit();
    const first = await hashOf();
    mkdirSync(join(root, folder), { recursive: true });
    const second = await hashOf();
    expect(second === first ? 'same' : 'other').toBe(expected);
    rmSync(join(root, '.git'), { recursive: true });
    const withoutGit = await hashOf();
    rmSync(join(root, folder), { recursive: true });
    if (folder.startsWith('new')) rmSync(join(root, 'new'), { recursive: true });
    if (folder === 'src/deep/empty') rmSync(join(root, 'src/deep'), { recursive: true });
    expect((await hashOf()) === withoutGit ? 'same' : 'other').toBe(expected);
  });

  it('a folder whose files are all left out is still there for the builder', async () => {
    write('Dockerfile', 'FROM scratch\n');
    write('.dockerignore', '**/*.md\n');
    write('a.txt', 'a');
    commit();
    const first = await hashOf();
    write('docs/b.md', 'b');
    expect(await hashOf()).not.toBe(first);
  });

  it('sees the files of a submodule, and of a repository that git does not follow', async () => {
    write('Dockerfile', 'FROM scratch\n');
    commit();
    execFileSync('git', ['init', '-q', 'library'], { cwd: root });
    const hashes = new Set([await hashOf()]);
    for (const text of ['1', '2']) {
      write('library/a.txt', text);
      hashes.add(await hashOf());
    }
    expect(hashes.size).toBe(3);
    git('-C', 'library', 'add', '-A');
    git('-C', 'library', 'commit', '-qm', 'x');
    git('-c', 'advice.addEmbeddedRepo=false', 'add', 'library');
    git('commit', '-qm', 'submodule');
    const facts = new Set<string | undefined>();
    for (const text of ['2', '3', '4']) {
      write('library/a.txt', text);
      hashes.add(await hashOf());
      facts.add((await readGitFacts(system, root)).dirtyHash);
    }
    expect([hashes.size, facts.size]).toEqual([6, 3]);
  });

  it('without git, what a package manager fills counts where the builder gets it', async () => {
    rmSync(join(root, '.git'), { recursive: true });
    write('Dockerfile', 'FROM scratch\n');
    write('node_modules/a/index.js', '1');
    const first = await hashOf();
    write('node_modules/a/index.js', '22');
    expect(await hashOf()).not.toBe(first);
    write('.dockerignore', 'node_modules\n');
    const left = await hashOf();
    write('node_modules/a/index.js', '333');
    expect(await hashOf()).toBe(left);
  });

  it('sees generated files that are deleted, replaced with their time kept, or made by a command after the plan', async () => {
    write('.gitignore', 'gen/\n.slipway/\n');
    write('Dockerfile', 'FROM scratch\n');
    write('slipway.yaml', 'version: 1\nimages: { api: { repository: a/api } }\n');
    commit();
    const without = await hashOf();
    write('gen/app', 'one');
    const one = await hashOf();
    expect(one).not.toBe(without);
    const { atime, mtime } = statSync(join(root, 'gen/app'));
    rmSync(join(root, 'gen/app'));
    write('gen/app', 'two');
    utimesSync(join(root, 'gen/app'), atime, mtime);
    const two = await hashOf();
    expect(two).not.toBe(one);
    const [image] = readConfig(
      'version: 1\nimages: { api: { repository: a/api } }\n',
      join(root, 'slipway.yaml'),
      root,
    ).images;
    expect(image && (await hashContext(system, root, image))).toBe(two);
    write('gen/app', 'three');
    expect(image && (await hashContext(system, root, image))).not.toBe(two);
    rmSync(join(root, 'gen'), { recursive: true });
    expect(await hashOf()).toBe(without);
  });

  it.skipIf(process.platform === 'win32')(
    'takes links as links, also to folders, and sees what can be executed',
    async () => {
      write('.gitignore', 'venv/\n.slipway/\n');
      write('Dockerfile', 'FROM scratch\n');
      write('run.sh', 'x');
      write('venv/lib/a.py', 'a');
      commit();
      const hashes = new Set([await hashOf()]);
      symlinkSync('lib', join(root, 'venv/lib64'));
      hashes.add(await hashOf());
      rmSync(join(root, 'venv/lib64'));
      symlinkSync('nowhere', join(root, 'venv/lib64'));
      hashes.add(await hashOf());
      symlinkSync('venv', join(root, 'untracked'));
      hashes.add(await hashOf());
      chmodSync(join(root, 'venv/lib/a.py'), 0o755);
      hashes.add(await hashOf());
      chmodSync(join(root, 'run.sh'), 0o755);
      hashes.add(await hashOf());
      expect(hashes.size).toBe(6);
      rmSync(join(root, '.git'), { recursive: true });
      const { files } = await readGitFacts(system, root);
      expect(files.find(({ path }) => path === 'untracked')?.mode).toBe('120000');
    },
  );
});
