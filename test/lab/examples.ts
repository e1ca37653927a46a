// The example apps as git repositories with a history, for `npm start` and the tests.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const examples = join(import.meta.dirname, '..', '..', 'examples');

/** Runs git in a folder with a fixed person and no settings of this machine. Throws with git's words when it fails. */
export function git(folder: string, args: readonly string[], date = '2026-01-05T09:00:00Z'): string {
  const result = spawnSync('git', [...args], {
    cwd: folder,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH ?? '',
      HOME: folder,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'Slipway example',
      GIT_AUTHOR_EMAIL: 'example@example.invalid',
      GIT_COMMITTER_NAME: 'Slipway example',
      GIT_COMMITTER_EMAIL: 'example@example.invalid',
      GIT_AUTHOR_DATE: date,
      GIT_COMMITTER_DATE: date,
    },
  });
  if (result.status !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trim();
}

/** Rewrites a file; throws when that changes nothing, so that no test runs on an edit that did not happen. */
export function edit(folder: string, file: string, change: (text: string) => string): void {
  const path = join(folder, file);
  const before = readFileSync(path, 'utf8');
  const after = change(before);
  if (after === before) throw new Error(`the edit of ${file} changed nothing`);
  writeFileSync(path, after);
}

export function commit(folder: string, message: string, date?: string): string {
  git(folder, ['add', '-A'], date);
  git(folder, ['commit', '-q', '-m', message], date);
  return git(folder, ['rev-parse', 'HEAD']);
}

/**
 * Copies an example into an empty folder as a repository: three commits, tags v0.1.0 and v0.2.0, a release branch, HEAD on
 * main. The same every time, commit ids included.
 */
export function materialise(example: string, folder: string): string {
  mkdirSync(folder, { recursive: true });
  cpSync(join(examples, example), folder, {
    recursive: true,
    filter: (path) =>
      !/(^|\/)(\.slipway|__pycache__|reports|\.git)(\/|$)/.test(path.slice(join(examples, example).length)),
  });
  git(folder, ['init', '-q', '-b', 'main']);
  const notes = join(folder, 'NOTES.md');
  writeFileSync(notes, '# Notes\n\n- first version\n');
  commit(folder, 'First version', '2026-01-05T09:00:00Z');
  git(folder, ['tag', 'v0.1.0']);
  writeFileSync(notes, '# Notes\n\n- first version\n- second version\n');
  commit(folder, 'Second version', '2026-02-02T09:00:00Z');
  git(folder, ['tag', 'v0.2.0']);
  git(folder, ['branch', 'release/0.2.0']);
  writeFileSync(notes, '# Notes\n\n- first version\n- second version\n- third version\n');
  commit(folder, 'Third version', '2026-03-02T09:00:00Z');
  return folder;
}
