import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makePlan } from '../../src/engine/plan/index.ts';
import { lineDiff, loadProject, proposeConfig, writeProposal } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { workspace } from './workspaces.ts';

const system = createSystem({ isTrusted: () => false });
const SHOP = {
  'docker/api.Dockerfile': 'FROM python:3.12\nCOPY shop shop\n',
  'docker/worker.Dockerfile': 'FROM python:3.12\nCOPY shop shop\n',
  'manage.py': '',
  'shop/settings.py': "ENGINE = 'django.db.backends.postgresql'\n",
  'docs/Dockerfile': 'FROM nginx\nCOPY index.html /\n',
  'docs/index.html': '',
  'charts/shop/Chart.yaml': 'name: shop\n',
  'charts/shop/values.yaml':
    'api:\n  image: { repository: ghcr.io/acme/shop-api, tag: x }\nworker:\n  image: ghcr.io/acme/shop-worker:1\n',
  'charts/shop/values-dev.yaml': '',
  'charts/shop/values-prod.yaml': '',
};
const facts = {
  commit: '0123456789abcdef',
  branch: 'main',
  tags: [],
  isDirty: false,
  now: 0,
  contexts: new Map(),
  testInputs: new Map(),
  records: new Map(),
  toolVersions: {},
};

describe('slipway init', () => {
  it('writes what reads back without a diagnostic and plans the same as discovery', async () => {
    const root = workspace(SHOP);
    const discovered = await loadProject(system, root);
    await writeProposal(system, await proposeConfig(system, root));
    const written = await loadProject(system, root);
    expect(written.diagnostics).toEqual([]);
    expect(written.source).toBe('config');
    expect(discovered.source).toBe('discovery');
    const ids = (project: typeof written) =>
      makePlan(project, facts, { environment: 'dev' }).steps.map((step) => [step.id, step.key]);
    expect(ids(written)).toEqual(ids(discovered));
    expect(ids(written).map(([id]) => id)).toEqual([
      'test:python',
      'build:api',
      'build:worker',
      'scan:api:default',
      'scan:worker:default',
      'publish:api',
      'publish:worker',
      'check:dev',
      'deploy:dev',
      'rollout:dev',
    ]);
  });

  it('says of each value where it came from, and marks what was guessed', async () => {
    const { text } = await proposeConfig(system, workspace(SHOP));
    expect(text).toContain('  # a Dockerfile is there (docker/api.Dockerfile:1)\n  api:\n');
    expect(text).toMatch(/# CHECK: the chart shop uses this image \(charts\/shop\/values\.yaml:2\).*\n {4}repository:/);
    expect(text).toContain('  # the chart charts/shop has values for it (charts/shop/values-dev.yaml)');
    expect(text).not.toMatch(/&a|\*a/);
  });

  it('keeps a file that is there, whichever of the names it has', async () => {
    const root = workspace({ ...SHOP, 'slipway.yml': 'version: 1\n' });
    const proposal = await proposeConfig(system, root);
    expect(proposal.file).toBe(join(root, 'slipway.yml'));
    await expect(writeProposal(system, proposal)).rejects.toMatchObject({ reason: 'refused', code: 'init.exists' });
    expect(readFileSync(proposal.file, 'utf8')).toBe('version: 1\n');
    await writeProposal(system, proposal, 'replace');
    expect(readFileSync(proposal.file, 'utf8')).toBe(proposal.text);
    expect((await proposeConfig(system, root)).existing).toBe(proposal.text);
  });

  it('stays on one line per comment whatever a file says', async () => {
    const root = workspace({ 'package.json': JSON.stringify({ scripts: { test: 'a\nb: c\r\n- d' } }) });
    const proposal = await proposeConfig(system, root);
    writeFileSync(proposal.file, proposal.text);
    expect((await loadProject(system, root)).tests).toHaveLength(1);
  });
});

describe('lineDiff', () => {
  it.each([
    ['a\nb\n', 'a\nb\n', []],
    ['a\nb\nc\n', 'a\nx\nc\n', [' a', '-b', '+x', ' c']],
    ['a\n', 'a\nb\n', [' a', '+b']],
  ])('%j to %j', (before, after, expected) => {
    expect(lineDiff(before, after)).toEqual(expected);
  });
});
