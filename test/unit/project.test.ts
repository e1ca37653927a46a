import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dockerIgnore } from '../../src/engine/project/dockerignore.ts';
import { readConfig, readTarget, suggest } from '../../src/engine/project/index.ts';
import { schemaText } from '../schema.ts';

const read = (text: string) => readConfig(text, '/repo/slipway.yaml', '/repo');
const at = (text: string, code: string) => {
  const found = read(text).diagnostics.find((diagnostic) => diagnostic.code === code);
  const range = found?.place.range;
  const line = text.split('\n')[range?.start.line ?? 0] ?? '';
  return { ...found, text: line.slice(range?.start.character, range?.end.character) };
};

describe('readConfig', () => {
  it('reads the whole of a configuration', () => {
    const project = read(`version: 1
images:
  api:
    context: app
    repository: localhost:5000/shop/api
    platforms: [linux/amd64, linux/arm/v7]
    args: { DEBUG: false, LEVEL: 3 }
    secrets: { token: { env: TOKEN } }
    cache: { to: ["type=registry,ref=localhost:5000/shop/api:cache"] }
environments:
  dev:
    deploy: { manifests: { paths: deploy } }
    rollout: { timeout: 5m }
    smoke:
      - { get: "service/shop-api:http/healthz", contains: ok, timeout: 10s }
      - { tcp: "service/redis:6379" }
`);
    expect(project.diagnostics).toEqual([]);
    expect(project.images[0]).toMatchObject({
      context: '/repo/app',
      dockerfile: '/repo/app/Dockerfile',
      args: { DEBUG: 'false', LEVEL: '3' },
      place: { range: { start: { line: 2, character: 2 }, end: { line: 2, character: 5 } } },
    });
    expect(project.environments[0]).toMatchObject({
      namespace: 'default',
      rollout: { timeoutMs: 300_000, rollback: true },
      deploy: { kind: 'manifests', paths: ['/repo/deploy'], images: ['api'] },
      smoke: [
        {
          kind: 'http',
          path: '/healthz',
          deadlineMs: 10_000,
          target: { kind: 'service', name: 'shop-api', port: 'http' },
        },
        { kind: 'tcp', target: { name: 'redis', port: '6379' } },
      ],
    });
  });

  it.each([
    ['version: 1\nimagse: {}\n', 'config.unknown-key', 'imagse', 'images'],
    ['version: 1\nimages:\n  api: { repositry: x }\n', 'config.unknown-key', 'repositry', 'repository'],
    ['version: 1\nscan: { severity: [HIHG] }\n', 'config.value', 'HIHG', 'HIGH'],
    [
      'version: 1\nenvironments:\n  dev:\n    deploy: { manifests: { paths: d } }\n    smoke: [{ get: "service/a:b/", statsu: 200 }]\n',
      'config.unknown-key',
      'statsu',
      'status',
    ],
    [
      'version: 1\nimages: { api: { repository: a/b } }\nenvironments:\n  dev: { deploy: { helm: { chart: c, images: { apj: x } } } }\n',
      'config.unknown-image',
      'apj',
      'api',
    ],
  ])('points at the very word and offers the near one: %j', (text, code, word, replacement) => {
    expect(at(text, code)).toMatchObject({ text: word, replacement });
  });

  it.each([
    ['version: 2\n', 'config.value', '2'],
    ['version: 1\nimages:\n  api: { context: . }\n', 'config.missing-key', 'api'],
    ['version: 1\nimages:\n  api: { repository: a/b, platforms: [arm64] }\n', 'config.value', 'arm64'],
    ['version: 1\ntest: [{ name: u, run: make test }]\n', 'config.value', 'make test'],
    [
      'version: 1\nenvironments:\n  dev: { deploy: { manifests: { paths: d } }, rollout: { timeout: 5 } }\n',
      'config.value',
      '5',
    ],
  ])('points at a wrong value: %j', (text, code, word) => {
    expect(at(text, code).text).toBe(word);
  });

  it('keeps going after a syntax error and never throws', () => {
    expect(read('version: 1\n\timages: {').diagnostics[0]).toMatchObject({ code: 'yaml.syntax', severity: 'error' });
    expect(read('').diagnostics.length).toBeGreaterThan(0);
    expect(read('- a\n').diagnostics.length).toBeGreaterThan(0);
    expect(read('a: &a [*a]\n').diagnostics.length).toBeGreaterThan(0);
  });

  it('has one schema for reader and editors', () => {
    const file = readFileSync(join(import.meta.dirname, '../../schemas/slipway.schema.json'), 'utf8');
    expect(JSON.parse(file)).toEqual(JSON.parse(schemaText()));
  });
});

describe('readTarget', () => {
  it.each([
    ['service/web:80/a?b', { target: { kind: 'service', name: 'web', port: '80' }, path: '/a?b' }],
    ['ingress/shop.example.com/x', { target: { kind: 'ingress', name: 'shop.example.com' }, path: '/x' }],
    ['https://a.b/c', { target: { kind: 'url', name: 'https://a.b' }, path: '/c' }],
  ])('%s', (text, expected) => {
    expect(readTarget(text)).toEqual(expected);
  });
  it('says what is wrong', () => {
    expect(readTarget('svc/web')).toMatch(/is not a target/);
  });
});

describe('suggest', () => {
  it('finds the near word and nothing far', () => {
    expect(suggest('platfroms', ['platforms', 'context'])).toBe('platforms');
    expect(suggest('zebra', ['platforms', 'context'])).toBeUndefined();
  });
});

describe('dockerIgnore', () => {
  it.each([
    ['node_modules', 'node_modules/a/b.js', 'ignored'],
    ['node_modules', 'web/node_modules/a.js', 'sent'],
    ['**/node_modules', 'web/node_modules/a.js', 'ignored'],
    ['*.md', 'README.md', 'ignored'],
    ['*.md', 'docs/README.md', 'sent'],
    ['**/*.md', 'README.md', 'ignored'],
    ['*.md\n!README.md', 'README.md', 'sent'],
    ['*\n!src', 'src/a.py', 'sent'],
    ['*\n!src', 'test/a.py', 'ignored'],
    ['/build/', 'build/x', 'ignored'],
    ['# comment\n  dist  ', 'dist/a', 'ignored'],
    ['a?c', 'abc', 'ignored'],
    ['a[bx]c', 'axc', 'ignored'],
    ['docs/**', 'docs/a/b', 'ignored'],
    ['./x/../y', 'y/z', 'ignored'],
  ])('%j on %s: %s', (text, path, expected) => {
    expect(dockerIgnore(text)(path)).toBe(expected);
  });
});
