import { describe, expect, it } from 'vitest';
import {
  type ImagePlace,
  readImageAt,
  runsImage,
  versionText,
  writeImageAt,
} from '../../src/engine/gitops/imagePlaces.ts';
import type { UpdaterImage } from '../../src/engine/gitops/index.ts';

const WEB = 'reg.example.com/shop/web';
const D1 = `sha256:${'1'.repeat(64)}`;
const D2 = `sha256:${'2'.repeat(64)}`;
const updater = (more: Partial<UpdaterImage> = {}): UpdaterImage => ({
  generation: '0.x',
  alias: 'web',
  image: WEB,
  constraint: undefined,
  strategy: 'semver',
  allowTags: undefined,
  ignoreTags: [],
  forceUpdate: false,
  helm: {},
  kustomizeName: undefined,
  ...more,
});
const kustomization: ImagePlace = { kind: 'kustomization', file: 'k/kustomization.yaml', repository: WEB };
const manifests: ImagePlace = { kind: 'manifests', file: 'k/app.yaml', repository: WEB };
const values = (key: string, shape: 'map' | 'text'): ImagePlace => ({
  kind: 'values',
  file: 'values.yaml',
  repository: WEB,
  key,
  shape,
});
const override = (tool: 'helm' | 'kustomize', more: Partial<UpdaterImage> = {}): ImagePlace => ({
  kind: 'override',
  file: '.argocd-source-shop.yaml',
  repository: WEB,
  tool,
  image: updater(more),
  specParameters: [{ name: 'replicas', value: '2', forceString: false }],
  specImages: ['other:1'],
});
const updaterValues = (helm: UpdaterImage['helm']): ImagePlace => ({
  kind: 'updater-values',
  file: 'values.yaml',
  repository: WEB,
  image: updater({ helm }),
});

const deployment = (image: string, more = '') =>
  `# ours\nkind: Deployment\r\nspec:\n    template:\n      spec:\n        initContainers:\n        - {name: init, image: ${image}}\n        containers:\n        - name: web\n          image:   ${image}   # keep\n        - image: postgres:16\n${more}`;

describe('image versions in the files that GitOps applies', () => {
  it.each([
    [
      'a kustomize entry',
      kustomization,
      `images:\n- name: other\n  newTag: x\n- newTag: "1.0"  # by hand\n  name: ${WEB}\nresources: [a]\n`,
      { tag: '1.1', digest: D2 },
      `images:\n- name: other\n  newTag: x\n- newTag: "1.1"  # by hand\n  name: ${WEB}\nresources: [a]\n`,
      '1.1',
    ],
    [
      'the digest beside it follows',
      kustomization,
      `images:\n  - name: ${WEB}\n    newTag: a\n    digest: ${D1}\n`,
      { tag: 'b', digest: D2 },
      `images:\n  - name: ${WEB}\n    newTag: b\n    digest: ${D2}\n`,
      `b@${D2}`,
    ],
    [
      'a digest that is not known any more goes',
      kustomization,
      `images:\n  - name: ${WEB}\n    newTag: a\n    digest: ${D1}\nresources: []\n`,
      { tag: 'b' },
      `images:\n  - name: ${WEB}\n    newTag: b\nresources: []\n`,
      'b',
    ],
    [
      'a tag that stays gets the digest',
      kustomization,
      `images:\r\n  - name: ${WEB}\r\n    newTag: main\r\n`,
      { tag: 'main', digest: D2 },
      `images:\r\n  - name: ${WEB}\r\n    newTag: main\r\n    digest: ${D2}\r\n`,
      `main@${D2}`,
    ],
    [
      'a renamed image, in flow style',
      kustomization,
      `images: [{name: web, newName: ${WEB}, newTag: v1}]\n`,
      { tag: '2.10' },
      `images: [{name: web, newName: ${WEB}, newTag: '2.10'}]\n`,
      '2.10',
    ],
    [
      'no entry in the list',
      kustomization,
      'images:\n  - name: other\n    newTag: x # last\nresources:\n  - a\n',
      { tag: 'v2' },
      `images:\n  - name: other\n    newTag: x # last\n  - name: ${WEB}\n    newTag: v2\nresources:\n  - a\n`,
      'v2',
    ],
    [
      'no list',
      kustomization,
      'resources:\n  - a\n',
      { tag: 'v2' },
      `resources:\n  - a\nimages:\n  - name: ${WEB}\n    newTag: v2\n`,
      'v2',
    ],
    [
      'containers and init containers',
      manifests,
      deployment(`${WEB}:1.0.0`),
      { tag: '1.1.0', digest: D2 },
      deployment(`${WEB}:1.1.0`),
      '1.1.0',
    ],
    [
      'a container with a digest',
      manifests,
      deployment(`"${WEB}:1.0.0@${D1}"`),
      { tag: '1.1.0', digest: D2 },
      deployment(`"${WEB}:1.1.0@${D2}"`),
      `1.1.0@${D2}`,
    ],
    [
      'chart values, a map',
      values('api.image', 'map'),
      `api:\n  image:\n    repository: ${WEB}\n    tag: 1.0.0 # x\n    pullPolicy: Always\n`,
      { tag: '1.1.0', digest: D2 },
      `api:\n  image:\n    repository: ${WEB}\n    tag: 1.1.0 # x\n    pullPolicy: Always\n`,
      '1.1.0',
    ],
    [
      'chart values with a digest of their own',
      values('image', 'map'),
      `image: { repository: ${WEB}, tag: a, digest: "${D1}" }\n`,
      { tag: 'b', digest: D2 },
      `image: { repository: ${WEB}, tag: b, digest: "${D2}" }\n`,
      `b@${D2}`,
    ],
    ['chart values, a text', values('image', 'text'), `image: '${WEB}:a'\n`, { tag: 'b' }, `image: '${WEB}:b'\n`, 'b'],
    [
      'a tag that stays, in values without a digest',
      values('image', 'map'),
      'image:\n  tag: main\n',
      { tag: 'main', digest: D2 },
      `image:\n  tag: main@${D2}\n`,
      `main@${D2}`,
    ],
    [
      "Image Updater's values",
      updaterValues({ name: 'web.image', tag: 'web.tag' }),
      'web:\n  image: old\n  tag: v1\n',
      { tag: 'v2' },
      `web:\n  image: ${WEB}\n  tag: v2\n`,
      'v2',
    ],
    [
      "Image Updater's values, one key",
      updaterValues({ spec: 'web.full' }),
      'web: { full: x:1 }\n',
      { tag: 'v2' },
      `web: { full: '${WEB}:v2' }\n`.replaceAll("'", ''),
      'v2',
    ],
    [
      'a new override file repeats what the spec sets',
      override('helm', { helm: { name: 'image.repository', tag: 'image.tag' } }),
      undefined,
      { tag: '1.10' },
      `helm:\n  parameters:\n  - name: replicas\n    value: '2'\n  - name: image.repository\n    value: ${WEB}\n    forcestring: true\n  - name: image.tag\n    value: '1.10'\n    forcestring: true\n`,
      '1.10',
    ],
    [
      'a kustomize override',
      override('kustomize'),
      undefined,
      { tag: 'v2' },
      `kustomize:\n  images:\n  - other:1\n  - ${WEB}:v2\n`,
      'v2',
    ],
    [
      'a kustomize override under another name',
      override('kustomize', { kustomizeName: 'web' }),
      `kustomize:\n  images:\n  - web=${WEB}:v1\n`,
      { tag: 'v1', digest: D2 },
      `kustomize:\n  images:\n  - web=${WEB}:v1@${D2}\n`,
      `v1@${D2}`,
    ],
  ] as const)('%s', (_name, place, text, wanted, expected, version) => {
    const after = writeImageAt(place, text, wanted);
    expect(after).toBe(expected);
    expect(versionText(readImageAt(place, after) ?? {})).toBe(version);
    const again = writeImageAt(place, after, readImageAt(place, after) ?? {});
    expect(again).toBe(after);
  });

  it('says when there is no place', () => {
    expect(() => writeImageAt(manifests, 'kind: Service\n', { tag: 'a' })).toThrow(/no place for the version/);
    expect(() => writeImageAt(manifests, undefined, { tag: 'a' })).toThrow(/no place for the version/);
    expect(runsImage(deployment(`${WEB}:1`), 'a.yaml', WEB)).toBe(true);
    expect(runsImage(deployment(`${WEB}-other:1`), 'a.yaml', WEB)).toBe(false);
  });
});
