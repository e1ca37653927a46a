import { describe, expect, it } from 'vitest';
import * as markers from '../../../src/engine/markers/index.ts';
import { imageItem, markerItem, policyItem, tagItem } from '../../../src/extension/markers/imageItems.ts';
import { detailWords, markerTitle, policyWords, tagsAge } from '../../../src/extension/markers/words.ts';

const now = Date.parse('2026-11-21T09:00:00Z');
const digest = `sha256:${'a'.repeat(64)}`;
const list: markers.TagList = {
  image: 'ghcr.io/acme/web',
  fetchedAt: '2026-11-21T07:00:00Z',
  tags: ['1.0.0', '1.2.0', '2.0.0'],
  details: {
    '1.2.0': { digest, platforms: ['linux/amd64', 'linux/arm64'], created: '2026-11-18T09:00:00Z', isSigned: true },
  },
};
const flux = `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: web, namespace: apps}
spec: {image: ghcr.io/acme/web}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: web, namespace: apps}
spec:
  imageRepositoryRef: {name: web}
  policy: {semver: {range: "<2.0.0"}}
`;

function linkedWith(value: string, setter = 'apps:web', objects = flux) {
  const index = new markers.MarkerIndex();
  index.update('flux.yaml', objects);
  index.update('app.yaml', `image: ${value} # {"$imagepolicy": "${setter}"}\n`);
  const [linked] = index.linked('app.yaml');
  if (linked === undefined) throw new Error('no marker');
  return { index, linked };
}

describe('the words of a marker', () => {
  const title = (value: string, known: markers.TagList | undefined, setter?: string, objects?: string): string => {
    const { index, linked } = linkedWith(value, setter, objects);
    return markerTitle(
      markers,
      linked,
      markers.markerState(index, linked, () => known),
      now,
    );
  };
  it.each([
    ['behind', 'ghcr.io/acme/web:1.0.0', list, '1.0.0 → 1.2.0 by semver <2.0.0 (tags from 2 h ago)'],
    ['current', 'ghcr.io/acme/web:1.2.0', list, '$(check) 1.2.0 is the latest by semver <2.0.0 (tags from 2 h ago)'],
    ['unknown', 'ghcr.io/acme/web:1.2.0', undefined, '$(circle-outline) 1.2.0 by semver <2.0.0, tags not fetched yet'],
  ] as const)('%s', (_name, value, known, expected) => {
    expect(title(value, known)).toBe(expected);
  });
  it('name what is missing', () => {
    expect(title('a:1', list, 'apps:other')).toBe('$(question) no ImagePolicy apps:other in this repository');
    expect(title('a:1', list, 'apps:web', flux.replace('<2.0.0', 'two'))).toMatch(/^\$\(error\) Flux cannot use web: /);
    expect(title('a:1', { ...list, tags: ['3.0.0'] })).toMatch(/^\$\(warning\) no tag for web: none of 1 tags/);
  });
  it('tell ages, platforms and signatures', () => {
    expect(tagsAge({ fetchedAt: '2026-11-21T08:59:50Z' }, now)).toBe('tags just fetched');
    expect(detailWords(markers, list.details['1.2.0'], now)).toBe(
      '3 days ago · linux/amd64, linux/arm64 · signed · aaaaaaaaaaaa',
    );
    expect(detailWords(markers, undefined, now)).toBe('');
  });
});

describe('the rows of Images & Policies', () => {
  it('say state, age and cause without hovering', () => {
    const { index, linked } = linkedWith('ghcr.io/acme/web:1.0.0');
    const [policy] = index.objectsOf('ImagePolicy');
    if (policy === undefined) throw new Error('no policy');
    const state = markers.policyState(index, policy, () => list);
    expect(policyWords(state, now)).toBe('selects 1.2.0 of 3 tags, fetched 2 h ago');
    expect(imageItem('ghcr.io/acme/web', { list, behind: 1, from: [] }, now)).toMatchObject({
      label: 'web',
      description: '1 marker behind · 3 tags, fetched 2 h ago',
      contextValue: 'image.behind',
      spoken: 'image web, 1 marker behind, 3 tags, fetched 2 h ago',
    });
    expect(imageItem('a/b', { list: undefined, behind: 0, from: [] }, now)).toMatchObject({
      description: 'tags not fetched yet',
      contextValue: 'image',
    });
    expect(policyItem(markers, policy, state, { markers: 2, behind: 1 }, now)).toMatchObject({
      label: 'apps:web',
      description: '1.2.0 · 1 marker behind',
      contextValue: 'policy.behind',
    });
    expect(policyItem(markers, policy, state, { markers: 0, behind: 0 }, now).description).toBe('1.2.0 · no markers');
    expect(
      markerItem(
        markers,
        linked,
        markers.markerState(index, linked, () => list),
      ),
    ).toMatchObject({
      label: '1.0.0 → 1.2.0',
      description: 'app.yaml:1',
      contextValue: 'marker.behind',
    });
    expect(tagItem(markers, '1.2.0', list, { selectedBy: ['apps:web'], usedBy: 2 }, now)).toMatchObject({
      description: '3 days ago · wins apps:web · in 2 markers · signed',
      icon: 'star-full',
    });
  });
});
