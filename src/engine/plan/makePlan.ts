import { createHash } from 'node:crypto';
import type { Outputs, StepId } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type {
  CommandConfig,
  EnvironmentConfig,
  ImageConfig,
  Platform,
  Project,
  Stage,
  TestConfig,
} from '../project/model.ts';
import type { DeployedImage, KeyInput, Plan, PlannedStep, StepSpec } from './step.ts';
import { expandTags, type TagFacts } from './tags.ts';

/** What a person asks for. */
export interface PlanRequest {
  /** Deploy to this environment; absent = up to publish. */
  readonly environment?: string;
  /** Only these images; absent = all (with an environment: all it deploys). */
  readonly images?: readonly string[];
  /** Stop after this stage. */
  readonly until?: Stage;
  /** Only this stage for what was built before: `--only smoke`, `--only deploy`. */
  readonly only?: readonly Stage[];
  /** Deploy this existing tag instead of building. */
  readonly tag?: string;
  /** Run everything, whatever is unchanged. */
  readonly isForced?: boolean;
}

/** Everything about the world that the plan depends on; gathered before, so that planning is a pure function. */
export interface PlanFacts extends TagFacts {
  readonly isDirty: boolean;
  readonly contexts: ReadonlyMap<
    string,
    { readonly hash?: string; readonly files: number; readonly dockerfileHash?: string }
  >;
  /** Hash over all files the tests of a name depend on. */
  readonly testInputs: ReadonlyMap<string, string>;
  readonly records: ReadonlyMap<StepId, EarlierSuccess>;
  /** Hash of the ignore file's content, when there is one. */
  readonly ignoreFileHash?: string;
  /** Tool → version text; part of the keys of the steps that use it. Absent when it was not asked. */
  readonly toolVersions: Readonly<Record<string, string>>;
}

export interface EarlierSuccess {
  readonly key: string;
  readonly outputs: Outputs;
  readonly run: string;
  readonly finishedAt: string;
  readonly inputs?: readonly KeyInput[];
}

/**
 * The plan of a request: which steps, in which order, and for each whether it runs or is skipped, and why.
 * Pure. Throws SlipwayError `usage` for an unknown environment or image and `config` for what cannot be planned.
 */
export function makePlan(project: Project, facts: PlanFacts, request: PlanRequest): Plan {
  return new Planner(project, facts, request).plan();
}

/** The stages in their order; test and build have no order between them. */
const STAGES: readonly Stage[] = ['test', 'build', 'scan', 'publish', 'deploy', 'smoke'];

class Planner {
  readonly #project: Project;
  readonly #facts: PlanFacts;
  readonly #request: PlanRequest;
  readonly #steps = new Map<StepId, PlannedStep>();

  constructor(project: Project, facts: PlanFacts, request: PlanRequest) {
    this.#project = project;
    this.#facts = facts;
    this.#request = request;
  }

  plan(): Plan {
    const environment = this.#environment();
    const templates = environment?.tags ?? this.#project.tags;
    const expanded = expandTags(templates, this.#facts);
    const tags = this.#request.tag === undefined ? expanded.tags : [this.#request.tag];
    if (tags.length === 0) {
      throw new SlipwayError({
        reason: 'config',
        code: 'tags.none',
        message: `No tag can be made: ${expanded.left.map(({ template, why }) => `"${template}": ${why}`).join('; ')}.`,
        fix: 'Commit first, or add a template such as "{branch}-{sha}" under "tags".',
      });
    }
    const images = this.#images(environment);
    if (this.#isBuilding()) this.#addBuildStages(images, tags);
    if (environment !== null) this.#addDeployStages(environment, images, tags[0] ?? '');
    return {
      root: this.#project.root,
      environment,
      steps: this.#selected(),
      ...(this.#facts.commit !== undefined && { commit: this.#facts.commit }),
      ...(this.#facts.branch !== undefined && { branch: this.#facts.branch }),
      isDirty: this.#facts.isDirty,
      tags,
    };
  }

  /** Without a publish step in the run, what is deployed is a tag that exists already. */
  #isBuilding(): boolean {
    const { tag, only } = this.#request;
    return tag === undefined && (only === undefined || only.some((stage) => stage !== 'deploy' && stage !== 'smoke'));
  }

  #environment(): EnvironmentConfig | null {
    const name = this.#request.environment;
    if (name === undefined) return null;
    const found = this.#project.environments.find((environment) => environment.name === name);
    if (found === undefined) {
      const known = this.#project.environments.map((environment) => environment.name);
      throw new SlipwayError({
        reason: 'usage',
        code: 'plan.unknown-environment',
        message: `There is no environment "${name}".`,
        fix:
          known.length === 0 ? 'Define one under "environments" in slipway.yaml.' : `Use one of ${known.join(', ')}.`,
      });
    }
    return found;
  }

  #images(environment: EnvironmentConfig | null): readonly ImageConfig[] {
    const wanted =
      this.#request.images ?? deployedNames(environment) ?? this.#project.images.map((image) => image.name);
    return wanted.map((name) => {
      const image = this.#project.images.find((other) => other.name === name);
      if (image !== undefined) return image;
      throw new SlipwayError({
        reason: 'usage',
        code: 'plan.unknown-image',
        message: `There is no image "${name}".`,
        fix: `Use one of ${this.#project.images.map((other) => other.name).join(', ') || '(none is defined)'}.`,
      });
    });
  }

  #addBuildStages(images: readonly ImageConfig[], tags: readonly string[]): void {
    const { scan } = this.#project;
    const gates: StepId[] = [];
    const beforeBuild = this.#addCommands('before', 'build', []);
    const builds = images.map((image) => this.#addBuild(image, beforeBuild));
    const beforeTest = this.#addCommands('before', 'test', []);
    for (const test of this.#project.tests) {
      const needs = test.container?.startsWith('image:') ? [`build:${test.container.slice('image:'.length)}`] : [];
      if (needs.every((id) => builds.includes(id))) gates.push(this.#addTest(test, [...needs, ...beforeTest]));
    }
    gates.push(...this.#addCommands('after', 'test', gates));
    const afterBuild = this.#addCommands('after', 'build', builds);
    gates.push(...afterBuild);
    const beforeScan = this.#addCommands('before', 'scan', builds);
    if (scan.isEnabled) {
      const scans = images.flatMap((image) =>
        (image.platforms.length === 0 ? ['default'] : image.platforms).map((platform) =>
          this.#addScan(image, platform, beforeScan),
        ),
      );
      gates.push(...scans, ...this.#addCommands('after', 'scan', scans));
    }
    // One image that fails the gate keeps all of them unpublished: they are one version of the app.
    const beforePublish = this.#addCommands('before', 'publish', gates);
    const moving = expandTags(this.#project.movingTags, this.#facts).tags;
    const published = images.map((image) => {
      const id = this.#add({
        id: `publish:${image.name}`,
        title: `Publish ${image.name}`,
        needs: [`build:${image.name}`, ...gates, ...beforePublish],
        spec: {
          kind: 'publish',
          image,
          tags,
          moving: tags.filter((tag) => moving.includes(tag)),
          build: `build:${image.name}`,
        },
        inputs: [
          { name: 'tags', value: tags.join(' ') },
          { name: 'repository', value: image.repository },
        ],
        // Gates that only look do not change what is published.
        keyNeeds: [`build:${image.name}`],
      });
      if (image.sign === undefined) return id;
      return this.#add({
        id: `sign:${image.name}`,
        title: `Sign ${image.name}`,
        needs: [id],
        spec: { kind: 'sign', image, build: `build:${image.name}` },
        inputs: [{ name: 'key', value: image.sign.key }],
        keyNeeds: [`build:${image.name}`],
      });
    });
    this.#addCommands('after', 'publish', published);
  }

  #addTest(test: TestConfig, needs: readonly StepId[]): StepId {
    const { place: _place, ...config } = test;
    const imageName = test.container?.startsWith('image:') ? test.container.slice('image:'.length) : undefined;
    return this.#add({
      id: `test:${test.name}`,
      title: `Test ${test.name}`,
      needs,
      spec: {
        kind: 'test',
        test,
        ...(imageName !== undefined && { image: { name: imageName, step: `build:${imageName}` } }),
      },
      inputs: [
        { name: 'configuration', value: hashOf(config) },
        { name: 'files', value: this.#facts.testInputs.get(test.name) ?? '' },
      ],
    });
  }

  #addBuild(image: ImageConfig, needs: readonly StepId[]): StepId {
    const { place: _place, name: _name, sign: _sign, ...config } = image;
    const context = this.#facts.contexts.get(image.name);
    const id: StepId = `build:${image.name}`;
    return this.#add({
      id,
      title: `Build ${image.name}`,
      needs,
      spec: {
        kind: 'build',
        image,
        platforms: image.platforms,
        ...(this.#facts.commit !== undefined && { revision: this.#facts.commit }),
      },
      inputs: [
        { name: 'configuration', value: hashOf({ ...config, context: '', dockerfile: '' }) },
        // A remote context can change without us seeing it, so its key never matches.
        { name: 'context', value: context?.hash ?? `remote ${this.#facts.now}` },
        { name: 'Dockerfile', value: context?.dockerfileHash ?? 'absent' },
        ...this.#tool('buildx'),
      ],
    });
  }

  #addScan(image: ImageConfig, platform: Platform, needs: readonly StepId[]): StepId {
    const { scan } = this.#project;
    const { place: _place, ignoreFile: _file, timeoutMs: _timeout, ...config } = scan;
    return this.#add({
      id: `scan:${image.name}:${platform}`,
      title: `Scan ${image.name}${platform === 'default' ? '' : ` for ${platform}`}`,
      needs: [`build:${image.name}`, ...needs],
      spec: { kind: 'scan', image, platform, scan, build: `build:${image.name}` },
      inputs: [
        { name: 'configuration', value: hashOf(config) },
        { name: 'ignore file', value: this.#facts.ignoreFileHash ?? 'none' },
        // New advisories appear without any change here: a verdict is good for a day.
        { name: 'day', value: new Date(this.#facts.now).toISOString().slice(0, 10) },
        ...this.#tool(scan.engine),
      ],
      keyNeeds: [`build:${image.name}`],
    });
  }

  #addDeployStages(environment: EnvironmentConfig, images: readonly ImageConfig[], tag: string): void {
    const publishes = images.map((image) => `publish:${image.name}`).filter((id) => this.#steps.has(id));
    const late = [...this.#steps.values()]
      .filter((step) => step.kind === 'sign' || (step.spec.kind === 'command' && step.spec.command.after === 'publish'))
      .map((step) => step.id);
    const deployed: readonly DeployedImage[] = images.map((image) => ({
      image,
      tag,
      ...(this.#steps.has(`publish:${image.name}`) && { publish: `publish:${image.name}` }),
    }));
    const { name } = environment;
    const before = this.#addCommands('before', 'deploy', [...publishes, ...late]);
    const check = this.#add({
      id: `check:${name}`,
      title: `Check ${name} before the deploy`,
      needs: [...publishes, ...late, ...before],
      spec: { kind: 'check', environment, images: deployed },
      alwaysWhy: 'the cluster may have changed',
    });
    const deploy = this.#add({
      id: `deploy:${name}`,
      title: `Deploy to ${name}`,
      needs: [check],
      spec: { kind: 'deploy', environment, images: deployed },
      alwaysWhy: 'the cluster may have changed',
    });
    const rollout = this.#add({
      id: `rollout:${name}`,
      title: `Roll out on ${name}`,
      needs: [deploy],
      spec: { kind: 'rollout', environment, deploy },
      alwaysWhy: 'it watches the cluster',
    });
    const afterDeploy = this.#addCommands('after', 'deploy', [rollout]);
    if (environment.smoke.length === 0) return;
    const beforeSmoke = this.#addCommands('before', 'smoke', [rollout, ...afterDeploy]);
    const smoke = this.#add({
      id: `smoke:${name}`,
      title: `Smoke test ${name}`,
      needs: [deploy, rollout, ...afterDeploy, ...beforeSmoke],
      spec: { kind: 'smoke', environment, deploy },
      alwaysWhy: 'it asks the running app',
    });
    this.#addCommands('after', 'smoke', [smoke]);
  }

  #addCommands(when: 'before' | 'after', stage: Stage, needs: readonly StepId[]): readonly StepId[] {
    return this.#project.commands
      .filter((command) => command[when] === stage)
      .map((command) => this.#addCommand(command, needs));
  }

  #addCommand(command: CommandConfig, needs: readonly StepId[]): StepId {
    return this.#add({
      id: `command:${command.name}`,
      title: command.name,
      needs,
      spec: { kind: 'command', command },
      alwaysWhy: 'what a command depends on is not known',
      isOptional: command.isOptional,
    });
  }

  #tool(name: string): readonly KeyInput[] {
    const version = this.#facts.toolVersions[name];
    return version === undefined ? [] : [{ name, value: version }];
  }

  #add(step: {
    readonly id: StepId;
    readonly title: string;
    readonly needs: readonly StepId[];
    readonly spec: StepSpec;
    readonly inputs?: readonly KeyInput[];
    /** Needs whose keys enter this key; all of them when absent. */
    readonly keyNeeds?: readonly StepId[];
    readonly alwaysWhy?: string;
    readonly isOptional?: boolean;
  }): StepId {
    const inputs = [
      ...(step.inputs ?? []),
      ...(step.inputs === undefined
        ? []
        : (step.keyNeeds ?? step.needs).map((id) => ({ name: id, value: this.#steps.get(id)?.key ?? 'always' }))),
    ];
    const key = step.inputs === undefined ? null : hashOf([step.spec.kind, inputs]);
    const record = this.#facts.records.get(step.id);
    const isUnchanged = key !== null && record?.key === key && this.#request.isForced !== true;
    this.#steps.set(step.id, {
      id: step.id,
      kind: step.spec.kind,
      title: step.title,
      needs: [...new Set(step.needs)].filter((id) => this.#steps.has(id)),
      spec: step.spec,
      key,
      inputs,
      decision: isUnchanged
        ? { action: 'skip', why: `unchanged since run ${record.run}` }
        : { action: 'run', why: this.#whyRun(step.alwaysWhy, record, inputs) },
      ...(isUnchanged && { outputs: record.outputs }),
      ...(step.isOptional === true && { isOptional: true }),
    });
    return step.id;
  }

  #whyRun(always: string | undefined, record: EarlierSuccess | undefined, inputs: readonly KeyInput[]): string {
    if (always !== undefined) return always;
    if (record === undefined) return 'it has not run here before';
    if (this.#request.isForced === true) return 'everything was asked to run';
    const before = new Map(record.inputs?.map(({ name, value }) => [name, value]));
    const changed = inputs.filter(({ name, value }) => before.get(name) !== value).map(({ name }) => name);
    return record.inputs === undefined || changed.length === 0
      ? 'its inputs changed'
      : `changed: ${changed.join(', ')}`;
  }

  /** The steps in an order that respects needs, cut down to the stages that were asked for. */
  #selected(): readonly PlannedStep[] {
    const { until, only } = this.#request;
    const last = until === undefined ? STAGES.length : STAGES.indexOf(until);
    const isWanted = (step: PlannedStep): boolean => {
      const stage = stageOf(step);
      if (only !== undefined) return only.includes(stage);
      return STAGES.indexOf(stage) <= last;
    };
    const chosen = [...this.#steps.values()].filter(isWanted);
    const ids = new Set(chosen.map((step) => step.id));
    const ordered: PlannedStep[] = [];
    const placed = new Set<StepId>();
    const place = (step: PlannedStep): void => {
      if (placed.has(step.id)) return;
      placed.add(step.id);
      for (const need of step.needs) {
        const needed = this.#steps.get(need);
        if (needed !== undefined && ids.has(need)) place(needed);
      }
      ordered.push({ ...step, needs: step.needs.filter((need) => ids.has(need)) });
    };
    for (const step of chosen.toSorted((a, b) => STAGES.indexOf(stageOf(a)) - STAGES.indexOf(stageOf(b)))) place(step);
    return ordered;
  }
}

function stageOf(step: PlannedStep): Stage {
  switch (step.spec.kind) {
    case 'command':
      return step.spec.command.before ?? step.spec.command.after ?? 'test';
    case 'sign':
      return 'publish';
    case 'check':
    case 'rollout':
    case 'rollback':
      return 'deploy';
    default:
      return step.spec.kind;
  }
}

/** Image names an environment deploys, when its configuration says so. */
function deployedNames(environment: EnvironmentConfig | null): readonly string[] | undefined {
  switch (environment?.deploy.kind) {
    case 'helm': {
      const names = Object.keys(environment.deploy.images);
      return names.length === 0 ? undefined : names;
    }
    case 'manifests':
    case 'kustomize':
      return environment.deploy.images;
    default:
      return undefined;
  }
}

/** SHA-256 over JSON with sorted keys, so that the order of keys in a file does not matter. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(stable(value)).digest('hex');
}

function stable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stable).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => `${JSON.stringify(key)}:${stable(item)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
