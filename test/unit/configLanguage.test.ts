import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  checkConfig,
  complete,
  definitionAt,
  describeSpot,
  outlineOf,
  spotAt,
} from '../../src/engine/configLanguage.ts';
import { createSystem } from '../../src/engine/main.ts';
import { candidatesOf, findEverything } from '../../src/engine/project/index.ts';

const root = mkdtempSync(join(tmpdir(), 'slipway-language-'));
const file = join(root, 'slipway.yaml');
const files: Readonly<Record<string, string>> = {
  'docker/api.Dockerfile': 'FROM python:3.12 AS build\nRUN true\nFROM build AS runtime\nCMD ["x"]\n',
  'web/Dockerfile': 'FROM nginx:1.27\n',
  'charts/shop/Chart.yaml': 'apiVersion: v2\nname: shop\nversion: 0.1.0\n',
  'charts/shop/values.yaml': 'api:\n  image:\n    repository: ghcr.io/acme/api\n    tag: "1"\n',
  'charts/shop/values-dev.yaml': 'api:\n  image:\n    tag: dev\n',
  'charts/shop/templates/api.yaml': 'image: {{ .Values.api.image.repository }}\n',
  'deploy/service.yaml':
    'apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { ports: [{ name: http, port: 80 }] }\n',
};
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
afterAll(() => rmSync(root, { recursive: true, force: true }));
const system = createSystem();
const candidates = candidatesOf(await findEverything(system, root), [{ text: 'kind-shop', detail: 'current context' }]);

/** `|` is where the cursor is. */
function at(marked: string) {
  const offset = marked.indexOf('|');
  const lines = marked.slice(0, offset).split('\n');
  return {
    text: marked.slice(0, offset) + marked.slice(offset + 1),
    position: { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 },
  };
}
const items = (marked: string) => {
  const { text, position } = at(marked);
  return complete(text, position, candidates);
};
const labels = (marked: string) => items(marked).map(({ label }) => label);

describe('completion of keys', () => {
  it.each([
    ['an empty file', '|', ['version', 'name', 'images']],
    ['a new line at the top', 'version: 1\n|\n', ['name', 'images', 'environments']],
    ['inside an image', 'images:\n  api:\n    context: .\n    |\n', ['repository', 'dockerfile', 'platforms']],
    ['in a flow map', 'scan: { |', ['severity', 'ignoreUnfixed']],
    ['a list item', 'test:\n  - name: a\n    |\n', ['run', 'services']],
    [
      'a second key of a smoke check',
      'environments:\n  dev:\n    smoke:\n      - tcp: x\n        |',
      ['name', 'timeout'],
    ],
    ['with CRLF', 'version: 1\r\nsc|\r\n', ['scan']],
  ])('%s', (_name, marked, expected) => {
    expect(labels(marked)).toEqual(expect.arrayContaining(expected));
  });

  it('leaves out what is there, and a second way to deploy', () => {
    expect(labels('version: 1\nscan: {}\n|')).not.toContain('scan');
    expect(labels('environments:\n  dev:\n    deploy:\n      helm: {}\n      |')).toEqual([]);
    expect(labels('environments:\n  dev:\n    smoke:\n      - tcp: x\n        |')).not.toContain('json');
  });

  it('says nothing in comments and block texts', () => {
    expect(labels('version: 1 # |')).toEqual([]);
    expect(labels('images:\n  api:\n    repository: |-\n      x|\n'.replace('|-', '>-'))).toEqual([]);
  });

  it('replaces the word only and gives room for the value', () => {
    const [item] = items('version: 1\nsca|\n').filter(({ label }) => label === 'scan');
    expect(item).toMatchObject({
      snippet: 'scan:\n  $0',
      replace: { start: { line: 1, character: 0 }, end: { line: 1, character: 3 } },
    });
    const renamed = items('environments:\n  dev:\n    con|text: foo\n').find(({ label }) => label === 'context');
    expect(renamed).toMatchObject({ snippet: 'context', replace: { end: { character: 11 } } });
    expect(items('images:\n  a:\n    plat|').find(({ label }) => label === 'platforms')?.snippet).toBe(
      'platforms: [$0]',
    );
  });
});

describe('completion of values', () => {
  it.each([
    ['a picklist in a flow list', 'scan:\n  severity: [HIGH, |]', ['CRITICAL', 'MEDIUM']],
    ['a picklist in a block list', 'scan:\n  severity:\n    - |', ['CRITICAL', 'HIGH']],
    ['true and false', 'scan:\n  ignoreUnfixed: |', ['true', 'false']],
    ['platforms', 'images:\n  a:\n    platforms: [|]', ['linux/amd64', 'linux/arm64']],
    ['tag templates in quotes', 'tags: ["|"]', ['{branch}-{sha}', '{semver}']],
    ['contexts', 'environments:\n  dev:\n    context: |', ['kind-shop']],
    ['Dockerfiles', 'images:\n  a:\n    dockerfile: |', ['docker/api.Dockerfile', 'web/Dockerfile']],
    ['stages', 'images:\n  a:\n    dockerfile: docker/api.Dockerfile\n    target: |', ['build', 'runtime']],
    ['charts', 'environments:\n  dev:\n    deploy:\n      helm:\n        chart: |', ['charts/shop']],
    ['values files', 'environments:\n  dev:\n    deploy: { helm: { values: [|] } }', ['charts/shop/values-dev.yaml']],
    [
      'values keys of the chart',
      'environments:\n  dev:\n    deploy:\n      helm:\n        chart: charts/shop\n        images: { api: | }',
      ['api.image'],
    ],
    [
      'image names as keys',
      'images: { api: {} }\nenvironments:\n  dev:\n    deploy:\n      helm:\n        images: { | }',
      ['api'],
    ],
    [
      'image names in a list',
      'images: { api: {} }\nenvironments:\n  dev:\n    deploy: { manifests: { images: [|] } }',
      ['api'],
    ],
    ['images for tests', 'images: { api: {} }\ntest:\n  - container: |', ['image:api']],
    ['services', 'environments:\n  dev:\n    smoke:\n      - get: "|"', ['service/web:http/']],
    ['names of images', 'images:\n  |', ['api', 'web']],
    ['environments', 'environments:\n  |', ['dev', 'staging', 'prod']],
  ])('%s', (_name, marked, expected) => {
    expect(labels(marked)).toEqual(expect.arrayContaining(expected));
  });

  it('quotes what YAML would read otherwise, unless quotes are there', () => {
    const template = (marked: string) => items(marked).find(({ label }) => label === '{semver}')?.snippet;
    expect(template('tags: [|]')).toBe('"{semver\\}"');
    expect(template("tags: ['|']")).toBe('{semver\\}');
  });

  it('gives a list item its dash, and what is in the list not again', () => {
    expect(items('scan:\n  severity:\n    |').find(({ label }) => label === 'HIGH')?.snippet).toBe('- HIGH');
    expect(labels('scan:\n  severity: [HIGH, |]')).not.toContain('HIGH');
  });
});

describe('hover and outline', () => {
  it('describes keys and their values', () => {
    const { text, position } = at('scan:\n  ignore|Unfixed: true\n');
    const spot = spotAt(text, position);
    expect(spot).toMatchObject({ part: 'key', path: ['scan', 'ignoreUnfixed'] });
    expect(spot && describeSpot(spot)).toMatch(/\*\*scan\.ignoreUnfixed\*\* \(true or false\)\n\nDo not count/);
  });

  it('names images, environments, tests and checks with exact ranges', () => {
    const text =
      'images:\n  api:\n    repository: x\n\nenvironments:\n  dev:\n    smoke:\n      - { name: alive, get: y }\n';
    const [images, environments] = outlineOf(text);
    expect(images?.children[0]).toMatchObject({
      name: 'api',
      kind: 'image',
      nameRange: { start: { line: 1, character: 2 }, end: { line: 1, character: 5 } },
      range: { end: { line: 2, character: 17 } },
    });
    expect(environments?.children[0]?.children[0]?.children[0]).toMatchObject({ name: 'alive', kind: 'check' });
  });

  it('outlines a broken file as far as it goes', () => {
    expect(outlineOf('images:\n  api: {\nscan').map(({ name }) => name)).toContain('images');
  });
});

describe('mistakes', () => {
  const base = 'version: 1\nimages:\n  api:\n    repository: r/api\n    dockerfile: ';
  it('names the file that was meant, at the path, as it would be written', async () => {
    const { diagnostics } = await checkConfig(system, `${base}docker/api.Dockerfil\n`, file, root);
    expect(diagnostics).toMatchObject([
      {
        code: 'config.missing-file',
        replacement: 'docker/api.Dockerfile',
        place: { range: { start: { line: 4, character: 16 }, end: { line: 4, character: 36 } } },
      },
    ]);
  });

  it('mends a wrong folder on the way', async () => {
    const { diagnostics } = await checkConfig(system, `${base}dokcer/api.Dockerfile\n`, file, root);
    expect(diagnostics).toMatchObject([{ replacement: 'docker/api.Dockerfile' }]);
  });

  it('suggests nothing where nothing is near', async () => {
    const { diagnostics } = await checkConfig(system, `${base}nowhere/else\n`, file, root);
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]).not.toHaveProperty('replacement');
  });
});

describe('definitions', () => {
  const text = [
    'images:',
    '  api: { dockerfile: docker/api.Dockerfile, target: runtime, repository: r/api }',
    'environments:',
    '  dev:',
    '    deploy: { helm: { chart: charts/shop, values: charts/shop/values-dev.yaml, images: { api: api.image } } }',
    '  web:',
    '    deploy: { manifests: { paths: deploy, images: [api] } }',
    '',
  ].join('\n');
  const to = async (word: string, offset = 1) => {
    const index = text.indexOf(word) + offset;
    const lines = text.slice(0, index).split('\n');
    const position = { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 };
    const place = await definitionAt(system, text, position, { file, root });
    return place && [place.file.slice(root.length + 1).replaceAll('\\', '/'), place.range?.start.line];
  };

  it.each([
    ['docker/api.Dockerfile', ['docker/api.Dockerfile', undefined]],
    ['runtime', ['docker/api.Dockerfile', 2]],
    ['charts/shop,', ['charts/shop/Chart.yaml', undefined]],
    ['charts/shop/values-dev.yaml', ['charts/shop/values-dev.yaml', undefined]],
    ['api: api.image', ['slipway.yaml', 1]],
    ['api.image', ['charts/shop/values.yaml', 1]],
    ['deploy, images', ['deploy/service.yaml', undefined]],
  ])('%s', async (word, expected) => {
    expect(await to(word)).toEqual(expected);
  });

  it('leads nowhere from what is not there', async () => {
    expect(await to('repository')).toBeUndefined();
  });
});
