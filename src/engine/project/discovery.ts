import { basename, join, posix, resolve } from 'node:path';
import { type Diagnostic, type Place, SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { readConfig } from './config.ts';
import {
  type BakeReading,
  type BakeText,
  bakeSets,
  isBakeFile,
  readBakeSet,
  readPrintedBake,
} from './discovery/bakeFile.ts';
import { isChartFile, readChart } from './discovery/chart.ts';
import type { ChartText } from './discovery/chartTemplates.ts';
import { isComposeFile, readCompose } from './discovery/compose.ts';
import { isDockerfile, readDockerfile } from './discovery/dockerfile.ts';
import { makeDraft } from './discovery/draft.ts';
import type { Draft } from './discovery/draftModel.ts';
import type {
  BuildFinding,
  ChartFinding,
  ComposeImage,
  DockerfileFinding,
  Findings,
  KustomizationFinding,
  ObjectFinding,
  PipelineFinding,
  RelativePath,
  ServiceFinding,
  TestFinding,
} from './discovery/findings.ts';
import { isGoreleaserFile, readGoreleaser } from './discovery/goreleaser.ts';
import { isKustomizationFile, looksLikeObjects, readKustomization, readObjects } from './discovery/objects.ts';
import { asideFolder, asName, folderOf, isBelow } from './discovery/paths.ts';
import { isWorkflowFile, isWorkflowPart, readPipeline, readPipelines } from './discovery/pipelines.ts';
import { servicesOfSettings } from './discovery/services.ts';
import { isSkaffoldFile, readSkaffold } from './discovery/skaffold.ts';
import { findTests } from './discovery/tests.ts';
import { walkWorkspace } from './discovery/walk.ts';
import { draftText } from './initText.ts';
import type { Project } from './model.ts';

/** Larger YAML files are generated; nobody writes a deployment in a megabyte. */
const LARGEST_BYTES = 1_000_000;
const MOST_YAML_FILES = 3_000;
const MOST_TEMPLATES = 200;
/** Files that workflows take in, which take in others. */
const MOST_NESTED = 8;
/** Files read at the same time. */
const BATCH = 32;

/**
 * What can be told of a workspace that has no slipway.yaml. Reads files only, unless buildx may be asked. The project's
 * diagnostics (severity info) name each guess that a person should look at.
 */
export async function discover(system: System, root: string, options: FindOptions = {}): Promise<Project> {
  const findings = await findEverything(system, root, options);
  return draftProject(makeDraft(findings), findings);
}

/** The project that a draft means: read through the same reader as a slipway.yaml, with the places of its sources. */
export function draftProject(draft: Draft, findings: Findings): Project {
  const project = readConfig(draftText(draft, findings), join(findings.root, 'slipway.yaml'), findings.root);
  const placeOf = (...path: readonly (string | number)[]): Place =>
    draft.notes.find(
      (note) => note.path.length === path.length && note.path.every((part, index) => part === path[index]),
    )?.place ?? { file: findings.root };
  const { configFile: _none, ...rest } = project;
  return {
    ...rest,
    source: 'discovery',
    images: project.images.map((image) => ({ ...image, place: placeOf('images', image.name) })),
    tests: project.tests.map((test, index) => ({ ...test, place: placeOf('test', index) })),
    scan: { ...project.scan, place: placeOf('scan') },
    environments: project.environments.map((each) => ({ ...each, place: placeOf('environments', each.name) })),
    diagnostics: [...project.diagnostics, ...findings.diagnostics, ...draftDiagnostics(draft, findings)],
  };
}

function draftDiagnostics(draft: Draft, findings: Findings): readonly Diagnostic[] {
  const guesses = draft.notes
    .filter((note) => note.certainty === 'guess')
    .map(
      (note): Diagnostic => ({
        severity: 'info',
        code: `discovery.${note.path[0] ?? 'guess'}`,
        message: `${note.path.join('.')}: ${note.text}.`,
        place: note.place,
        fix: note.fix ?? 'Write a slipway.yaml (slipway init) and correct it there.',
      }),
    );
  const left = draft.left.map(
    ({ what, why, place }): Diagnostic => ({
      severity: 'info',
      code: 'discovery.left-out',
      message: `${what} is left out: ${why}.`,
      place,
    }),
  );
  if (Object.keys(draft.config.images ?? {}).length > 0) return [...guesses, ...left];
  return [
    ...guesses,
    ...left,
    {
      severity: 'info',
      code: 'discovery.no-images',
      message: 'No Dockerfile was found, so there is nothing to build.',
      place: { file: findings.root },
      fix: 'Open the folder that holds the app, or describe it in slipway.yaml.',
    },
  ];
}

/** Gives what `buildx bake --print` says of the targets, called in the folder. */
export type PrintBake = (
  files: readonly RelativePath[],
  names: readonly string[],
  folder: RelativePath,
) => Promise<string>;

export interface FindOptions {
  /** Asks buildx for what cannot be told of bake files by reading them; without it such targets are only named. */
  readonly printBake?: PrintBake;
  /** Fail where buildx cannot say it, instead of going on with what was read. */
  readonly needsBake?: true;
  /** Read this file as a workflow, too, wherever it lies. */
  readonly workflow?: RelativePath;
}

/** Everything that discovery looks for, each with its place. Reads files only, unless buildx may be asked. */
export async function findEverything(system: System, root: string, options: FindOptions = {}): Promise<Findings> {
  const { paths, isCut } = await walkWorkspace(system, root);
  const finder = new Finder(system, root, paths, options);
  if (isCut)
    finder.report(
      'discovery.too-many-files',
      'The workspace has more files than discovery looks at; some may be missing here.',
      root,
    );
  return finder.find();
}

class Finder {
  readonly #system: System;
  readonly #root: string;
  readonly #paths: readonly RelativePath[];
  readonly #options: FindOptions;
  readonly #diagnostics: Diagnostic[] = [];

  constructor(system: System, root: string, paths: readonly RelativePath[], options: FindOptions) {
    this.#system = system;
    this.#root = root;
    this.#paths = paths;
    this.#options = options;
  }

  report(code: string, message: string, file: string, fix?: string): void {
    this.#diagnostics.push({ severity: 'info', code, message, place: { file }, ...(fix !== undefined && { fix }) });
  }

  async find(): Promise<Findings> {
    const remoteUrl = await readRemote(this.#system, this.#root);
    const dockerfiles: DockerfileFinding[] = [];
    const builds: BuildFinding[] = [];
    const services: ServiceFinding[] = [];
    const composeImages: ComposeImage[] = [];
    const bakeFiles: BakeText[] = [];
    const charts: ChartFinding[] = [];
    const kustomizations: KustomizationFinding[] = [];
    const chartFolders = this.#paths.filter(isChartFile).map(folderOf);
    const named = this.#paths.filter(
      (path) =>
        isDockerfile(path) ||
        isComposeFile(path) ||
        isSkaffoldFile(path) ||
        isBakeFile(path) ||
        isGoreleaserFile(path) ||
        isChartFile(path) ||
        isKustomizationFile(path),
    );
    for (const path of named) {
      const text = await this.#read(path);
      if (text === undefined) continue;
      const file = this.#absolute(path);
      if (isBakeFile(path)) bakeFiles.push({ path, text, file });
      else if (isDockerfile(path)) {
        const found = readDockerfile(text, path, file);
        if (found !== undefined) dockerfiles.push(found);
      } else if (isComposeFile(path)) {
        const found = readCompose(text, path, file);
        builds.push(...found.builds);
        services.push(...found.services);
        composeImages.push(...found.images);
      } else if (isSkaffoldFile(path)) builds.push(...readSkaffold(text, path, file));
      else if (isGoreleaserFile(path)) builds.push(...readGoreleaser(text, file, (each) => this.#paths.includes(each)));
      else if (isKustomizationFile(path)) {
        const found = readKustomization(text, path, file);
        if (found !== undefined && asideFolder(path) === undefined) kustomizations.push(found);
      } else {
        // A chart within a chart is a dependency of it.
        if (chartFolders.some((folder) => isBelow(path, `${folder}/charts`)) || asideFolder(path) !== undefined)
          continue;
        const chart = await this.#chart(path, text);
        if (chart !== undefined) charts.push(chart);
      }
    }
    for (const set of bakeSets(bakeFiles)) builds.push(...(await this.#bake(set)));
    const pipelines = await this.#pipelines(remoteUrl);
    dockerfiles.push(
      ...(await this.#moreDockerfiles([...builds, ...pipelines.flatMap((each) => each.builds)], dockerfiles)),
    );
    return {
      root: this.#root,
      name: asName(basename(resolve(this.#root))),
      paths: this.#paths,
      ...(remoteUrl !== undefined && { remoteUrl }),
      dockerfiles,
      builds,
      services,
      composeImages,
      charts,
      kustomizations,
      objects: await this.#objects(chartFolders),
      tests: await this.#tests(services),
      pipelines,
      diagnostics: this.#diagnostics,
    };
  }

  /** By reading; what is left open is asked of buildx, where that is allowed. */
  async #bake(set: readonly BakeText[]): Promise<readonly BuildFinding[]> {
    const reading = readBakeSet(set, (path) => this.#paths.includes(path));
    const [first] = set;
    const [gap] = reading.gaps;
    if (gap === undefined || first === undefined) return reading.builds;
    const { printBake } = this.#options;
    if (printBake === undefined) {
      this.#reportGaps(reading, first, 'it is asked by "slipway init", "slipway plan" and "slipway run"');
      return reading.builds;
    }
    const inFolder = (path: RelativePath) => (reading.folder === '.' ? path : posix.relative(reading.folder, path));
    try {
      const printed = await printBake(
        set.map(({ path }) => inFolder(path)),
        reading.names,
        reading.folder,
      );
      return readPrintedBake(printed, reading, set);
    } catch (error) {
      if (!(error instanceof SlipwayError) || this.#options.needsBake === true) throw error;
      this.#reportGaps(reading, first, [error.message, ...(error.evidence ?? []).slice(-1)].join(' '));
      return reading.builds;
    }
  }

  #reportGaps({ gaps }: BakeReading, { path }: BakeText, more: string): void {
    for (const { what, place } of gaps)
      this.#diagnostics.push({
        severity: 'info',
        code: 'discovery.bake',
        message: `${path}: only docker buildx can tell ${what}; ${more.replace(/\.$/, '')}.`,
        place,
        fix: 'Give the variables it depends on a default, or run "docker buildx bake --print" to see what is wrong.',
      });
  }

  /** Dockerfiles that are called otherwise and that a build names, and those that stand in a bake file. */
  async #moreDockerfiles(
    builds: readonly BuildFinding[],
    known: readonly DockerfileFinding[],
  ): Promise<readonly DockerfileFinding[]> {
    const found = new Map<RelativePath, DockerfileFinding>();
    for (const { dockerfile, inline, place } of builds) {
      if (found.has(dockerfile) || known.some(({ path }) => path === dockerfile)) continue;
      if (inline === undefined && !this.#paths.includes(dockerfile)) continue;
      const text = inline ?? (await this.#read(dockerfile)) ?? '';
      const read = readDockerfile(text, dockerfile, inline === undefined ? this.#absolute(dockerfile) : place.file);
      if (read !== undefined) found.set(dockerfile, inline === undefined ? read : { ...read, place });
    }
    return [...found.values()];
  }

  async #chart(path: RelativePath, text: string): Promise<ChartFinding | undefined> {
    const valuesPath = posix.join(folderOf(path), 'values.yaml');
    const values = await this.#read(valuesPath);
    return readChart(
      text,
      path,
      this.#absolute(path),
      values === undefined ? undefined : { text: values, file: this.#absolute(valuesPath) },
      this.#paths,
      (each) => this.#absolute(each),
      await this.#templates(folderOf(path)),
    );
  }

  async #templates(chart: RelativePath): Promise<readonly ChartText[]> {
    const texts: ChartText[] = [];
    const isTemplate = (path: RelativePath) =>
      isBelow(path, posix.join(chart, 'templates')) && /\.(ya?ml|tpl)$/.test(path);
    for (const path of this.#paths.filter(isTemplate).slice(0, MOST_TEMPLATES)) {
      const text = await this.#read(path);
      if (text !== undefined) texts.push({ path, text, file: this.#absolute(path) });
    }
    return texts;
  }

  async #objects(chartFolders: readonly RelativePath[]): Promise<readonly ObjectFinding[]> {
    const candidates = this.#paths.filter(
      (path) =>
        /\.(ya?ml)$/.test(path) &&
        !/^\.(github|gitea|forgejo|gitlab|circleci)(\/|-ci)/.test(path) &&
        !/(^|\/)(pnpm-lock|mkdocs)\.ya?ml$/.test(path) &&
        !isComposeFile(path) &&
        !isSkaffoldFile(path) &&
        !isKustomizationFile(path) &&
        asideFolder(path) === undefined &&
        // Chart templates are not YAML before Helm has filled them.
        !chartFolders.some((folder) => isBelow(path, folder)),
    );
    if (candidates.length > MOST_YAML_FILES) {
      this.report(
        'discovery.too-many-files',
        `Only the first ${MOST_YAML_FILES} of ${candidates.length} YAML files were read.`,
        this.#root,
      );
    }
    const found: ObjectFinding[] = [];
    const chosen = candidates.slice(0, MOST_YAML_FILES);
    for (let start = 0; start < chosen.length; start += BATCH) {
      const batch = chosen.slice(start, start + BATCH);
      const texts = await Promise.all(batch.map((path) => this.#read(path)));
      for (const [index, path] of batch.entries()) {
        const text = texts[index];
        if (text !== undefined && looksLikeObjects(text)) found.push(...readObjects(text, path, this.#absolute(path)));
      }
    }
    return found;
  }

  async #tests(services: readonly ServiceFinding[]): Promise<readonly TestFinding[]> {
    const read = (path: RelativePath) => this.#read(path);
    const absolute = (path: RelativePath) => this.#absolute(path);
    const tests = await findTests(this.#paths, read, absolute);
    return Promise.all(
      tests.map(async (test) => {
        const wanted = await servicesOfSettings(test.folder, this.#paths, read, absolute, services);
        // Host and port come from Slipway (POSTGRES_HOST); name and password are the same on both sides.
        const shared = wanted.flatMap(({ env }) => Object.entries(env).filter(([key]) => key.startsWith('POSTGRES_')));
        return { ...test, env: { ...test.env, ...Object.fromEntries(shared) }, services: wanted };
      }),
    );
  }

  async #pipelines(remoteUrl: string | undefined): Promise<readonly PipelineFinding[]> {
    const isPart = (path: RelativePath) => isWorkflowFile(path) || isWorkflowPart(path);
    const texts = new Map<RelativePath, string>();
    const dead = deadWorkflows(this.#paths, remoteUrl);
    if (dead.length > 0) {
      this.report(
        'discovery.dead-workflows',
        `${dead.join(', ')} never run on ${hostOf(remoteUrl)}: a Gitea or Forgejo server with a workflow folder of its own does not look into .github.`,
        this.#absolute(dead[0] ?? '.'),
        'Move them, or remove them when they are not for a mirror.',
      );
    }
    for (const path of this.#paths.filter((each) => isPart(each) && !dead.includes(each))) {
      const text = await this.#read(path);
      if (text !== undefined) texts.set(path, text);
    }
    const missing = new Set<RelativePath>();
    const surroundings = {
      absolute: (path: RelativePath) => this.#absolute(path),
      isFile: (path: RelativePath) => this.#paths.includes(path),
      paths: this.#paths,
      missing: (path: RelativePath) => missing.add(path),
      ...(remoteUrl !== undefined && { remoteUrl }),
    };
    let pipelines = readPipelines(texts, surroundings);
    // Includes and local actions may lie anywhere: they are known only when what names them was read.
    for (let round = 0; round < MOST_NESTED; round += 1) {
      const wanted = [...missing].filter((path) => this.#paths.includes(path));
      missing.clear();
      const before = texts.size;
      for (const path of wanted) {
        const text = await this.#read(path);
        if (text !== undefined) texts.set(path, text);
      }
      if (texts.size === before) break;
      pipelines = readPipelines(texts, surroundings);
    }
    const { workflow } = this.#options;
    if (workflow === undefined || pipelines.some(({ path }) => path === workflow)) return pipelines;
    const text = await this.#read(workflow);
    return text === undefined ? pipelines : [...pipelines, readPipeline(workflow, text, texts, surroundings)];
  }

  #absolute(path: RelativePath): string {
    return path === '.' ? this.#root : join(this.#root, path);
  }

  async #read(path: RelativePath): Promise<string | undefined> {
    const file = this.#absolute(path);
    try {
      const stat = await this.#system.files.stat(file);
      if (stat === undefined || stat.isFolder || stat.size > LARGEST_BYTES) return undefined;
      return await this.#system.files.readText(file);
    } catch {
      this.report('discovery.unreadable', `${path} could not be read and is left out.`, file);
      return undefined;
    }
  }
}

const hostOf = (remoteUrl: string | undefined): string =>
  /^(?:[a-z+]+:\/\/)?(?:[^@/]+@)?([^:/]+)/.exec(remoteUrl ?? '')?.[1] ?? '';

/** Gitea takes `.gitea/workflows` when it is there, and only else `.github/workflows`. */
function deadWorkflows(paths: readonly RelativePath[], remoteUrl: string | undefined): readonly RelativePath[] {
  const host = hostOf(remoteUrl);
  const isGitea = paths.some((path) => /^\.(gitea|forgejo)\/workflows\//.test(path) && isWorkflowFile(path));
  if (!isGitea || host === '' || /(^|\.)github\.com$|\.ghe\.com$/.test(host)) return [];
  return paths.filter((path) => path.startsWith('.github/') && isWorkflowFile(path));
}

/** The URL of `origin`, read from git's own files: planning without configuration must not start a process. */
async function readRemote(system: System, root: string): Promise<string | undefined> {
  const { files } = system;
  try {
    let folder = join(root, '.git');
    const link = (await files.stat(folder))?.isFolder === false ? await files.readText(folder) : undefined;
    const target = /^gitdir: (.+)$/m.exec(link ?? '')?.[1];
    if (target !== undefined) {
      folder = resolve(root, target.trim());
      const common = await files.readText(join(folder, 'commondir'));
      if (common !== undefined) folder = resolve(folder, common.trim());
    }
    const config = (await files.readText(join(folder, 'config'))) ?? '';
    const section = /\[remote "origin"\]([^[]*)/.exec(config)?.[1];
    const url = /^\s*url\s*=\s*(.+)$/m.exec(section ?? '')?.[1]?.trim();
    return url?.replace(/\/\/[^@/]+@/, '//');
  } catch {
    return undefined;
  }
}
