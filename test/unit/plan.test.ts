import { describe, expect, it } from 'vitest';
import { expandTags, makePlan, type PlanFacts } from '../../src/engine/plan/index.ts';
import { readConfig } from '../../src/engine/project/index.ts';

const config = `version: 1
name: shop
images:
  api: { dockerfile: api.Dockerfile, repository: ghcr.io/acme/api, platforms: [linux/amd64, linux/arm64] }
  worker: { dockerfile: worker.Dockerfile, repository: ghcr.io/acme/worker }
tags: ["{branch}-{sha}", "{semver}"]
test:
  - { name: unit, run: [python3, manage.py, test] }
  - { name: inside, run: [pytest], container: image:api }
commands:
  - { name: lint, run: [make, lint], before: test }
  - { name: snyk, run: [snyk], after: build, optional: true }
environments:
  dev:
    namespace: shop
    deploy: { helm: { chart: charts/shop, images: { api: api.image, worker: worker.image } } }
    smoke: [{ get: "service/api:http/healthz" }]
`;
const project = readConfig(config, '/repo/slipway.yaml', '/repo');
const facts = (more: Partial<PlanFacts> = {}): PlanFacts => ({
  commit: 'abcdef0123456789',
  branch: 'feature/cart',
  tags: ['v1.2.0'],
  commitCount: 12,
  now: Date.UTC(2026, 10, 21),
  isDirty: false,
  contexts: new Map([
    ['api', { hash: 'a', files: 3, dockerfileHash: 'd' }],
    ['worker', { hash: 'w', files: 3, dockerfileHash: 'd' }],
  ]),
  testInputs: new Map([['unit', 't']]),
  records: new Map(),
  toolVersions: {},
  ...more,
});

describe('makePlan', () => {
  it('orders every stage and gates publish on tests and every scan', () => {
    expect(project.diagnostics).toEqual([]);
    const plan = makePlan(project, facts(), { environment: 'dev' });
    const ids = plan.steps.map((step) => step.id);
    for (const step of plan.steps) {
      for (const need of step.needs) expect(ids.indexOf(need)).toBeLessThan(ids.indexOf(step.id));
    }
    const publish = plan.steps.find((step) => step.id === 'publish:worker');
    expect(publish?.needs).toEqual(
      expect.arrayContaining([
        'build:worker',
        'test:unit',
        'test:inside',
        'scan:api:linux/amd64',
        'scan:api:linux/arm64',
        'scan:worker:default',
        'command:snyk',
      ]),
    );
    expect(ids.slice(-4)).toEqual(['check:dev', 'deploy:dev', 'rollout:dev', 'smoke:dev']);
    expect(plan.tags).toEqual(['feature-cart-abcdef0', '1.2.0']);
  });

  it('skips what is unchanged and says what changed otherwise', () => {
    const first = makePlan(project, facts(), {});
    const records = new Map(
      first.steps.flatMap((step) =>
        step.key === null
          ? []
          : [[step.id, { key: step.key, inputs: step.inputs, outputs: {}, run: 'r1', finishedAt: '' }] as const],
      ),
    );
    const again = makePlan(project, facts({ records }), {});
    expect(again.steps.filter((step) => step.key !== null).map((step) => step.decision.action)).toSatisfy(
      (actions: string[]) => actions.every((action) => action === 'skip'),
    );
    const contexts = new Map([
      ...facts().contexts,
      ['api', { hash: 'changed', files: 3, dockerfileHash: 'd' }] as const,
    ]);
    const changed = makePlan(project, facts({ records, contexts }), {});
    const decisions = Object.fromEntries(changed.steps.map((step) => [step.id, step.decision]));
    expect(decisions['build:api']).toEqual({ action: 'run', why: 'changed: context' });
    expect(decisions['scan:api:linux/amd64']).toEqual({ action: 'run', why: 'changed: build:api' });
    expect(decisions['build:worker']?.action).toBe('skip');
    expect(decisions['test:inside']?.action).toBe('run');
  });

  it('leaves what commands before a build make to the step, and refuses to go on with other files without them', () => {
    const made = readConfig(
      'version: 1\nimages: { api: { repository: r.example.com/api } }\ntags: ["{sha}"]\ncommands: [{ name: compile, run: [make], before: build }]\n',
      '/repo/slipway.yaml',
      '/repo',
    );
    expect(made.diagnostics).toEqual([]);
    const contexts = (hash: string, sourceHash: string) => new Map([['api', { hash, sourceHash, files: 3 }]]);
    const build = (hash: string, sourceHash: string) =>
      makePlan(made, facts({ contexts: contexts(hash, sourceHash) }), {}).steps.find(({ id }) => id === 'build:api');
    const first = build('a', 's');
    expect(first?.spec).toMatchObject({ isAfterCommands: true });
    expect(first?.key).toBe(build('generated anew', 's')?.key);
    expect(first?.key).not.toBe(build('a', 'edited')?.key);
    const record = { key: first?.key ?? '', outputs: { context: 'a' }, run: 'r1', finishedAt: '' };
    const publish = (hash: string) => () =>
      makePlan(made, facts({ contexts: contexts(hash, 's'), records: new Map([['build:api', record]]) }), {
        only: ['publish'],
        isForced: true,
      });
    expect(publish('a')).not.toThrow();
    expect(publish('others')).toThrow(/api was built from other files/);
  });

  it('scans again the next day, as advisories change without us', () => {
    const today = makePlan(project, facts(), {}).steps.find((step) => step.kind === 'scan');
    const tomorrow = makePlan(project, facts({ now: Date.UTC(2026, 10, 22) }), {}).steps.find(
      (step) => step.kind === 'scan',
    );
    expect(today?.key).not.toBe(tomorrow?.key);
  });

  it('deploys an existing tag without building', () => {
    const plan = makePlan(project, facts(), { environment: 'dev', tag: '1.1.0' });
    expect(plan.steps.map((step) => step.id)).toEqual(['check:dev', 'deploy:dev', 'rollout:dev', 'smoke:dev']);
    expect(plan.steps[1]?.spec).toMatchObject({ images: [{ tag: '1.1.0' }, { tag: '1.1.0' }] });
  });

  it('names the known environments for an unknown one', () => {
    expect(() => makePlan(project, facts(), { environment: 'staging' })).toThrow(/no environment "staging"/);
  });
});

describe('expandTags', () => {
  const now = Date.UTC(2026, 0, 2);
  it.each([
    ['{branch}-{sha}', { branch: 'feat/a b', commit: '0123456789', tags: [] }, 'feat-a-b-0123456'],
    ['{sha:8}', { commit: '0123456789', tags: [] }, '01234567'],
    ['sha-{sha}', { commit: '0123456789', tags: [] }, 'sha-0123456'],
    ['1.0.{commits}', { commitCount: 41, tags: [] }, '1.0.41'],
    ['{semver}', { tags: ['v1.2.3'] }, '1.2.3'],
    ['v{semver}', { tags: ['1.2.3-rc.1+meta'] }, 'v1.2.3-rc.1'],
    ['{semver}', { branch: 'release/2.0.1', tags: [] }, '2.0.1'],
    ['{semver}', { branch: '2.0.1', tags: [] }, '2.0.1'],
    ['{tag}', { tags: ['nightly'] }, 'nightly'],
    ['{date}', { tags: [] }, '20260102'],
    ['latest', { tags: [] }, 'latest'],
    ['{sha}', { commit: '0123456789', dirtyHash: 'beef', tags: [] }, '0123456-dirty-beef'],
  ])('%s', (template, facts, expected) => {
    expect(expandTags([template], { now, ...facts }).tags).toEqual([expected]);
  });

  it.each([
    ['{semver}', { branch: 'main', tags: [] }],
    ['{semver}', { tags: ['v1.2'] }],
    ['{semver}', { tags: ['v1.2.3'], dirtyHash: 'beef' }],
    ['1.0.{commits}', { tags: [] }],
    ['{branch}', { tags: [] }],
  ])('leaves out %s when its value does not exist', (template, facts) => {
    const result = expandTags([template], { now, ...facts });
    expect(result.tags).toEqual([]);
    expect(result.left[0]?.why).not.toBe('');
  });

  it('grants the next rollout the restarts that the last verified one needed', () => {
    const record = {
      key: '',
      outputs: { restarts: { 'Deployment/shop/api': 2, 'Deployment/shop/worker': 'many' } },
      run: 'r1',
      finishedAt: '2026-11-20T10:00:00Z',
    };
    const plan = makePlan(project, facts({ records: new Map([['rollout:dev', record]]) }), { environment: 'dev' });
    const spec = plan.steps.find(({ id }) => id === 'rollout:dev')?.spec;
    expect(spec).toMatchObject({ learnedRestarts: { 'Deployment/shop/api': 2 } });
    expect(Object.keys((spec?.kind === 'rollout' && spec.learnedRestarts) || {})).toEqual(['Deployment/shop/api']);
  });
});
