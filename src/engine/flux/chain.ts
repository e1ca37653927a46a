// The way of a version through Flux, from the scanned tag to the running pods, put together from the objects of a cluster.
import { at, type KubeObject, textOf } from '../cluster/object.ts';
import { cleanPath, coversFile, selectsLabels } from '../gitops/index.ts';
import {
  inventoryOf,
  isFluxObject,
  keyOf,
  keyOfObject,
  namespaceOf,
  orderOf,
  type Reference,
  referenceAt,
  sourceOf,
} from './kinds.ts';
import type { ChainLink, ChainStep } from './link.ts';
import {
  appliedLink,
  chosenLink,
  committedLink,
  fetchedLink,
  type ImageChoice,
  type LinkContext,
  latestOf,
  releasedLink,
  scannedLink,
} from './links.ts';
import { referencesOf, rolledOutLink } from './workloads.ts';

/** What was read of a cluster at one moment. */
export interface FluxSnapshot {
  readonly objects: readonly KubeObject[];
  /** Those that Kustomizations and HelmReleases applied. */
  readonly workloads: readonly KubeObject[];
  /** Pods of workloads that are not ready. */
  readonly pods: readonly KubeObject[];
}

export interface Chain {
  /** `flux-system/shop-api`, the ImagePolicy; without one `GitRepository flux-system/apps`. */
  readonly name: string;
  readonly image?: string;
  /** The tag the policy chose. */
  readonly tag?: string;
  readonly links: readonly ChainLink[];
  /** That of the first link that is not done. */
  readonly state: 'delivered' | ChainLink['state'];
  /** One sentence: where it is, and why. */
  readonly summary: string;
}

export interface ChainOptions {
  /** ms since the epoch. */
  readonly now: number;
  /** Where is this tag? Only for chains of images. */
  readonly wanted?: string;
}

/** What one ImagePolicy leads to. */
export interface Delivery {
  readonly policy: KubeObject;
  readonly repository: KubeObject | undefined;
  /** As the ImageRepository names it. */
  readonly image?: string;
  /** Suspended ones too. */
  readonly automations: readonly KubeObject[];
  readonly sources: readonly KubeObject[];
  readonly kustomizations: readonly KubeObject[];
  readonly releases: readonly KubeObject[];
  /** Those that run the image. */
  readonly workloads: readonly KubeObject[];
}

export const deliveryOf = (snapshot: FluxSnapshot, policy: KubeObject): Delivery =>
  new Chains(snapshot, { now: 0 }).delivery(policy);

/** Every way through Flux: one for each ImagePolicy, and one for each source that no image chain passes through. */
export function fluxChains(snapshot: FluxSnapshot, options: ChainOptions): readonly Chain[] {
  return new Chains(snapshot, options).all();
}

class Chains {
  readonly #snapshot: FluxSnapshot;
  readonly #objects: ReadonlyMap<string, KubeObject>;
  readonly #context: LinkContext;
  readonly #used = new Set<string>();

  constructor(snapshot: FluxSnapshot, { now, wanted }: ChainOptions) {
    this.#snapshot = snapshot;
    this.#objects = new Map(snapshot.objects.filter(isFluxObject).map((object) => [keyOfObject(object), object]));
    this.#context = {
      now,
      ...(wanted !== undefined && { wanted }),
      find: (key) => this.#objects.get(key),
    };
  }

  all(): readonly Chain[] {
    const images = this.#of('ImagePolicy').map((policy) => this.#imageChain(policy));
    const sources = ['GitRepository', 'OCIRepository', 'Bucket', 'HelmRepository']
      .flatMap((kind) => this.#of(kind))
      .filter((source) => !this.#used.has(keyOfObject(source)))
      .map((source) => this.#sourceChain(source));
    // What hangs on nothing that is there: its own condition says so.
    const rest = ['Kustomization', 'HelmRelease']
      .flatMap((kind) => this.#of(kind))
      .filter((object) => !this.#used.has(keyOfObject(object)))
      .map((object) =>
        this.#chain(`${object.kind} ${namespaceOf(object)}/${object.metadata.name}`, this.#wholeDelivery([object])),
      );
    return [...images, ...sources, ...rest];
  }

  #of(kind: string): readonly KubeObject[] {
    return [...this.#objects.values()]
      .filter((object) => object.kind === kind)
      .sort((a, b) => (keyOfObject(a) < keyOfObject(b) ? -1 : 1));
  }

  #find(reference: Reference | undefined): KubeObject | undefined {
    return reference === undefined ? undefined : this.#objects.get(keyOf(reference));
  }

  delivery(policy: KubeObject): Delivery {
    const repository = this.#find(referenceAt(policy, ['spec', 'imageRepositoryRef'], 'ImageRepository'));
    const image = textOf(at(repository, 'spec', 'image'));
    const automations = automationsFor(policy, this.#of('ImageUpdateAutomation'));
    const written = distinct(automations.flatMap((automation) => this.#find(sourceOf(automation)) ?? []));
    // Without an automation what runs the image tells where it comes from.
    const sources =
      written.length > 0
        ? written
        : distinct(
            this.#of('Kustomization')
              .filter((object) => this.#workloadsOf(object).some((workload) => runs(workload, image)))
              .flatMap((object) => this.#find(sourceOf(object)) ?? []),
          );
    const kustomizations = distinct(sources.flatMap((source) => this.#kustomizationsFor(source, automations, image)));
    const releases = distinct(kustomizations.flatMap((object) => this.#releasesOf(object))).filter((release) => {
      const own = workloadsOf(release, this.#snapshot.workloads);
      return image === undefined || own.length === 0 || own.some((workload) => runs(workload, image));
    });
    const all = [...kustomizations, ...releases].flatMap((object) => workloadsOf(object, this.#snapshot.workloads));
    const workloads = distinct(all).filter((workload) => image === undefined || runs(workload, image));
    return {
      policy,
      repository,
      automations,
      sources,
      kustomizations,
      releases,
      workloads,
      ...(image !== undefined && { image }),
    };
  }

  #imageChain(policy: KubeObject): Chain {
    const delivery = this.delivery(policy);
    const { repository, image, automations, sources } = delivery;
    const latest = latestOf(policy);
    const links: ChainLink[] = [];
    if (repository !== undefined) links.push(scannedLink(repository, this.#context));
    links.push(chosenLink(policy, repository, this.#context));
    links.push(...automations.map((automation) => committedLink(automation, policy, this.#context)));
    const isWritten = links.every(({ state }) => state === 'done') && automations.length > 0;
    for (const source of sources) {
      this.#used.add(keyOfObject(source));
      for (const object of this.#of('Kustomization')) {
        if (this.#find(sourceOf(object)) === source) this.#used.add(keyOfObject(object));
      }
      const own = automations.filter((automation) => this.#find(sourceOf(automation)) === source);
      links.push(fetchedLink(source, own, this.#context));
    }
    links.push(...this.#delivered(delivery, latest === undefined ? [] : [latest], isWritten));
    return this.#chain(`${namespaceOf(policy)}/${policy.metadata.name}`, links, image, latest?.tag);
  }

  #sourceChain(source: KubeObject): Chain {
    this.#used.add(keyOfObject(source));
    const appliers = ['Kustomization', 'HelmRelease']
      .flatMap((kind) => this.#of(kind))
      .filter((object) => this.#rootSource(object) === source);
    return this.#chain(`${source.kind} ${namespaceOf(source)}/${source.metadata.name}`, [
      fetchedLink(source, [], this.#context),
      ...this.#wholeDelivery(appliers),
    ]);
  }

  /** The source at the end of the references: a HelmRelease has a HelmChart between. */
  #rootSource(object: KubeObject): KubeObject | undefined {
    const source = this.#find(sourceOf(object));
    return source?.kind === 'HelmChart' ? this.#find(sourceOf(source)) : source;
  }

  /**
   * Kustomizations of the source that bring the image: those whose inventory runs it, else those whose path overlaps the
   * automation's, else all of them.
   */
  #kustomizationsFor(
    source: KubeObject,
    automations: readonly KubeObject[],
    image: string | undefined,
  ): readonly KubeObject[] {
    const all = this.#of('Kustomization').filter((object) => this.#find(sourceOf(object)) === source);
    const running = all.filter((object) => this.#workloadsOf(object).some((workload) => runs(workload, image)));
    if (running.length > 0) return running;
    const paths = automations.map((automation) => cleanPath(textOf(at(automation, 'spec', 'update', 'path'))));
    const near = all.filter((object) => {
      const own = cleanPath(textOf(at(object, 'spec', 'path')));
      return paths.some((path) => coversFile(own, path) || coversFile(path, own));
    });
    return near.length > 0 ? near : all;
  }

  /** Workloads in the inventory of a Kustomization, and of the HelmReleases in it. */
  #workloadsOf(object: KubeObject): readonly KubeObject[] {
    const own = workloadsOf(object, this.#snapshot.workloads);
    return [...own, ...this.#releasesOf(object).flatMap((release) => workloadsOf(release, this.#snapshot.workloads))];
  }

  #releasesOf(object: KubeObject): readonly KubeObject[] {
    if (object.kind !== 'Kustomization') return [];
    return inventoryOf(object).flatMap((entry) => (entry.kind === 'HelmRelease' ? (this.#find(entry) ?? []) : []));
  }

  #delivered(
    { kustomizations, releases, workloads }: Pick<Delivery, 'kustomizations' | 'releases' | 'workloads'>,
    choices: readonly ImageChoice[],
    isWritten: boolean,
  ): readonly ChainLink[] {
    const links: ChainLink[] = [];
    for (const object of kustomizations) {
      this.#used.add(keyOfObject(object));
      links.push(appliedLink(object, this.#find(sourceOf(object)), this.#context));
    }
    for (const release of releases) {
      this.#used.add(keyOfObject(release));
      links.push(releasedLink(release, this.#context));
    }
    const isDelivered = isWritten && links.every(({ state }) => state === 'done');
    for (const workload of workloads) {
      const pods = this.#snapshot.pods.filter((pod) => isPodOf(pod, workload));
      links.push(rolledOutLink(workload, pods, choices, isDelivered));
    }
    return links;
  }

  /** Everything that Kustomizations and HelmReleases bring, whatever its image. */
  #wholeDelivery(appliers: readonly KubeObject[]): readonly ChainLink[] {
    const kustomizations = appliers.filter(({ kind }) => kind === 'Kustomization');
    const releases = distinct([
      ...appliers.filter(({ kind }) => kind === 'HelmRelease'),
      ...kustomizations.flatMap((object) => this.#releasesOf(object)),
    ]);
    const workloads = distinct(
      [...kustomizations, ...releases].flatMap((object) => workloadsOf(object, this.#snapshot.workloads)),
    );
    return this.#delivered({ kustomizations, releases, workloads }, [], false);
  }

  #chain(name: string, links: readonly ChainLink[], image?: string, tag?: string): Chain {
    // A cause down the chain tells more than a wait above it, and a suspension explains both.
    const open = links.filter(({ state }) => state !== 'done');
    const telling = open.find(({ state }) => state === 'stuck' || state === 'suspended') ?? open[0];
    return {
      name,
      ...(image !== undefined && { image }),
      ...(tag !== undefined && { tag }),
      links,
      state: telling?.state ?? 'delivered',
      summary: summaryOf(telling, links, tag),
    };
  }
}

function summaryOf(open: ChainLink | undefined, links: readonly ChainLink[], tag: string | undefined): string {
  if (open === undefined) {
    const last = links.at(-1);
    if (last === undefined) return 'There is nothing in this chain.';
    if (last.step === 'rolled-out') return `${tag ?? 'What is in git'} runs.`;
    return tag === undefined ? 'Everything has gone through.' : `${tag} has gone through ${stepWords[last.step]}.`;
  }
  const where = `${open.object.kind} ${open.object.name}`;
  const verb = { stuck: 'Stuck', waiting: 'Waiting', working: 'Under way', suspended: 'Stopped', done: '' }[open.state];
  return `${verb} before "${stepWords[open.step]}", at ${where}: ${open.message}`;
}

/** What is true once the link is done. */
export const stepWords: Readonly<Record<ChainStep, string>> = {
  scanned: 'scanned',
  chosen: 'chosen',
  committed: 'committed',
  fetched: 'fetched',
  applied: 'applied',
  released: 'released',
  'rolled-out': 'rolled out',
};

/** Automations of the policy's namespace whose selector takes it. */
export function automationsFor(policy: KubeObject, automations: readonly KubeObject[]): readonly KubeObject[] {
  return automations.filter((automation) => {
    if (namespaceOf(automation) !== namespaceOf(policy)) return false;
    const selector = at(automation, 'spec', 'policySelector');
    if (selector === undefined) return true;
    const expressions = at(selector, 'matchExpressions');
    return selectsLabels(
      {
        labels: (at(selector, 'matchLabels') ?? {}) as Readonly<Record<string, string>>,
        expressions: (Array.isArray(expressions) ? expressions : []).map((one: unknown) => ({
          key: textOf(at(one, 'key')) ?? '',
          operator: textOf(at(one, 'operator')) ?? '',
          values: (at(one, 'values') ?? []) as readonly string[],
        })),
      },
      policy.metadata.labels ?? {},
    );
  });
}

/** Workloads that a Kustomization (by its inventory) or a HelmRelease (by helm's labels) brought. */
export function workloadsOf(object: KubeObject, workloads: readonly KubeObject[]): readonly KubeObject[] {
  if (object.kind === 'Kustomization') {
    const keys = new Set(inventoryOf(object).map(keyOf));
    return workloads.filter((workload) => keys.has(keyOfObject(workload)));
  }
  return workloads.filter(
    ({ metadata: { labels } }) =>
      labels?.['helm.toolkit.fluxcd.io/name'] === object.metadata.name &&
      labels['helm.toolkit.fluxcd.io/namespace'] === namespaceOf(object),
  );
}

export const runs = (workload: KubeObject, image: string | undefined): boolean =>
  image !== undefined &&
  referencesOf(workload).some(
    (reference) => reference === image || (/^[:@]/.test(reference.slice(image.length)) && reference.startsWith(image)),
  );

/** By the labels that the selector asks for: the owner of a Deployment's pod is a ReplicaSet. */
export function isPodOf(pod: KubeObject, workload: KubeObject): boolean {
  if (pod.metadata.namespace !== workload.metadata.namespace) return false;
  const labels = Object.entries((at(workload, 'spec', 'selector', 'matchLabels') ?? {}) as Record<string, string>);
  return labels.length > 0 && labels.every(([key, value]) => pod.metadata.labels?.[key] === value);
}

function distinct(objects: readonly KubeObject[]): readonly KubeObject[] {
  const seen = new Set<string>();
  return objects
    .filter((object) => {
      const key = keyOfObject(object);
      return !seen.has(key) && seen.add(key) !== undefined;
    })
    .sort((a, b) => orderOf(a.kind) - orderOf(b.kind));
}
