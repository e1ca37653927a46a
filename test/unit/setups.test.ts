import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Engine } from '../../src/engine/main.ts';
import { expandTags } from '../../src/engine/plan/index.ts';
import { discover } from '../../src/engine/project/discovery.ts';
import { migrateWorkflow, proposeConfig } from '../../src/engine/project/index.ts';
import type { Project } from '../../src/engine/project/model.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { lintWorkflow, readGithubWorkflow, readGitlabPipeline } from '../../src/engine/workflows/index.ts';

const system = createSystem();
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A clone of the set-up: its files, its remote, one commit. `bare` is without slipway.yaml. */
function clone(setup: string, as: string, remote: string, kind: 'whole' | 'bare' = 'whole', branch = 'main'): string {
  const parent = mkdtempSync(join(tmpdir(), 'slipway-setup-'));
  folders.push(parent);
  const root = join(parent, as);
  cpSync(join(import.meta.dirname, '../../examples/setups', setup), root, { recursive: true });
  if (kind === 'bare') rmSync(join(root, 'slipway.yaml'));
  const git = (...args: readonly string[]) =>
    spawnSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.invalid', ...args], { cwd: root });
  git('init', '-q', '-b', branch);
  git('remote', 'add', 'origin', remote);
  git('add', '-A');
  git('commit', '-q', '-m', 'first');
  return root;
}

const facts = {
  commit: '0123456789abcdef0123456789abcdef01234567',
  tags: [] as readonly string[],
  now: 0,
};
const imagesOf = (project: Project) => project.images.map(({ name, repository }) => [name, repository]);
const errorsOf = (project: Project) => project.diagnostics.filter(({ severity }) => severity === 'error');
const stepsOf = async (root: string, environment: string) => {
  const { plan } = await new Engine({ system, root }).plan({ environment });
  return { ids: plan.steps.map(({ id }) => id), tags: plan.tags };
};

describe('set-up: GitHub Actions in three workflows, Docker Hub, NodePort', () => {
  const remote = 'https://github.com/acmenotes/notes.git';

  it('is discovered without slipway.yaml: app, docs, tests beside Postgres, release by the name of the branch', async () => {
    const project = await discover(system, clone('github-dockerhub', 'notes', remote, 'bare'));
    expect(imagesOf(project)).toEqual([
      ['notes', 'acmenotes/notes'],
      ['docs', 'acmenotes/notes-docs'],
    ]);
    expect(project.tags).toEqual(['{semver}', '{branch}-{sha}', 'latest']);
    expect(expandTags(project.tags, { ...facts, branch: '1.4.0' }).tags[0]).toBe('1.4.0');
    expect(project.tests[0]?.run.slice(1)).toEqual(['manage.py', 'test']);
    expect(project.tests[0]?.services.map(({ name, image }) => [name, image])).toEqual([['postgres', 'postgres:16']]);
    expect(project.environments.map(({ deploy }) => deploy)).toMatchObject([{ kind: 'manifests', images: ['notes'] }]);
  });

  it('becomes a slipway.yaml that has no errors and plans what discovery plans', async () => {
    const root = clone('github-dockerhub', 'notes', remote, 'bare');
    const before = await stepsOf(root, 'dev');
    const proposal = await proposeConfig(system, root);
    writeFileSync(join(root, 'slipway.yaml'), proposal.text);
    const after = await new Engine({ system, root }).project();
    expect(errorsOf(after)).toEqual([]);
    expect((await stepsOf(root, 'dev')).ids).toEqual(before.ids);
  });

  it('takes over the image workflow and says what it leaves: Snyk becomes a command of its own', async () => {
    const root = clone('github-dockerhub', 'notes', remote, 'bare');
    const { proposal, report } = await migrateWorkflow(system, root, '.github/workflows/image.yml');
    expect(imagesOf(proposal.project)).toEqual([['notes', 'acmenotes/notes']]);
    expect(proposal.project.tags[0]).toBe('{semver}');
    expect(report.left.map(({ what }) => what)).toContain('The scan by snyk');
    expect(report.mistakes.map(({ message }) => message).join()).toContain('The gate comes too late');
  });

  it('plans from slipway.yaml with Snyk and Sonar that do not stop it', async () => {
    const root = clone('github-dockerhub', 'notes', remote, 'whole', '1.4.0');
    const project = await new Engine({ system, root }).project();
    expect(project.diagnostics).toEqual([]);
    const { ids, tags } = await stepsOf(root, 'dev');
    expect(tags[0]).toBe('1.4.0');
    expect(ids).toEqual(expect.arrayContaining(['command:snyk', 'command:sonar', 'scan:notes:default', 'smoke:dev']));
    expect(project.commands.every(({ isOptional }) => isOptional)).toBe(true);
  });
});

describe('set-up: GitLab CI, registry of the project, kind', () => {
  const remote = 'git@gitlab.com:acme/stock.git';

  it('is discovered without slipway.yaml: repository from the remote, short sha, namespace, manifests', async () => {
    const project = await discover(system, clone('gitlab-kind', 'stock', remote, 'bare'));
    expect(imagesOf(project)).toEqual([['stock', 'registry.gitlab.com/acme/stock']]);
    expect(project.tags).toEqual(['{sha:8}']);
    expect(expandTags(project.tags, facts).tags).toEqual(['01234567']);
    expect(project.tests[0]?.run).toContain('pytest');
    expect(project.environments).toMatchObject([
      { name: 'dev', namespace: 'stock', deploy: { kind: 'manifests', images: ['stock'] } },
    ]);
  });

  it('becomes a slipway.yaml that plans the same, and never publishes latest', async () => {
    const root = clone('gitlab-kind', 'stock', remote, 'bare');
    const before = await stepsOf(root, 'dev');
    writeFileSync(join(root, 'slipway.yaml'), (await proposeConfig(system, root)).text);
    expect(errorsOf(await new Engine({ system, root }).project())).toEqual([]);
    const after = await stepsOf(root, 'dev');
    expect(after.ids).toEqual(before.ids);
    expect(after.tags).toHaveLength(1);
    expect(after.tags[0]).toMatch(/^[0-9a-f]{8}/);
  });

  it('takes over the pipeline; set image, port-forward and the kubeconfig in base64 have no step of their own', async () => {
    const root = clone('gitlab-kind', 'stock', remote, 'bare');
    const { proposal, report } = await migrateWorkflow(system, root, '.gitlab-ci.yml');
    expect(imagesOf(proposal.project)).toEqual([['stock', 'registry.gitlab.com/acme/stock']]);
    expect(proposal.project.environments[0]?.namespace).toBe('stock');
    expect(report.left.map(({ what }) => what)).toContain('A deploy by kubectl-set-image');
    const text = system.files.readText(join(root, '.gitlab-ci.yml'));
    const mistakes = lintWorkflow(readGitlabPipeline((await text) ?? '', join(root, '.gitlab-ci.yml')));
    expect(mistakes.map(({ message }) => message).join('\n')).toContain('The password is on the command line');
  });

  it('plans from slipway.yaml', async () => {
    const root = clone('gitlab-kind', 'stock', remote);
    expect((await new Engine({ system, root }).project()).diagnostics).toEqual([]);
    expect((await stepsOf(root, 'dev')).ids).toEqual([
      'build:stock',
      'test:unit',
      'scan:stock:default',
      'publish:stock',
      'check:dev',
      'deploy:dev',
      'rollout:dev',
      'smoke:dev',
    ]);
  });
});

describe('set-up: GHCR, Trivy gate, Helm', () => {
  const remote = 'https://github.com/acme/parcel.git';

  it('is discovered without slipway.yaml: both images of the matrix, gate, chart with the key of each image', async () => {
    const project = await discover(system, clone('ghcr-helm', 'parcel', remote, 'bare'));
    expect(imagesOf(project)).toEqual([
      ['api', 'ghcr.io/acme/parcel-api'],
      ['worker', 'ghcr.io/acme/parcel-worker'],
    ]);
    expect(project.tags).toEqual(['v{semver}', 'sha-{sha}']);
    expect(expandTags(project.tags, { ...facts, tags: ['v1.2.3'] }).tags).toEqual(['v1.2.3', 'sha-0123456']);
    expect(project.scan).toMatchObject({ severity: ['HIGH', 'CRITICAL'], ignoreUnfixed: true });
    expect(project.environments).toMatchObject([
      {
        name: 'dev',
        namespace: 'parcel',
        deploy: { kind: 'helm', release: 'parcel', images: { api: 'api.image', worker: 'worker.image' } },
        rollout: { timeoutMs: 300_000 },
      },
      { name: 'prod', isProtected: true },
    ]);
  });

  it('becomes a slipway.yaml that plans the same; the workflow is taken over whole', async () => {
    const root = clone('ghcr-helm', 'parcel', remote, 'bare');
    const before = await stepsOf(root, 'dev');
    writeFileSync(join(root, 'slipway.yaml'), (await proposeConfig(system, root)).text);
    expect(errorsOf(await new Engine({ system, root }).project())).toEqual([]);
    expect((await stepsOf(root, 'dev')).ids).toEqual(before.ids);
    const { proposal } = await migrateWorkflow(system, root, '.github/workflows/deliver.yml');
    expect(imagesOf(proposal.project)).toHaveLength(2);
    expect(proposal.project.environments.map(({ name }) => name)).toEqual(['dev']);
  });

  it('has a workflow without mistakes but floating actions, and a malicious trivy-action in it is refused', async () => {
    const root = clone('ghcr-helm', 'parcel', remote);
    const file = join(root, '.github/workflows/deliver.yml');
    const text = (await system.files.readText(file)) ?? '';
    const found = (source: string) =>
      lintWorkflow(readGithubWorkflow(source, file, { host: 'github' })).filter(({ severity }) => severity === 'error');
    expect(found(text)).toEqual([]);
    const old = found(text.replace('trivy-action@v0.36.0', 'trivy-action@0.28.0'));
    expect(old.map(({ message }) => message).join()).toContain('replaced by malware');
  });

  it('plans from slipway.yaml: sha- is deployed, a version tag is published beside it, dev moves', async () => {
    const root = clone('ghcr-helm', 'parcel', remote);
    spawnSync('git', ['tag', 'v1.2.3'], { cwd: root });
    mkdirSync(join(root, '.slipway'));
    const { plan, project } = await new Engine({ system, root }).plan({ environment: 'dev' });
    expect(project.diagnostics).toEqual([]);
    expect(plan.tags).toEqual([expect.stringMatching(/^sha-[0-9a-f]{7}$/), 'v1.2.3', 'dev']);
    const published = plan.steps.flatMap(({ spec }) => (spec.kind === 'publish' ? [spec.moving] : []));
    expect(published).toEqual([['dev'], ['dev']]);
  });
});

describe('each workflow of the five set-ups', () => {
  const remotes = {
    'github-dockerhub': 'https://github.com/acmenotes/notes.git',
    'gitlab-kind': 'https://gitlab.com/acme/stock.git',
    'ghcr-helm': 'https://github.com/acme/parcel.git',
    'flux-arm': 'https://github.com/acme/thermo.git',
    'gitea-argocd': 'https://gitea.example.com/clinic/clinic.git',
  } as const;
  it.each<[setup: keyof typeof remotes, file: string, steps: readonly string[]]>([
    ['github-dockerhub', '.github/workflows/app.yml', ['test:test']],
    ['github-dockerhub', '.github/workflows/image.yml', ['build:notes', 'scan:notes:default', 'publish:notes']],
    ['github-dockerhub', '.github/workflows/docs.yml', ['build:docs', 'scan:docs:default', 'publish:docs']],
    ['gitlab-kind', '.gitlab-ci.yml', ['test:test', 'publish:stock', 'deploy:dev', 'rollout:dev']],
    ['ghcr-helm', '.github/workflows/deliver.yml', ['test:test', 'publish:api', 'publish:worker', 'deploy:dev']],
    ['flux-arm', '.github/workflows/publish.yml', ['test:test', 'scan:thermo:linux/arm/v7', 'publish:thermo']],
    ['gitea-argocd', '.gitea/workflows/build.yml', ['test:test', 'publish:clinic', 'deploy:dev', 'deploy:prod']],
  ])('%s, %s: becomes a slipway.yaml that plans as it is written', async (setup, file, steps) => {
    const root = clone(setup, setup, remotes[setup], 'bare');
    const { proposal, report } = await migrateWorkflow(system, root, file);
    writeFileSync(join(root, 'slipway.yaml'), proposal.text);
    const project = await new Engine({ system, root }).project();
    expect(errorsOf(project)).toEqual([]);
    const environments = project.environments.map(({ name }) => name);
    const plans = await Promise.all(
      (environments.length === 0 ? [undefined] : environments).map(
        async (environment) =>
          (await new Engine({ system, root }).plan(environment === undefined ? {} : { environment })).plan,
      ),
    );
    const ids = plans.flatMap((plan) => plan.steps.map(({ id }) => id));
    for (const step of steps) expect(ids).toContain(step);
    // Nothing without a word: what was not taken over has its reason.
    for (const { what, why } of report.left) expect(`${what}: ${why}`).toMatch(/: ./);
    expect(report.taken.length).toBeGreaterThan(0);
    // An address that only the CI host has would fail every test here.
    for (const test of project.tests) expect(Object.values(test.env)).not.toContain('postgres');
  });
});
