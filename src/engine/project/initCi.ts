import { join } from 'node:path';
import type { System } from '../system/index.ts';
import type { InitProposal } from './init.ts';
import { githubWorkflow } from './initCiGithub.ts';
import { gitlabPipeline } from './initCiGitlab.ts';
import type { CiKind, CiPlan } from './initCiPlan.ts';
import type { Project } from './model.ts';

export interface CiOptions {
  /** Where CI gets Slipway's command line from: an npm package, a tarball's URL or a path in the repository. */
  readonly package?: string;
}

const FILES: Readonly<Record<CiKind, string>> = {
  github: '.github/workflows/slipway.yml',
  gitlab: '.gitlab-ci.yml',
  gitea: '.gitea/workflows/slipway.yml',
};

/** The workflow that runs the same pipeline on a CI host. Reads files only. */
export async function proposeCi(
  system: System,
  project: Project,
  host: CiKind,
  options: CiOptions = {},
): Promise<Pick<InitProposal, 'file' | 'text' | 'existing'>> {
  const plan = ciPlan(project, await defaultBranch(system, project.root), options.package);
  const text = host === 'gitlab' ? gitlabPipeline(plan) : githubWorkflow(plan, host);
  const file = join(project.root, FILES[host]);
  const existing = await system.files.readText(file);
  return { file, text, ...(existing !== undefined && { existing }) };
}

export function ciPlan(project: Project, branch: string, packageSpec: string | undefined): CiPlan {
  const platforms = project.images.flatMap((image) => image.platforms);
  const registries = [...new Set(project.images.map((image) => registryOf(image.repository)))];
  const templates = [...project.tags, ...project.environments.flatMap((environment) => environment.tags ?? [])];
  return {
    branch,
    hasVersionTags: templates.some((template) => /\{(semver|tag|major|minor)\}/.test(template)),
    ...(packageSpec !== undefined && { package: packageSpec }),
    registries: registries.filter((registry) => !isLocal(registry)),
    hasLocalRegistry: registries.some(isLocal),
    needsEmulation: platforms.some((platform) => platform !== 'linux/amd64'),
    needsHelm: project.environments.some((environment) => environment.deploy.kind === 'helm'),
    engine: project.scan.isEnabled ? project.scan.engine : 'none',
    hasTests: project.tests.length > 0,
    hasBareTests: project.tests.some((test) => test.container === undefined),
    hasCycloneDx: project.images.some((image) => image.sbom === 'cyclonedx'),
    services: [...new Set(project.tests.flatMap((test) => test.services.map((service) => service.name)))],
    environments: project.environments.map(({ name, isProtected, deploy, context }) => {
      const cluster = /^kind-(.+)$/.exec(context ?? '')?.[1];
      return { name, isProtected, kind: deploy.kind, ...(cluster !== undefined && { kindCluster: cluster }) };
    }),
  };
}

const isLocal = (registry: string): boolean => /^(localhost|127\.0\.0\.1)(:|$)/.test(registry);

/** The host of a repository; without one it is Docker Hub. */
function registryOf(repository: string): string {
  const first = repository.split('/')[0] ?? '';
  return repository.includes('/') && /[.:]|^localhost$/.test(first) ? first : 'docker.io';
}

/** From git's own files: what `origin` calls its head, else the branch that is checked out. */
async function defaultBranch(system: System, root: string): Promise<string> {
  const read = async (path: string) =>
    (await system.files.readText(join(root, '.git', path)).catch(() => undefined)) ?? '';
  const remote = /^ref: refs\/remotes\/origin\/(\S+)/.exec(await read('refs/remotes/origin/HEAD'))?.[1];
  const local = /^ref: refs\/heads\/(\S+)/.exec(await read('HEAD'))?.[1];
  return remote ?? local ?? 'main';
}
