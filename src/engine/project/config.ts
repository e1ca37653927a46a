import { basename, isAbsolute, join, resolve } from 'node:path';
import type { Diagnostic, Place } from '../problems/index.ts';
import { type PlacedYaml, readYaml } from '../yaml/index.ts';
import { isImageKeys, parseImageKeys } from './imageKeys.ts';
import { cellEnv, cellName, cellsOf, fill } from './matrix.ts';
import type {
  DeployConfig,
  EnvironmentConfig,
  ImageConfig,
  Project,
  ScanConfig,
  ServiceConfig,
  TestConfig,
} from './model.ts';
import type { Config, EnvironmentInput } from './schema.ts';
import { readSmoke } from './smokeTargets.ts';
import { suggest } from './suggest.ts';
import { validateConfig } from './validate.ts';
import { milliseconds, strings, timeout } from './values.ts';

export const CONFIG_FILES = ['slipway.yaml', 'slipway.yml'] as const;
export const DEFAULT_TAGS = ['{branch}-{sha}'] as const;
export const DEFAULT_MOVING = ['latest', 'dev', 'edge', 'nightly', '{branch}'] as const;
const DEFAULT_SCAN_TIMEOUT_MS = 10 * 60_000;
const DEFAULT_SMOKE_MS = 30_000;
export const DEFAULT_KEEP = 100;

/**
 * Reads the text of a slipway.yaml. Never throws: what is wrong becomes diagnostics, and a part that is wrong is left
 * out of the project, so that the rest can still be shown. Relative paths are taken from the file's folder.
 */
export function readConfig(text: string, file: string, root: string): Project {
  const yaml = readYaml(text, file);
  const broken = [...yaml.diagnostics, ...(yaml.value === undefined ? [] : validateConfig(yaml))];
  const isUsable = yaml.value !== null && typeof yaml.value === 'object' && !broken.some((d) => d.severity === 'error');
  const config: Config = isUsable ? (yaml.value as Config) : { version: 1 };
  const reader = new ConfigReader(config, yaml, file, root);
  return reader.read(broken);
}

/** What a bake target says of a build. */
const BAKED = ['context', 'dockerfile', 'target', 'args', 'secrets', 'ssh', 'cache', 'contexts'] as const;

class ConfigReader {
  readonly #config: Config;
  readonly #yaml: PlacedYaml;
  readonly #file: string;
  readonly #root: string;
  readonly #diagnostics: Diagnostic[] = [];

  constructor(config: Config, yaml: PlacedYaml, file: string, root: string) {
    this.#config = config;
    this.#yaml = yaml;
    this.#file = file;
    this.#root = root;
  }

  read(broken: readonly Diagnostic[]): Project {
    const config = this.#config;
    const images = Object.entries(config.images ?? {}).map(([name, image]) => this.#image(name, image));
    const project: Omit<Project, 'diagnostics'> = {
      root: this.#root,
      name:
        config.name ??
        (basename(this.#root)
          .toLowerCase()
          .replace(/[^a-z0-9._-]+/g, '-')
          .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '') ||
          'app'),
      source: 'config',
      configFile: this.#file,
      images,
      tags: config.tags ?? DEFAULT_TAGS,
      movingTags: config.moving ?? DEFAULT_MOVING,
      tests: (config.test ?? []).flatMap((test, index) => this.#tests(test, ['test', index])),
      commands: (config.commands ?? []).map((command, index) => ({
        name: command.name,
        run: command.run as [string, ...string[]],
        cwd: this.#path(command.cwd ?? '.'),
        env: strings(command.env),
        ...(command.envFile !== undefined && { envFile: this.#path(command.envFile) }),
        ...(command.before !== undefined && { before: command.before }),
        ...(command.after !== undefined && { after: command.after }),
        reports: (command.reports ?? []).map((path) => this.#path(path)),
        isOptional: command.optional ?? false,
        ...timeout(command.timeout),
        place: this.#place('commands', index),
      })),
      scan: this.#scan(),
      environments: Object.entries(config.environments ?? {}).flatMap(([name, environment]) =>
        this.#environment(name, environment, images, config.name ?? basename(this.#root)),
      ),
      history: {
        keep: config.history?.keep ?? DEFAULT_KEEP,
        ...(config.history?.days !== undefined && { days: config.history.days }),
      },
    };
    this.#checkNames(project);
    return { ...project, diagnostics: [...broken, ...this.#diagnostics] };
  }

  #image(name: string, image: NonNullable<Config['images']>[string]): ImageConfig {
    const place = this.#place('images', name);
    const context = image.context ?? '.';
    const isRemote = /^(https?:\/\/|git@|git:\/\/|ssh:\/\/)/.test(context);
    const folder = isRemote ? context : this.#path(context);
    if (!/^[a-z0-9.:_/-]+$/.test(image.repository) || /:[^/]*$/.test(image.repository.replace(/^[^/]+\//, ''))) {
      this.#report(
        'config.repository',
        `images.${name}.repository must be a lower-case name without a tag.`,
        ['images', name, 'repository'],
        'Tags belong under "tags".',
      );
    }
    const bake = typeof image.bake === 'string' ? { target: image.bake } : image.bake;
    const given = BAKED.filter((key) => image[key] !== undefined);
    if (bake !== undefined && given.length > 0) {
      this.#report(
        'config.bake',
        `images.${name} has ${given.map((key) => `"${key}"`).join(', ')} beside "bake", which says it already.`,
        ['images', name, given[0] ?? 'bake'],
        'Say it in the bake file, or take "bake" out.',
      );
    }
    return {
      name,
      ...(bake !== undefined && { bake: { target: bake.target, ...(bake.file !== undefined && { file: bake.file }) } }),
      context: folder,
      dockerfile:
        // Until a plan is made nobody knows the target's Dockerfile; the bake file is where to look.
        bake !== undefined
          ? this.#path(bake.file ?? 'docker-bake.hcl')
          : image.dockerfile === undefined
            ? join(isRemote ? '' : folder, 'Dockerfile')
            : this.#path(image.dockerfile),
      ...(image.target !== undefined && { target: image.target }),
      repository: image.repository,
      platforms: image.platforms ?? [],
      args: strings(image.args),
      secrets: Object.fromEntries(
        Object.entries(image.secrets ?? {}).map(([id, from]) => [
          id,
          'file' in from ? { file: this.#path(from.file) } : from,
        ]),
      ),
      ssh: image.ssh ?? [],
      contexts: Object.fromEntries(
        Object.entries(image.contexts ?? {}).map(([name, from]) => [
          name,
          /^[a-z-]+:\/\/|^git@|^target:/.test(from) ? from : this.#path(from),
        ]),
      ),
      cacheFrom: image.cache?.from ?? [],
      cacheTo: image.cache?.to ?? [],
      ...(image.builder !== undefined && { builder: image.builder }),
      labels: strings(image.labels),
      ...(image.provenance !== undefined && { provenance: image.provenance }),
      ...(image.sbom !== undefined &&
        image.sbom !== false && { sbom: image.sbom === true ? ('cyclonedx' as const) : image.sbom }),
      ...(image.sign !== undefined && {
        sign: {
          key: this.#key(image.sign.key),
          ...(image.sign.publicKey !== undefined && { publicKey: this.#key(image.sign.publicKey) }),
        },
      }),
      place,
    };
  }

  /** One test, or one for each cell of its matrix. */
  #tests(test: NonNullable<Config['test']>[number], path: readonly [string, number]): readonly TestConfig[] {
    const { matrix, ...rest } = test;
    const unknown = new Set<string>();
    const tests = cellsOf(matrix).map((cell) => {
      const filled = fill(rest, cell, (axis) => unknown.add(axis));
      const read = this.#test({ ...filled, name: cellName(test.name, cell) }, path);
      return { ...read, env: { ...cellEnv(cell), ...read.env } };
    });
    for (const axis of unknown) {
      const known = Object.keys(matrix ?? {});
      const near = suggest(axis, known);
      this.#report(
        'config.matrix',
        `Test "${test.name}" uses {matrix.${axis}}, which its matrix does not have${near === undefined ? '.' : `; did you mean "${near}"?`}`,
        path,
        known.length === 0 ? 'Add "matrix:" with its values.' : `Use one of ${known.join(', ')}.`,
      );
    }
    return tests;
  }

  #test(test: NonNullable<Config['test']>[number], path: readonly [string, number]): TestConfig {
    const services = Object.entries(test.services ?? {}).map(
      ([name, service]): ServiceConfig => ({
        name,
        image: service.image,
        env: strings(service.env),
        ...(service.command !== undefined && { command: service.command }),
        ...(service.health !== undefined && { health: service.health }),
        ports: service.ports ?? [],
      }),
    );
    return {
      name: test.name,
      run: test.run as [string, ...string[]],
      cwd: this.#path(test.cwd ?? '.'),
      env: strings(test.env),
      ...(test.envFile !== undefined && { envFile: this.#path(test.envFile) }),
      services,
      ...(test.container !== undefined && { container: test.container }),
      junit: (test.junit ?? []).map((glob) => this.#path(glob)),
      ...timeout(test.timeout),
      inputs: test.inputs ?? [],
      place: this.#place(...path),
    };
  }

  #scan(): ScanConfig {
    const scan = this.#config.scan ?? {};
    return {
      engine: scan.engine ?? 'trivy',
      severity: scan.severity ?? ['HIGH', 'CRITICAL'],
      ignoreUnfixed: scan.ignoreUnfixed ?? false,
      ...(scan.ignoreFile !== undefined && { ignoreFile: this.#path(scan.ignoreFile) }),
      databaseMaxAgeDays: scan.databaseMaxAge ?? 0,
      isEnabled: scan.enabled ?? true,
      config: scan.config ?? 'off',
      timeoutMs: milliseconds(scan.timeout) ?? DEFAULT_SCAN_TIMEOUT_MS,
      place: this.#place('scan'),
    };
  }

  #environment(
    name: string,
    input: EnvironmentInput,
    images: readonly ImageConfig[],
    project: string,
  ): readonly EnvironmentConfig[] {
    const path = ['environments', name] as const;
    const deploy = this.#deploy(input, [...path, 'deploy'], images, project);
    if (deploy === undefined) return [];
    const stability = milliseconds(input.rollout?.stability);
    const noProgress = milliseconds(input.rollout?.noProgress);
    return [
      {
        name,
        ...(input.context !== undefined && { context: input.context }),
        ...(input.kubeconfig !== undefined && { kubeconfig: this.#path(input.kubeconfig) }),
        namespace: input.namespace ?? 'default',
        isProtected: input.protected ?? false,
        ...(input.tags !== undefined && { tags: input.tags }),
        deploy,
        rollout: {
          ...timeout(input.rollout?.timeout),
          rollback: input.rollout?.rollback ?? true,
          ...(stability !== undefined && { stabilityMs: stability }),
          ...(noProgress !== undefined && { noProgressMs: noProgress }),
          ...(input.rollout?.crashExits !== undefined && { crashExits: input.rollout.crashExits }),
        },
        smoke: (input.smoke ?? []).flatMap((check, index) => {
          const read = readSmoke(check, index, {
            place: this.#place(...path, 'smoke', index),
            defaultMs: DEFAULT_SMOKE_MS,
            path: (relative) => this.#path(relative),
          });
          if (typeof read !== 'string') return [read];
          this.#report('config.smoke', read, [...path, 'smoke', index]);
          return [];
        }),
        place: this.#yaml.placeOfKey(path),
      },
    ];
  }

  #deploy(
    input: EnvironmentInput,
    path: readonly (string | number)[],
    images: readonly ImageConfig[],
    project: string,
  ): DeployConfig | undefined {
    const { helm, manifests, kustomize, flux, argocd } = input.deploy;
    const given = Object.keys(input.deploy);
    if (given.length !== 1) {
      this.#report(
        'config.deploy',
        `An environment deploys in one way; ${given.length === 0 ? 'none is given' : `${given.join(' and ')} are given`}.`,
        path,
        'Keep exactly one of helm, manifests, kustomize, flux, argocd.',
      );
      return undefined;
    }
    const all = images.map((image) => image.name);
    const list = (value: string | readonly string[] | undefined) =>
      typeof value === 'string' ? [value] : (value ?? []);
    if (helm !== undefined) {
      for (const [key, keys] of Object.entries(helm.images ?? {})) {
        const at = [...path, 'helm', 'images', key];
        this.#checkImage(key, all, at);
        const read = isImageKeys(keys) ? parseImageKeys(keys) : undefined;
        if (typeof read === 'string') this.#report('config.image-keys', `${read}.`, at, 'Correct the values keys.');
      }
      return {
        kind: 'helm',
        chart: /^(oci|https?):\/\//.test(helm.chart) ? helm.chart : this.#path(helm.chart),
        release: helm.release ?? project,
        values: list(helm.values).map((file) => this.#path(file)),
        set: strings(helm.set),
        images: helm.images ?? {},
        historyMax: helm.historyMax ?? 10,
      };
    }
    const names = manifests?.images ?? kustomize?.images;
    for (const [index, name] of (names ?? []).entries()) {
      this.#checkImage(name, all, [...path, manifests === undefined ? 'kustomize' : 'manifests', 'images', index]);
    }
    if (manifests !== undefined) {
      return {
        kind: 'manifests',
        paths: list(manifests.paths).map((file) => this.#path(file)),
        images: names ?? all,
        prune: manifests.prune ?? false,
      };
    }
    if (kustomize !== undefined) {
      return {
        kind: 'kustomize',
        path: this.#path(kustomize.path),
        images: names ?? all,
        prune: kustomize.prune ?? false,
      };
    }
    if (flux !== undefined) {
      return {
        kind: 'flux',
        policies: flux.policies,
        ...(flux.automation !== undefined && { automation: flux.automation }),
        write: flux.write ?? 'auto',
        repository: this.#path(flux.repository ?? '.'),
        remote: flux.remote ?? 'origin',
        ...(flux.branch !== undefined && { branch: flux.branch }),
        ...(flux.rollback !== undefined && { rollback: flux.rollback }),
      };
    }
    if (argocd === undefined) return undefined;
    return {
      kind: 'argocd',
      application: argocd.application,
      write: argocd.write ?? 'auto',
      repository: this.#path(argocd.repository ?? '.'),
      remote: argocd.remote ?? 'origin',
      rollback: argocd.rollback ?? 'ignore',
    };
  }

  #checkImage(name: string, known: readonly string[], path: readonly (string | number)[]): void {
    if (known.includes(name)) return;
    const near = suggest(name, known);
    this.#diagnostics.push({
      severity: 'error',
      code: 'config.unknown-image',
      message: `There is no image "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
      place: typeof path.at(-1) === 'number' ? this.#yaml.placeOf(path) : this.#yaml.placeOfKey(path),
      fix: near === undefined ? `Define it under "images". Known: ${known.join(', ') || 'none'}.` : `Write "${near}".`,
      ...(near !== undefined && { replacement: near }),
    });
  }

  /** Two tests or commands of one name would be one step. */
  #checkNames(project: Omit<Project, 'diagnostics'>): void {
    for (const [key, list] of [
      ['test', project.tests],
      ['commands', project.commands],
    ] as const) {
      const seen = new Set<string>();
      for (const [index, item] of list.entries()) {
        if (seen.has(item.name)) {
          this.#report(
            'config.duplicate',
            `${key} has two entries named "${item.name}".`,
            [key, index, 'name'],
            'Give each its own name.',
          );
        }
        seen.add(item.name);
      }
    }
    for (const command of project.commands) {
      if (command.before === undefined && command.after === undefined) {
        this.#diagnostics.push({
          severity: 'error',
          code: 'config.command-stage',
          message: `Command "${command.name}" does not say when it runs.`,
          place: command.place,
          fix: 'Add "before: build" or "after: test".',
        });
      }
    }
  }

  #report(code: string, message: string, path: readonly (string | number)[], fix?: string): void {
    this.#diagnostics.push({
      severity: 'error',
      code,
      message,
      place: this.#yaml.placeOf(path),
      ...(fix !== undefined && { fix }),
    });
  }

  /** A key is a file, or a place of its own such as `awskms://…` or `k8s://…`. */
  #key(key: string): string {
    return /^[a-z0-9]+:\/\//.test(key) ? key : this.#path(key);
  }

  #path(path: string): string {
    return isAbsolute(path) ? path : resolve(this.#root, path);
  }

  #place(...path: readonly (string | number)[]): Place {
    return typeof path.at(-1) === 'number' ? this.#yaml.placeOf(path) : this.#yaml.placeOfKey(path);
  }
}
