import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makePlan } from '../../src/engine/plan/index.ts';
import { loadProject, proposeConfig, writeProposal } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { discover } from './bakeParts.ts';
import { workspace } from './workspaces.ts';

describe('.goreleaser.yml', () => {
  it('dockers and their manifests are one image for all platforms', async () => {
    const docker = (arch: string) =>
      `  - { image_templates: ["ghcr.io/acme/tool:{{ .Tag }}-${arch}"], dockerfile: Dockerfile.goreleaser, goarch: ${arch}, build_flag_templates: ["--platform=linux/${arch}"] }\n`;
    const { project } = await discover({
      'Dockerfile.goreleaser': 'FROM scratch\nCOPY tool /\n',
      '.goreleaser.yml': `project_name: tool\ndockers:\n${docker('amd64')}${docker('arm64')}docker_manifests:\n  - name_template: "ghcr.io/acme/{{ .ProjectName }}:{{ .Version }}"\n  - name_template: ghcr.io/acme/tool:latest\n`,
    });
    expect(project.images).toMatchObject([
      { repository: 'ghcr.io/acme/tool', platforms: ['linux/amd64', 'linux/arm64'] },
    ]);
    expect(project.tags).toEqual(['{semver}', '{branch}-{sha}', 'latest']);
    expect(project.diagnostics.map(({ message }) => message).join()).toContain('GoReleaser puts the binaries it made');
  });

  it('dockers_v2', async () => {
    const { project } = await discover({
      Dockerfile: 'FROM scratch\n',
      '.goreleaser.yaml':
        'dockers_v2:\n  - images: [ghcr.io/acme/tool]\n    tags: ["v{{ .Version }}", "{{ .Env.X }}"]\n    platforms: [linux/arm64]\n',
    });
    expect(project.images).toMatchObject([{ repository: 'ghcr.io/acme/tool', platforms: ['linux/arm64'] }]);
    expect(project.tags[0]).toBe('v{semver}');
  });
});

const setups = join(import.meta.dirname, '../../examples/setups');
it.each(readdirSync(setups))('slipway init in the set-up %s plans without an edit', async (name) => {
  const system = createSystem({ isTrusted: () => false });
  const root = workspace({}, name);
  cpSync(join(setups, name), root, { recursive: true });
  rmSync(join(root, 'slipway.yaml'), { force: true });
  const proposal = await proposeConfig(system, root, { bake: 'never' });
  await writeProposal(system, proposal);
  const project = await loadProject(system, root);
  expect(project.diagnostics).toEqual([]);
  expect(project.images.length).toBeGreaterThan(0);
  expect(project.environments.length).toBeGreaterThan(0);
  const facts = { commit: 'abcdef0123456789', branch: 'main', tags: [], commitCount: 3, isDirty: false, now: 0 };
  for (const { name: environment } of project.environments) {
    const plan = makePlan(
      project,
      { ...facts, contexts: new Map(), testInputs: new Map(), records: new Map(), toolVersions: {} },
      { environment },
    );
    expect(plan.steps.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['test', 'build', 'publish', 'deploy']));
  }
});
