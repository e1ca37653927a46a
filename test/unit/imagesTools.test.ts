import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { contextBuilder } from '../../src/engine/images/builder.ts';
import { runsOnTarget } from '../../src/engine/images/emulation.ts';
import { trivyDatabase, trivyVersion } from '../../src/engine/images/trivyVersion.ts';
import { createSystem } from '../../src/engine/system/index.ts';

const { signal } = new AbortController();
let work = '';
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'slipway-tools-'));
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

/** As buildx 0.13 leaves its store behind: after nothing, `use NAME`, `use --default NAME`, `use default`. */
describe('contextBuilder', () => {
  const store = (files: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(work, '.docker/buildx', name, '..'), { recursive: true });
      writeFileSync(join(work, '.docker/buildx', name), text);
    }
  };
  const unix = 'unix:///var/run/docker.sock';
  it.each<[string, Readonly<Record<string, string>>, Readonly<Record<string, string>>, boolean]>([
    ['no store', {}, {}, true],
    ['nothing chosen', { current: `{"Key":"${unix}","Name":"","Global":false}`, 'instances/mine': '{}' }, {}, true],
    ['chosen for this shell', { current: `{"Key":"${unix}","Name":"mine","Global":false}` }, {}, false],
    ['chosen for an endpoint', { current: `{"Key":"${unix}","Name":""}`, 'defaults/0123': 'mine' }, {}, false],
    ['chosen by the environment', {}, { BUILDX_BUILDER: 'mine' }, false],
    ['a broken store', { current: '{' }, {}, false],
    ['a store elsewhere', { current: `{"Name":"mine"}` }, { BUILDX_CONFIG: '/nowhere' }, true],
  ])('%s', async (_title, files, env, isContext) => {
    store(files);
    const builder = await contextBuilder(createSystem({ env: { HOME: work, USERPROFILE: work, ...env } }));
    expect(builder?.driver).toBe(isContext ? 'docker' : undefined);
  });
});

it.each([
  ['FROM a\nCOPY . .\n', false],
  ['FROM --platform=$BUILDPLATFORM a AS b\nRUN make\nFROM scratch\nCOPY --from=b /x /x\n', false],
  ['FROM a\nRUN make\n', true],
])('runsOnTarget %j', (dockerfile, expected) => {
  expect(runsOnTarget(dockerfile)).toBe(expected);
});

describe.skipIf(process.platform === 'win32')('trivyVersion', () => {
  const install = (version: string) => {
    const file = join(work, 'bin/trivy');
    mkdirSync(join(work, 'bin'), { recursive: true });
    writeFileSync(
      file,
      `#!/bin/sh\necho "$@" >> ${work}/trace\necho '{"Version":"${version}","VulnerabilityDB":{"UpdatedAt":"2026-01-01T00:00:00Z"}}'\n`,
    );
    chmodSync(file, 0o755);
    // Another size, whatever the clock of the file system can tell apart.
    appendFileSync(file, `#${'x'.repeat(version.length)}${version}\n`);
  };
  const trace = () => readFileSync(join(work, 'trace'), 'utf8').trim().split('\n').length;
  const system = () =>
    createSystem({
      env: { PATH: [join(work, 'bin'), process.env.PATH].join(delimiter), TRIVY_CACHE_DIR: join(work, 'cache') },
    });

  it('is asked once for a program, in this process and in later ones', async () => {
    install('0.70.0');
    const first = system();
    expect(await trivyVersion(first, signal)).toBe('0.70.0');
    expect(await trivyVersion(first, signal)).toBe('0.70.0');
    expect(await trivyVersion(system(), signal)).toBe('0.70.0');
    expect(trace()).toBe(1);
    install('0.70.10');
    expect(await trivyVersion(first, signal)).toBe('0.70.10');
    expect(trace()).toBe(2);
  });

  it('refuses a malicious version from memory as well, and asks anew when the memory is broken', async () => {
    install('0.69.5');
    await expect(trivyVersion(system(), signal)).rejects.toMatchObject({ code: 'trivy.malicious' });
    await expect(trivyVersion(system(), signal)).rejects.toMatchObject({ code: 'trivy.malicious' });
    expect(trace()).toBe(1);
    writeFileSync(join(work, 'cache/slipway-version.json'), '{"path":1}');
    await expect(trivyVersion(system(), signal)).rejects.toMatchObject({ code: 'trivy.malicious' });
    expect(trace()).toBe(2);
  });

  it('reads the age of the advisories beside them, and asks where they are not', async () => {
    install('0.70.0');
    expect(await trivyDatabase(system(), signal)).toEqual({ UpdatedAt: '2026-01-01T00:00:00Z' });
    mkdirSync(join(work, 'cache/db'), { recursive: true });
    writeFileSync(
      join(work, 'cache/db/metadata.json'),
      '{"Version":2,"NextUpdate":"2026-02-02T00:00:00Z","UpdatedAt":"2026-02-01T00:00:00Z","DownloadedAt":"2026-02-01T01:00:00Z"}',
    );
    expect(await trivyDatabase(system(), signal)).toEqual({
      UpdatedAt: '2026-02-01T00:00:00Z',
      NextUpdate: '2026-02-02T00:00:00Z',
    });
    expect(trace()).toBe(1);
  });
});
