import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/index.ts';
import { decodeRelease, deployedOf, isVerified, lockOf, revisionsFrom } from '../../src/engine/deploy/helmRecords.ts';
import { mergeValues, overridesOf, parseValuePath, setValue, typedValue } from '../../src/engine/deploy/values.ts';

const recorded = (name: string): string => readFileSync(join(import.meta.dirname, 'fixtures', 'deploy', name), 'utf8');

describe('release records', () => {
  const secrets = JSON.parse(recorded('release-secrets.json')) as KubeObject[];

  test('a record is read without helm, with and without the outer base64', () => {
    const data = recorded('release-v2.txt').trim();
    for (const text of [data, Buffer.from(data, 'base64').toString('utf8')]) {
      const release = decodeRelease(text);
      expect(release).toMatchObject({
        release: 'web',
        namespace: 'deploy-hand',
        revision: 2,
        description: 'second run',
        chart: 'actor-0.1.0',
        config: { image: { tag: '9.9.9' } },
      });
      expect(release.objects.map(({ object }) => object.kind)).toEqual([
        'Secret',
        'ConfigMap',
        'Service',
        'Deployment',
      ]);
    }
  });

  test('only the revision a mark speaks of is verified: Helm hands labels on to later revisions', () => {
    const revisions = revisionsFrom(secrets, 'web');
    expect(revisions.map((revision) => [revision.revision, revision.status, isVerified(revision)])).toEqual([
      [1, 'superseded', true],
      [2, 'superseded', false],
      [3, 'deployed', false],
    ]);
    expect(revisions.map((revision) => revision.labels['slipway.dev/verified'])).toEqual(['1', '1', '1']);
    expect(deployedOf(revisions)?.revision).toBe(3);
    expect(revisions[0]?.writer).toBe('Helm');
    expect(revisionsFrom(secrets, 'other')).toEqual([]);
  });

  test('a pending newest revision is a lock, with its age and the way back', () => {
    const withStatus = (version: number, status: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: `sh.helm.release.v1.web.v${version}`,
        labels: { owner: 'helm', name: 'web', version: String(version), status, modifiedAt: '1000' },
      },
    });
    const now = 1_000_000 + 60_000;
    const stuck = lockOf(revisionsFrom([withStatus(10, 'pending-upgrade'), withStatus(9, 'deployed')], 'web'), now);
    expect(stuck).toMatchObject({ ageMs: 60_000, revision: { revision: 10 }, lastDeployed: { revision: 9 } });
    expect(lockOf(revisionsFrom([withStatus(1, 'pending-install')], 'web'), now)?.lastDeployed).toBeUndefined();
    expect(lockOf(revisionsFrom([withStatus(9, 'pending-upgrade'), withStatus(10, 'deployed')], 'web'), now)).toBe(
      undefined,
    );
  });
});

describe('values', () => {
  test.each([
    ['image.tag', ['image', 'tag']],
    ['list[0].name', ['list', 0, 'name']],
    ['annotations.acme\\.io/x', ['annotations', 'acme.io/x']],
    ['a[1][2]', ['a', 1, 2]],
  ])('%s is the path %j', (text, path) => expect(parseValuePath(text)).toEqual(path));

  test.each([[''], ['.a'], ['a.'], ['a..b'], ['[0]'], ['a[x]'], ['a[0]b'], ['a[']])('%j is no path', (text) => {
    expect(() => parseValuePath(text)).toThrow(/not a values key/);
  });

  // As `helm template --set` types them.
  test.each([
    ['true', true],
    ['null', null],
    ['12', 12],
    ['-3', -3],
    ['012', '012'],
    ['1.5', '1.5'],
    ['99999999999999999999', '99999999999999999999'],
    ['', ''],
    ['{a, 2}', ['a', 2]],
    ['{}', []],
  ])('--set value %j is %j', (text, value) => expect(typedValue(text)).toEqual(value));

  test('merge like Helm: maps by key, lists whole, null removes', () => {
    expect(mergeValues({ a: { b: 1, c: 2 }, l: [1, 2], x: 1 }, { a: { b: 3 }, l: [9], x: null })).toEqual({
      a: { b: 3, c: 2 },
      l: [9],
    });
  });

  test('an index into a list of the chart keeps the rest of the list', () => {
    const known = { hosts: [{ name: 'a', port: 1 }, { name: 'b' }] };
    expect(setValue({}, ['hosts', 0, 'name'], 'z', known)).toEqual({ hosts: [{ name: 'z', port: 1 }, { name: 'b' }] });
  });

  const image = { name: 'api', repository: 'ghcr.io/acme/api', tag: '1.2', digest: 'sha256:ab' };
  test.each([
    [
      { repository: '', tag: '' },
      { repository: 'ghcr.io/acme/api', tag: '1.2@sha256:ab' },
    ],
    [
      { repository: '', tag: '', digest: '' },
      { repository: 'ghcr.io/acme/api', tag: '1.2', digest: 'sha256:ab' },
    ],
    [
      { registry: 'x', repository: 'y', tag: '', pullPolicy: 'Always' },
      { registry: 'ghcr.io', repository: 'acme/api', tag: '1.2@sha256:ab' },
    ],
    [
      { name: 'x', tag: '' },
      { name: 'ghcr.io/acme/api', tag: '1.2@sha256:ab' },
    ],
    ['x/y:z', 'ghcr.io/acme/api:1.2@sha256:ab'],
    [undefined, 'ghcr.io/acme/api:1.2@sha256:ab'],
  ])('an image where the chart has %j becomes %j', (known, values) => {
    const request = { known: { api: { image: known } }, set: {}, keys: { api: 'api.image' }, images: [image] };
    expect(overridesOf({ ...request, pinning: 'digest' })).toEqual({ api: { image: values } });
  });

  test.each<[string, object, object]>([
    // A registry and folder that fit stay: other images are put together with them.
    ['{global.registry}/{name}:{tag}', { global: { registry: 'ghcr.io/acme' } }, { name: 'api', tag: '1.2@sha256:ab' }],
    [
      '{global.registry}/{name}:{tag}',
      { global: { registry: 'quay.io' } },
      { global: { registry: 'ghcr.io' }, name: 'acme/api', tag: '1.2@sha256:ab' },
    ],
    ['{r}/{org}/{name}:{tag}', {}, { r: 'ghcr.io', org: 'acme', name: 'api', tag: '1.2@sha256:ab' }],
    ['ghcr.io/{name}:{tag}@{sha}', {}, { name: 'acme/api', tag: '1.2', sha: 'sha256:ab' }],
    ['{repo}@{sha}', {}, { repo: 'ghcr.io/acme/api', sha: 'sha256:ab' }],
    ['{host}{name}:{tag}', { host: 'ghcr.io/' }, { name: '/acme/api', tag: '1.2@sha256:ab' }],
  ])('an image put together by %s over %j', (key, known, values) => {
    const request = { known: known as Record<string, unknown>, set: {}, keys: { api: key }, images: [image] };
    expect(overridesOf({ ...request, pinning: 'digest' })).toEqual(values);
  });

  test('one tag of several images holds no digest, and only one tag', () => {
    const other = { ...image, name: 'web', repository: 'ghcr.io/acme/web', digest: 'sha256:cd' };
    const of = (tag: string) =>
      overridesOf({
        known: {},
        set: {},
        keys: {
          api: '{images.repository}/{api.name}:{images.tag}',
          web: '{images.repository}/{web.name}:{images.tag}',
        },
        images: [image, { ...other, tag }],
        pinning: 'digest',
      });
    expect(of('1.2')).toMatchObject({ images: { repository: 'ghcr.io', tag: '1.2' }, api: { name: 'acme/api' } });
    expect(() => of('1.3')).toThrow(expect.objectContaining({ code: 'helm.shared-tag' }));
  });

  test("a chart's own text that does not fit the repository, and keys that are none", () => {
    for (const key of ['quay.io/{name}:{tag}', '{name}', '{name}:{tag']) {
      const request = { known: {}, set: {}, keys: { api: key }, images: [image], pinning: 'digest' as const };
      expect(() => overridesOf(request)).toThrow(expect.objectContaining({ code: 'helm.image-keys' }));
    }
  });

  test('without pinning no digest is left anywhere, not even one of the values file', () => {
    const known = { image: { repository: '', tag: '', digest: 'sha256:old' } };
    const values = overridesOf({ known, set: {}, keys: { api: 'image' }, images: [image], pinning: 'tag' });
    expect(values).toEqual({ image: { repository: 'ghcr.io/acme/api', tag: '1.2', digest: '' } });
  });

  test('images win over set, and images without a key are left out', () => {
    const values = overridesOf({
      known: { image: '' },
      set: { image: 'other', 'a.b': 'true' },
      keys: { api: 'image' },
      images: [image, { ...image, name: 'worker' }],
      pinning: 'digest',
    });
    expect(values).toEqual({ image: 'ghcr.io/acme/api:1.2@sha256:ab', a: { b: true } });
  });
});
