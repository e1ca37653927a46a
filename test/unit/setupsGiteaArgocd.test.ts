import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fixedFiles, lintWorkspace, loopAnswers, readWorkspace } from '../../src/engine/lint/index.ts';
import { Engine } from '../../src/engine/main.ts';
import { discover } from '../../src/engine/project/discovery.ts';
import { createSystem } from '../../src/engine/system/index.ts';

const system = createSystem();
const source = join(import.meta.dirname, '../../examples/setups/gitea-argocd');
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A copy of the set-up, as a clone of the team's server has it. */
function setup(): string {
  const root = join(mkdtempSync(join(tmpdir(), 'slipway-setup-')), 'clinic');
  folders.push(join(root, '..'));
  cpSync(source, root, { recursive: true });
  return root;
}

const WORKFLOW = '.gitea/workflows/build.yml';

describe('set-up: Gitea Actions, Trivy, Argo CD with Image Updater, K3s', () => {
  it('is discovered without slipway.yaml: image, tags, gate, tests and both environments', async () => {
    const root = setup();
    rmSync(join(root, 'slipway.yaml'));
    const project = await discover(system, root);
    expect(project.images.map(({ name, repository }) => [name, repository])).toEqual([
      ['clinic', 'gitea.example.com/clinic/clinic'],
    ]);
    // `latest` is only made on the default branch there, which slipway.yaml has no words for.
    expect(project.tags).toEqual(['{semver}', '{branch}-{sha}', '{branch}']);
    expect(project.scan).toMatchObject({ engine: 'trivy', severity: ['HIGH', 'CRITICAL'], ignoreUnfixed: true });
    expect(project.tests[0]?.run.join(' ')).toMatch(/manage\.py test/);
    expect(project.environments.map(({ name, namespace, isProtected }) => [name, namespace, isProtected])).toEqual([
      ['dev', 'clinic-dev', false],
      ['prod', 'clinic', true],
    ]);
    expect(project.environments.map(({ deploy }) => deploy)).toMatchObject([
      { kind: 'argocd', application: 'argocd/clinic-dev' },
      { kind: 'argocd', application: 'argocd/clinic-prod' },
    ]);
  });

  it('plans from slipway.yaml: test, build, gate, publish, and a deploy through Argo CD', async () => {
    const root = setup();
    const engine = new Engine({ system, root });
    const project = await engine.project();
    expect(project.diagnostics).toEqual([]);
    expect(engine.outline(project, 'dev').map(({ kind }) => kind)).toEqual([
      'test',
      'build',
      'scan',
      'publish',
      'check',
      'deploy',
      'rollout',
      'smoke',
    ]);
  });

  it('has no mistakes and no loop: both updaters write below the ignored folder', async () => {
    const root = setup();
    expect(await lintWorkspace(system, root)).toEqual([]);
    const answers = loopAnswers(await readWorkspace(system, root));
    expect(answers.map(({ bot, verdict, branch, files }) => [bot, verdict, branch, files])).toEqual([
      ['Image Updater for clinic-dev', 'safe', 'main', ['deploy/overlays/dev/kustomization.yaml']],
      ['Image Updater for clinic-prod', 'safe', 'main', ['deploy/overlays/prod/kustomization.yaml']],
    ]);
  });

  it('finds the loop of dev when the folder is not ignored, and mends it; prod only follows versions', async () => {
    const root = setup();
    const file = join(root, WORKFLOW);
    const text = readFileSync(file, 'utf8').replace(/ {6}- deploy.*\n/, '');
    writeFileSync(file, text);
    const before = loopAnswers(await readWorkspace(system, root));
    expect(before.map(({ verdict }) => verdict)).toEqual(['loop', 'noise']);
    const findings = await lintWorkspace(system, root);
    expect(findings[0]).toMatchObject({ severity: 'error', code: 'ci.feedback-loop', place: { file } });
    const [fixed] = await fixedFiles(system, findings);
    expect(fixed?.after).toBe(text.replace("- '**.md'\n", "- '**.md'\n      - deploy/overlays/dev/**\n"));
    writeFileSync(file, fixed?.after ?? '');
    const after = loopAnswers(await readWorkspace(system, root));
    expect(after.map(({ verdict }) => verdict)).toEqual(['safe', 'noise']);
  });
});
