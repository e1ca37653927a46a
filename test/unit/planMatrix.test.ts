import { describe, expect, it } from 'vitest';
import { makePlan, type PlanFacts } from '../../src/engine/plan/index.ts';
import { readConfig } from '../../src/engine/project/index.ts';

const read = (text: string) => readConfig(`version: 1\n${text}`, '/repo/slipway.yaml', '/repo');
const facts = (more: Partial<PlanFacts> = {}): PlanFacts => ({
  commit: 'abcdef0123456789',
  branch: 'main',
  tags: [],
  now: Date.UTC(2026, 10, 21),
  isDirty: false,
  contexts: new Map([
    ['api', { hash: 'a', files: 1 }],
    ['docs', { hash: 'd', files: 1 }],
  ]),
  testInputs: new Map(),
  records: new Map(),
  toolVersions: {},
  ...more,
});

describe('matrix of a test', () => {
  it('is one test for each combination, with its values in every text and in the environment', () => {
    const project = read(`test:
  - name: unit
    run: [tox, -e, "py{matrix.python}"]
    container: "python:{matrix.python}"
    junit: ["reports/{matrix.python}/*.xml"]
    services: { db: { image: "postgres:{matrix.postgres}" } }
    matrix: { python: ["3.11", "3.12"], postgres: [15, 16] }
`);
    expect(project.diagnostics).toEqual([]);
    expect(project.tests.map(({ name }) => name)).toEqual([
      'unit-3.11-15',
      'unit-3.11-16',
      'unit-3.12-15',
      'unit-3.12-16',
    ]);
    const last = project.tests.at(-1);
    expect(last?.run).toEqual(['tox', '-e', 'py3.12']);
    expect(last?.container).toBe('python:3.12');
    expect(last?.services[0]?.image).toBe('postgres:16');
    expect(last?.junit).toEqual(['/repo/reports/3.12/*.xml']);
    expect(last?.env).toEqual({ MATRIX_PYTHON: '3.12', MATRIX_POSTGRES: '16' });
    const plan = makePlan(project, facts(), {});
    expect(plan.steps.map(({ id }) => id)).toContain('test:unit-3.12-16');
    expect(new Set(plan.steps.map(({ key }) => key)).size).toBe(4);
  });

  it('names an axis that is not there', () => {
    const project = read(
      `test:\n  - { name: unit, run: [tox, "{matrix.pyton}"], matrix: { python: ["3.11", "3.12"] } }\n`,
    );
    expect(project.diagnostics.map(({ message }) => message)).toEqual([
      'Test "unit" uses {matrix.pyton}, which its matrix does not have; did you mean "python"?',
    ]);
  });
});

describe('two images in one repository', () => {
  const images = `images:
  api: { repository: ghcr.io/acme/app, dockerfile: api.Dockerfile }
  docs: { repository: ghcr.io/acme/app, dockerfile: docs.Dockerfile }
`;

  it('are refused under one tag, with the way out', () => {
    const project = read(images);
    expect(() => makePlan(project, facts(), {})).toThrow(
      'Images "api" and "docs" would both be published as ghcr.io/acme/app:main-abcdef0.',
    );
  });

  it('are told apart by {image} in the tag', () => {
    const project = read(`${images}tags: ["{image}-{sha}", "{image}"]\nmoving: ["{image}"]\n`);
    const plan = makePlan(project, facts(), {});
    const published = plan.steps.flatMap(({ spec }) => (spec.kind === 'publish' ? [[spec.tags, spec.moving]] : []));
    expect(published).toEqual([
      [['api-abcdef0', 'api'], ['api']],
      [['docs-abcdef0', 'docs'], ['docs']],
    ]);
  });
});

describe('a run of single stages', () => {
  const project = read('images: { api: { repository: ghcr.io/acme/api } }\n');
  const recordsOf = (more: Partial<PlanFacts> = {}) =>
    new Map(
      makePlan(project, facts(more), {}).steps.flatMap(({ id, key, inputs }) =>
        key === null ? [] : [[id, { key, inputs, outputs: {}, run: 'r1', finishedAt: '' }] as const],
      ),
    );

  it('publishes only what was built and has passed the gate in this state', () => {
    const records = recordsOf();
    expect(makePlan(project, facts({ records }), { only: ['publish'] }).steps.map(({ id }) => id)).toEqual([
      'publish:api',
    ]);
    const contexts = new Map([['api', { hash: 'edited', files: 1 }]]);
    expect(() => makePlan(project, facts({ records, contexts }), { only: ['publish'] })).toThrow(
      'Publish api needs "Build api", which has not been done for this state of the files (changed: context).',
    );
    const gateless = new Map([...records].filter(([id]) => !id.startsWith('scan:')));
    expect(() => makePlan(project, facts({ records: gateless }), { only: ['publish'] })).toThrow(
      /needs "Scan api", which has not been done/,
    );
    expect(makePlan(project, facts({ records: gateless }), { only: ['publish'], isForced: true }).steps).toHaveLength(
      1,
    );
  });

  it('with force still builds what has no build', () => {
    expect(() => makePlan(project, facts(), { only: ['scan'], isForced: true })).toThrow(/needs "Build api"/);
  });
});

describe('commands around the stages', () => {
  it('get the digest of an image that is built before them', () => {
    const config = (stage: string) => `images: { api: { repository: ghcr.io/acme/api } }
commands:
  - { name: snyk, run: [snyk, container, test, "{image.api}"], ${stage}, optional: true }
`;
    const plan = makePlan(read(config('after: build')), facts(), {});
    expect(plan.steps.find(({ id }) => id === 'command:snyk')?.needs).toEqual(['build:api']);
    expect(() => makePlan(read(config('before: test').replace('before: test', 'before: build')), facts(), {})).toThrow(
      'Command "snyk" uses {image.api}, which is not built before it.',
    );
  });
});

describe('commands around stages that have nothing to do', () => {
  const text = `images: { api: { repository: ghcr.io/acme/api } }
scan: { enabled: false }
commands:
  - { name: lint, run: [make, lint], before: test }
  - { name: sonar, run: [sonar], after: test }
  - { name: sign-off, run: [ask], before: scan }
  - { name: audit, run: [audit, "{image.api}"], after: scan }
  - { name: wait, run: [wait], before: smoke }
  - { name: load, run: [load], after: smoke }
environments:
  dev: { deploy: { manifests: { paths: k8s } } }
`;
  it('run in their place all the same, and what comes before publishing is a gate', () => {
    const { steps } = makePlan(read(text), facts(), { environment: 'dev' });
    const needs = (id: string) => steps.find((step) => step.id === id)?.needs;
    expect(needs('command:sonar')).toEqual(['command:lint']);
    expect(needs('command:audit')).toEqual(['build:api', 'command:sign-off']);
    expect(needs('publish:api')).toEqual(
      expect.arrayContaining(['command:lint', 'command:sonar', 'command:sign-off', 'command:audit']),
    );
    expect(needs('command:wait')).toEqual(['rollout:dev']);
    expect(needs('command:load')).toEqual(['deploy:dev', 'rollout:dev', 'command:wait']);
  });
});

describe('configuration scan', () => {
  const text = (config: string) => `images: { api: { repository: ghcr.io/acme/api } }
scan: { config: ${config} }
environments:
  dev: { deploy: { helm: { chart: charts/api, values: dev.yaml, images: { api: image } } } }
`;
  it('looks at the Dockerfile and at what the environment deploys, and only on request', () => {
    const plan = makePlan(read(text('gate')), facts(), { environment: 'dev' });
    const targets = plan.steps.flatMap(({ spec }) => (spec.kind === 'config' ? [spec.target] : []));
    expect(targets).toEqual([
      { name: 'api', path: '/repo/Dockerfile', values: [] },
      { name: 'chart', path: '/repo/charts/api', values: ['/repo/dev.yaml'] },
    ]);
    expect(plan.steps.find(({ id }) => id === 'publish:api')?.needs).toContain('config:chart');
    const off = makePlan(read(text('off')), facts(), { environment: 'dev' });
    expect(off.steps.some(({ kind }) => kind === 'config')).toBe(false);
  });
});
