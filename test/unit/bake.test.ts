import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bakeArguments } from '../../src/engine/images/buildx.ts';
import { readConfig, readContexts, readGitFacts, resolveBakes } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';

/** What buildx 0.13.1 printed for a target with an inherited one, a linked one, a secret and a cache. */
const printed = {
  group: { default: { targets: ['api'] } },
  target: {
    api: {
      context: 'api',
      contexts: { base: 'target:base', shared: 'shared' },
      dockerfile: 'Dockerfile',
      args: { V: '1' },
      labels: { a: 'b' },
      tags: ['localhost:5000/x/api:dev'],
      'cache-from': ['type=registry,ref=localhost:5000/x/c'],
      secret: ['id=token,env=BUILD_TOKEN', 'id=netrc,src=keys/netrc'],
      ssh: ['default'],
      platforms: ['linux/amd64'],
    },
    base: { context: 'base', dockerfile: 'Dockerfile' },
  },
};

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-bake-'));
  for (const folder of ['bin', 'api', 'base', 'shared']) mkdirSync(join(root, folder));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const yaml = (more = '') =>
  `version: 1\nimages: { api: { repository: r.example.com/api, bake: { target: api, file: docker-bake.hcl }${more} } }\n`;
const projectOf = (text: string) => readConfig(text, join(root, 'slipway.yaml'), root);
const system = () => createSystem({ env: { PATH: [join(root, 'bin'), process.env.PATH].join(delimiter), HOME: root } });
const prints = (script: string) => {
  writeFileSync(join(root, 'bin/docker'), `#!/bin/sh\necho "$@" > ${root}/asked\n${script}\n`);
  chmodSync(join(root, 'bin/docker'), 0o755);
};
const printsJson = (value: object) => prints(`cat <<'END'\n${JSON.stringify(value)}\nEND`);

describe.skipIf(process.platform === 'win32')('resolveBakes', () => {
  it('fills in what buildx prints, and starts nothing without a bake target', async () => {
    printsJson(printed);
    const [image] = (await resolveBakes(system(), projectOf(yaml()))).images;
    expect(readFileSync(join(root, 'asked'), 'utf8').trim()).toBe('buildx bake --file docker-bake.hcl --print api');
    expect(image).toMatchObject({
      context: join(root, 'api'),
      dockerfile: join(root, 'api/Dockerfile'),
      repository: 'r.example.com/api',
      platforms: ['linux/amd64'],
      args: { V: '1' },
      secrets: { token: { env: 'BUILD_TOKEN' }, netrc: { file: join(root, 'keys/netrc') } },
      ssh: ['default'],
      contexts: { base: 'target:base', shared: join(root, 'shared') },
      bake: { target: 'api', linked: [{ context: join(root, 'base'), dockerfile: join(root, 'base/Dockerfile') }] },
    });
    prints('exit 9');
    const plain = projectOf('version: 1\nimages: { api: { repository: r.example.com/api } }\n');
    expect(await resolveBakes(system(), plain)).toBe(plain);
  });

  it('the definition changes with what is built, not with where it would be pushed', async () => {
    const definition = async (value: object) => {
      printsJson(value);
      return (await resolveBakes(system(), projectOf(yaml()))).images[0]?.bake?.definition;
    };
    const { api, base } = printed.target;
    const first = await definition(printed);
    expect(await definition({ target: { api: { ...api, tags: ['x:2'], output: ['type=docker'] }, base } })).toBe(first);
    expect(await definition({ target: { api: { ...api, args: { V: '2' } }, base } })).not.toBe(first);
    expect(await definition({ target: { api, base: { ...base, target: 'slim' } } })).not.toBe(first);
  });

  it('sees files of linked targets and of named folders', async () => {
    printsJson(printed);
    const hash = async () => {
      const project = await resolveBakes(system(), projectOf(yaml()));
      return (await readContexts(system(), project, await readGitFacts(system(), root))).get('api')?.hash;
    };
    for (const folder of ['api', 'base', 'shared']) writeFileSync(join(root, folder, 'file'), '1');
    const seen = new Set([await hash()]);
    for (const folder of ['api', 'base', 'shared']) {
      writeFileSync(join(root, folder, 'file'), '2');
      seen.add(await hash());
    }
    expect(seen.size).toBe(4);
  });

  it('writes an inline Dockerfile down, takes newer entries, and keeps the platforms of slipway.yaml', async () => {
    printsJson({
      target: {
        api: { 'dockerfile-inline': 'FROM scratch\n', secret: [{ id: 'token', env: 'T' }], platforms: ['linux/386'] },
      },
    });
    const [image] = (await resolveBakes(system(), projectOf(yaml(', platforms: [linux/arm64]')))).images;
    expect(readFileSync(image?.dockerfile ?? '', 'utf8')).toBe('FROM scratch\n');
    expect(image).toMatchObject({ platforms: ['linux/arm64'], secrets: { token: { env: 'T' } }, context: root });
  });

  it("says buildx's words when file or target are wrong", async () => {
    prints('echo "ERROR: failed to find target api" >&2; exit 1');
    await expect(resolveBakes(system(), projectOf(yaml()))).rejects.toMatchObject({
      code: 'config.bake',
      message: expect.stringContaining('failed to find target api'),
    });
    prints('echo no JSON');
    await expect(resolveBakes(system(), projectOf(yaml()))).rejects.toMatchObject({ code: 'config.bake' });
  });
});

it('refuses what the bake file says already', () => {
  const { diagnostics } = projectOf(yaml(', args: { A: "1" }, target: slim'));
  expect(diagnostics.map(({ code, message }) => `${code} ${message}`)).toEqual([
    'config.bake images.api has "target", "args" beside "bake", which says it already.',
  ]);
});

it('asks bake for the same push as a build: no tag of the target, our name, our labels', () => {
  const [image] = projectOf(yaml(', platforms: [linux/amd64, linux/arm64], builder: mine')).images;
  if (image?.bake === undefined) throw new Error('no image');
  const args = bakeArguments(image, image.bake, {
    platforms: image.platforms,
    root,
    revision: 'abc',
    metadataFile: '/m.json',
    push: 'digest',
  });
  expect(args.at(-1)).toBe('api');
  expect(args.filter((_arg, index) => args[index - 1] === '--set')).toEqual([
    '*.platform=linux/amd64',
    '*.platform=linux/arm64',
    'api.labels.org.opencontainers.image.revision=abc',
    'api.tags=r.example.com/api',
    'api.output=type=image,name=r.example.com/api,push-by-digest=true,name-canonical=true,push=true',
    '*.attest=type=sbom,disabled=true',
    '*.attest=type=provenance,disabled=true',
  ]);
});
