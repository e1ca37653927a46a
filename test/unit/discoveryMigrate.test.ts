import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { migrateWorkflow, readConfig } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { readGithubWorkflow, readGitlabPipeline } from '../../src/engine/workflows/index.ts';
import { workspace } from './workspaces.ts';

const system = createSystem({ isTrusted: () => false });
const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures/workflows', name), 'utf8');
const SHOP = {
  '.git/config': '[remote "origin"]\n  url = https://github.com/acme/shop.git\n',
  '.github/workflows/ship.yml': fixture('scan-after-push.yml'),
  '.github/workflows/commit-back.yml': fixture('commit-back.yml'),
  'ci/pipeline.gitlab.yml': fixture('dind.gitlab-ci.yml'),
  Dockerfile: 'FROM python:3.12\nCOPY . .\n',
  'build/Dockerfile': 'FROM python:3.12\nCOPY . .\n',
  'other/Dockerfile': 'FROM python:3.12\n',
  'package.json': '{"scripts":{"test":"jest"}}',
  'manage.py': '',
  'charts/shop/Chart.yaml': 'name: shop\n',
  'charts/shop/values.yaml': 'image: { repository: ghcr.io/acme/shop, tag: x }\n',
  'charts/shop/values-prod.yaml': '',
  'charts/shop/values-dev.yaml': '',
};
const migrate = async (path: string, files: Readonly<Record<string, string>> = SHOP) => {
  const root = workspace(files);
  const { proposal, report } = await migrateWorkflow(system, root, path);
  const project = readConfig(proposal.text, join(root, 'slipway.yaml'), root);
  expect(project.diagnostics).toEqual([]);
  return { project, report, root };
};

describe('slipway init --from-workflow', () => {
  it('takes over what the workflow does, and nothing else of the repository', async () => {
    const { project, report, root } = await migrate('.github/workflows/ship.yml');
    expect(project.images.map((image) => [image.name, image.repository])).toEqual([['shop', 'ghcr.io/acme/shop']]);
    expect(project.tests.map((test) => test.run.join(' '))).toEqual(['python manage.py test --parallel']);
    expect(project.environments).toMatchObject([
      {
        name: 'prod',
        namespace: 'shop',
        isProtected: true,
        deploy: {
          release: 'shop',
          values: [join(root, 'charts/shop/values.yaml'), join(root, 'charts/shop/values-prod.yaml')],
          set: { replicas: '2' },
          images: { shop: 'image' },
        },
        rollout: { timeoutMs: 300_000 },
      },
    ]);
    expect(report.taken.map((each) => each.what.split(':')[0])).toEqual([
      'images.shop',
      'images.shop.repository',
      'environments.prod',
      'environments.prod',
      'tags',
      'test.0',
      'test.0.services.postgres',
      'scan',
    ]);
    expect(report.left.map((each) => each.what)).toEqual([
      'The triggers push',
      'Step "actions/checkout@v4" of job "ship"',
      'Step "pip install -r requirements.txt" of job "ship"',
    ]);
    expect(report.left[0]?.why).toContain('slipway init --ci github');
    expect(report.left[2]?.why).toContain('"commands"');
    expect(report.mistakes.map((each) => each.code)).toEqual([
      'ci.unpinned-action',
      'ci.malicious-action',
      'ci.gate-after-push',
      'ci.moving-tag-deployed',
    ]);
  });

  it('says why each part has no place', async () => {
    const { project, report } = await migrate('.github/workflows/commit-back.yml');
    expect(project.tags).toEqual(['main-{sha}']);
    expect(project.environments).toEqual([]);
    const reasons = report.left.map(({ what, why }) => `${what}: ${why}`).join('\n');
    expect(reasons).toMatch(/A deploy by kustomize-set-image: Slipway finds the objects/);
    expect(reasons).toMatch(/of job "deliver": Slipway does not commit/);
  });

  it('reads a GitLab file wherever it lies', async () => {
    const { project, report, root } = await migrate('ci/pipeline.gitlab.yml');
    expect(project.tests[0]).toMatchObject({
      run: ['pytest', '--junitxml=report.xml'],
      junit: [join(root, 'report.xml')],
      services: [{ name: 'db' }, { name: 'redis' }],
    });
    expect(project.tags).toEqual(['{sha:8}', '{branch}']);
    expect(project.scan).toMatchObject({ severity: ['HIGH', 'CRITICAL'], ignoreUnfixed: true });
    expect(report.workflow).toBe('ci/pipeline.gitlab.yml');
  });

  it('takes the JUnit reports that a GitHub job shows, of two tests each its own', async () => {
    const workflow = (tests: string, step: string) =>
      `on: push\njobs:\n  unit:\n    runs-on: ubuntu-latest\n    steps:\n${tests}      - ${step}\n`;
    const junitOf = async (text: string) => {
      const { project, root } = await migrate('.github/workflows/t.yml', { '.github/workflows/t.yml': text });
      return project.tests.map((test) => test.junit.map((path) => relative(root, path).split(sep).join('/')));
    };
    const one = '      - run: npm test\n';
    const two = `${one}      - run: pytest --junitxml=out/py.xml\n`;
    const reporter = 'uses: mikepenz/action-junit-report@v5\n        with: { report_paths: "out/*.xml" }';
    const list = `uses: EnricoMi/publish-unit-test-result-action@v2\n        with:\n          files: |\n            out/py.xml\n            out/js.xml`;
    expect(await junitOf(workflow(one, reporter))).toEqual([['out/*.xml']]);
    expect(await junitOf(workflow(two, list))).toEqual([[], ['out/py.xml']]);
  });

  it.each([
    ['helm rollback shop', /rolls back by itself/],
    ['kubectl -n shop rollout undo deployment/api', /rolls back by itself/],
    ['kubectl -n shop rollout status deployment/api', /watches each rollout/],
    ['kubectl get pods -A && kubectl logs deployment/api', /collects pods, events and logs/],
    ['curl --fail https://shop.example.com/healthz', /under "smoke"/],
    ['echo "$KUBECONFIG_BASE64" | base64 -d > kubeconfig', /kubeconfig of the machine/],
    ['sudo apt-get install -y libpq-dev', /"container" of the test/],
    ['echo "tag=1.$GITHUB_RUN_NUMBER" >> "$GITHUB_OUTPUT"', /"tags"/],
    ['make docs', /under "commands"/],
  ])('says what Slipway does in place of %s', async (script, why) => {
    const text = `on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: ${JSON.stringify(script)}\n`;
    const { report } = await migrate('.github/workflows/t.yml', { '.github/workflows/t.yml': text });
    const [, step] = report.left;
    expect(step?.what).toBe(`Step "${script}" of job "a"`);
    expect(step?.why).toMatch(why);
  });

  it('names the workflows there are', async () => {
    await expect(migrate('nowhere.yml')).rejects.toMatchObject({
      reason: 'usage',
      fix: 'Use one of .github/workflows/commit-back.yml, .github/workflows/ship.yml.',
    });
  });
});

describe('the report is complete', () => {
  const names = readdirSync(join(import.meta.dirname, 'fixtures/workflows')).filter(
    (name) => !/^composite-action/.test(name),
  );
  it.each(names)('%s: each step or job is taken over or named with the reason', async (name) => {
    const isGitlab = name.includes('gitlab-ci');
    const path = isGitlab
      ? '.gitlab-ci.yml'
      : name === 'gitea.yml'
        ? '.gitea/workflows/w.yml'
        : '.github/workflows/w.yml';
    const text = fixture(name);
    const root = workspace({
      '.git/config': '[remote "origin"]\n  url = https://github.com/acme/shop.git\n',
      [path]: text,
      '.github/actions/build/action.yml': fixture('composite-action.yml'),
      Dockerfile: 'FROM python:3.12\nCOPY . .\n',
    });
    const { report } = await migrateWorkflow(system, root, path);
    const file = join(root, path);
    const workflow = isGitlab ? readGitlabPipeline(text, file) : readGithubWorkflow(text, file);
    const lines = [...report.taken, ...report.left].flatMap(({ place }) =>
      place.file === file && place.range !== undefined ? [place.range.start.line] : [],
    );
    const starts = workflow.jobs.map(({ place }) => place.range?.start.line ?? 0);
    const parts = workflow.jobs.flatMap((job) => {
      const from = job.place.range?.start.line ?? 0;
      const until = Math.min(...starts.filter((line) => line > from), Number.POSITIVE_INFINITY);
      return job.steps.length === 0
        ? [{ what: `job ${job.id}`, from, until }]
        : job.steps.map(({ name, uses, run, place: { range } }) => ({
            what: `${job.id}: ${name ?? uses?.text ?? run}`,
            from: range?.start.line ?? 0,
            until: (range?.end.line ?? 0) + 1,
          }));
    });
    const silent = parts.filter(({ from, until }) => !lines.some((line) => line >= from && line < until));
    expect(silent.map(({ what }) => what)).toEqual([]);
    for (const { why } of report.left) expect(why).not.toBe('');
  });
});
