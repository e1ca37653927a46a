// Rollbacks under Flux that stay: the files change so that Flux itself chooses, or at least leaves, the old version; then
// two further rounds prove it.
import { at, type KubeObject, nameOf, refOf, textOf } from '../cluster/index.ts';
import { conditionOf, isSuspended, keyOfObject, namespaceOf, reconcileAll, suspend } from '../flux/index.ts';
import {
  applyPolicies,
  type ImagePolicyObject,
  type ImageRepositoryObject,
  type MarkerIndex,
  type Recipe,
  rollbackRecipes,
} from '../gitops/index.ts';
import { parseReference, type Registry } from '../images/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { FluxDeploy, RollbackWay } from '../project/model.ts';
import type { BranchHead, NewText } from '../system/gitPush.ts';
import type { System } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import type { DeployRequest } from './deployer.ts';
import { type FollowOptions, followApply, followSource, type Goal } from './fluxFollow.ts';
import { indexOf, markerFiles, openBranch, writeRefs } from './fluxGit.ts';
import { type FluxView, knownTags, type PolicyView } from './fluxPlan.ts';
import type { RollbackChoice } from './fluxWays.ts';

export interface BackStep {
  readonly policy: PolicyView;
  readonly good: string;
  readonly bad: string;
}

export interface GoBack {
  readonly access: ClusterAccess;
  readonly system: System;
  readonly registry: Registry;
  readonly config: FluxDeploy;
  readonly request: DeployRequest;
  readonly view: FluxView;
  readonly steps: readonly BackStep[];
}

export const WAYS: readonly RollbackWay[] = ['exclude', 'pin', 'suspend', 'revert'];

const recipesFor: Readonly<Record<RollbackWay, readonly Recipe['name'][]>> = {
  exclude: ['exclude-from-policy', 'exclude-from-repository'],
  pin: ['pin-policy'],
  suspend: ['suspend-automation'],
  revert: [],
};

export type ReadBranch = Awaited<ReturnType<typeof indexOf>>;

/** What is known of a way back for one policy. */
export interface WayStep {
  readonly step: BackStep;
  /** The recipe of the files; absent for `revert`, and where the files do not hold what it would change. */
  readonly recipe?: Recipe;
  readonly digest: string;
  readonly tags: readonly string[];
}

/** The recipe of one way, as the branch stands. Undefined when it cannot be carried out in these files. */
export async function recipeOf(
  back: GoBack,
  step: BackStep,
  how: RollbackWay,
  branch: ReadBranch,
  signal?: AbortSignal,
): Promise<WayStep | undefined> {
  const { registry } = back;
  const { policy, good, bad } = step;
  const tags = await knownTags(policy.image, registry, signal ?? new AbortController().signal);
  const reflects = (textOf(at(policy.policy, 'spec', 'digestReflectionPolicy')) ?? 'Never') !== 'Never';
  const digest = reflects ? ((await registry.digestOf(parseReference(`${policy.image}:${good}`), signal)) ?? '') : '';
  const base = { step, digest, tags };
  if (how === 'revert') return markerFiles(branch.index, policy).length === 0 ? undefined : base;
  const objects = objectsInFiles(branch.index, policy);
  if (objects === undefined) return undefined;
  const markers = markerFiles(branch.index, policy).flatMap((file) =>
    branch.index
      .markersOf(file)
      .markers.filter(({ setter }) => `${setter.namespace}:${setter.policy}` === policy.key)
      .map((marker) => ({ file, marker })),
  );
  const recipe = rollbackRecipes({
    policy: objects.policy,
    repository: objects.repository,
    automations: branch.index.automationsFor(objects.policy),
    markers,
    tags: [...new Set([...tags, good, bad])],
    badTag: bad,
    goodTag: good,
    ...(digest !== '' && { goodDigest: digest }),
    textOf: (file) => branch.texts.get(file) ?? '',
  }).find(({ name }) => recipesFor[how].includes(name));
  return recipe === undefined ? undefined : { ...base, recipe };
}

function objectsInFiles(
  index: MarkerIndex,
  { key }: PolicyView,
): { readonly policy: ImagePolicyObject; readonly repository: ImageRepositoryObject | undefined } | undefined {
  const [namespace = '', name = ''] = key.split(':');
  const policy = index.policy(namespace, name);
  return policy === undefined ? undefined : { policy, repository: index.repositoryOf(policy) };
}

/** The tag that will run by this way. */
export const tagAfter = (way: WayStep): string =>
  way.recipe === undefined || way.recipe.name === 'suspend-automation'
    ? way.step.good
    : (way.recipe.selection.latest ?? way.recipe.selection.anyOf[0] ?? way.step.good);

/** What each controller does once the way is in git. */
export function nextSteps(how: RollbackWay, ways: readonly WayStep[]): RollbackChoice['next'] {
  const recipes = ways.flatMap(({ recipe }) => recipe?.next ?? []);
  if (how !== 'revert') return recipes;
  const active = ways.flatMap(({ step }) => step.policy.active);
  const names = [...new Set(active.map(({ metadata }) => metadata.name))].join(', ');
  return [
    { controller: 'source-controller', does: 'fetches the commit' },
    { controller: 'kustomize-controller', does: `applies ${ways.map(tagAfter).join(', ')}` },
    {
      controller: 'image-automation-controller',
      does:
        active.length === 0
          ? 'writes nothing: no active automation covers the markers'
          : `writes ${ways.map(({ step }) => step.bad).join(', ')} again at the next run of ${names}`,
    },
  ];
}

/** The first way that stays at exactly the version wanted: `revert` where nobody writes against it. */
export async function chooseWay(back: GoBack): Promise<RollbackWay> {
  const isOwned = back.steps.some(({ policy }) => policy.active.length > 0);
  if (!isOwned) return 'revert';
  const branch = await readBranch(back);
  for (const how of ['exclude', 'pin', 'suspend'] as const) {
    const ways = await Promise.all(back.steps.map((step) => recipeOf(back, step, how, branch)));
    if (ways.every((way) => way?.recipe?.verdict === 'sticks')) return how;
  }
  throw new SlipwayError({
    reason: 'refused',
    code: 'rollback.no-way',
    message: 'No way back stays: the files of this branch hold no policy and no automation that could be changed.',
    fix: 'Suspend the automation (slipway flux suspend), then go back with --how revert.',
    place: back.request.environment.place,
  });
}

export async function readBranch(back: GoBack): Promise<ReadBranch> {
  const branch = await openBranch(back.system, back.config, back.view, back.request);
  return indexOf(await branch.head());
}

interface BackOptions extends FollowOptions {
  readonly run: string;
}

/** Carries a way out: git, then the controllers, until the workloads carry the old references. */
export async function goBack(back: GoBack, how: RollbackWay, options: BackOptions): Promise<void> {
  const { signal, onLine } = options;
  const branch = await openBranch(back.system, back.config, back.view, back.request);
  if (how === 'suspend') await suspendFirst(back, options);
  if (how === 'revert') refuseBounce(back);
  let ways: readonly WayStep[] = [];
  const pushed = await branch.commit({
    message: messageOf(back, how, options.run),
    signal,
    edit: async (head) => {
      const read = await indexOf(head);
      ways = await waysFor(back, how, read, signal);
      return textsOf(ways, read, back);
    },
  });
  const goals = ways.map((way): Goal => {
    const { policy } = way.step;
    return { view: policy, ref: { name: policy.image, tag: tagAfter(way), digest: way.digest } };
  });
  onLine(
    pushed.outcome === 'pushed'
      ? `committed: ${pushed.commit.slice(0, 7)} on ${branch.remote}/${branch.branch}, ${pushed.files.join(', ')}`
      : `committed: nothing, ${branch.remote}/${branch.branch} holds it already`,
  );
  for (const { controller, does } of nextSteps(how, ways)) onLine(`next: ${controller} ${does}`);
  await followSource(back.view.source, pushed.commit, branch, options);
  if (how === 'exclude' || how === 'pin') await followRules(back, pushed.commit, options);
  await followApply(goals, options);
}

async function waysFor(
  back: GoBack,
  how: RollbackWay,
  read: ReadBranch,
  signal: AbortSignal,
): Promise<readonly WayStep[]> {
  return Promise.all(
    back.steps.map(async (step) => {
      const way = await recipeOf(back, step, how, read, signal);
      if (way !== undefined && way.recipe?.verdict !== 'bounces') return way;
      // A suspension in the cluster needs nothing of the files but the tag.
      if (how === 'suspend') return { step, digest: '', tags: [] };
      throw new SlipwayError({
        reason: 'refused',
        code: 'rollback.no-way',
        message:
          way === undefined
            ? `"${how}" cannot be done for ${step.policy.key}: this branch holds no ImagePolicy that could be changed so.`
            : `"${how}" would not stay for ${step.policy.key}: the policy would still choose ${way.recipe?.selection.anyOf.join(' or ') || 'what it has chosen'}.`,
        fix: 'Choose another way with --how.',
        place: back.request.environment.place,
      });
    }),
  );
}

/** The recipe's own edits, and in the same commit the tag that follows from them, so that no round shows the bad one. */
export function textsOf(ways: readonly WayStep[], read: ReadBranch, back: GoBack): readonly NewText[] {
  const texts = new Map<string, string>();
  const current = (file: string) => texts.get(file) ?? read.texts.get(file) ?? '';
  for (const way of ways) {
    // The suspension itself went before, in a commit of its own.
    if (way.recipe !== undefined && way.recipe.name !== 'suspend-automation') {
      for (const { file, text } of way.recipe.edits)
        texts.set(file, mergeText(read.texts.get(file) ?? '', current(file), text));
    }
  }
  const refs = ways.map((way) => {
    const { policy } = way.step;
    return { view: policy, ref: { name: policy.image, tag: tagAfter(way), digest: way.digest } };
  });
  const keys = new Map(refs.map(({ view, ref }) => [view.key, ref]));
  const written = writeRefs(read, refs, back.request).map(({ path }) => path);
  for (const file of written) texts.set(file, applyPolicies(current(file), file, keys).text);
  return [...texts].filter(([file, text]) => text !== read.texts.get(file)).map(([path, text]) => ({ path, text }));
}

/** Two policies in one file: the second recipe was made from the same original, so its single change is moved over. */
function mergeText(original: string, current: string, next: string): string {
  if (current === original) return next;
  let start = 0;
  while (start < original.length && original[start] === next[start]) start += 1;
  let tail = 0;
  while (tail < original.length - start && tail < next.length - start && original.at(-1 - tail) === next.at(-1 - tail))
    tail += 1;
  const old = original.slice(start, original.length - tail);
  const before = original.slice(Math.max(0, start - 200), start);
  const at = current.indexOf(before + old);
  if (at === -1) return next;
  const from = at + before.length;
  return current.slice(0, from) + next.slice(start, next.length - tail) + current.slice(from + old.length);
}

/** The changed policy has to be applied before it chooses; whoever applies it is asked. */
async function followRules(back: GoBack, commit: string, options: BackOptions): Promise<void> {
  const { access, signal } = options;
  const { snapshot } = back.view;
  const objects = back.steps.flatMap(({ policy }) => [
    policy.policy,
    ...(policy.repository === undefined ? [] : [policy.repository]),
  ]);
  const names = new Set(
    objects.flatMap((object) => {
      const labels = object.metadata.labels;
      const name = labels?.['kustomize.toolkit.fluxcd.io/name'];
      return name === undefined
        ? []
        : [`Kustomization/${labels?.['kustomize.toolkit.fluxcd.io/namespace'] ?? namespaceOf(object)}/${name}`];
    }),
  );
  const owners = snapshot.objects.filter((object) => names.has(keyOfObject(object)));
  const isApplied = (object: KubeObject) =>
    (textOf(at(object, 'status', 'lastAppliedRevision')) ?? '').includes(commit) ||
    // The rules are applied before the health of the workloads beside them is waited for.
    ((textOf(at(object, 'status', 'lastAttemptedRevision')) ?? '').includes(commit) &&
      /Running health checks/.test(conditionOf(object, 'Reconciling')?.message ?? ''));
  await reconcileAll(owners, {
    access,
    clock: options.clock,
    signal,
    isEnough: isApplied,
    onProgress: (object, message) => options.onLine(`${object.kind} ${object.name}: ${message}`),
  });
}

/** In the files where they hold the automation, else in the cluster; then until it is quiet, with a note on it. */
async function suspendFirst(back: GoBack, options: BackOptions): Promise<void> {
  const { access, clock, signal, onLine } = options;
  const branch = await openBranch(back.system, back.config, back.view, back.request);
  const pushed = await branch.commit({
    message: `Suspend the image automation of ${back.request.environment.name}\n\n${whyText(back)}\n\nSlipway-Run: ${options.run}`,
    signal,
    edit: async (head: BranchHead) => {
      const read = await indexOf(head);
      const texts = new Map<string, string>();
      for (const step of back.steps) {
        const way = await recipeOf(back, step, 'suspend', read, signal);
        for (const { file, text } of way?.recipe?.edits ?? []) {
          // Only the automation's own file; the tag comes in the next commit.
          if (isAutomationFile(read.index, file, step.policy))
            texts.set(file, onlySuspension(read, file, text, step.policy));
        }
      }
      return [...texts].flatMap(([path, text]) => (text === read.texts.get(path) ? [] : [{ path, text }]));
    },
  });
  const automations = new Map(
    back.steps.flatMap(({ policy }) => policy.active.map((one) => [keyOfObject(one), one] as const)),
  );
  if (pushed.outcome === 'pushed') {
    onLine(`committed: ${pushed.commit.slice(0, 7)}, suspend: true in ${pushed.files.join(', ')}`);
    await followSource(back.view.source, pushed.commit, branch, options);
    await followOwners([...automations.values()], back, options);
  }
  for (const automation of automations.values()) {
    const ref = refOf(automation);
    const reminder = {
      why: whyText(back),
      by: `slipway run ${options.run}`,
      before: `exclude or fix ${back.steps.map(({ bad }) => bad).join(', ')}; else Flux writes it again.`,
    };
    await suspend(ref, reminder, { access, clock, signal });
    onLine(`suspended: ${nameOf(ref)}, with a note for whoever resumes it`);
  }
}

const whyText = ({ steps }: GoBack): string =>
  `Rolled back ${steps.map(({ policy, bad, good }) => `${policy.image.split('/').at(-1)} from ${bad} to ${good}`).join(', ')}.`;

function isAutomationFile(index: MarkerIndex, file: string, policy: PolicyView): boolean {
  const names = new Set(policy.active.map(({ metadata }) => metadata.name));
  return index
    .objectsOf('ImageUpdateAutomation')
    .some((object) => object.source.file === file && names.has(object.name));
}

/** Where automation and marker share a file, the recipe's text has the tag in it as well: it is put back for now. */
function onlySuspension(read: ReadBranch, file: string, text: string, policy: PolicyView): string {
  const old = read.index
    .markersOf(file)
    .markers.find(({ setter }) => `${setter.namespace}:${setter.policy}` === policy.key);
  if (old?.parts.tag === undefined) return text;
  const refs = new Map([[policy.key, { name: policy.image, tag: old.parts.tag, digest: old.parts.digest ?? '' }]]);
  return applyPolicies(text, file, refs).text;
}

/** Kustomizations that apply the automations, until these are suspended in the cluster. */
async function followOwners(automations: readonly KubeObject[], back: GoBack, options: BackOptions): Promise<void> {
  const { access, signal, clock } = options;
  for (const automation of automations) {
    const labels = automation.metadata.labels;
    const name = labels?.['kustomize.toolkit.fluxcd.io/name'];
    if (name === undefined) continue;
    const owner = back.view.snapshot.objects.find(
      (object) => object.kind === 'Kustomization' && object.metadata.name === name,
    );
    if (owner === undefined) continue;
    const isDone = async () => {
      const live = await access.get(refOf(automation), signal);
      return live === undefined || isSuspended(live);
    };
    await reconcileAll([owner], { access, clock, signal, isEnough: isDone });
  }
}

function refuseBounce(back: GoBack): void {
  const step = back.steps.find(({ policy }) => policy.active.length > 0);
  if (step === undefined) return;
  const names = step.policy.active.map(({ metadata }) => metadata.name).join(', ');
  throw new SlipwayError({
    reason: 'refused',
    code: 'flux.bounces',
    message: `A revert alone does not stay: ${names} writes ${step.bad} again, because the policy ${step.policy.key} still chooses it.`,
    fix: 'Choose --how exclude, pin or suspend.',
    place: back.request.environment.place,
  });
}

function messageOf(back: GoBack, how: RollbackWay, run: string): string {
  const words = { exclude: 'Exclude', pin: 'Pin', suspend: 'Roll back', revert: 'Roll back' } as const;
  const what = back.steps
    .map(({ policy, good, bad }) => {
      const name = policy.image.split('/').at(-1) ?? policy.image;
      return how === 'exclude' ? `${name} ${bad}` : how === 'pin' ? `${name} to ${good}` : `${name} to ${good}`;
    })
    .join(', ');
  const skip = back.system.env.CI === undefined || back.system.env.CI === '' ? '' : ' [skip ci]';
  return `${words[how]} ${what} on ${back.request.environment.name}${skip}\n\n${whyText(back)}\n\nSlipway-Run: ${run}`;
}
