import { posix } from 'node:path';
import {
  type DeployFact,
  type Job,
  literalOf,
  type PublishedImage,
  publishedImages,
  readGithubWorkflow,
  readGitlabPipeline,
  type Step,
  type TestFact,
  tagTemplates,
  textOf,
  type Workflow,
} from '../../workflows/index.ts';
import { DURATION } from '../schema.ts';
import type {
  BuildFinding,
  DeployFinding,
  PipelineFinding,
  RelativePath,
  ServiceFinding,
  TestFinding,
} from './findings.ts';
import { cappedTests, combinationOf } from './matrixTests.ts';
import { asName, environmentOfPath, isRepository, knownEnvironment, resolveFrom } from './paths.ts';
import { withServiceAddresses } from './serviceAddresses.ts';

/** Workflows that a host starts by itself. */
export const isWorkflowFile = (path: RelativePath): boolean =>
  /^\.github\/workflows\/[^/]+\.ya?ml$/.test(path) ||
  /^\.(gitea|forgejo)\/workflows\/.+\.ya?ml$/.test(path) ||
  path === '.gitlab-ci.yml';

/** Files that workflows take in: local actions and includes. */
export const isWorkflowPart = (path: RelativePath): boolean =>
  /(^|\/)action\.ya?ml$/.test(path) ||
  /^\.gitlab\/.+\.ya?ml$/.test(path) ||
  /(^|\/)[^/]*gitlab-ci[^/]*\.ya?ml$/.test(path) ||
  /^ci\/.+\.ya?ml$/.test(path);

export interface PipelineSurroundings {
  readonly absolute: (path: RelativePath) => string;
  readonly isFile: (path: RelativePath) => boolean;
  readonly remoteUrl?: string;
  /** All paths, for includes with wildcards. */
  readonly paths?: readonly RelativePath[];
  /** Told of files that a workflow takes in and that `texts` does not hold. */
  readonly missing?: (path: RelativePath) => void;
}

/**
 * What the workflows of the workspace say. `texts` holds workflows and the files they take in. A workflow that others
 * only call is read where it is called, with what it is given there.
 */
export function readPipelines(
  texts: ReadonlyMap<RelativePath, string>,
  surroundings: PipelineSurroundings,
): readonly PipelineFinding[] {
  return [...texts].flatMap(([path, text]) => {
    if (!isWorkflowFile(path)) return [];
    const pipeline = readPipeline(path, text, texts, surroundings);
    const { triggers } = pipeline.workflow;
    return triggers.length > 0 && triggers.every(({ event }) => event === 'workflow_call') ? [] : [pipeline];
  });
}

export function readPipeline(
  path: RelativePath,
  text: string,
  texts: ReadonlyMap<RelativePath, string>,
  surroundings: PipelineSurroundings,
): PipelineFinding {
  return new Translator(path, readWorkflow(path, text, texts, surroundings), surroundings).finding();
}

/** One workflow, with the files beside it to follow. */
function readWorkflow(
  path: RelativePath,
  text: string,
  texts: ReadonlyMap<RelativePath, string>,
  { absolute, remoteUrl, paths, missing }: PipelineSurroundings,
): Workflow {
  const [, host, repository] =
    /^(?:[a-z+]+:\/\/)?(?:[^@/]+@)?([^:/]+)(?::\d+)?[:/]+(.+?)(?:\.git)?\/?$/.exec(remoteUrl ?? '') ?? [];
  const options = {
    readLocal: (local: string) => {
      const part = local.replace(/^\.?\//, '');
      const found = texts.get(part);
      if (found === undefined) missing?.(part);
      return found;
    },
    ...(paths !== undefined && { paths }),
    ...(repository !== undefined && { repository }),
  };
  if (/gitlab/.test(path))
    return readGitlabPipeline(text, absolute(path), {
      ...options,
      ...(host === 'gitlab.com' && { registry: 'registry.gitlab.com' }),
    });
  return readGithubWorkflow(text, absolute(path), {
    ...options,
    host: path.startsWith('.github/') ? 'github' : 'gitea',
  });
}

/** Gates that are not ours to hold. */
const OTHER_SCANNERS = /snyk|sonar|scout/i;
/** `[0-9]+.[0-9]+.[0-9]+`, `v1.*`, `release/[0-9]*.[0-9]*.x`: three parts of which the first is a number. */
const VERSION_PATTERN = /^(?:releases?\/)?v?(?:\d|\[0-9\])[\d[\]+*?x-]*(?:\.[\d[\]+*?x-]+){1,2}$/;
const PLATFORM = /^[a-z0-9]+\/[a-z0-9_]+(\/v\d+)?$/;

class Translator {
  readonly #path: RelativePath;
  readonly #workflow: Workflow;
  readonly #surroundings: PipelineSurroundings;
  readonly #left: PipelineFinding['left'][number][] = [];

  constructor(path: RelativePath, workflow: Workflow, surroundings: PipelineSurroundings) {
    this.#path = path;
    this.#workflow = workflow;
    this.#surroundings = surroundings;
  }

  finding(): PipelineFinding {
    const images = publishedImages(this.#workflow);
    const builds: BuildFinding[] = [];
    for (const image of images) {
      const build = this.#build(image);
      if (build === undefined) continue;
      const made = tagTemplates(image);
      builds.push({
        ...build,
        tags: this.#isScheduled()
          ? []
          : made.templates.map((tag) => ({ ...tag, template: this.#versioned(tag.template) })),
      });
      for (const each of made.left) this.#left.push({ what: `Tag ${each.text}`, why: each.why, place: each.place });
    }
    const gates = this.#workflow.facts.filter(
      (fact) => fact.kind === 'scan' && fact.target === 'image' && fact.gate !== 'reports',
    );
    const scan = gates.find((fact) => fact.kind === 'scan' && !OTHER_SCANNERS.test(fact.tool));
    for (const fact of gates) {
      if (fact.kind === 'scan' && OTHER_SCANNERS.test(fact.tool))
        this.#left.push({
          what: `The scan by ${fact.tool}`,
          why: 'run it under "commands", after "build"; its SARIF report becomes Problems',
          place: fact.place,
        });
    }
    for (const diagnostic of this.#workflow.diagnostics) {
      if (diagnostic.code === 'workflow.unresolved')
        this.#left.push({ what: 'A part of the workflow', why: diagnostic.message, place: diagnostic.place });
    }
    const cut: PipelineFinding['left'][number][] = [];
    return {
      path: this.#path,
      workflow: this.#workflow,
      builds,
      ...(scan?.kind === 'scan' && {
        scan: {
          ...(scan.severity.length > 0 && { severity: scan.severity }),
          ...(scan.ignoreUnfixed !== 'unknown' && { ignoreUnfixed: scan.ignoreUnfixed === 'yes' }),
          place: scan.place,
        },
      }),
      deploys: this.#workflow.facts.flatMap((fact) => (fact.kind === 'deploy' ? (this.#deploy(fact) ?? []) : [])),
      tests: cappedTests(
        this.#workflow.facts.flatMap((fact) => {
          const test = fact.kind === 'test' ? this.#test(fact) : undefined;
          return fact.kind === 'test' && test !== undefined ? [[fact, test] as const] : [];
        }),
        cut,
      ),
      cut,
      left: this.#left,
    };
  }

  /** Runs by the clock, and otherwise only when somebody asks: its tags are not those of a push. */
  #isScheduled(): boolean {
    const events = this.#workflow.triggers.map(({ event }) => event);
    return events.includes('schedule') && events.every((event) => ['schedule', 'workflow_dispatch'].includes(event));
  }

  /** Where only branches named like a version build, the branch is the version: `1.4.0`, `release/1.4.0`. */
  #versioned(template: string): string {
    const pushes = this.#workflow.triggers.filter(({ event }) => event === 'push');
    const branches = pushes.flatMap((trigger) => trigger.branches);
    const isOnlyVersions =
      pushes.length > 0 &&
      pushes.every((trigger) => trigger.branches.length > 0 && trigger.tags.length === 0) &&
      branches.every((pattern) => VERSION_PATTERN.test(pattern));
    if (!isOnlyVersions) return template;
    return template.replaceAll(
      '{branch}',
      branches.every((pattern) => pattern.startsWith('v')) ? 'v{semver}' : '{semver}',
    );
  }

  #build(image: PublishedImage): BuildFinding | undefined {
    const { build } = image;
    const leave = (why: string): undefined => {
      this.#left.push({ what: `The image of job "${build.job}"`, why, place: build.place });
      return undefined;
    };
    if (build.tool === 'bake' || build.tool === 'compose') return undefined;
    if (image.isPushed === 'no') return leave('it is built for use within the job and not pushed');
    const folder = literalOf(build.context);
    const context = folder === undefined ? undefined : resolveFrom('.', folder);
    if (context === undefined) return leave(`its build context ${textOf(build.context)} is not known before the run`);
    const written = build.dockerfile === undefined ? undefined : literalOf(build.dockerfile);
    if (build.dockerfile !== undefined && written === undefined)
      return leave(`its Dockerfile ${textOf(build.dockerfile)} is not known before the run`);
    const dockerfile = written === undefined ? resolveFrom(context, 'Dockerfile') : resolveFrom('.', written);
    if (dockerfile === undefined || !this.#surroundings.isFile(dockerfile))
      return leave(`its Dockerfile ${dockerfile ?? written} is not in this repository`);
    const known = image.repositories.flatMap((value) => literalOf(value)?.toLowerCase() ?? []).filter(isRepository);
    for (const value of image.repositories) {
      if (literalOf(value) === undefined)
        this.#left.push({
          what: `The repository ${textOf(value)}`,
          why: 'a part of it is not known before the run',
          place: build.place,
        });
    }
    const args = build.args.flatMap(([name, value]) => {
      const text = literalOf(value);
      if (text === undefined)
        this.#left.push({
          what: `Build argument ${name}`,
          why: `its value ${textOf(value)} is made by the run`,
          place: build.place,
        });
      return text === undefined ? [] : [[name, text] as const];
    });
    for (const id of build.secrets)
      this.#left.push({
        what: `Build secret ${id}`,
        why: 'say under "secrets" where it comes from on this machine',
        place: build.place,
      });
    const target = literalOf(build.target);
    const texts = (values: readonly (typeof build.context)[]) => values.flatMap((value) => literalOf(value) ?? []);
    return {
      origin: 'ci',
      name: build.job,
      context,
      dockerfile,
      ...(target !== undefined && target !== '' && { target }),
      ...(known[0] !== undefined && { repository: known[0] }),
      ...(known.length > 1 && { repositories: known }),
      platforms: texts(build.platforms).filter((platform) => PLATFORM.test(platform)),
      args: Object.fromEntries(args),
      cacheFrom: texts(build.cacheFrom).map(cacheEntry),
      cacheTo: texts(build.cacheTo).map(cacheEntry),
      tags: [],
      place: build.place,
    };
  }

  #deploy(fact: DeployFact): DeployFinding | undefined {
    const written = literalOf(fact.path);
    const path = written === undefined ? undefined : resolveFrom('.', written);
    const tool = { helm: 'helm', kubectl: 'kubectl', 'k8s-deploy': 'kubectl', kustomize: 'kustomize' }[
      fact.tool as string
    ];
    if (tool === undefined || path === undefined) {
      this.#left.push({
        what: `A deploy by ${fact.tool}`,
        why:
          tool === undefined
            ? 'Slipway finds the objects and sets the images by itself'
            : `what it deploys (${textOf(fact.path ?? [])}) is not known before the run`,
        place: fact.place,
      });
      return undefined;
    }
    const job = this.#job(fact.job);
    const values = fact.values.flatMap((value) => {
      const text = literalOf(value);
      const file = text === undefined ? undefined : resolveFrom('.', text);
      return file !== undefined && this.#surroundings.isFile(file) ? [file] : [];
    });
    const namespace = literalOf(fact.namespace);
    const named = literalOf(job?.environment?.name);
    const environment =
      named === undefined || named === ''
        ? (environmentOfPath(values.at(-1) ?? '') ?? environmentOfPath(namespace ?? ''))
        : (knownEnvironment(named) ?? asName(named));
    const release = literalOf(fact.release);
    const timeout = literalOf(fact.timeout);
    const set = fact.set.flatMap(([key, value]): readonly (readonly [string, string])[] => {
      const text = literalOf(value);
      // Image tags differ from run to run; Slipway sets them itself.
      if (text === undefined && !/(^|\.)(tag|imageTag|image|digest)$/i.test(key)) {
        this.#left.push({ what: `The value ${key}`, why: `${textOf(value)} is made by the run`, place: fact.place });
      }
      return text === undefined ? [] : [[key, text]];
    });
    return {
      set,
      ...(timeout !== undefined && DURATION.test(timeout) && { timeout }),
      tool: tool as DeployFinding['tool'],
      path,
      ...(environment !== undefined && { environment }),
      ...(namespace !== undefined && /^[a-z0-9-]+$/.test(namespace) && { namespace }),
      ...(release !== undefined && { release }),
      values,
      place: fact.place,
    };
  }

  #test(fact: TestFact): TestFinding | undefined {
    const [first, ...rest] = fact.run;
    const folder = fact.folder === undefined ? undefined : resolveFrom('.', fact.folder);
    if (first === undefined || folder === undefined || fact.run.some((word) => word.includes('${'))) {
      this.#left.push({
        what: `The test "${fact.run.join(' ')}"`,
        why: 'a part of it is not known before the run',
        place: fact.place,
      });
      return undefined;
    }
    const junit = this.#junit(fact);
    const services = (fact.services ?? this.#job(fact.job)?.services ?? []).flatMap((service): ServiceFinding[] => {
      const image = literalOf(service.image);
      // Docker in Docker is for building; all else is there for the tests.
      if (image === undefined || /(^|\/)docker(:|$)/.test(image)) return [];
      return [
        {
          name: service.name,
          image,
          env: service.env,
          ports: service.ports,
          ...(service.health !== undefined && { health: service.health }),
          place: service.place,
        },
      ];
    });
    const { name, why, certainty } = combinationOf(fact, this.#workflow);
    return {
      ...(junit.length > 0 && { junit }),
      name,
      folder,
      run: [first, ...rest],
      env: withServiceAddresses(fact.env, services),
      services,
      place: fact.place,
      why,
      certainty,
    };
  }

  /** The reports that its job shows: all where it is the job's only test, else those that its command writes. */
  #junit(fact: TestFact): readonly string[] {
    const job = this.#job(fact.job);
    const reports = job?.junit ?? job?.steps.flatMap(junitOfStep) ?? [];
    const others = this.#workflow.facts.filter((other) => other.kind === 'test' && other.job === fact.job);
    // A matrix repeats one command.
    if (new Set(others.map(({ place }) => JSON.stringify(place))).size === 1) return reports;
    const text = fact.run.join(' ');
    return reports.filter((report) => text.includes(posix.basename(report)));
  }

  #job(id: string): Job | undefined {
    return this.#workflow.jobs.find((job) => job.id === id);
  }
}

/** Actions that show JUnit reports, with the input that says where they are. */
const REPORT_INPUTS: Readonly<Record<string, string>> = {
  'mikepenz/action-junit-report': 'report_paths',
  'enricomi/publish-unit-test-result-action': 'files',
  'dorny/test-reporter': 'path',
};

function junitOfStep({ uses, with: inputs }: Step): readonly string[] {
  const input = uses === undefined ? undefined : REPORT_INPUTS[uses.action];
  const text = input === undefined ? undefined : inputs.get(input)?.text;
  if (text === undefined || text.includes('${{')) return [];
  return text.split(/[\n,]/).flatMap((line) => {
    const path = line.trim().replace(/^\.\//, '');
    return path === '' || path.startsWith('!') ? [] : [path];
  });
}

/** `docker build --cache-from image` means the registry. */
const cacheEntry = (text: string): string => (text.includes('=') ? text : `type=registry,ref=${text}`);
