import { describe, expect, it } from 'vitest';
import {
  applyEdits,
  argocdRecipes,
  holdEdits,
  imagesOfApplication,
  readObjects,
  referencesOf,
  type UpdaterImage,
} from '../../src/engine/gitops/index.ts';

const IMAGE = 'reg.example.com/web';
const updater = (more: Partial<UpdaterImage> = {}): UpdaterImage => ({
  generation: '0.x',
  alias: 'web',
  image: IMAGE,
  constraint: '1.x',
  strategy: 'semver',
  allowTags: undefined,
  ignoreTags: [],
  forceUpdate: false,
  helm: {},
  kustomizeName: undefined,
  ...more,
});
const dated = (...tags: readonly string[]) => tags.map((tag) => ({ tag }));

describe('ways back under Argo CD', () => {
  it.each([
    ['no updater', undefined, ['1.0.0', '1.1.0'], ['revert sticks', 'pause sticks']],
    ['semver', updater(), ['1.0.0', '1.1.0'], ['ignore sticks', 'pin sticks', 'revert bounces', 'pause sticks']],
    [
      'a third version that is newer than the good one',
      updater(),
      ['0.9.0', '1.0.0', '1.0.5', '1.1.0'],
      ['ignore differs', 'pin sticks', 'revert bounces', 'pause sticks'],
    ],
    [
      'a bad tag that is left out already',
      updater({ ignoreTags: ['1.1.0'] }),
      ['1.0.0', '1.1.0'],
      ['ignore sticks', 'pin sticks', 'revert sticks', 'pause sticks'],
    ],
    [
      'by build date, which is not known',
      updater({ strategy: 'newest-build', constraint: undefined }),
      ['1.0.0', '1.1.0', 'x'],
      ['ignore sticks', 'pin sticks', 'revert bounces', 'pause sticks'],
    ],
    [
      'alphabetical',
      updater({ strategy: 'alphabetical', constraint: undefined }),
      ['1.0.0', '1.1.0', 'zz'],
      ['ignore differs', 'pin sticks', 'revert differs', 'pause sticks'],
    ],
  ] as const)('%s', (_name, image, tags, expected) => {
    const recipes = argocdRecipes({ automated: 'on', image, tags: dated(...tags), badTag: '1.1.0', goodTag: '1.0.0' });
    expect(recipes.map(({ way, verdict }) => `${way} ${verdict}`)).toEqual(expected);
    for (const { title, next } of recipes) {
      expect(title).toMatch(/^[A-Z]/);
      expect(next.every(({ does }) => /^[a-z]/.test(does))).toBe(true);
    }
  });

  it('says who comes next, and who may undo a pause', () => {
    const [ignore, , revert, pause] = argocdRecipes({
      automated: 'on',
      image: updater(),
      tags: dated('1.0.0', '1.1.0'),
      badTag: '1.1.0',
      goodTag: '1.0.0',
      parent: 'ApplicationSet apps',
    });
    expect(ignore?.next.map(({ does }) => does)).toEqual([
      'syncs the commit with 1.0.0 by itself',
      'chooses 1.0.0 (semver), which is what stands there',
    ]);
    expect(revert?.next[1]?.does).toBe('chooses 1.1.0 again (semver) and writes it within two minutes');
    expect(pause?.warnings[1]).toBe(
      'ApplicationSet apps writes this Application and may switch automatic sync on again.',
    );
  });
});

const APPLICATION = `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: web
  annotations: # by hand
    argocd-image-updater.argoproj.io/image-list: web=${IMAGE}:1.x
spec: {}
`;
const UPDATER = `apiVersion: argocd-image-updater.argoproj.io/v1alpha1
kind: ImageUpdater
metadata: { name: all }
spec:
  applicationRefs:
    - namePattern: other
    - namePattern: web
      images:
        - alias: db
          imageName: ${IMAGE}-db:1.x
        - alias: web
          imageName: ${IMAGE}:1.x   # ours
          manifestTargets: { kustomize: { name: web } }
`;

describe('holding Image Updater in the files', () => {
  const edited = (text: string, way: 'ignore' | 'pin'): string => {
    const [object] = readObjects(text, 'a.yaml');
    if (object?.kind !== 'Application' && object?.kind !== 'ImageUpdater') throw new Error('no object');
    const images =
      object.kind === 'Application' ? imagesOfApplication(object) : (referencesOf(object)[1]?.images ?? []);
    const image = images.find(({ alias }) => alias === 'web');
    if (image === undefined) throw new Error('no image');
    return applyEdits(text, holdEdits(way, text, object, image, { badTag: '1.1.0', goodTag: '1.0.0' }) ?? []);
  };

  it('edits annotations', () => {
    const at = `web=${IMAGE}:1.x\n`;
    expect(edited(APPLICATION, 'ignore')).toBe(
      APPLICATION.replace(at, `${at}    argocd-image-updater.argoproj.io/web.ignore-tags: 1.1.0\n`),
    );
    expect(edited(APPLICATION, 'pin')).toBe(
      APPLICATION.replace(at, `${at}    argocd-image-updater.argoproj.io/web.allow-tags: regexp:^1\\.0\\.0$\n`),
    );
  });

  it('edits the entry of the image in an ImageUpdater', () => {
    const at = 'manifestTargets: { kustomize: { name: web } }\n';
    const ignored = edited(UPDATER, 'ignore');
    expect(ignored).toBe(
      UPDATER.replace(at, `${at}          commonUpdateSettings:\n            ignoreTags:\n              - 1.1.0\n`),
    );
    expect(edited(ignored, 'ignore')).toBe(ignored);
    const pinned = edited(UPDATER, 'pin');
    const [object] = readObjects(pinned, 'a.yaml');
    if (object?.kind !== 'ImageUpdater') throw new Error('no updater');
    expect(referencesOf(object)[1]?.images.map(({ allowTags }) => allowTags)).toEqual([
      undefined,
      'regexp:^1\\.0\\.0$',
    ]);
  });
});
