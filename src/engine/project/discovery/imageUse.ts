import type { Place } from '../../problems/index.ts';
import { namesIn } from '../sharedRepository.ts';
import type { DraftImage, Note } from './draftModel.ts';
import type { ChartFinding, Findings, KustomizationFinding, ObjectFinding } from './findings.ts';
import { lastPart, repositoryOf } from './paths.ts';

/** Which charts, kustomizations and objects use which images of the project. */
export class ImageUse {
  readonly #findings: Findings;
  readonly #images: readonly DraftImage[];

  constructor(findings: Findings, images: readonly DraftImage[]) {
    this.#findings = findings;
    this.#images = images;
  }

  chartImages(chart: ChartFinding): { readonly images: Record<string, string>; readonly notes: Omit<Note, 'path'>[] } {
    const images: Record<string, string> = {};
    const notes: Omit<Note, 'path'>[] = [];
    const free = new Set(chart.images);
    const take = (image: DraftImage, value: ChartFinding['images'][number], certainty: Note['certainty']) => {
      free.delete(value);
      images[image.name] = value.key;
      notes.push({
        text: `${value.shape === 'composed' ? `the templates put the image together from ${value.key}, which` : `${value.key} in values.yaml`} carries ${value.repository}, taken as image "${image.name}"`,
        place: value.place,
        certainty,
        ...(certainty === 'guess' && {
          fix: `Correct it under deploy.helm.images when ${value.key} is another image.`,
        }),
      });
    };
    for (const image of this.#images) {
      const values = [...free].filter((each) => each.repository === image.repository);
      const twins = this.#images.filter(({ repository }) => repository === image.repository).map(({ name }) => name);
      // Of one repository: the value says which by its tag or its key.
      const isMeant = (value: ChartFinding['images'][number]): boolean =>
        [value.tag ?? '', ...value.key.split('.')].some((word) => namesIn(word, twins).includes(image.name));
      const value = twins.length > 1 ? values.find(isMeant) : values[0];
      if (value !== undefined) take(image, value, 'read');
    }
    for (const image of this.#images) {
      if (image.name in images) continue;
      const value = [...free].find(
        (each) =>
          (lastPart(each.repository) === lastPart(image.repository) &&
            !this.#images.some((other) => other !== image && other.repository === image.repository)) ||
          lastPart(each.repository) === image.name ||
          each.key.split('.').at(-2) === image.name,
      );
      if (value !== undefined) take(image, value, 'guess');
    }
    const [image] = this.#images;
    const [value] = chart.images;
    if (this.#images.length === 1 && image !== undefined && !(image.name in images) && value?.key === 'image')
      take(image, value, 'guess');
    return { images, notes };
  }

  kustomizeImages(root: KustomizationFinding): readonly Match[] {
    const found = new Map<string, Match>();
    for (const inner of this.#closureOf(root)) {
      for (const image of inner.images) {
        const match = this.#match(image.newName ?? image.name, image.place);
        if (match !== undefined) found.set(match.name, match);
      }
    }
    for (const object of this.objectsOf(root)) {
      for (const match of this.imagesOf(object)) if (!found.has(match.name)) found.set(match.name, match);
    }
    return [...found.values()];
  }

  /** A kustomization and all it takes in. */
  #closureOf(root: KustomizationFinding): readonly KustomizationFinding[] {
    const found = new Set<KustomizationFinding>([root]);
    for (const each of found) {
      for (const resource of each.resources) {
        const inner = this.#findings.kustomizations.find(({ folder }) => folder === resource);
        if (inner !== undefined) found.add(inner);
      }
    }
    return [...found];
  }

  objectsOf(root: KustomizationFinding): readonly ObjectFinding[] {
    const paths = new Set(this.#closureOf(root).flatMap((each) => each.resources));
    return this.#findings.objects.filter((object) => paths.has(object.path));
  }

  /** A Service in front of a workload whose readiness probe is HTTP: what it answers there is worth a smoke test. */
  smokeHints(objects: readonly ObjectFinding[]): readonly Omit<Note, 'path'>[] {
    return objects.flatMap((service) => {
      const selector = Object.entries(service.labels ?? {});
      if (service.kind !== 'Service' || selector.length === 0) return [];
      const workload = objects.find(
        (object) => object.readiness !== undefined && selector.every(([key, value]) => object.labels?.[key] === value),
      );
      const port =
        service.ports.find(
          (each) => each.target === workload?.readiness?.port || String(each.port) === workload?.readiness?.port,
        ) ?? service.ports[0];
      if (workload?.readiness === undefined || port === undefined) return [];
      const target = `service/${service.name}:${port.name ?? port.port}${workload.readiness.path}`;
      return [
        {
          text: `a smoke test to consider: smoke: [{ get: "${target}" }]`,
          place: service.place,
          certainty: 'read' as const,
        },
      ];
    });
  }

  imagesOf(object: ObjectFinding): readonly Match[] {
    return object.images.flatMap(({ reference, place }) => this.#match(repositoryOf(reference), place) ?? []);
  }

  /** The image of this project that a reference means: the very repository, else one of the same last name. */
  #match(repository: string, place: Place): Match | undefined {
    const exact = this.#images.find((image) => hubName(image.repository) === hubName(repository));
    if (exact !== undefined) return { name: exact.name, repository, wanted: exact.repository, place };
    const near = this.#images.find(
      (image) => lastPart(image.repository) === lastPart(repository) || image.name === lastPart(repository),
    );
    return near === undefined ? undefined : { name: near.name, repository, wanted: near.repository, place };
  }
}

/** Docker Hub's repositories have several spellings. */
const hubName = (repository: string): string =>
  repository.replace(/^(index\.|registry-1\.)?docker\.io\/(library\/)?/, '');

export interface Match {
  readonly name: string;
  readonly repository: string;
  readonly wanted: string;
  readonly place: Place;
}

/** What a person should know when a reference means an image by its last name only. */
export const mismatch = (match: Match): readonly Omit<Note, 'path'>[] =>
  hubName(match.repository) === hubName(match.wanted)
    ? []
    : [
        {
          text: `"${match.repository}" there is taken as image "${match.name}", which is published as ${match.wanted}`,
          place: match.place,
          certainty: 'guess',
          fix: `Write the same repository in both places; images are set where the repository is the same.`,
        },
      ];
