import { describe, expect, it } from 'vitest';
import { HclMistake, type HclValue, OPEN, readHcl } from '../../src/engine/project/discovery/hcl.ts';
import { loadProject } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { discover, proposeConfig } from './bakeParts.ts';
import { workspace } from './workspaces.ts';

const readValue = (expression: string, known: Readonly<Record<string, HclValue>> = {}): HclValue | undefined =>
  readHcl(`x = ${expression}\n`)
    .attributes.get('x')
    ?.value((name) => known[name]);

describe('readHcl', () => {
  it.each<[string, HclValue]>([
    ['"a${NAME}b"', 'ashopb'],
    ['"${LIST}"', ['a', 'b']],
    ['"$${NAME}"', '${NAME}'],
    ['"a\\tb\\u0041\\""', 'a\tbA"'],
    ['[ "a", # one\n  "b",\n]', ['a', 'b']],
    ['{ a = 1, "b": true\n c = null }', { a: 1, b: true, c: null }],
    ['NAME == "shop" ? "yes" : "no"', 'yes'],
    ['!(1 + 2 * 3 == 7) || false', false],
    ['lower("A")', OPEN],
    ['"r/app:${notequal("", NAME) ? NAME : "latest"}"', `r/app:${OPEN}`],
    ['missing ? "same" : "same"', 'same'],
    ['[for x in LIST : "${x}-1"]', OPEN],
    ['ITEM.kind', 'web'],
    ['LIST[1]', 'b'],
    ['<<-END\n    FROM a\n      RUN ${NAME}\n    END\n', 'FROM a\n  RUN shop\n'],
    ['"%{ if true }x%{ endif }"', `${OPEN}x${OPEN}`],
    ['-3', -3],
  ])('%s', (text, expected) => {
    expect(readValue(text, { NAME: 'shop', LIST: ['a', 'b'], ITEM: { kind: 'web' } })).toEqual(expected);
  });

  it.each([
    ['target "a" {\n', '"}" is missing', 13],
    ['target "a" {}}\n', 'a "}" too many', 13],
    ['x = \n', 'a value is missing', 4],
    ['x = "a\n"', 'the text does not end', 6],
    [`x = ${'['.repeat(200)}`, 'nested too deep', 64],
  ])('%j is not HCL', (text, message, offset) => {
    expect(() => readHcl(text)).toThrow(expect.objectContaining({ message, offset }));
    expect(() => readHcl(text)).toThrow(HclMistake);
  });
});

const HCL = `
variable "REGISTRY" { default = "ghcr.io/acme" }
variable "TAG" {}
function "name" { params = [x]  result = "\${REGISTRY}/\${x}" }
group "default" { targets = ["api", "web"] }
target "_common" {
  platforms = ["linux/amd64", "linux/arm64"]
  args = { BASE = "1", TAG = TAG }
}
target "api" {
  inherits = ["_common"]
  context = "./api" // beside
  args = { OWN = 2 }
  tags = ["\${REGISTRY}/shop-api:\${TAG}"]
}
target "web" {
  context = "web"
  dockerfile = "Dockerfile"
  contexts = { api = "target:api" }
  tags = ["\${REGISTRY}/shop-web:latest"]
}
target "base" { context = "base" }
target "lint" { output = ["type=cacheonly"] }
`;
const FILES = {
  'base/Dockerfile': 'FROM alpine\n',
  'docker-bake.hcl': HCL,
  'api/Dockerfile': 'FROM alpine\n',
  'web/Dockerfile': 'FROM alpine\n',
};

describe('bake files without slipway.yaml', () => {
  it('HCL is read without starting anything: variables, inheritance, places; bake builds what only it can', async () => {
    const { project, asked } = await discover(FILES);
    expect(asked).toEqual([]);
    expect(project.images).toMatchObject([
      {
        name: 'api',
        repository: 'ghcr.io/acme/shop-api',
        platforms: ['linux/amd64', 'linux/arm64'],
        // TAG has no default: an argument that only bake can fill.
        bake: { target: 'api', file: 'docker-bake.hcl' },
        place: { range: { start: { line: 9, character: 8 }, end: { line: 9, character: 11 } } },
      },
      { name: 'web', repository: 'ghcr.io/acme/shop-web', bake: { target: 'web', file: 'docker-bake.hcl' } },
    ]);
    expect(project.diagnostics.filter(({ code }) => code === 'discovery.bake')).toEqual([]);
    expect(project.images).toHaveLength(2);
    expect(project.diagnostics.map(({ message }) => message)).toContain(
      'Image of base/Dockerfile is left out: the bake target "base" has no tags.',
    );
  });

  it('a plain target becomes plain keys', async () => {
    const { project } = await discover({
      'docker-bake.hcl': 'target "default" {\n  tags = ["r.example.com/shop"]\n  args = { V = "1" }\n}\n',
      Dockerfile: 'FROM alpine\n',
    });
    expect(project.images).toMatchObject([{ repository: 'r.example.com/shop', args: { V: '1' } }]);
    expect(project.images[0]?.bake).toBeUndefined();
  });

  it('a matrix makes an image of each combination, without being asked', async () => {
    const { project, asked } = await discover({
      'docker-bake.hcl': `target "app" {
  name = "app-\${item.name}"
  matrix = { item = [{ name = "api", port = "1" }, { name = "web", port = "2" }] }
  context = item.name
  tags = ["r.example.com/\${item.name}:1"]
  args = { PORT = item.port }
}
`,
      'api/Dockerfile': 'FROM alpine\n',
      'web/Dockerfile': 'FROM alpine\n',
    });
    expect(asked).toEqual([]);
    expect(project.images).toMatchObject([
      { repository: 'r.example.com/api', args: { PORT: '1' } },
      { repository: 'r.example.com/web', args: { PORT: '2' } },
    ]);
  });

  const OPEN_CONTEXT = {
    'docker-bake.hcl': `function "where" {\n  params = [x]\n  result = "\${x}"\n}\ntarget "api" {\n  context = where("api")\n  tags = ["r.example.com/api"]\n}\n`,
    'api/Dockerfile': 'FROM alpine\n',
  };

  it('what a function makes is asked of buildx, by the names of its targets; reading only names it with its line', async () => {
    const printed = { target: { api: { context: 'api', dockerfile: 'Dockerfile', tags: ['r.example.com/api'] } } };
    const { project, asked } = await discover(OPEN_CONTEXT, async () => JSON.stringify(printed));
    expect(asked).toEqual([[['docker-bake.hcl'], ['api'], '.']]);
    expect(project.images).toMatchObject([
      {
        repository: 'r.example.com/api',
        bake: { target: 'api', file: 'docker-bake.hcl' },
        place: { range: { start: { line: 4 } } },
      },
    ]);
    const { project: read } = await discover(OPEN_CONTEXT, undefined);
    expect(read.diagnostics.find(({ code }) => code === 'discovery.bake')).toMatchObject({
      message: expect.stringContaining('only docker buildx can tell "context" of the target "api"'),
      place: { range: { start: { line: 4 } } },
    });
  });

  it('init asks when it may, and goes on with what was read when it may not; --bake insists', async () => {
    const root = workspace(OPEN_CONTEXT);
    // The system of this test is not trusted: no process starts.
    expect((await proposeConfig(root, 'may')).project.diagnostics.map(({ code }) => code)).toContain('discovery.bake');
    await expect(proposeConfig(root, 'must')).rejects.toMatchObject({ reason: 'untrusted' });
  });

  it('an override is laid over, and bake is called as it finds the files', async () => {
    const { project } = await discover({
      ...FILES,
      'docker-bake.override.hcl': 'target "web" {\n  tags = ["r.example.com/web"]\n}\n',
    });
    expect(project.images[1]).toMatchObject({ repository: 'r.example.com/web', bake: { target: 'web' } });
    expect(project.images[1]?.bake?.file).toBeUndefined();
  });

  it('a file below the root whose Dockerfiles are beside it is called there', async () => {
    const { project } = await discover({
      'build/docker-bake.hcl': 'target "api" {\n  context = "api"\n  tags = ["r.example.com/api"]\n}\n',
      'build/api/Dockerfile': 'FROM alpine\n',
    });
    expect(project.images).toMatchObject([{ repository: 'r.example.com/api' }]);
    expect(project.images[0]?.context).toMatch(/build\/api$/);
  });

  it('an inline Dockerfile and one of another name are images, too', async () => {
    const { project } = await discover({
      'docker-bake.hcl': `target "inline" {\n  dockerfile-inline = <<EOT\nFROM alpine\nEXPOSE 80\nEOT\n  tags = ["r.example.com/inline"]\n}\ntarget "other" {\n  dockerfile = "build.docker"\n  tags = ["r.example.com/other"]\n}\n`,
      'build.docker': 'FROM alpine\n',
    });
    expect(project.images).toMatchObject([
      { name: 'inline', repository: 'r.example.com/inline', bake: { target: 'inline' } },
      { name: 'other', repository: 'r.example.com/other' },
    ]);
  });

  it('an image of slipway.yaml has the Dockerfile of its bake target or compose service before any plan', async () => {
    const root = workspace({
      ...FILES,
      'compose.yaml': 'services: { web: { build: web } }\n',
      'slipway.yaml': `version: 1
images:
  api: { repository: r.example.com/api, bake: api }
  web: { repository: r.example.com/web, bake: { target: web, file: compose.yaml } }
  gone: { repository: r.example.com/gone, bake: { target: gone, file: docker-bake.hcl } }
`,
    });
    const { images } = await loadProject(createSystem({ isTrusted: () => false }), root);
    expect(images.map(({ dockerfile }) => dockerfile.slice(root.length + 1))).toEqual([
      'api/Dockerfile',
      'web/Dockerfile',
      'docker-bake.hcl',
    ]);
  });

  it('a broken file is named with its line, and nothing else is lost', async () => {
    const { project } = await discover({
      'docker-bake.hcl': 'target "a" {\n  context =\n}\n',
      Dockerfile: 'FROM alpine\n',
    });
    expect(project.images).toHaveLength(1);
    expect(project.diagnostics.find(({ code }) => code === 'discovery.bake')).toMatchObject({
      message: expect.stringContaining('a value is missing'),
      place: { range: { start: { line: 1 } } },
    });
  });
});
