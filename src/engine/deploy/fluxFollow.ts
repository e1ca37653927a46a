// Watches a change go through Flux: asks each controller, waits for its answer, and names what keeps it.
import { at, type KubeObject, nameOf, refOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import {
  artifactRevision,
  type Cause,
  chosenLink,
  commitOf,
  deliveryOf,
  healthLimitMs,
  keyOfObject,
  latestOf,
  type Reconciled,
  readFlux,
  reconcile,
  reconcileOrder,
  referencesOf,
  tagOf,
} from '../flux/index.ts';
import type { ImageRef } from '../gitops/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { RemoteBranch } from '../system/gitPush.ts';
import type { Clock } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import type { FluxView, PolicyView } from './fluxPlan.ts';

export interface FollowOptions {
  readonly access: ClusterAccess;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
}

/** A policy and the reference that its workloads are to run. */
export interface Goal {
  readonly view: PolicyView;
  readonly ref: ImageRef;
}

const STEP_MS = 300;
/** What a controller needs that is not busy. */
const PATIENCE_MS = 2 * 60_000;
/** After every controller has answered, what is not there does not come any more. */
const SETTLED_MS = 20_000;

/** Until every ImagePolicy has chosen its tag. Throws with the reason when it chooses another. */
export async function followChoice(goals: readonly Goal[], options: FollowOptions): Promise<void> {
  for (const { view, ref } of goals) {
    if (view.repository !== undefined) await ask(view.repository, options);
    const chosen = (object: KubeObject) => latestOf(object)?.tag === ref.tag;
    const isThere = async () => {
      const policy = await options.access.get(refOf(view.policy), options.signal);
      return policy !== undefined && chosen(policy);
    };
    const started = options.clock.now();
    // A scan wakes the policy by itself; what its answer to a request is worth depends on the version of Flux.
    while (!(await isThere())) {
      if (options.clock.now() - started > 10_000) {
        await ask(view.policy, { ...options }, chosen);
        if (await isThere()) break;
        throw await whyNotChosen(view, ref, options);
      }
      await options.clock.sleep(STEP_MS, options.signal);
    }
    options.onLine(`chosen: ${view.key} has chosen ${ref.tag}`);
  }
}

async function whyNotChosen(
  view: PolicyView,
  ref: ImageRef,
  { access, clock, signal }: FollowOptions,
): Promise<SlipwayError> {
  const policy = (await access.get(refOf(view.policy), signal)) ?? view.policy;
  const link = chosenLink(policy, view.repository, { now: clock.now(), wanted: ref.tag, find: () => undefined });
  return new SlipwayError({
    reason: 'cluster',
    code: link.cause?.code ?? 'flux.not-chosen',
    message: `${nameOf(refOf(policy))} has not chosen ${ref.tag}: ${link.message}`,
    fix: link.cause?.fix ?? 'See the chain: slipway flux status --tag with this tag.',
    ...(link.cause !== undefined && { evidence: link.cause.evidence }),
  });
}

/** Until the automations have written the tags to git. Throws when they push to a branch that has to be merged. */
export async function followCommit(goals: readonly Goal[], view: FluxView, options: FollowOptions): Promise<void> {
  const automations = new Map(goals.flatMap((goal) => goal.view.active.map((one) => [keyOfObject(one), one] as const)));
  for (const automation of automations.values()) {
    const own = goals.filter((goal) => goal.view.active.some((one) => keyOfObject(one) === keyOfObject(automation)));
    const isWritten = (object: KubeObject) =>
      own.every(
        (goal) =>
          textOf(at(object, 'status', 'observedPolicies', goal.view.policy.metadata.name, 'tag')) === goal.ref.tag,
      );
    await ask(automation, options, isWritten);
    const object = await options.access.get(refOf(automation), options.signal);
    const commit = textOf(at(object, 'status', 'lastPushCommit'));
    options.onLine(
      `committed: ${automation.metadata.name}${commit === undefined ? '' : `, last push ${commit.slice(0, 7)}`}`,
    );
    const pushBranch = textOf(at(automation, 'spec', 'git', 'push', 'branch'));
    if (pushBranch !== undefined && pushBranch !== view.branch) {
      throw new SlipwayError({
        reason: 'refused',
        code: 'flux.needs-merge',
        message: `${nameOf(refOf(automation))} pushed to ${pushBranch}; somebody has to merge it into ${view.branch}.`,
        fix: `Merge it, then go on: slipway resume.`,
      });
    }
  }
}

/** Until the source holds a commit (or, without one, what it holds now at its remote). */
export async function followSource(
  source: KubeObject,
  commit: string | undefined,
  branch: RemoteBranch | undefined,
  options: FollowOptions,
): Promise<void> {
  const started = options.clock.now();
  for (;;) {
    await ask(source, options);
    const object = await options.access.get(refOf(source), options.signal);
    const revision = object === undefined ? undefined : artifactRevision(object);
    if (commit === undefined || (await holdsCommit(revision, commit, branch))) {
      options.onLine(`fetched: ${revision ?? 'nothing'}`);
      return;
    }
    if (options.clock.now() - started > PATIENCE_MS) {
      throw new SlipwayError({
        reason: 'timeout',
        code: 'flux.not-fetched',
        message: `${nameOf(refOf(source))} is at ${revision ?? 'nothing'} and not at ${commit.slice(0, 7)}.`,
        fix: 'See the chain: slipway flux status.',
      });
    }
    await options.clock.sleep(1_000, options.signal);
  }
}

/** A later commit of somebody else holds ours as well. */
async function holdsCommit(
  revision: string | undefined,
  commit: string,
  branch: RemoteBranch | undefined,
): Promise<boolean> {
  const fetched = commitOf(revision);
  if (fetched === undefined) return false;
  if (fetched === commit) return true;
  if (branch === undefined) return false;
  if (await branch.holds(fetched, commit)) return true;
  await branch.head();
  return branch.holds(fetched, commit);
}

/**
 * Until the live workloads run what was asked for: Kustomizations and HelmReleases are asked in order, and what they wait
 * for after that (health checks) is the rollout's to judge. Throws SlipwayError `rollout` with the named cause.
 */
export async function followApply(goals: readonly Goal[], options: FollowOptions): Promise<readonly KubeObject[]> {
  const { access, signal, clock } = options;
  const isThere = async (): Promise<boolean> => (await behind(goals, options)).length === 0;
  const appliers = new Map(
    goals.flatMap(({ view }) =>
      [...view.kustomizations, ...view.releases].map((one) => [keyOfObject(one), one] as const),
    ),
  );
  for (const applier of reconcileOrder([...appliers.values()])) {
    if (await isThere()) break;
    const limit = healthLimitMs(applier) + PATIENCE_MS;
    await ask(applier, options, isThere, limit);
  }
  const started = clock.now();
  while (!(await isThere())) {
    if (clock.now() - started > SETTLED_MS) throw notThere(await behind(goals, options));
    await clock.sleep(STEP_MS, signal);
  }
  const live = await workloadsOf(goals, access, signal);
  for (const { view, ref } of goals) options.onLine(`applied: ${view.image}:${ref.tag}`);
  return live;
}

/** Asks anew, because a first deploy makes workloads that no inventory knew. */
export async function workloadsOf(
  goals: readonly Pick<Goal, 'view'>[],
  access: ClusterAccess,
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  const known = goals.flatMap(({ view }) => view.workloads);
  if (known.length > 0) {
    const found = await Promise.all(known.map((workload) => access.get(refOf(workload), signal)));
    return found.filter((object) => object !== undefined);
  }
  const namespaces = [...new Set(goals.flatMap(({ view }) => view.policy.metadata.namespace ?? []))];
  const snapshot = await readFlux(access, { signal, fallback: ['flux-system', ...namespaces] });
  return goals.flatMap(({ view }) => deliveryOf(snapshot, view.policy).workloads);
}

interface Behind {
  readonly workload: KubeObject | undefined;
  readonly goal: Goal;
  readonly runs: string;
}

async function behind(goals: readonly Goal[], { access, signal }: FollowOptions): Promise<readonly Behind[]> {
  const workloads = await workloadsOf(goals, access, signal);
  return goals.flatMap((goal): readonly Behind[] => {
    const own = workloads.flatMap((workload) =>
      referencesOf(workload)
        .filter((reference) => isOf(reference, goal.ref.name))
        .map((reference) => ({ workload, reference })),
    );
    if (own.length === 0) return [{ workload: undefined, goal, runs: 'nothing' }];
    return own
      .filter(({ reference }) => !isRef(reference, goal.ref))
      .map(({ workload, reference }) => ({ workload, goal, runs: reference }));
  });
}

const isOf = (reference: string, name: string): boolean =>
  reference === name || (reference.startsWith(name) && /^[:@]/.test(reference.slice(name.length)));

/** A marker of the tag alone drops the digest, so the tag decides. */
const isRef = (reference: string, { tag }: ImageRef): boolean => tagOf(reference) === tag;

function notThere(left: readonly Behind[]): SlipwayError {
  const [first] = left;
  const what =
    first?.workload === undefined
      ? `No workload runs ${first?.goal.ref.name ?? 'the image'}`
      : `${nameOf(refOf(first.workload))} runs ${first.runs}`;
  return new SlipwayError({
    reason: 'rollout',
    code: 'flux.not-in-files',
    message: `${what}, although Flux has applied git with ${first?.goal.ref.tag ?? 'the new tag'}.`,
    fix: 'The marker is not at the image that this workload runs; `slipway policies` shows each marker.',
    evidence: left.map(({ workload, runs }) => `${workload?.metadata.name ?? 'no workload'}: ${runs}`),
  });
}

/** Asks one object; a failure that is about this change is thrown, a health check is left to the rollout. */
async function ask(
  object: KubeObject,
  options: FollowOptions,
  isEnough?: (object: KubeObject) => boolean | Promise<boolean>,
  timeoutMs?: number,
): Promise<Reconciled> {
  const { access, clock, signal, onLine } = options;
  const ref = refOf(object);
  let told = '';
  const result = await reconcile(ref, {
    access,
    clock,
    signal,
    onProgress: (_, message) => {
      if (message === told) return;
      told = message;
      onLine(`${ref.kind} ${ref.name}: ${message}`);
    },
    ...(isEnough !== undefined && { isEnough }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
  const { cause } = result;
  if (cause === undefined || cause.code === 'flux.health' || cause.code === 'flux.helm-timeout') return result;
  throw failureOf(ref, cause);
}

function failureOf(ref: ObjectRef, cause: Cause): SlipwayError {
  // What cannot be built or applied is the change's fault; a registry or git server that does not answer is not, and
  // nothing is rolled back for it.
  const isOfChange = (ref.kind === 'Kustomization' || ref.kind === 'HelmRelease') && cause.code !== 'flux.no-answer';
  return new SlipwayError({
    reason: isOfChange ? 'rollout' : 'cluster',
    code: cause.code,
    message: `${nameOf(ref)}: ${cause.message}`,
    fix: cause.fix,
    evidence: cause.evidence,
  });
}
