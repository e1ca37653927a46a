import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { applyPolicies, CompiledPolicy } from '../../src/engine/gitops/index.ts';
import { fixedFiles, lintWorkspace, loopAnswers, readWorkspace } from '../../src/engine/lint/index.ts';
import { Engine } from '../../src/engine/main.ts';
import { discover } from '../../src/engine/project/discovery.ts';
import { createSystem } from '../../src/engine/system/index.ts';

const system = createSystem();
const source = join(import.meta.dirname, '../../examples/setups/flux-arm');
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A copy of the set-up, outside of this repository. */
function setup(): string {
  const root = join(mkdtempSync(join(tmpdir(), 'slipway-setup-')), 'thermo');
  folders.push(join(root, '..'));
  cpSync(source, root, { recursive: true });
  return root;
}

const WORKFLOW = '.github/workflows/publish.yml';
const PLATFORMS = ['linux/amd64', 'linux/arm64', 'linux/arm/v7'];

describe('set-up: GitHub Actions, three platforms, Flux, ARM boards', () => {
  it('is discovered without slipway.yaml: platforms, the version by commits, gate, tests and the environment', async () => {
    const root = setup();
    rmSync(join(root, 'slipway.yaml'));
    const project = await discover(system, root);
    expect(project.images.map(({ name, repository, platforms }) => [name, repository, platforms])).toEqual([
      ['thermo', 'ghcr.io/acme/thermo', PLATFORMS],
    ]);
    expect(project.tags).toEqual(['1.0.{commits}']);
    expect(project.scan).toMatchObject({ engine: 'trivy', severity: ['HIGH', 'CRITICAL'], ignoreUnfixed: true });
    expect(project.tests.map(({ run }) => run)).toEqual([['go', 'test', './...']]);
    expect(project.environments).toMatchObject([
      {
        name: 'home',
        namespace: 'thermo',
        deploy: { kind: 'flux', policies: ['flux-system/thermo'], automation: 'flux-system/home', write: 'auto' },
      },
    ]);
  });

  it('plans from slipway.yaml: a scan for each platform, one publish, a deploy through Flux', async () => {
    const engine = new Engine({ system, root: setup() });
    const project = await engine.project();
    expect(project.diagnostics).toEqual([]);
    expect(engine.outline(project, 'home').map(({ id }) => id)).toEqual([
      'test:go',
      'build:thermo',
      ...PLATFORMS.map((platform) => `scan:thermo:${platform}`),
      'publish:thermo',
      'check:home',
      'deploy:home',
      'rollout:home',
      'smoke:home',
    ]);
  });

  it('has no mistake and no loop: the automation writes below the ignored folder', async () => {
    const root = setup();
    expect(await lintWorkspace(system, root)).toEqual([]);
    const answers = loopAnswers(await readWorkspace(system, root));
    expect(answers.map(({ verdict, files }) => [verdict, files])).toEqual([
      ['safe', ['clusters/home/apps/history.yaml', 'clusters/home/apps/thermo.yaml']],
    ]);
  });

  it('finds the loop when the folder is not ignored, since every commit is a version; and mends it', async () => {
    const root = setup();
    const file = join(root, WORKFLOW);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/ {6}- clusters.*\n/, ''));
    const findings = await lintWorkspace(system, root);
    expect(findings[0]).toMatchObject({ severity: 'error', code: 'ci.feedback-loop', place: { file } });
    expect(findings[0]?.fixes[0]?.title).toContain('Add clusters/home/apps/** to paths-ignore');
    const [fixed] = await fixedFiles(system, findings);
    writeFileSync(file, fixed?.after ?? '');
    expect(loopAnswers(await readWorkspace(system, root)).map(({ verdict }) => verdict)).toEqual(['safe']);
  });

  it('the policy takes the newest version by number, and its markers follow it', async () => {
    const root = setup();
    const { index, texts } = await readWorkspace(system, root);
    const policy = index.policy('flux-system', 'thermo');
    const compiled = policy === undefined ? undefined : index.compiledOf(policy);
    if (!(compiled instanceof CompiledPolicy)) throw new Error('no policy');
    expect(compiled.select(['1.0.9', '1.0.42', '1.0.100', '1.1.0', 'latest', '1.0.101-rc.1']).latest).toBe('1.0.100');
    const refs = new Map([['flux-system:thermo', { name: 'ghcr.io/acme/thermo', tag: '1.0.100', digest: '' }]]);
    const changes = index.filesWithMarkers.flatMap((file) => {
      const before = texts.get(join(root, file)) ?? '';
      const { text, changes: made } = applyPolicies(before, file, refs, 'flux-system');
      // Only the tokens: everything else keeps its bytes.
      expect(text).toBe(before.replaceAll('1.0.41', '1.0.100'));
      return made;
    });
    expect(changes.map(({ setter }) => setter)).toEqual([
      'flux-system:thermo:tag',
      'flux-system:thermo',
      'flux-system:thermo',
    ]);
    expect(
      index.filesWithMarkers.flatMap((file) => index.linked(file)).map(({ verdict }) => verdict?.isAllowed),
    ).not.toContain(false);
  });
});
