import type { StepId } from '../events/index.ts';
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
import { hashOf } from './hash.ts';
import type { PlanFacts, PlanRequest } from './request.ts';
import type { ConfigTarget, DeployedImage, KeyInput, Plan } from './step.ts';
import { StepList } from './stepList.ts';
import { expandTags, type TagFacts } from './tags.ts';

/**
 * The plan of a request: which steps, in which order, and for each whether it runs or is skipped, and why.
 * Pure. Throws SlipwayError `usage` for an unknown environment or image and `config` for what cannot be planned.
 */
export function makePlan(project: Project, facts: PlanFacts, request: PlanRequest): Plan {
  return new Planner(project, facts, request).plan();
}

class Planner {
  readonly #project: Project;
  readonly #facts: PlanFacts;
  readonly #request: PlanRequest;
  readonly #steps: StepList;

  constructor(project: Project, facts: PlanFacts, request: PlanRequest) {
    this.#project = project;
    this.#facts = facts;
    this.#request = request;
    this.#steps = new StepList(facts.records, request);
  }

  plan(): Plan {
    const environment = this.#environment();
    const images = this.#images(environment);
    const templates = environment?.tags ?? this.#project.tags;
    const tagsOf = new Map(images.map((image) => [image.name, this.#tags(templates, image)]));
    if (this.#isBuilding()) {
      refuseSharedTags(images, tagsOf);
      this.#addBuildStages(images, tagsOf);
    }
    if (environment !== null) this.#addDeployStages(environment, images, tagsOf);
    const tags = [...new Set(tagsOf.size === 0 ? this.#tags(templates, undefined) : [...tagsOf.values()].flat())];
    return {
      root: this.#project.root,
      environment,
      steps: this.#steps.selected(),
      ...(this.#facts.commit !== undefined && { commit: this.#facts.commit }),
      ...(this.#facts.branch !== undefined && { branch: this.#facts.branch }),
      isDirty: this.#facts.isDirty,
      tags,
    };
  }

  /** Expanded for one image; the first is the one deployed. */
  #tags(templates: readonly string[], image: ImageConfig | undefined): readonly string[] {
    if (this.#request.tag !== undefined) return [this.#request.tag];
    const { tags, left } = expandTags(templates, factsFor(this.#facts, image));
    if (tags.length > 0) return tags;
    throw new SlipwayError({
      reason: 'config',
      code: 'tags.none',
      message: `No tag can be made: ${left.map(({ template, why }) => `"${template}": ${why}`).join('; ')}.`,
      fix:
        this.#facts.commit === undefined
          ? 'Make a first commit (git init, git add -A, git commit), or add a template that needs none, such as "{date}", under "tags".'
          : 'Add a template that every commit can fill, such as "{sha}", under "tags".',
    });
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

  #addBuildStages(images: readonly ImageConfig[], tagsOf: ReadonlyMap<string, readonly string[]>): void {
    const { scan } = this.#project;
    const gates: StepId[] = [];
    const beforeBuild = this.#addCommands('before', 'build', []);
    const builds = images.map((image) => this.#addBuild(image, beforeBuild));
    const beforeTest = this.#addCommands('before', 'test', []);
    for (const test of this.#project.tests) {
      const needs = test.container?.startsWith('image:') ? [`build:${test.container.slice('image:'.length)}`] : [];
      if (needs.every((id) => builds.includes(id))) gates.push(this.#addTest(test, [...needs, ...beforeTest]));
    }
    // What stands around a stage that has nothing to do still runs, in its place, and is a gate.
    gates.push(...beforeTest, ...this.#addCommands('after', 'test', [...gates, ...beforeTest]));
    const afterBuild = this.#addCommands('after', 'build', builds);
    gates.push(...afterBuild);
    const beforeScan = this.#addCommands('before', 'scan', builds);
    const scans = images.flatMap((image) =>
      (image.platforms.length === 0 ? ['default'] : image.platforms).flatMap((platform) =>
        scan.isEnabled ? [this.#addScan(image, platform, beforeScan)] : [],
      ),
    );
    gates.push(...beforeScan, ...scans);
    gates.push(...this.#addCommands('after', 'scan', [...builds, ...beforeScan, ...scans]));
    if (scan.config !== 'off') gates.push(...this.#configTargets(images).map((target) => this.#addConfig(target)));
    // One image that fails the gate keeps all of them unpublished: they are one version of the app.
    const beforePublish = this.#addCommands('before', 'publish', gates);
    const published = images.flatMap((image) => {
      const tags = tagsOf.get(image.name) ?? [];
      const moving = expandTags(this.#project.movingTags, factsFor(this.#facts, image)).tags;
      const id = this.#steps.add({
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
      return [id, ...this.#addAttachments(image, id)];
    });
    this.#addCommands('after', 'publish', published);
  }

  /** What is attached to the digest once it is published. */
  #addAttachments(image: ImageConfig, publish: StepId): readonly StepId[] {
    const { name, sign, sbom } = image;
    const build = `build:${name}`;
    const common = { needs: [publish], keyNeeds: [build] };
    const key = sign === undefined ? [] : [{ name: 'key', value: sign.key }];
    const ids: StepId[] = [];
    if (sbom !== undefined && sbom !== 'buildkit') {
      ids.push(
        this.#steps.add({
          ...common,
          id: `sbom:${name}`,
          title: `Attach the SBOM of ${name}`,
          spec: { kind: 'sbom', image, build, format: sbom },
          inputs: [{ name: 'format', value: sbom }, ...key, ...this.#tool('trivy')],
        }),
      );
    }
    if (sign !== undefined) {
      ids.push(
        this.#steps.add({
          ...common,
          id: `sign:${name}`,
          title: `Sign ${name}`,
          spec: { kind: 'sign', image, build },
          inputs: key,
        }),
      );
    }
    return ids;
  }

  #addTest(test: TestConfig, needs: readonly StepId[]): StepId {
    const { place: _place, ...config } = test;
    const imageName = test.container?.startsWith('image:') ? test.container.slice('image:'.length) : undefined;
    return this.#steps.add({
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
    const { place: _place, name: _name, sign: _sign, sbom, bake, ...config } = image;
    const context = this.#facts.contexts.get(image.name);
    const id: StepId = `build:${image.name}`;
    const isAfterCommands = needs.length > 0;
    if (isAfterCommands) this.#refuseOtherContext(image, id, context?.hash);
    return this.#steps.add({
      id,
      title: bake === undefined ? `Build ${image.name}` : `Build ${image.name} (bake target ${bake.target})`,
      needs,
      spec: {
        kind: 'build',
        image,
        platforms: image.platforms,
        ...(this.#facts.commit !== undefined && { revision: this.#facts.commit }),
        ...(isAfterCommands && { isAfterCommands }),
      },
      inputs: [
        {
          name: 'configuration',
          value: hashOf({
            ...config,
            ...(sbom === 'buildkit' && { sbom }),
            ...(bake !== undefined && { bake: bake.definition ?? '', contexts: {} }),
            context: '',
            dockerfile: '',
          }),
        },
        // A remote context can change without us seeing it: no key matches. What commands are about to make is compared
        // after them, when the step decides whether what it left still holds.
        {
          name: 'context',
          value: (isAfterCommands ? context?.sourceHash : context?.hash) ?? `remote ${this.#facts.now}`,
        },
        { name: 'Dockerfile', value: context?.dockerfileHash ?? 'absent' },
        ...this.#tool('buildx'),
      ],
    });
  }

  /** Where neither build nor its commands are run again, the files must be those that were built. */
  #refuseOtherContext(image: ImageConfig, id: StepId, hash: string | undefined): void {
    const { only } = this.#request;
    const built = this.#facts.records.get(id)?.outputs.context;
    if (only === undefined || only.includes('build') || built === undefined || built === hash) return;
    throw new SlipwayError({
      reason: 'usage',
      code: 'plan.stale',
      message: `${image.name} was built from other files than those there are now: something made before the build has changed.`,
      fix: `Build it as well: slipway run --until ${only.at(-1) ?? 'publish'}.`,
    });
  }

  #addScan(image: ImageConfig, platform: Platform, needs: readonly StepId[]): StepId {
    const { scan } = this.#project;
    const { place: _place, ignoreFile: _file, timeoutMs: _timeout, ...config } = scan;
    return this.#steps.add({
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

  /** What is built from and what the environment of this request deploys, each file or folder once. */
  #configTargets(images: readonly ImageConfig[]): readonly ConfigTarget[] {
    const { environment: name } = this.#request;
    const deploy = this.#project.environments.find((environment) => environment.name === name)?.deploy;
    const remote = /^(oci|https?):\/\//;
    const deployed: readonly ConfigTarget[] =
      deploy?.kind === 'helm' && !remote.test(deploy.chart)
        ? [{ name: 'chart', path: deploy.chart, values: deploy.values }]
        : deploy?.kind === 'manifests'
          ? deploy.paths.map((path, index) => ({ name: `manifests-${index + 1}`, path, values: [] }))
          : [];
    const dockerfiles = images.map((image) => ({ name: image.name, path: image.dockerfile, values: [] }));
    return [...dockerfiles, ...deployed].filter(
      (target, index, all) => all.findIndex((other) => other.path === target.path) === index,
    );
  }

  #addConfig(target: ConfigTarget): StepId {
    return this.#steps.add({
      id: `config:${target.name}`,
      title: `Check the configuration of ${target.name}`,
      needs: [],
      spec: { kind: 'config', target, scan: this.#project.scan },
      alwaysWhy: 'it takes a second',
    });
  }

  #addDeployStages(
    environment: EnvironmentConfig,
    images: readonly ImageConfig[],
    tagsOf: ReadonlyMap<string, readonly string[]>,
  ): void {
    const publishes = images.map((image) => `publish:${image.name}`).filter((id) => this.#steps.has(id));
    const late = this.#steps
      .values()
      .filter(
        (step) =>
          step.kind === 'sign' ||
          step.kind === 'sbom' ||
          (step.spec.kind === 'command' && step.spec.command.after === 'publish'),
      )
      .map((step) => step.id);
    const deployed: readonly DeployedImage[] = images.map((image) => ({
      image,
      tag: tagsOf.get(image.name)?.[0] ?? '',
      ...(this.#steps.has(`publish:${image.name}`) && { publish: `publish:${image.name}` }),
    }));
    const { name } = environment;
    const before = this.#addCommands('before', 'deploy', [...publishes, ...late]);
    const check = this.#steps.add({
      id: `check:${name}`,
      title: `Check ${name} before the deploy`,
      needs: [...publishes, ...late, ...before],
      spec: { kind: 'check', environment, images: deployed },
      alwaysWhy: 'the cluster may have changed',
    });
    const deploy = this.#steps.add({
      id: `deploy:${name}`,
      title: `Deploy to ${name}`,
      needs: [check],
      spec: { kind: 'deploy', environment, images: deployed },
      alwaysWhy: 'the cluster may have changed',
    });
    const rollout = this.#steps.add({
      id: `rollout:${name}`,
      title: `Roll out on ${name}`,
      needs: [deploy],
      spec: { kind: 'rollout', environment, deploy, learnedRestarts: this.#learnedRestarts(`rollout:${name}`) },
      alwaysWhy: 'it watches the cluster',
    });
    const afterDeploy = this.#addCommands('after', 'deploy', [rollout]);
    const beforeSmoke = this.#addCommands('before', 'smoke', [rollout, ...afterDeploy]);
    const ready = [deploy, rollout, ...afterDeploy, ...beforeSmoke];
    const checks = environment.smoke.length === 0 ? [] : [this.#addSmoke(environment, deploy, ready)];
    this.#addCommands('after', 'smoke', [...ready, ...checks]);
  }

  #addSmoke(environment: EnvironmentConfig, deploy: StepId, needs: readonly StepId[]): StepId {
    return this.#steps.add({
      id: `smoke:${environment.name}`,
      title: `Smoke test ${environment.name}`,
      needs,
      spec: { kind: 'smoke', environment, deploy },
      alwaysWhy: 'it asks the running app',
    });
  }

  /** What the last success of the step noted; a journal is a file that anybody may edit, so only numbers count. */
  #learnedRestarts(step: StepId): Readonly<Record<string, number>> {
    const noted = this.#facts.records.get(step)?.outputs.restarts;
    if (typeof noted !== 'object' || noted === null) return {};
    return Object.fromEntries(
      Object.entries(noted).filter((entry): entry is [string, number] => typeof entry[1] === 'number' && entry[1] > 0),
    );
  }

  #addCommands(when: 'before' | 'after', stage: Stage, needs: readonly StepId[]): readonly StepId[] {
    return this.#project.commands
      .filter((command) => command[when] === stage)
      .map((command) => this.#addCommand(command, needs));
  }

  #addCommand(command: CommandConfig, needs: readonly StepId[]): StepId {
    const built = imagesIn(command).map((name) => `build:${name}`);
    const early = built.find((id) => !this.#steps.has(id));
    if (early !== undefined && this.#isBuilding()) {
      throw new SlipwayError({
        reason: 'config',
        code: 'command.image',
        message: `Command "${command.name}" uses {image.${early.slice('build:'.length)}}, which is not built before it.`,
        fix: 'Run it after "build" or a later stage, and name an image that this run builds.',
        place: command.place,
      });
    }
    return this.#steps.add({
      id: `command:${command.name}`,
      title: command.name,
      needs: [...needs, ...built],
      spec: { kind: 'command', command },
      alwaysWhy: 'what a command depends on is not known',
      isOptional: command.isOptional,
    });
  }

  #tool(name: string): readonly KeyInput[] {
    const version = this.#facts.toolVersions[name];
    return version === undefined ? [] : [{ name, value: version }];
  }
}

/** Names of the images whose digest a command is given. */
function imagesIn({ run, env }: CommandConfig): readonly string[] {
  const texts = [...run, ...Object.values(env)];
  return [...new Set(texts.flatMap((text) => [...text.matchAll(/\{image\.([^}]+)\}/g)].map(([, name = '']) => name)))];
}

function factsFor(facts: PlanFacts, image: ImageConfig | undefined): TagFacts {
  return image === undefined ? facts : { ...facts, image: image.name };
}

/** Two images under one name and tag: the second push would replace the first, and the cluster would run one for both. */
function refuseSharedTags(images: readonly ImageConfig[], tagsOf: ReadonlyMap<string, readonly string[]>): void {
  const owners = new Map<string, string>();
  for (const image of images) {
    for (const tag of tagsOf.get(image.name) ?? []) {
      const name = `${image.repository}:${tag}`;
      const owner = owners.get(name);
      if (owner === undefined) owners.set(name, image.name);
      else {
        throw new SlipwayError({
          reason: 'config',
          code: 'tags.shared',
          message: `Images "${owner}" and "${image.name}" would both be published as ${name}.`,
          fix: 'Give each a repository of its own, or tell them apart in the tag: tags: ["{image}-{branch}-{sha}"].',
          place: image.place,
        });
      }
    }
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
