import { posix } from 'node:path';
import type { Place } from '../../problems/index.ts';
import { literalOf } from '../../workflows/index.ts';
import type { Config } from '../schema.ts';
import type { Draft, DraftImage, Note } from './draftModel.ts';
import type { ChartFinding, DeployFinding, Findings, ObjectFinding, RelativePath } from './findings.ts';
import { ImageUse, mismatch } from './imageUse.ts';
import { asName, environmentOfPath, isBelow, knownEnvironment, repositoryOf, resolveFrom } from './paths.ts';

const MOST_UNMAPPED = 5;

type Environments = NonNullable<Config['environments']>;
type Environment = Environments[string];

/** A way to deploy that was seen, before it has its final name. */
interface Candidate {
  readonly name: string | undefined;
  /** Told apart by this when two want one name. */
  readonly kind: string;
  readonly environment: Environment;
  readonly place: Place;
  readonly text: string;
  readonly certainty: Note['certainty'];
  readonly notes: readonly Omit<Note, 'path'>[];
}

/**
 * The environments: what GitOps owns first (a direct deploy would be undone by it), then charts, kustomizations and
 * plain manifests that use an image of this project and that nothing else owns.
 */
export function draftEnvironments(
  findings: Findings,
  images: readonly DraftImage[],
  notes: Note[],
  left: Draft['left'][number][],
): Environments {
  const drafter = new Drafter(findings, images, left);
  const environments: Record<string, Environment> = {};
  const candidates = drafter.candidates();
  const named =
    candidates.filter(({ name }) => name === undefined).length === 1 ? onlyCiEnvironment(findings) : undefined;
  for (const candidate of candidates) {
    const wanted = asName(candidate.name ?? named?.name ?? 'dev');
    let name = wanted in environments ? asName(`${wanted}-${candidate.kind}`) : wanted;
    for (let count = 2; name in environments; count += 1) name = asName(`${wanted}-${candidate.kind}-${count}`);
    const { deploy, rollout, ...settings } = candidate.environment;
    environments[name] = {
      ...settings,
      ...(isProduction(name) && { protected: true }),
      deploy,
      ...(rollout !== undefined && { rollout }),
    };
    const path = ['environments', name];
    notes.push({ path, text: candidate.text, place: candidate.place, certainty: candidate.certainty });
    for (const note of candidate.notes) {
      // What holds for several environments of a chart is said at the first.
      if (!notes.some((other) => other.text === note.text && other.place === note.place)) notes.push({ path, ...note });
    }
    if (candidate.name === undefined) {
      notes.push({
        path,
        text:
          named === undefined
            ? `nothing names this environment; "${name}" was taken`
            : `the CI job "${named.job}" deploys to "${named.written}", the only environment there`,
        place: named?.place ?? candidate.place,
        certainty: 'guess',
        fix: 'Rename it as you call it.',
      });
    }
  }
  return environments;
}

/** The environment of the jobs that deploy, when all name one and no other: what they run (`kubectl set image`) says no path. */
function onlyCiEnvironment(
  findings: Findings,
): { readonly name: string; readonly written: string; readonly job: string; readonly place: Place } | undefined {
  const found = findings.pipelines.flatMap(({ workflow }) =>
    workflow.jobs.flatMap((job) => {
      const written = literalOf(job.environment?.name);
      const isDeploying = workflow.facts.some((fact) => fact.kind === 'deploy' && fact.job === job.id);
      return written === undefined || written === '' || job.environment === undefined || !isDeploying
        ? []
        : [{ name: knownEnvironment(written) ?? asName(written), written, job: job.id, place: job.environment.place }];
    }),
  );
  return new Set(found.map(({ name }) => name)).size === 1 ? found[0] : undefined;
}

const isProduction = (name: string): boolean => /^(prod|production|live)(-|$)/.test(name);

class Drafter {
  readonly #findings: Findings;
  readonly #images: readonly DraftImage[];
  readonly #left: Draft['left'][number][];
  readonly #use: ImageUse;
  readonly #deploys: readonly DeployFinding[];
  /** Paths that Flux or Argo CD apply. */
  readonly #owned: readonly { readonly path: RelativePath; readonly object: ObjectFinding }[];

  constructor(findings: Findings, images: readonly DraftImage[], left: Draft['left'][number][]) {
    this.#findings = findings;
    this.#images = images;
    this.#left = left;
    this.#use = new ImageUse(findings, images);
    this.#deploys = findings.pipelines.flatMap((pipeline) => pipeline.deploys);
    this.#owned = findings.objects.flatMap((object) => {
      const isOwner =
        /^(kustomize|helm)\.toolkit\.fluxcd\.io\//.test(object.apiVersion) ||
        object.apiVersion.startsWith('argoproj.io/');
      if (!isOwner || object.refers.path === undefined) return [];
      const path = resolveFrom('.', object.refers.path);
      // The root as a whole is a bootstrap of the cluster, not of one app.
      return path === undefined || path === '.' ? [] : [{ path, object }];
    });
  }

  candidates(): readonly Candidate[] {
    const gitops = [...this.#argocd(), ...this.#flux()];
    const charts = this.#findings.charts.flatMap((chart) => this.#chart(chart));
    const kustomize = this.#kustomize();
    this.#leaveForeign();
    const all = [...gitops, ...charts, ...kustomize, ...this.#manifests()];
    return all;
  }

  /** What CI deploys and what runs no image of this project: most often its repository is another than the one found here. */
  #leaveForeign(): void {
    for (const { path, place } of this.#deploys) {
      if (this.#images.length === 0 || this.#usesImage(path)) continue;
      const runs = this.#findings.objects
        .filter((object) => isBelow(object.path, path))
        .flatMap(({ images }) => images);
      const names = [...new Set(runs.map(({ reference }) => repositoryOf(reference)))];
      if (names.length === 0) continue;
      this.#left.push({
        what: `The deploy of ${path}`,
        why: `it runs ${names.slice(0, 3).join(', ')}, which is none of the images here (${this.#images.map(({ repository }) => repository).join(', ')})`,
        place,
      });
    }
  }

  #isWanted(path: RelativePath): boolean {
    const { onlyDeployed } = this.#findings;
    return onlyDeployed === undefined || [...onlyDeployed].some((each) => isBelow(path, each));
  }

  #ownerOf(path: RelativePath): ObjectFinding | undefined {
    return this.#owned.find((owner) => isBelow(path, owner.path))?.object;
  }

  #leaveOwned(what: string, path: RelativePath): boolean {
    const owner = this.#ownerOf(path);
    if (owner === undefined) return false;
    this.#left.push({
      what,
      why: `${owner.kind} "${owner.name}" applies it, so a direct deploy would be undone`,
      place: owner.place,
    });
    return true;
  }

  #argocd(): readonly Candidate[] {
    const applications = this.#findings.objects.filter(
      (object) => object.apiVersion.startsWith('argoproj.io/') && object.kind === 'Application',
    );
    return applications.flatMap((object): Candidate[] => {
      const path = object.refers.path === undefined ? undefined : resolveFrom('.', object.refers.path);
      const isHere = path !== undefined && path !== '.' && this.#findings.paths.some((each) => isBelow(each, path));
      if (!isHere || !this.#usesImage(path)) return [];
      const name =
        wordOf(object.name) ?? environmentOfPath(path) ?? (object.refers.namespace && wordOf(object.refers.namespace));
      return [
        {
          name: name === '' ? undefined : name,
          kind: object.name,
          environment: {
            ...(object.refers.namespace !== undefined && { namespace: object.refers.namespace }),
            deploy: {
              argocd: {
                application: object.namespace === undefined ? object.name : `${object.namespace}/${object.name}`,
              },
            },
          },
          place: object.place,
          text: `the Argo CD Application "${object.name}" deploys ${path}`,
          certainty: 'read',
          notes: [],
        },
      ];
    });
  }

  #flux(): readonly Candidate[] {
    const { objects } = this.#findings;
    const repositories = objects.filter((object) => object.kind === 'ImageRepository');
    const policies = objects.flatMap((object) => {
      if (object.kind !== 'ImagePolicy' || object.refers.repository === undefined) return [];
      const image = repositories.find(
        (each) =>
          each.name === object.refers.repository && (object.refers.namespace ?? object.namespace) === each.namespace,
      )?.refers.image;
      return image !== undefined && this.#images.some((each) => each.repository === repositoryOf(image))
        ? [object]
        : [];
    });
    const byEnvironment = Map.groupBy(policies, (policy) => environmentOfPath(policy.path));
    return [...byEnvironment].map(([name, list]): Candidate => {
      const automations = objects.filter(
        (object) => object.kind === 'ImageUpdateAutomation' && environmentOfPath(object.path) === name,
      );
      const automation = automations.length === 1 ? automations[0] : undefined;
      const full = (object: ObjectFinding) =>
        object.namespace === undefined ? object.name : `${object.namespace}/${object.name}`;
      return {
        name,
        kind: 'flux',
        environment: {
          ...this.#namespaceOf(name),
          deploy: {
            flux: {
              policies: [...new Set(list.map(full))],
              ...(automation !== undefined && { automation: full(automation) }),
            },
          },
        },
        place: list[0]?.place ?? { file: this.#findings.root },
        text: `Flux ImagePolicies select the images of this project`,
        certainty: 'read',
        notes: [],
      };
    });
  }

  /** The namespace that a Flux Kustomization or HelmRelease of the same environment deploys to. */
  #namespaceOf(name: string | undefined): { readonly namespace?: string } {
    const targets = this.#findings.objects.filter(
      (object) =>
        /^(kustomize|helm)\.toolkit\.fluxcd\.io\//.test(object.apiVersion) && environmentOfPath(object.path) === name,
    );
    const named = targets.flatMap((object) => object.refers.namespace ?? []);
    // Without one, the objects themselves say where they go.
    const running = this.#findings.objects.filter(
      (object) => environmentOfPath(object.path) === name && this.#use.imagesOf(object).length > 0,
    );
    const spaces = new Set(named.length > 0 ? named : running.flatMap(({ namespace }) => namespace ?? []));
    const [only] = spaces;
    return spaces.size === 1 && only !== undefined ? { namespace: only } : {};
  }

  #usesImage(path: RelativePath): boolean {
    return (
      this.#findings.charts.some(
        (chart) => chart.folder === path && Object.keys(this.#use.chartImages(chart).images).length > 0,
      ) ||
      this.#findings.kustomizations.some(
        (each) => each.folder === path && this.#use.kustomizeImages(each).length > 0,
      ) ||
      this.#findings.objects.some((object) => isBelow(object.path, path) && this.#use.imagesOf(object).length > 0)
    );
  }

  /** Templates whose image no value carries: it may be one of this project that a deploy could not set. */
  #leaveUnmapped(chart: ChartFinding): void {
    for (const { written, why, place } of chart.unmapped.slice(0, MOST_UNMAPPED))
      this.#left.push({ what: `The image ${written.replace(/^["']|["']$/g, '')} of chart ${chart.name}`, why, place });
  }

  #chart(chart: ChartFinding): readonly Candidate[] {
    const { images, notes } = this.#use.chartImages(chart);
    if (!chart.isLibrary && this.#isWanted(chart.folder) && Object.keys(images).length < this.#images.length)
      this.#leaveUnmapped(chart);
    if (chart.isLibrary || Object.keys(images).length === 0 || !this.#isWanted(chart.folder)) return [];
    if (this.#leaveOwned(`Chart ${chart.folder}`, chart.folder)) return [];
    const deploys = this.#deploys.filter((deploy) => deploy.tool === 'helm' && deploy.path === chart.folder);
    // What one workflow deploys are its environments only.
    const files = this.#findings.onlyDeployed === undefined ? chart.values : [];
    const byEnvironment = Map.groupBy(files, (file) => file.environment);
    for (const deploy of deploys) {
      const name = deploy.environment;
      if (name !== undefined && !byEnvironment.has(name)) byEnvironment.set(name, []);
    }
    const one = (name: string | undefined, files: ChartFinding['values']): Candidate => {
      const deploy =
        deploys.find((each) => each.environment === name) ??
        // One without an environment's name is how this chart is always deployed.
        (deploys.length === 1 && deploys[0]?.environment === undefined ? deploys[0] : undefined);
      const set = (deploy?.set ?? []).filter(
        ([key]) =>
          !/(^|\.)(tag|imageTag)$/i.test(key) &&
          !Object.values(images).some((each) => key === each || key.startsWith(`${each}.`)),
      );
      const values =
        deploy !== undefined && deploy.values.length > 0 && deploy.environment === name
          ? deploy.values
          : files.map((file) => file.path);
      return {
        name,
        kind: chart.name,
        environment: {
          ...(deploy?.namespace !== undefined && { namespace: deploy.namespace }),
          deploy: {
            helm: {
              chart: chart.folder,
              release: asName(deploy?.release ?? chart.name),
              ...(values.length > 0 && { values: [...values] }),
              ...(set.length > 0 && { set: Object.fromEntries(set) }),
              images,
            },
          },
          ...(deploy?.timeout !== undefined && { rollout: { timeout: deploy.timeout } }),
        },
        place: deploy?.place ?? files[0]?.place ?? chart.place,
        text:
          deploy !== undefined
            ? `the CI workflow deploys the chart ${chart.folder}`
            : files.length > 0
              ? `the chart ${chart.folder} has values for it`
              : `the chart ${chart.folder} uses images of this project`,
        certainty: 'read',
        notes,
      };
    };
    return byEnvironment.size === 0
      ? [one(undefined, [])]
      : [...byEnvironment].map(([name, files]) => one(name, files));
  }

  #kustomize(): readonly Candidate[] {
    const { kustomizations } = this.#findings;
    const used = new Set(kustomizations.flatMap((each) => each.resources));
    const roots = kustomizations.filter((each) => !used.has(each.folder));
    return roots.flatMap((root): Candidate[] => {
      const images = this.#use.kustomizeImages(root);
      if (!this.#isWanted(root.folder)) return [];
      if (images.length === 0 || this.#leaveOwned(`Kustomization ${root.folder}`, root.folder)) return [];
      const deploy = this.#deploys.find((each) => each.tool === 'kustomize' && each.path === root.folder);
      const namespace = root.namespace ?? deploy?.namespace;
      const name =
        deploy?.environment ??
        environmentOfPath(root.folder) ??
        (roots.length > 1 ? posix.basename(root.folder) : undefined);
      return [
        {
          name,
          kind: 'kustomize',
          environment: {
            ...(namespace !== undefined && { namespace }),
            deploy: { kustomize: { path: root.folder, images: images.map((image) => image.name) } },
          },
          place: root.place,
          text: `the kustomization ${root.folder} uses images of this project`,
          certainty: 'read',
          notes: [...images.flatMap(mismatch), ...this.#use.smokeHints(this.#use.objectsOf(root))],
        },
      ];
    });
  }

  #manifests(): readonly Candidate[] {
    const { kustomizations, objects, charts } = this.#findings;
    const inKustomization = new Set(kustomizations.flatMap((each) => each.resources));
    const isFree = (path: RelativePath): boolean =>
      this.#isWanted(path) &&
      !inKustomization.has(path) &&
      !kustomizations.some((each) => posix.dirname(path) === each.folder) &&
      !charts.some((chart) => isBelow(path, chart.folder));
    const workloads = objects.filter((object) => isFree(object.path) && this.#use.imagesOf(object).length > 0);
    const folders = [...new Set(workloads.map((object) => posix.dirname(object.path)))].filter(
      (folder) => !this.#leaveOwned(`Manifests in ${folder}`, folder),
    );
    const byEnvironment = Map.groupBy(folders, (folder) => environmentOfPath(folder));
    return [...byEnvironment].map(([name, list]): Candidate => {
      const matches = workloads
        .filter((object) => list.includes(posix.dirname(object.path)))
        .flatMap((object) => this.#use.imagesOf(object));
      const unique = [...new Map(matches.map((match) => [match.name, match])).values()];
      const paths = list.flatMap((folder) => this.#manifestPaths(folder));
      const deploy = this.#deploys.find(
        (each) =>
          each.tool === 'kubectl' && list.some((folder) => isBelow(each.path, folder) || isBelow(folder, each.path)),
      );
      const inside = objects.filter((object) => list.includes(posix.dirname(object.path)));
      const spaces = [...new Set(inside.flatMap((object) => object.namespace ?? []))];
      const namespace = deploy?.namespace ?? (spaces.length === 1 ? spaces[0] : undefined);
      return {
        name: deploy?.environment ?? name,
        kind: 'manifests',
        environment: {
          ...(namespace !== undefined && { namespace }),
          deploy: {
            manifests: {
              paths: paths.length === 1 ? (paths[0] ?? '.') : paths,
              images: unique.map((match) => match.name),
            },
          },
        },
        place: workloads.find((object) => list.includes(posix.dirname(object.path)))?.place ?? {
          file: this.#findings.root,
        },
        text: `the manifests in ${list.join(', ')} use images of this project`,
        certainty: 'read',
        notes: [...unique.flatMap(mismatch), ...this.#use.smokeHints(inside)],
      };
    });
  }

  /** The folder, when all YAML in it is Kubernetes objects; else the files that are. */
  #manifestPaths(folder: RelativePath): readonly RelativePath[] {
    const yaml = this.#findings.paths.filter((path) => posix.dirname(path) === folder && /\.(ya?ml|json)$/.test(path));
    const withObjects = new Set(
      this.#findings.objects
        .filter((object) => !/toolkit\.fluxcd\.io|argoproj\.io/.test(object.apiVersion))
        .map((object) => object.path),
    );
    const good = yaml.filter((path) => withObjects.has(path));
    return good.length === yaml.length && folder !== '.' ? [folder] : good;
  }
}

/** The environment in `shop-dev`, `staging-shop`, `prod`. */
function wordOf(text: string): string | undefined {
  for (const piece of text.split(/[-_.]/).toReversed()) {
    const known = knownEnvironment(piece);
    if (known !== undefined) return known;
  }
  return undefined;
}
