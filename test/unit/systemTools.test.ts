import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findTool } from '../../src/engine/system/index.ts';
import { taskkill } from '../../src/engine/system/processTree.ts';
import { mergeEnv } from '../../src/engine/system/tools.ts';

const root = mkdtempSync(join(tmpdir(), 'slipway-tools-'));
const a = join(root, 'a');
const b = join(root, 'with space');
for (const folder of [a, b]) mkdirSync(folder);
for (const file of [
  join(a, 'docker.exe'),
  join(a, 'helm.cmd'),
  join(b, 'docker.exe'),
  join(b, 'trivy'),
  join(a, 'trivy'),
]) {
  writeFileSync(file, '');
}
chmodSync(join(b, 'trivy'), 0o755);
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('tools on Windows', () => {
  const find = (name: string, env: Record<string, string>) => findTool(name, env, 'win32');

  it('are .exe files in the folders of Path, whatever its case, with quotes taken off', () => {
    expect(find('docker', { Path: `C:\\nothing;"${b}";${a}` })).toBe(join(b, 'docker.exe'));
    expect(find('docker.exe', { PATH: a })).toBe(join(a, 'docker.exe'));
  });

  it('are not scripts that would need a shell', () => expect(find('helm', { PATH: a })).toBeUndefined());

  it('are never taken from the current folder', () => expect(find('docker', { PATH: '.;' })).toBeUndefined());
});

describe.runIf(process.platform !== 'win32')('tools elsewhere', () => {
  it('are executable files; others of the name are passed over', () => {
    expect(findTool('trivy', { PATH: `${a}:${b}` }, 'linux')).toBe(join(b, 'trivy'));
  });

  it('are never taken from a relative folder', () => {
    expect(findTool('trivy', { PATH: '.:../x' }, 'linux')).toBeUndefined();
  });
});

describe('the environment of a child', () => {
  it.each([
    ['win32', { Path: 'a', X: '1' }, { PATH: 'b' }, { Path: 'b', X: '1' }],
    ['linux', { Path: 'a' }, { PATH: 'b' }, { Path: 'a', PATH: 'b' }],
    ['win32', { Token: 'a' }, { TOKEN: undefined }, {}],
    ['linux', { TOKEN: 'a' }, { TOKEN: undefined }, {}],
  ] as const)('%s: %o and %o', (platform, base, more, expected) => {
    expect(mergeEnv(base, more, platform)).toEqual(expected);
  });
});

describe('ending a tree on Windows', () => {
  it('calls taskkill by its full path, forced only at the last', () => {
    const env = { SystemRoot: 'D:\\Windows' };
    expect(taskkill(42, 'SIGINT', env)).toEqual({
      file: 'D:\\Windows\\System32\\taskkill.exe',
      args: ['/PID', '42', '/T'],
    });
    expect(taskkill(42, 'SIGKILL', {}).args).toEqual(['/PID', '42', '/T', '/F']);
  });
});
