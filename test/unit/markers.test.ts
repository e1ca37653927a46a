import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  addressOf,
  applyEdits,
  earlierValues,
  editsForValues,
  findMarkers,
  MarkerIndex,
  markerEdits,
  markerState,
  policyState,
  repairMarker,
  ruleWords,
  shortNext,
  shortValue,
  type TagList,
  TagStore,
  tagsFolder,
  updaterChoice,
  updaterEdit,
  updaterTargets,
  writeTarget,
} from '../../src/engine/markers/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';

const folders: string[] = [];
const servers: Server[] = [];
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'slipway-markers-'));
  folders.push(made);
  return made;
};
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  for (const one of folders.splice(0)) rmSync(one, { recursive: true, force: true });
});

const objects = (digest = 'Never', range = '>=1.0.0 <2.0.0'): string => `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: web, namespace: apps}
spec: {image: ghcr.io/acme/web, interval: 5m}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: web, namespace: apps}
spec:
  imageRepositoryRef: {name: web}
  digestReflectionPolicy: ${digest}
  policy: {semver: {range: "${range}"}}
`;
const digest = `sha256:${'a'.repeat(64)}`;
const list = (tags: readonly string[], details: TagList['details'] = {}): TagList => ({
  image: 'ghcr.io/acme/web',
  fetchedAt: '2026-11-21T07:00:00.000Z',
  tags,
  details,
});

function states(manifest: string, flux: string, tags: TagList | undefined) {
  const index = new MarkerIndex();
  index.update('flux.yaml', flux);
  index.update('app.yaml', manifest);
  return index.linked('app.yaml').map((linked) => {
    const state = markerState(index, linked, () => tags);
    const next = state.kind === 'behind' ? shortNext(linked.marker, state) : '';
    return `${shortValue(linked.marker)} ${state.kind} ${next}`.trim();
  });
}
const marker = (value: string, part = ''): string => `image: ${value} # {"$imagepolicy": "apps:web${part}"}\n`;

describe('the state of a marker', () => {
  const tags = list(['1.0.0', '1.2.0', '2.0.0'], { '1.2.0': { digest, platforms: [], isSigned: false } });
  it.each([
    ['ghcr.io/acme/web:1.0.0', '', 'Never', tags, '1.0.0 behind 1.2.0'],
    ['ghcr.io/acme/web:1.2.0', '', 'Never', tags, '1.2.0 current'],
    ['ghcr.io/acme/web:1.3.0', '', 'Never', tags, '1.3.0 behind 1.2.0'],
    ['ghcr.io/acme/web', '', 'Never', tags, '(no tag) behind 1.2.0'],
    ['1.0.0', ':tag', 'Never', tags, '1.0.0 behind 1.2.0'],
    ['ghcr.io/acme/old', ':name', 'Never', tags, 'ghcr.io/acme/old behind ghcr.io/acme/web'],
    [`ghcr.io/acme/web:1.2.0@${digest}`, '', 'Never', tags, '1.2.0 behind 1.2.0'],
    ['ghcr.io/acme/web:1.2.0', '', 'Always', tags, '1.2.0 behind 1.2.0'],
    [`ghcr.io/acme/web:1.2.0@${digest}`, '', 'IfNotPresent', tags, '1.2.0 current'],
    ['""', ':digest', 'Always', tags, '(empty) behind aaaaaaaaaaaa'],
    ['ghcr.io/acme/web:1.0.0', '', 'Always', list(['1.2.0']), '1.0.0 behind 1.2.0'],
    ['ghcr.io/acme/web:1.2.0', '', 'Always', list(['1.2.0']), '1.2.0 current'],
    ['ghcr.io/acme/web:1.0.0', '', 'Never', undefined, '1.0.0 not-fetched'],
    ['ghcr.io/acme/web:1.0.0', '', 'Never', list(['3.0.0']), '1.0.0 none'],
  ] as const)('%s%s under %s', (value, part, reflection, known, expected) => {
    expect(states(marker(value, part), objects(reflection), known)).toEqual([expected]);
  });

  it('says what hinders a policy', () => {
    expect(states(marker('a:1'), '', undefined)).toEqual(['1 no-policy']);
    expect(states(marker('a:1'), objects('Never', 'one'), tags)).toEqual(['1 invalid']);
    const [, alone = ''] = objects().split('---\n');
    expect(states(marker('a:1'), alone, tags)).toEqual(['1 no-repository']);
  });

  it('selects anew when the tags are others', () => {
    const index = new MarkerIndex();
    index.update('flux.yaml', objects());
    const [policy] = index.objectsOf('ImagePolicy');
    if (policy === undefined) throw new Error('no policy');
    const select = (known: TagList) => policyState(index, policy, () => known);
    expect(select(tags)).toMatchObject({ kind: 'selected', tag: '1.2.0' });
    expect(select(list(['1.9.0']))).toMatchObject({ kind: 'selected', tag: '1.9.0' });
    expect(ruleWords(policy)).toBe('semver >=1.0.0 <2.0.0');
  });
});

describe('edits of the editor', () => {
  const ref = { name: 'ghcr.io/acme/web', tag: '1.2.0' };

  it('change the characters that differ and no others, in any line ends', () => {
    const text = `a: 1\r\nimage: 'ghcr.io/acme/web:1.0.0' # {"$imagepolicy": "apps:web"}\r\nb:   2\r\n`;
    const [found] = findMarkers(text, 'a.yaml').markers;
    if (found === undefined) throw new Error('no marker');
    const edits = editsForValues(text, 'a.yaml', [{ address: addressOf(found), ref }]);
    expect(edits.map(({ start, end, text: next }) => [text.slice(start, end), next])).toEqual([['0', '2']]);
    expect(applyEdits(text, edits)).toBe(text.replace('1.0.0', '1.2.0'));
  });

  it('find a marker that has moved, by its path', () => {
    const text = `a:\n  image: x:1.0.0 # {"$imagepolicy": "apps:web"}\nb:\n  image: x:1.0.0 # {"$imagepolicy": "apps:web"}\n`;
    const second = findMarkers(text, 'a.yaml').markers[1];
    if (second === undefined) throw new Error('no marker');
    const moved = `# new\n# lines\n${text}`;
    const edits = editsForValues(moved, 'a.yaml', [{ address: addressOf(second), value: 'x:0.9.0' }]);
    expect(applyEdits(moved, edits)).toBe(
      `# new\n# lines\n${text.slice(0, -60)}${text.slice(-60).replace('1.0.0', '0.9.0')}`,
    );
  });

  it('refuse when the marker has gone', () => {
    const address = { setter: 'apps:web', path: ['image'], at: 7 };
    expect(() => editsForValues('image: x:1\n', 'a.yaml', [{ address, ref }])).toThrow(/no marker apps:web any more/);
  });
});

describe('a comment meant as a marker', () => {
  const repaired = (text: string, file = 'a.yaml'): string | undefined => {
    const [dead] = findMarkers(text, file).dead;
    const edits = dead && repairMarker(text, file, dead);
    return edits && applyEdits(text, edits);
  };
  it.each([
    ['upper-case part', 't: "1" # {"$imagepolicy": "apps:web:TAG"}', 't: "1" # {"$imagepolicy": "apps:web:tag"}'],
    ['single quotes', `t: "1" # {'$imagepolicy': 'apps:web'} "$imagepolicy"`, 't: "1" # {"$imagepolicy": "apps:web"}'],
    ['slash', 't: a:1 # {"$imagepolicy": "apps/web"}', 't: a:1 # {"$imagepolicy": "apps:web"}'],
    ['comma', 't: a:1 # {"$imagepolicy": "apps:web",}', 't: a:1 # {"$imagepolicy": "apps:web"}'],
    ['no space', 't: a:1# {"$imagepolicy": "apps:web"}', 't: a:1 # {"$imagepolicy": "apps:web"}'],
    ['above a key', 'a: 1\n# {"$imagepolicy": "apps:web"}\nt: a:1', 'a: 1\nt: a:1 # {"$imagepolicy": "apps:web"}'],
    [
      'on the key, CRLF',
      't: # {"$imagepolicy": "apps:web"}\r\n  a:1\r\n',
      't:\r\n  a:1 # {"$imagepolicy": "apps:web"}\r\n',
    ],
  ])('is mended: %s', (_name, text, expected) => {
    expect(repaired(text)).toBe(expected);
  });
  it.each([
    ['inside a text', 't: |\n  a:1 # {"$imagepolicy": "apps:web"}\n'],
    ['without a name', 't: a:1 # {"$imagepolicy": ""}'],
    ['behind a collection', 't: {a: b} # {"$imagepolicy": "apps:web"}'],
  ])('is left alone: %s', (_name, text) => {
    expect(repaired(text)).toBeUndefined();
  });

  it('is put behind the uses of an image, where Flux would read it', () => {
    const text =
      'a: ghcr.io/acme/web:1\nb: "ghcr.io/acme/web:2"\nc: {d: ghcr.io/acme/web:3}\ne: ghcr.io/acme/web-2:1\nf: ghcr.io/acme/web:4 # no\n';
    const edits = markerEdits(text, 'a.yaml', 'ghcr.io/acme/web', 'apps:web');
    const after = applyEdits(text, edits);
    expect(findMarkers(after, 'a.yaml').markers.map(({ current }) => current)).toEqual([
      'ghcr.io/acme/web:1',
      'ghcr.io/acme/web:2',
    ]);
    expect(after.replaceAll(' # {"$imagepolicy": "apps:web"}', '')).toBe(text);
  });
});

describe('earlier values', () => {
  it('come from the history of the file, whatever became of the lines around', async () => {
    const root = folder();
    const git = (...args: readonly string[]) =>
      execFileSync('git', ['-c', 'user.name=Ann', '-c', 'user.email=a@example.com', ...args], {
        cwd: root,
        stdio: 'pipe',
      });
    git('init', '-q', '-b', 'main');
    mkdirSync(join(root, 'deploy'));
    const file = join(root, 'deploy', 'app.yaml');
    const commit = (text: string, message: string) => {
      writeFileSync(file, text);
      git('add', '-A');
      git('commit', '-qm', message);
    };
    commit(`spec:\n  ${marker('web:1.0.0')}`, 'first');
    commit(`spec:\n  ${marker('web:1.1.0')}`, 'second');
    commit(`# header\nspec:\n    x: 1\n    ${marker('web:1.1.0')}`, 'only moved');
    commit(`# header\nspec:\n    x: 1\n    ${marker('web:1.2.0')}`, 'third');
    const text = `# header\nspec:\n    x: 1\n    ${marker('web:1.3.0')}`;
    writeFileSync(file, text);
    const [found] = findMarkers(text, file).markers;
    if (found === undefined) throw new Error('no marker');
    const system = createSystem();
    const values = await earlierValues(system, file, addressOf(found), 'web:1.3.0');
    expect(values.map(({ value, subject, author }) => [value, subject, author])).toEqual([
      ['web:1.2.0', 'third', 'Ann'],
      ['web:1.1.0', 'second', 'Ann'],
      ['web:1.0.0', 'first', 'Ann'],
    ]);
    expect(await earlierValues(system, file, addressOf(found), 'web:1.2.0', 1)).toHaveLength(1);
    const outside = join(folder(), 'app.yaml');
    writeFileSync(outside, text);
    expect(await earlierValues(system, outside, addressOf(found), 'x')).toEqual([]);
  });
});

/** A registry of one image that answers as the distribution API does. */
async function registry(tags: readonly string[]): Promise<{ readonly host: string; readonly seen: string[] }> {
  const seen: string[] = [];
  const config = JSON.stringify({ created: '2026-11-20T07:00:00Z', config: {} });
  const manifest = JSON.stringify({
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: `sha256:${'c'.repeat(64)}`, size: 1 },
    layers: [],
  });
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    seen.push(url);
    const answer = url.includes('/tags/list')
      ? JSON.stringify({ tags })
      : url.includes('/blobs/')
        ? config
        : url.includes('/manifests/')
          ? manifest
          : url === '/v2/'
            ? '{}'
            : undefined;
    if (answer === undefined) response.writeHead(404).end('{}');
    else response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }).end(answer);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { host: `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`, seen };
}

describe('known tags', () => {
  it('are asked for once and are there in the next session', async () => {
    const root = folder();
    const { host, seen } = await registry(['1.0.0', '1.1.0', `sha256-${'b'.repeat(64)}.sig`]);
    const system = createSystem();
    const image = `${host}/acme/web`;
    const store = new TagStore(system, root);
    expect(await store.load()).toBe(false);
    expect(store.of(image)).toBeUndefined();
    expect(seen).toEqual([]);
    const fetched = await store.fetch(image, ['1.0.0', 'gone'], new AbortController().signal);
    expect(fetched.tags).toHaveLength(3);
    expect(Object.keys(fetched.details).sort()).toEqual(['1.0.0', '1.1.0']);
    expect(fetched.details['1.0.0']).toMatchObject({ created: '2026-11-20T07:00:00Z', isSigned: false });
    const asked = seen.length;
    const later = new TagStore(system, root);
    expect(await later.load()).toBe(true);
    expect(later.of(image)).toEqual(fetched);
    expect(await later.load()).toBe(false);
    expect(seen).toHaveLength(asked);
  });

  it('survive a damaged file and are not asked for in Restricted Mode', async () => {
    const root = folder();
    mkdirSync(tagsFolder(root), { recursive: true });
    writeFileSync(join(tagsFolder(root), 'x.json'), '{"image": "a", "tags"');
    writeFileSync(join(tagsFolder(root), 'y.json'), '{"image": "a", "tags": 1}');
    const { host, seen } = await registry(['1.0.0']);
    const store = new TagStore(createSystem({ isTrusted: () => false }), root);
    expect(await store.load()).toBe(false);
    await expect(store.fetch(`${host}/acme/web`, [], new AbortController().signal)).rejects.toThrow(/not trusted/);
    expect(seen).toEqual([]);
  });
});

describe('Argo CD Image Updater', () => {
  const application = (annotations: string, source = ''): string => `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: argocd
  annotations:
    argocd-image-updater.argoproj.io/image-list: web=ghcr.io/acme/web:~1.2
    argocd-image-updater.argoproj.io/write-back-method: git
${annotations}spec:
  source:
    repoURL: https://git.example/shop
    path: deploy/shop
${source}`;
  const annotation = (key: string, value: string): string => `    argocd-image-updater.argoproj.io/${key}: ${value}\n`;
  const open = async (files: Readonly<Record<string, string>>, file = 'app.yaml') => {
    const index = new MarkerIndex();
    for (const [name, text] of Object.entries(files)) index.update(name, text);
    const read = async (name: string) => files[name];
    const targets = await updaterTargets(index, file, (path) => path, read);
    const [target] = targets;
    if (target === undefined) throw new Error('no target');
    return { target, read };
  };
  const known = list(['1.2.0', '1.2.3', '1.3.0']);

  it('finds the image in its annotation and chooses as it would', async () => {
    const text = application('');
    const { target } = await open({ 'app.yaml': text });
    const line = text.split('\n')[target.range.start.line] ?? '';
    expect(line.slice(target.range.start.character, target.range.end.character)).toBe('web=ghcr.io/acme/web');
    expect(updaterChoice(target.image, known).tag).toBe('1.2.3');
    expect(writeTarget(target)).toEqual({ kind: 'override', file: 'deploy/shop/.argocd-source-shop.yaml' });
    expect(target.current).toBeUndefined();
  });

  it('writes the override file for Kustomize, new and existing', async () => {
    const override = 'deploy/shop/.argocd-source-shop.yaml';
    const fresh = await open({ 'app.yaml': application('') });
    expect(await updaterEdit(fresh.target, '1.2.3', fresh.read)).toEqual({
      file: override,
      before: undefined,
      after: 'kustomize:\n  images:\n  - ghcr.io/acme/web:1.2.3\n',
    });
    const there = await open({
      'app.yaml': application(''),
      [override]: 'kustomize:\n  images:\n  - ghcr.io/acme/web:1.2.0\n',
    });
    expect(there.target.current).toEqual({ tag: '1.2.0', file: override });
    expect(await updaterEdit(there.target, '1.2.3', there.read)).toMatchObject({
      after: expect.stringContaining('ghcr.io/acme/web:1.2.3'),
    });
  });

  it('writes newTag of a kustomization and values of a chart, one token each', async () => {
    const kustomization = 'images:\n- name: ghcr.io/acme/web # ours\n  newTag: "1.2.0"\n';
    const one = await open({
      'app.yaml': application(annotation('write-back-target', 'kustomization')),
      'deploy/shop/kustomization.yaml': kustomization,
    });
    expect(one.target.current?.tag).toBe('1.2.0');
    expect(await updaterEdit(one.target, '1.2.3', one.read)).toMatchObject({
      after: kustomization.replace('1.2.0', '1.2.3'),
    });
    const values = '# values\nimage:\n  repository: ghcr.io/acme/web\n  tag: 1.2.0   # here\n';
    const two = await open({
      'app.yaml': application(
        annotation('write-back-target', 'helmvalues:values-prod.yaml') + annotation('web.helm.image-tag', 'image.tag'),
      ),
      'deploy/shop/values-prod.yaml': values,
    });
    expect(two.target.current?.tag).toBe('1.2.0');
    expect(await updaterEdit(two.target, '1.2.3', two.read)).toMatchObject({ after: values.replace('1.2.0', '1.2.3') });
  });

  it('says why it writes nothing here', async () => {
    const cluster = await open({
      'app.yaml': application('').replace('write-back-method: git', 'write-back-method: argocd'),
    });
    expect(await updaterEdit(cluster.target, '1.2.3', cluster.read)).toMatchObject({ reason: /cluster/ });
    const other = await open({ 'app.yaml': application(annotation('git-repository', 'https://git.example/other')) });
    expect(await updaterEdit(other.target, '1.2.3', other.read)).toMatchObject({ reason: /other/ });
  });

  it('reads ImageUpdater objects of 1.x', async () => {
    const updater = `apiVersion: argocd-image-updater.argoproj.io/v1alpha1
kind: ImageUpdater
metadata: {name: all, namespace: argocd}
spec:
  applicationRefs:
  - namePattern: sh*
    images:
    - alias: web
      imageName: ghcr.io/acme/web:~1.2
`;
    const { target } = await open(
      {
        'app.yaml': application(''),
        'updater.yaml': updater,
      },
      'updater.yaml',
    );
    expect(target.range.start.line).toBe(8);
    expect(target.image.generation).toBe('1.x');
    expect(target.app.name).toBe('shop');
  });
});
