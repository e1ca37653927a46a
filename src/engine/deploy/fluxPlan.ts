// What a deploy through Flux is made of: which policies carry which image, who writes git, and what brings it to the cluster.
import { at, type KubeObject, refOf, textOf } from '../cluster/index.ts';
import {
  chooseObject,
  type Delivery,
  deliveryOf,
  type FluxSnapshot,
  isSuspended,
  keyOfObject,
  latestOf,
  namespaceOf,
  readFlux,
  rulesOf,
} from '../flux/index.ts';
import { CompiledPolicy, compilePolicy, type ImageRef } from '../gitops/index.ts';
import { isHelperTag, parseReference, type Registry, STAGING_TAG } from '../images/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { FluxDeploy } from '../project/model.ts';
import type { ClusterAccess } from './access.ts';
import type { Answer } from './answers.ts';
import type { DeployRequest } from './deployer.ts';
import { type ImageToDeploy, normalRepository } from './images.ts';

/** One policy of the environment with what it leads to. */
export interface PolicyView extends Delivery {
  /** `namespace:name`, as markers write it. */
  readonly key: string;
  /** The image as Flux writes it. */
  readonly image: string;
  /** Automations that write it: named in the configuration if so, and not suspended. */
  readonly active: readonly KubeObject[];
}

export interface FluxView {
  readonly snapshot: FluxSnapshot;
  readonly policies: readonly PolicyView[];
  readonly source: KubeObject;
  readonly branch: string;
  /** Live workloads that run one of the images. */
  readonly workloads: readonly KubeObject[];
}

/** A policy with the version that is to run. */
export interface Wanted {
  readonly view: PolicyView;
  readonly image: ImageToDeploy;
  readonly ref: ImageRef;
  /** What the policy would choose if it knew the tag. */
  readonly choice: 'same' | 'other';
  readonly why: string;
}

const refuse = (
  reason: 'config' | 'refused',
  code: string,
  message: string,
  fix: string,
  request: DeployRequest,
): SlipwayError => new SlipwayError({ reason, code, message, fix, place: request.environment.place });

/** Reads the cluster. Throws SlipwayError `config` when policies, source or branch do not make a way. */
export async function readView(
  access: ClusterAccess,
  config: FluxDeploy,
  request: DeployRequest,
  signal: AbortSignal,
): Promise<FluxView> {
  const { environment } = request;
  const namespaces = config.policies.flatMap((name) => (name.includes('/') ? [name.split('/')[0] ?? ''] : []));
  const fallback = [...new Set(['flux-system', environment.namespace, ...namespaces])];
  const snapshot = await readFlux(access, { signal, fallback });
  const policyObjects = snapshot.objects.filter(({ kind }) => kind === 'ImagePolicy');
  const policies = config.policies.map((name): PolicyView => {
    const policy = chooseObject(policyObjects, name);
    const delivery = deliveryOf(snapshot, policy);
    const { image } = delivery;
    const label = `${namespaceOf(policy)}/${policy.metadata.name}`;
    if (image === undefined) {
      throw refuse(
        'config',
        'flux.no-repository',
        `The ImageRepository of the policy ${label} is not in the cluster.`,
        'Apply it, or correct imageRepositoryRef.',
        request,
      );
    }
    const active = delivery.automations.filter((one) => !isSuspended(one) && isNamed(one, config.automation));
    return { ...delivery, image, active, key: label.replace('/', ':') };
  });
  const sources = new Map(policies.flatMap(({ sources: all }) => all.map((one) => [keyOfObject(one), one] as const)));
  const [source, ...others] = [...sources.values()].filter(({ kind }) => kind === 'GitRepository');
  if (source === undefined || others.length > 0) {
    throw refuse(
      'config',
      source === undefined ? 'flux.no-source' : 'flux.several-sources',
      source === undefined
        ? `Nothing tells which git repository ${config.policies.join(', ')} is written to: no automation selects it, and no Kustomization runs its image.`
        : `The policies ${config.policies.join(', ')} are written to ${others.length + 1} git repositories.`,
      source === undefined
        ? 'Add an ImageUpdateAutomation, or deploy a first version by hand.'
        : 'Make one environment for each repository.',
      request,
    );
  }
  const workloads = new Map(policies.flatMap((one) => one.workloads.map((w) => [keyOfObject(w), w] as const)));
  return {
    snapshot,
    policies,
    source,
    branch: config.branch ?? textOf(at(source, 'spec', 'ref', 'branch')) ?? 'master',
    workloads: [...workloads.values()],
  };
}

const isNamed = (automation: KubeObject, name: string | undefined): boolean =>
  name === undefined ||
  name === automation.metadata.name ||
  name === `${namespaceOf(automation)}/${automation.metadata.name}`;

/** Which of the request's images each policy carries, and whether the policy would choose its tag. Asks registries. */
export async function wantedOf(
  view: FluxView,
  request: DeployRequest,
  registry: Registry,
  signal: AbortSignal,
): Promise<readonly Wanted[]> {
  return Promise.all(
    view.policies.map(async (policy): Promise<Wanted> => {
      const image = imageFor(policy.image, request);
      const digest = await digestFor(policy, image, registry, signal);
      const ref: ImageRef = { name: policy.image, tag: image.tag, digest };
      return { view: policy, image, ref, ...(await choiceOf(policy, image.tag, registry, signal)) };
    }),
  );
}

/** By repository; a registry may have another name inside the cluster, so the path alone decides where that is clear. */
function imageFor(name: string, request: DeployRequest): ImageToDeploy {
  const { images } = request;
  const full = images.find(({ repository }) => normalRepository(repository) === normalRepository(name));
  const path = (repository: string) => normalRepository(repository).split('/').slice(1).join('/');
  const near = images.filter(({ repository }) => path(repository) === path(name));
  const found = full ?? (near.length === 1 ? near[0] : undefined);
  if (found !== undefined) return found;
  throw refuse(
    'config',
    'flux.foreign-image',
    `A policy of environment ${request.environment.name} follows ${name}, which no image of this project is pushed to.`,
    `Correct the policies of the environment; this project pushes ${images.map(({ repository }) => repository).join(', ') || 'nothing'}.`,
    request,
  );
}

async function digestFor(
  { policy, image: name }: PolicyView,
  image: ImageToDeploy,
  registry: Registry,
  signal: AbortSignal,
): Promise<string> {
  const reflection = textOf(at(policy, 'spec', 'digestReflectionPolicy')) ?? 'Never';
  if (reflection === 'Never') return '';
  return image.digest ?? (await registry.digestOf(parseReference(`${name}:${image.tag}`), signal)) ?? '';
}

/** Tags of the image that the registry has, asked where this machine pushes to. */
export async function knownTags(name: string, registry: Registry, signal: AbortSignal): Promise<readonly string[]> {
  const { registry: host, repository } = parseReference(name);
  const tags = await registry.tags(host, repository, signal).catch((error: unknown) => {
    if (!SlipwayError.is(error)) throw error;
    return undefined;
  });
  return (tags ?? []).filter((tag) => !isHelperTag(tag));
}

async function choiceOf(
  { policy, repository, image }: PolicyView,
  tag: string,
  registry: Registry,
  signal: AbortSignal,
): Promise<Pick<Wanted, 'choice' | 'why'>> {
  const compiled = compilePolicy(rulesOf(policy, repository));
  if (!(compiled instanceof CompiledPolicy)) return { choice: 'other', why: compiled.message };
  const judged = compiled.judge(tag);
  if (judged.status !== 'candidate') return { choice: 'other', why: judged.reason };
  const current = latestOf(policy)?.tag;
  const tags = [
    ...new Set([...(await knownTags(image, registry, signal)), tag, ...(current === undefined ? [] : [current])]),
  ];
  const { latest } = compiled.select(tags);
  return latest === tag
    ? { choice: 'same', why: `the policy chooses ${tag}` }
    : { choice: 'other', why: `the policy chooses ${latest ?? 'nothing'} before ${tag}` };
}

/** The tag that builds pass through before the gate: a policy that takes it would deploy what nobody has scanned. */
export function stagingTaken({ policy, repository, key }: PolicyView): readonly Answer[] {
  const compiled = compilePolicy(rulesOf(policy, repository));
  const judged = compiled instanceof CompiledPolicy ? compiled.judge(STAGING_TAG) : undefined;
  if (judged === undefined || !['candidate', 'not-a-number'].includes(judged.status)) return [];
  const name = repository?.metadata.name ?? key;
  return [
    {
      certainty: 'suspicious',
      code: 'flux.staging-tag',
      object: refOf(repository ?? policy),
      message:
        judged.status === 'candidate'
          ? `The policy ${key} takes the tag ${STAGING_TAG}, which builds pass through before they are scanned: Flux may deploy it.`
          : `The tag ${STAGING_TAG}, which builds pass through, is not a number, and one such tag fails the whole policy ${key}.`,
      fix: `Add "^${STAGING_TAG}$" to spec.exclusionList of ImageRepository ${name} (keep "^.*\\.sig$"), or give the policy filterTags.`,
      evidence: [],
    },
  ];
}

/**
 * Who writes git: `automation` where an active one chooses this very tag, else this run. Throws SlipwayError `refused`
 * where an active automation would write another tag again.
 */
export function writerFor(wanted: readonly Wanted[], config: FluxDeploy, request: DeployRequest): 'git' | 'automation' {
  const { write } = config;
  for (const { view, choice, why, image } of wanted) {
    if (choice === 'same' || view.active.length === 0) continue;
    const names = view.active.map(({ metadata }) => metadata.name).join(', ');
    throw refuse(
      'refused',
      'flux.bounces',
      `${image.tag} of ${view.image} would not stay: ${why}, and ${names} writes that again.`,
      `Go back with \`slipway rollback --env ${request.environment.name} --to ${image.tag}\`, which offers to pin or exclude; or push a tag that the policy chooses.`,
      request,
    );
  }
  if (write === 'git') return 'git';
  const isOwned = wanted.every(({ view }) => view.active.length > 0);
  if (write === 'automation' && !isOwned) {
    throw refuse(
      'config',
      'flux.no-automation',
      'No active ImageUpdateAutomation writes these policies, and `write: automation` leaves it to one.',
      'Resume it or add one; or take `write` out.',
      request,
    );
  }
  return isOwned ? 'automation' : 'git';
}

/** What is switched off on the way; then a deploy would wait for nothing. */
export function refuseSuspended(view: FluxView, writer: 'git' | 'automation', request: DeployRequest): void {
  const way = view.policies.flatMap((one) => [
    ...(writer === 'automation' ? [...(one.repository === undefined ? [] : [one.repository]), one.policy] : []),
    ...one.kustomizations,
    ...one.releases,
  ]);
  const off = [view.source, ...way].find(isSuspended);
  if (off === undefined) return;
  const name = `${off.kind.toLowerCase()}/${namespaceOf(off)}/${off.metadata.name}`;
  throw refuse(
    'refused',
    'flux.suspended',
    `${off.kind} ${namespaceOf(off)}/${off.metadata.name} is suspended, so nothing would be deployed.`,
    `Resume it: slipway flux resume ${name}`,
    request,
  );
}
