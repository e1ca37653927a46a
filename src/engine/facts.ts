import { createHash } from 'node:crypto';
import picomatch from 'picomatch';
import { ignoreFiles } from './images/ignores.ts';
import type { PlanFacts } from './plan/index.ts';
import { type GitFacts, readContexts, readGitFacts } from './project/index.ts';
import type { Project } from './project/model.ts';
import { readRecords } from './run/index.ts';
import { findTool, type System } from './system/index.ts';

/** Everything about the workspace that a plan depends on. Reads files and asks git; contacts nothing else. */
export async function gatherFacts(
  system: System,
  project: Project,
): Promise<{ readonly git: GitFacts; readonly facts: PlanFacts }> {
  const [git, records, ignoreFileHash, toolVersions] = await Promise.all([
    readGitFacts(system, project.root, { commitCount: templatesOf(project).some((each) => /\{commits\b/.test(each)) }),
    readRecords(system.files, project.root),
    hashIgnoreFile(system, project),
    readToolVersions(system),
  ]);
  const contexts = await readContexts(system, project, git);
  const facts: PlanFacts = {
    ...(git.commit !== undefined && { commit: git.commit }),
    ...(git.branch !== undefined && { branch: git.branch }),
    tags: git.tags,
    ...(git.commitCount !== undefined && { commitCount: git.commitCount }),
    ...(git.dirtyHash !== undefined && { dirtyHash: git.dirtyHash }),
    isDirty: git.isDirty,
    now: system.clock.now(),
    contexts,
    testInputs: hashTestInputs(project, git),
    records,
    ...(ignoreFileHash !== undefined && { ignoreFileHash }),
    toolVersions,
  };
  return { git, facts };
}

const templatesOf = (project: Project): readonly string[] => [
  ...project.tags,
  ...project.movingTags,
  ...project.environments.flatMap(({ tags }) => tags ?? []),
];

function hashTestInputs(project: Project, git: GitFacts): ReadonlyMap<string, string> {
  return new Map(
    project.tests.map((test) => {
      const isInput = test.inputs.length === 0 ? () => true : picomatch([...test.inputs], { dot: true });
      const hash = createHash('sha256');
      for (const file of git.files) if (isInput(file.path)) hash.update(`${file.mode} ${file.id} ${file.path}\0`);
      return [test.name, hash.digest('hex')];
    }),
  );
}

/** Over the ignore files the gate will use. */
async function hashIgnoreFile(system: System, project: Project): Promise<string | undefined> {
  const texts: string[] = [];
  for (const list of ignoreFiles(project.root, project.scan)) {
    for (const path of list) {
      const text = await system.files.readText(path);
      if (text === undefined) continue;
      texts.push(text);
      break;
    }
  }
  return texts.length === 0 ? undefined : createHash('sha256').update(texts.join('\0')).digest('hex');
}

/**
 * Stands for a tool's version in a key: size and time of its file. Asking each tool would start a process per plan, and
 * planning must not start any.
 */
async function readToolVersions(system: System): Promise<Readonly<Record<string, string>>> {
  const versions: Record<string, string> = {};
  for (const [name, file] of [
    ['buildx', 'docker'],
    ['trivy', 'trivy'],
    ['grype', 'grype'],
  ] as const) {
    const path = findTool(file, system.env, system.platform);
    const stat = path === undefined ? undefined : await system.files.stat(path);
    if (stat !== undefined) versions[name] = `${stat.size}-${Math.round(stat.mtimeMs)}`;
  }
  return versions;
}
