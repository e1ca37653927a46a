import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openCi, saveArtifact } from '../../src/engine/ci/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import { unzip } from '../../src/engine/system/archive.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { type FakeHost, startFakeHost } from '../ci/fakeHost.ts';
import { type ZipEntry, zipOf } from '../ci/zip.ts';

const TOKEN = 'tok-0123456789abcdef';
const system = createSystem({ env: {} });
const signal = new AbortController().signal;
const hosts: FakeHost[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function runWith(kind: 'github' | 'gitlab' | 'gitea', zip: Buffer, name = 'reports') {
  const host = await startFakeHost(kind);
  hosts.push(host);
  host.tokens.add(TOKEN);
  host.runs.push({
    id: 1,
    number: 1,
    title: 'x',
    workflow: 'build.yml',
    event: 'push',
    branch: 'main',
    sha: 'a'.repeat(40),
    status: 'completed',
    conclusion: 'success',
    created_at: '2026-11-21T06:00:00Z',
    jobs: [{ id: 7, name: 'build', status: 'completed', conclusion: 'success' }],
    artifacts: [{ id: 7, name, size: zip.length, zip }],
  });
  const client = await openCi(system, host.repository, new Secrets(), { token: TOKEN, from: 'the test' });
  const into = mkdtempSync(join(tmpdir(), 'slipway-artifacts-'));
  folders.push(into);
  const [artifact] = await client.artifacts('1', signal);
  if (artifact === undefined) throw new Error('no artifact');
  return { host, client, into, artifact };
}

const refused = async (work: Promise<unknown>): Promise<SlipwayError> => {
  const error = await work.catch((thrown: unknown) => thrown);
  if (!SlipwayError.is(error)) throw new Error(`expected a SlipwayError, got ${String(error)}`);
  return error;
};

describe.each(['github', 'gitlab', 'gitea'] as const)('artifacts of %s', (kind) => {
  it('are fetched from the store without the token, and unpacked into a folder of their own', async () => {
    const zip = zipOf([
      { name: 'junit.xml', text: '<testsuites/>' },
      { name: 'logs/', text: '', mode: 0o040755 },
      { name: 'logs/übersicht.txt', text: 'ok\n' },
    ]);
    const { host, client, into, artifact } = await runWith(kind, zip);
    const saved = await saveArtifact(system, client, artifact, into, signal);
    expect(saved.files).toEqual(['junit.xml', 'logs/übersicht.txt']);
    expect(readFileSync(join(saved.folder, 'logs/übersicht.txt'), 'utf8')).toBe('ok\n');
    expect(host.stored).toEqual([{ path: '/zip/7?sig=1', authorization: undefined }]);
    // The archive itself does not stay.
    expect(readdirSync(into)).toHaveLength(1);
    expect((await refused(saveArtifact(system, client, artifact, into, signal))).code).toBe('ci.artifact-there');
  });

  it('say when they are gone', async () => {
    const { host, client, into, artifact } = await runWith(kind, zipOf([]));
    const [run] = host.runs;
    if (run?.artifacts?.[0] !== undefined) {
      run.artifacts[0].expired = true;
      delete run.artifacts[0].zip;
    }
    const error = await refused(saveArtifact(system, client, artifact, into, signal));
    expect(['ci.gone', 'ci.not-found']).toContain(error.code);
    expect(readdirSync(into)).toEqual([]);
  });
});

describe('an archive', () => {
  const bad: readonly (readonly [string, readonly ZipEntry[] | Buffer, RegExp])[] = [
    ['leads out with ..', [{ name: '../../evil', text: 'x' }], /evil/],
    ['leads out from within', [{ name: 'a/../../evil', text: 'x' }], /evil/],
    ['is absolute', [{ name: '/etc/cron.d/evil', text: 'x' }], /absolute/],
    ['has a drive', [{ name: 'C:/evil', text: 'x' }], /C:/],
    ['has backslashes', [{ name: '..\\evil', text: 'x' }], /evil|invalid characters/],
    ['holds a link', [{ name: 'link', text: '/etc/passwd', mode: 0o120777 }], /is a link/],
    [
      'comes twice under one name',
      [
        { name: 'a', text: '1' },
        { name: 'a', text: '2' },
      ],
      /EEXIST/,
    ],
    ['lies about a size', [{ name: 'a', text: 'x'.repeat(100), size: 5 }], /size|compress/i],
    ['is no archive', Buffer.from('<html>log in</html>'), /not a zip|end of central/i],
    ['is cut', zipOf([{ name: 'a', text: 'x'.repeat(1000) }]).subarray(0, 500), /end of central/i],
  ];

  it.each(bad)('that %s is refused, and nothing of it stays', async (_what, entries, words) => {
    const zip = Buffer.isBuffer(entries) ? entries : zipOf(entries);
    const { client, into, artifact } = await runWith('github', zip);
    const error = await refused(saveArtifact(system, client, artifact, into, signal));
    expect(error.code).toBe('ci.artifact');
    expect(error.message).toMatch(words);
    expect(readdirSync(into)).toEqual([]);
    expect(existsSync(join(into, '..', 'evil'))).toBe(false);
  });

  it('larger than the limits is not unpacked to the end', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-artifacts-'));
    folders.push(folder);
    const file = join(folder, 'a.zip');
    await system.files.writeAtomic(
      file,
      zipOf([
        { name: 'a', text: 'x'.repeat(1000) },
        { name: 'b', text: 'y' },
      ]),
    );
    const into = join(folder, 'out');
    await expect(unzip(file, into, { bytes: 100, files: 10 }, signal)).rejects.toThrow(/more than 100 bytes/);
    await expect(unzip(file, into, { bytes: 1e6, files: 1 }, signal)).rejects.toThrow(/more than 1 files/);
    expect(existsSync(into)).toBe(false);
  });

  it.each([
    ['../../etc', 'etc'],
    ['a/b c', 'a-b-c'],
    ['nul', 'artifact-nul'],
    ['…', 'artifact-'],
    ['berichte.ü', 'berichte.ü'],
  ])('named %s goes to %s', async (name, folder) => {
    const { client, into, artifact } = await runWith('github', zipOf([{ name: 'a', text: 'x' }]), name);
    expect((await saveArtifact(system, client, artifact, into, signal)).folder).toBe(join(into, folder));
  });
});
