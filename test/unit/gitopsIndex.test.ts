import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ignoreTagEdits, readSourceOverride, setOverride, sourceFileName } from '../../src/engine/gitops/argocd.ts';
import { applyEdits } from '../../src/engine/gitops/edit.ts';
import { chooseTag, imagesOfApplication, referencesOf, splitImage } from '../../src/engine/gitops/imageUpdater.ts';
import { MarkerIndex } from '../../src/engine/gitops/markerIndex.ts';
import { readObjects, selectsLabels } from '../../src/engine/gitops/objects.ts';
import { rollbackRecipes, whoUndoes } from '../../src/engine/gitops/rollback.ts';
import { readYamlObjects, setValue, textAt } from '../../src/engine/gitops/yaml.ts';
import { randomFile } from '../fuzz/documents.ts';

const flux = `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata:
  name: app
  namespace: apps
spec:
  image: ghcr.io/acme/app
  interval: 5m
---
# what we run
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata:
  name: app
  namespace: apps
spec:
  imageRepositoryRef:
    name: app
  policy:
    semver:
      range: ">=1.0.0"   # stable
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata:
  name: apps
  namespace: apps
spec:
  interval: 30m
  sourceRef: {kind: GitRepository, name: repo}
  update:
    path: ./clusters/dev
  git:
    checkout: {ref: {branch: main}}
`;
const manifest = (value: string, setter: string): string =>
  `spec:\n  image: ${value} # {"$imagepolicy": "${setter}"}\n`;

function index(files: Readonly<Record<string, string>>): MarkerIndex {
  const made = new MarkerIndex();
  for (const [file, text] of Object.entries({ 'clusters/flux.yaml': flux, ...files })) made.update(file, text);
  return made;
}
const codes = (made: MarkerIndex, file: string): readonly string[] => made.diagnostics(file).map(({ code }) => code);

describe('the marker index', () => {
  it('links marker, policy, repository and automation', () => {
    const made = index({ 'clusters/dev/app.yaml': manifest('ghcr.io/acme/app:1.2.0', 'apps:app') });
    const [linked] = made.linked('clusters/dev/app.yaml');
    expect([
      linked?.policy?.name,
      linked?.repository?.image,
      linked?.automations.map(({ name }) => name),
      linked?.verdict?.isAllowed,
    ]).toEqual(['app', 'ghcr.io/acme/app', ['apps'], true]);
    expect(codes(made, 'clusters/dev/app.yaml')).toEqual([]);
    expect(codes(made, 'clusters/flux.yaml')).toEqual([]);
    expect(made.markersNaming('apps', 'app')).toHaveLength(1);
  });

  it.each([
    ['outside the path', 'other/app.yaml', manifest('ghcr.io/acme/app:1.2.0', 'apps:app'), ['gitops.outside-path']],
    [
      'wrong namespace',
      'clusters/dev/app.yaml',
      manifest('ghcr.io/acme/app:1.2.0', 'default:app'),
      ['gitops.wrong-namespace'],
    ],
    ['no policy', 'clusters/dev/app.yaml', manifest('ghcr.io/acme/app:1.2.0', 'apps:other'), ['gitops.no-policy']],
    [
      'value out of range',
      'clusters/dev/app.yaml',
      manifest('ghcr.io/acme/app:0.9.0', 'apps:app'),
      ['gitops.value-not-allowed'],
    ],
    [
      'value of another image',
      'clusters/dev/app.yaml',
      manifest('nginx:1.2.0', 'apps:app'),
      ['gitops.value-not-allowed'],
    ],
    [
      'dead marker',
      'clusters/dev/app.yaml',
      'spec:\n  image: # {"$imagepolicy": "apps:app"}\n    x:1\n',
      ['gitops.marker-next-line'],
    ],
    ['unreadable file', 'clusters/dev/app.yaml', `${manifest('a:1', 'apps:app')}b: [\n`, ['gitops.marker-file']],
    [
      'a List',
      'clusters/dev/app.yaml',
      'kind: List\nitems:\n- image: ghcr.io/acme/app:1.2.0 # {"$imagepolicy": "apps:app"}\n',
      ['gitops.list'],
    ],
  ])('%s', (_name, file, text, expected) => {
    const made = index({ [file]: text });
    expect(codes(made, file)).toEqual(expected);
    for (const { place, fix } of made.diagnostics(file)) {
      expect(place.range).toBeDefined();
      expect(fix).toBeTruthy();
    }
  });

  it('offers the right namespace as a replacement of the setter', () => {
    const file = 'clusters/dev/app.yaml';
    const [problem] = index({ [file]: manifest('x:1', 'default:app:tag') }).diagnostics(file);
    expect(problem?.replacement).toBe('apps:app:tag');
    expect(problem?.place.range).toEqual({ start: { line: 1, character: 33 }, end: { line: 1, character: 48 } });
  });

  it('reports policies without marker and what is wrong with them', () => {
    expect(codes(index({}), 'clusters/flux.yaml')).toEqual(['gitops.policy-unused']);
    const broken = flux
      .replace('">=1.0.0"', '"one"')
      .replace('ghcr.io/acme/app', 'ghcr.io/Acme/App')
      .replace('    name: app\n  policy', '    name: gone\n  policy');
    const made = new MarkerIndex();
    made.update('flux.yaml', broken);
    expect(codes(made, 'flux.yaml')).toEqual([
      'gitops.invalid-image',
      'gitops.invalid-range',
      'gitops.no-repository',
      'gitops.policy-unused',
    ]);
  });

  it('renames a policy in all its markers', () => {
    const file = 'clusters/dev/app.yaml';
    const text = `${manifest('ghcr.io/acme/app:1.2.0', 'apps:app')}tag: x # {"$imagepolicy": "apps:app:tag"}\n`;
    const [[changed, edits] = []] = index({ [file]: text }).renameEdits('apps', 'app', 'web');
    expect([changed, edits && applyEdits(text, edits)]).toEqual([
      file,
      text.replace('"apps:app"', '"apps:web"').replace('apps:app:tag', 'apps:web:tag'),
    ]);
  });

  it('follows edits file by file', () => {
    const file = 'clusters/dev/app.yaml';
    const made = index({ [file]: manifest('ghcr.io/acme/app:1.2.0', 'apps:app') });
    made.update('clusters/flux.yaml', flux.replace('./clusters/dev', './elsewhere'));
    expect(codes(made, file)).toEqual(['gitops.outside-path']);
    made.remove('clusters/flux.yaml');
    expect(codes(made, file)).toEqual(['gitops.no-policy']);
    made.update(file, 'a: b\n');
    expect(made.filesWithMarkers).toEqual([]);
  });

  it('takes the namespace from a kustomization beside the policy', () => {
    const made = index({});
    made.update('base/policy.yaml', flux.replaceAll('  namespace: apps\n', ''));
    made.update('base/kustomization.yaml', 'namespace: team\nresources: [policy.yaml]\n');
    expect(made.objectsOf('ImagePolicy').map(({ namespace }) => namespace)).toEqual(['apps', 'team']);
  });

  it('narrows by policySelector', () => {
    const labels = { app: 'x', tier: 'web' };
    const expression = (operator: string, ...values: readonly string[]) => ({
      labels: {},
      expressions: [{ key: 'tier', operator, values }],
    });
    expect(selectsLabels({ labels: { app: 'x' }, expressions: [] }, labels)).toBe(true);
    expect(selectsLabels({ labels: { app: 'y' }, expressions: [] }, labels)).toBe(false);
    expect([
      selectsLabels(expression('In', 'web'), labels),
      selectsLabels(expression('NotIn', 'web'), labels),
      selectsLabels(expression('Exists'), labels),
      selectsLabels(expression('DoesNotExist'), labels),
    ]).toEqual([true, false, true, false]);
  });
});

describe('values of ordinary YAML', () => {
  it.each([
    ['spec:\n  suspend: false # why\n', ['spec', 'suspend'], { bare: 'true' }, 'spec:\n  suspend: true # why\n'],
    ['spec:\n  interval: 5m\n', ['spec', 'suspend'], { bare: 'true' }, 'spec:\n  interval: 5m\n  suspend: true\n'],
    [
      'spec:\r\n    a: |\r\n      x\r\n\r\nstatus: {}\r\n',
      ['spec', 'b'],
      { text: 'w' },
      'spec:\r\n    a: |\r\n      x\r\n    b: w\r\n\r\nstatus: {}\r\n',
    ],
    [
      'a: 1\n',
      ['spec', 'policy', 'range'],
      { text: '>=1.0.0 !=1.2.0' },
      "a: 1\nspec:\n  policy:\n    range: '>=1.0.0 !=1.2.0'\n",
    ],
    ['spec: {a: b}\n', ['spec', 'c'], { text: 'd' }, 'spec: {a: b, c: d}\n'],
    ['spec: {}\n', ['spec', 'c', 'd'], { text: 'e' }, 'spec: {c: {d: e}}\n'],
    ['spec:\nb: c\n', ['spec', 'x'], { text: 'w' }, 'spec:\n  x: w\nb: c\n'],
    [
      'spec:\n  list:\n  - a # one\n  - b\n',
      ['spec', 'list'],
      { list: ['a', 'b', '^c$'] },
      'spec:\n  list:\n  - a # one\n  - b\n  - ^c$\n',
    ],
    ['spec:\n  list: ["a"] # x\n', ['spec', 'list'], { list: ['a', 'b'] }, 'spec:\n  list: [a, b] # x\n'],
    ['spec:\n  a: x', ['spec', 'b'], { text: '1.10' }, "spec:\n  a: x\n  b: '1.10'"],
  ] as const)('%j %j', (text, path, value, expected) => {
    const [object] = readYamlObjects(text, 'a.yaml');
    const edits = object && setValue(text, object, path, value);
    expect(edits && applyEdits(text, edits)).toBe(expected);
  });
});

describe('setting values in random files', () => {
  it('changes what was asked and nothing else, or refuses', () => {
    let done = 0;
    fc.assert(
      fc.property(
        randomFile,
        fc.constantFrom(['spec', 'new'], ['image'], ['zz'], ['values', 'a', 'b'], ['name']),
        ({ text }, path) => {
          for (const [index, object] of readYamlObjects(text, 'a.yaml').entries()) {
            const edits = setValue(text, object, path, { text: '>=1.0.0 !=1.2.0' });
            if (edits === undefined) continue;
            done += 1;
            const after = readYamlObjects(applyEdits(text, edits), 'a.yaml');
            expect(textAt(after[index]?.root, path)).toBe('>=1.0.0 !=1.2.0');
            const lines = (source: string) => source.split(/\r\n|\n/);
            // Every line that the edits do not touch is still there, in order.
            const kept = lines(
              applyEdits(
                text,
                edits.map((edit) => ({ ...edit, text: '' })),
              ),
            );
            expect(kept.length).toBeLessThanOrEqual(lines(text).length);
          }
        },
      ),
      { numRuns: 300 },
    );
    expect(done).toBeGreaterThan(50);
  });
});

describe('rollbacks that stick', () => {
  const tags = ['1.0.0', '1.1.0', '1.2.0', '2.0.0-rc.1', 'latest'];
  function request(policyText: string, badTag: string, goodTag: string, known: readonly string[] = tags) {
    const files: Record<string, string> = {
      'flux.yaml': policyText,
      'clusters/dev/app.yaml': manifest(`ghcr.io/acme/app:${badTag}`, 'apps:app'),
    };
    const made = new MarkerIndex();
    for (const [file, text] of Object.entries(files)) made.update(file, text);
    const policy = made.policy('apps', 'app');
    if (policy === undefined) throw new Error('no policy');
    const markers = made.markersNaming('apps', 'app');
    return {
      policy,
      repository: made.repositoryOf(policy),
      automations: made.automationsFor(policy),
      markers,
      tags: known,
      badTag,
      goodTag,
      textOf: (file: string) => files[file] ?? '',
    };
  }

  it('offers every recipe with what happens next', () => {
    const recipes = rollbackRecipes(request(flux, '1.2.0', '1.1.0'));
    expect(recipes.map(({ name, verdict, selection }) => [name, verdict, selection.latest])).toEqual([
      ['pin-policy', 'sticks', '1.1.0'],
      ['exclude-from-policy', 'sticks', '1.1.0'],
      ['exclude-from-repository', 'sticks', '1.1.0'],
      ['suspend-automation', 'sticks', '1.2.0'],
      ['remove-marker', 'sticks', '1.2.0'],
    ]);
    const texts = recipes.map(({ edits }) => edits.map(({ text }) => text));
    expect(texts[0]?.[0]).toBe(flux.replace('">=1.0.0"', '"1.1.0"'));
    expect(texts[1]?.[0]).toBe(flux.replace('">=1.0.0"', '">=1.0.0 !=1.2.0"'));
    expect(texts[2]?.[0]).toBe(
      flux.replace('  interval: 5m\n', '  interval: 5m\n  exclusionList:\n    - ^.*\\.sig$\n    - ^1\\.2\\.0$\n'),
    );
    expect(texts[3]?.[0]).toBe(
      flux.replace('checkout: {ref: {branch: main}}\n', 'checkout: {ref: {branch: main}}\n  suspend: true\n'),
    );
    expect(texts[3]?.[1]).toBe(manifest('ghcr.io/acme/app:1.1.0', 'apps:app'));
    expect(texts[4]?.[0]).toBe(
      'spec:\n  image: ghcr.io/acme/app:1.1.0 # rolled back, restore: {"$imagepolicy": "apps:app"}\n',
    );
    for (const recipe of recipes) expect(recipe.next.length).toBeGreaterThan(0);
  });

  it('says when excluding one version leads somewhere else', () => {
    const recipes = rollbackRecipes(request(flux, '1.2.0', '1.0.0'));
    expect(recipes.find(({ name }) => name === 'exclude-from-policy')?.verdict).toBe('differs');
    expect(recipes.find(({ name }) => name === 'pin-policy')?.selection.latest).toBe('1.0.0');
  });

  it('pins a numerical policy with extraction to one tag', () => {
    const numerical = flux.replace(
      '    semver:\n      range: ">=1.0.0"   # stable\n',
      '    numerical: {order: asc}\n  filterTags:\n    pattern: "^main-[a-f0-9]+-(?P<ts>[0-9]+)$"\n    extract: $ts\n',
    );
    const [pin] = rollbackRecipes(request(numerical, 'main-def-20', 'main-abc-10', ['main-abc-10', 'main-def-20']));
    expect([pin?.name, pin?.verdict, pin?.selection.latest]).toEqual(['pin-policy', 'sticks', 'main-abc-10']);
    expect(pin?.edits[0]?.text).toContain('pattern: "^main-abc-(?P<ts>10)$"');
  });

  it('excludes from every alternative of a range, and from a hyphen range', () => {
    const range = flux.replace('">=1.0.0"', '"1.0 - 1.9 || ~3"');
    const recipe = rollbackRecipes(request(range, '1.2.0', '1.1.0')).find(({ name }) => name === 'exclude-from-policy');
    expect(recipe?.edits[0]?.text).toContain('range: "1.0 - 1.9, !=1.2.0 || ~3 !=1.2.0"');
    expect(recipe?.selection.latest).toBe('1.1.0');
  });

  it('warns who would undo an edit by hand', () => {
    const made = request(flux, '1.2.0', '1.1.0');
    expect(whoUndoes(made, '1.1.0', '1.2.0')).toContain('apps (every 30m) will write 1.2.0 again');
    expect(whoUndoes(made, '1.2.0', '1.2.0')).toBeUndefined();
    expect(whoUndoes({ ...made, automations: [] }, '1.1.0', '1.2.0')).toBeUndefined();
  });
});

describe('Argo CD Image Updater', () => {
  const prefix = 'argocd-image-updater.argoproj.io/';
  const application = (annotations: Readonly<Record<string, string>>): string =>
    `apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: web\n  namespace: argocd\n  annotations:\n${Object.entries(
      annotations,
    )
      .map(([key, value]) => `    ${prefix}${key}: '${value}'\n`)
      .join('')}spec:\n  source: {repoURL: https://x/y.git, path: apps/web}\n  syncPolicy: {automated: {}}\n`;
  const appOf = (text: string) => {
    const [object] = readObjects(text, 'app.yaml');
    if (object?.kind !== 'Application') throw new Error('no application');
    return object;
  };

  it.each([
    ['nginx', [undefined, 'nginx', undefined]],
    ['web=org/web:>=1.0', ['web', 'org/web', '>=1.0']],
    ['org/web:>=1.0', [undefined, 'org/web', '>=1.0']],
    ['w=reg.io:5000/a/b:~1.2', ['w', 'reg.io:5000/a/b', '~1.2']],
    ['reg.io:5000/a/b', [undefined, 'reg.io:5000/a/b', undefined]],
  ])('splits %s', (text, expected) => {
    const { alias, image, constraint } = splitImage(text);
    expect([alias, image, constraint]).toEqual(expected);
  });

  it('reads annotations with aliases, old names and defaults', () => {
    const text = application({
      'image-list': 'web=org/web:~1.2, org/side',
      'web.update-strategy': 'latest',
      'web.tag-match': 'regexp:^1',
      'ignore-tags': 'a*, b',
      'web.helm.image-tag': 'image.tag',
    });
    const [web, side] = imagesOfApplication(appOf(text));
    expect([web?.strategy, web?.allowTags, web?.ignoreTags, web?.helm]).toEqual([
      'newest-build',
      'regexp:^1',
      ['a*', 'b'],
      { tag: 'image.tag' },
    ]);
    expect([side?.strategy, side?.constraint, side?.alias]).toEqual(['semver', undefined, undefined]);
    expect(appOf(text).automated).toBe('on');
  });

  it('chooses by strategy', () => {
    const [base] = imagesOfApplication(appOf(application({ 'image-list': 'web=org/web' })));
    if (base === undefined) throw new Error('no image');
    const tags = ['1.0.0', '1.2', '2.0.0-rc.1', 'v1.10.0', 'latest', 'dev-1'].map((tag, created) => ({ tag, created }));
    expect(chooseTag({ ...base, constraint: '^1' }, tags).tag).toBe('v1.10.0');
    expect(chooseTag(base, tags).tag).toBe('2.0.0-rc.1');
    expect(chooseTag({ ...base, generation: '1.x' }, tags).tag).toBe('v1.10.0');
    expect(chooseTag({ ...base, strategy: 'alphabetical' }, tags).tag).toBe('v1.10.0');
    expect(chooseTag({ ...base, strategy: 'newest-build' }, tags).tag).toBe('dev-1');
    expect(chooseTag({ ...base, strategy: 'newest-build' }, [{ tag: 'a' }]).note).toContain('not known');
    expect(chooseTag({ ...base, strategy: 'digest', constraint: 'latest' }, tags).tag).toBe('latest');
    expect(chooseTag({ ...base, strategy: 'digest' }, tags).note).toContain('needs a tag');
    expect(chooseTag({ ...base, ignoreTags: ['*'] }, tags).tag).toBeUndefined();
    expect(chooseTag({ ...base, ignoreTags: ['v*', '2.?.?-rc.[0-9]'] }, tags).tag).toBe('1.2');
    expect(chooseTag({ ...base, allowTags: 'regexp:^1\\.0' }, tags).tag).toBe('1.0.0');
    expect(chooseTag({ ...base, allowTags: 'glob:*' }, tags).tag).toBeUndefined();
    expect(chooseTag({ ...base, constraint: 'x y' }, tags).note).toContain('invalid');
  });

  it('reads an ImageUpdater, inner settings first', () => {
    const text = `apiVersion: argocd-image-updater.argoproj.io/v1alpha1
kind: ImageUpdater
metadata: {name: u, namespace: argocd}
spec:
  commonUpdateSettings: {updateStrategy: alphabetical, ignoreTags: [x]}
  writeBackConfig: {method: git, gitConfig: {branch: main}}
  applicationRefs:
  - namePattern: web-*
    images:
    - {alias: web, imageName: 'ghcr.io/org/web:~1.2', commonUpdateSettings: {updateStrategy: semver}}
  - namePattern: old
    useAnnotations: true
`;
    const [object] = readObjects(text, 'u.yaml');
    if (object?.kind !== 'ImageUpdater') throw new Error('no updater');
    const [web, old] = referencesOf(object);
    expect([
      web?.namePattern,
      web?.images[0]?.strategy,
      web?.images[0]?.constraint,
      web?.images[0]?.ignoreTags,
      web?.writeBack.method,
      old?.source,
    ]).toEqual(['web-*', 'semver', '~1.2', ['x'], 'git', 'annotations']);
  });

  it('finds two updaters of one Application', () => {
    const updater = (name: string, pattern: string): string =>
      `apiVersion: argocd-image-updater.argoproj.io/v1alpha1\nkind: ImageUpdater\nmetadata: {name: ${name}, namespace: argocd}\nspec:\n  applicationRefs: [{namePattern: '${pattern}'}]\n`;
    const made = new MarkerIndex();
    made.update('app.yaml', application({}));
    made.update('one.yaml', updater('one', 'w*'));
    made.update('two.yaml', updater('two', 'web'));
    made.update('three.yaml', updater('three', 'api-?'));
    expect([codes(made, 'one.yaml'), codes(made, 'three.yaml')]).toEqual([['gitops.updaters-overlap'], []]);
  });

  it('adds a bad tag to ignore-tags', () => {
    const text = application({ 'image-list': 'web=org/web', 'web.ignore-tags': 'a' });
    const app = appOf(text);
    const [image] = imagesOfApplication(app);
    const edits = image && ignoreTagEdits(text, app, image, '1.2.0');
    expect(edits && applyEdits(text, edits)).toBe(text.replace("ignore-tags: 'a'", "ignore-tags: 'a,1.2.0'"));
  });

  it('edits override files and leaves the rest of them alone', () => {
    const [image] = imagesOfApplication(
      appOf(
        application({
          'image-list': 'web=org/web',
          'web.helm.image-name': 'image.repository',
          'web.helm.image-tag': 'image.tag',
        }),
      ),
    );
    if (image === undefined) throw new Error('no image');
    expect(sourceFileName({ name: 'web', namespace: 'argocd' })).toBe('.argocd-source-web.yaml');
    expect(sourceFileName({ name: 'web', namespace: 'team' })).toBe('.argocd-source-team_web.yaml');
    const fresh = setOverride({
      text: undefined,
      file: 'f',
      image,
      version: '1.10',
      tool: 'helm',
      specParameters: [{ name: 'keep', value: 'x', forceString: false }],
    });
    expect(readSourceOverride(fresh, 'f').parameters.map(({ name, value }) => `${name}=${value}`)).toEqual([
      'keep=x',
      'image.repository=org/web',
      'image.tag=1.10',
    ]);
    const old =
      '# ours\nhelm:\n  parameters:\n  - name: image.tag   # tag\n    value: 1.0.0\n    forcestring: true\n  - name: other\n    value: "y"\n';
    const next = setOverride({ text: old, file: 'f', image, version: '1.1.0', tool: 'helm' });
    expect(next).toBe(
      `${old.replace('1.0.0', '1.1.0')}  - name: image.repository\n    value: org/web\n    forcestring: true\n`,
    );
    const images = 'kustomize:\n  images:\n  - a:1 # one\n  - org/web:1\n';
    expect(setOverride({ text: images, file: 'f', image, version: '@sha256:ab', tool: 'kustomize' })).toBe(
      images.replace('org/web:1', 'org/web@sha256:ab'),
    );
  });
});
