// Deploys through Flux: the tag goes into git (by this run or by an ImageUpdateAutomation), Flux brings it to the cluster,
// and the workloads themselves are watched. The cluster is never written but for requests to look again.

import { type KubeObject, nameOf, refOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { fluxChains, isSuspended, keyOfObject, latestOf, reminderOf } from '../flux/index.ts';
import { MarkerIndex } from '../gitops/index.ts';
import { Registry } from '../images/index.ts';
import { Remembered } from '../problems/remembered.ts';
import type { FluxDeploy, RollbackWay } from '../project/model.ts';
import type { System } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import type { Answer } from './answers.ts';
import type {
  Applied,
  ApplyOptions,
  Deployer,
  DeployRequest,
  Rendered,
  RevisionView,
  WayBack,
  WayBackOptions,
} from './deployer.ts';
import { diffObject, type ObjectDiff } from './diff.ts';
import { type FollowOptions, followApply, followChoice, followCommit, followSource, type Goal } from './fluxFollow.ts';
import { indexOf, markerFiles, openBranch, tagInGit, writeRefs } from './fluxGit.ts';
import {
  type FluxView,
  type PolicyView,
  readView,
  refuseSuspended,
  stagingTaken,
  type Wanted,
  wantedOf,
  writerFor,
} from './fluxPlan.ts';
import { chooseWay, type GoBack, goBack } from './fluxRollback.ts';
import { provesToStay } from './fluxStays.ts';
import { readVerified, writeVerified } from './fluxVerified.ts';
import { liveTag, textOfRef, versionOf, versionsText } from './fluxVersions.ts';
import { refuseSharedRepository, setImages } from './images.ts';
import { obstaclesFor } from './ownership.ts';

export interface FluxDeployerOptions {
  readonly system: System;
  readonly secrets: Secrets;
  readonly access: ClusterAccess;
  readonly request: DeployRequest;
  readonly config: FluxDeploy;
  /** The way back that the person chose. */
  readonly how?: RollbackWay;
}

interface Plan {
  readonly view: FluxView;
  readonly wanted: readonly Wanted[];
  readonly writer: 'git' | 'automation';
}

export class FluxDeployer implements Deployer {
  readonly kind = 'flux';
  readonly #o: FluxDeployerOptions;
  readonly #registry: Registry;
  readonly #view = new Remembered<FluxView>();
  readonly #plan = new Remembered<Plan>();
  readonly #rendered = new Remembered<Rendered>();
  #written: Pick<Applied, 'revision' | 'previous'> | undefined;

  constructor(options: FluxDeployerOptions) {
    this.#o = options;
    this.#registry = new Registry(options.system, options.secrets);
  }

  #look(signal: AbortSignal): Promise<FluxView> {
    const { access, config, request } = this.#o;
    return this.#view.get(() => readView(access, config, request, signal));
  }

  #decide(signal: AbortSignal): Promise<Plan> {
    return this.#plan.get(() => this.#makePlan(signal));
  }

  async #makePlan(signal: AbortSignal): Promise<Plan> {
    const { config, request } = this.#o;
    const view = await this.#look(signal);
    const wanted = await wantedOf(view, request, this.#registry, signal);
    const writer = writerFor(wanted, config, request);
    refuseSuspended(view, writer, request);
    return { view, wanted, writer };
  }

  render(signal: AbortSignal): Promise<Rendered> {
    return this.#rendered.get(() => this.#render(signal));
  }

  /** The live workloads with the new references: what Flux is going to apply, as far as images go. */
  async #render(signal: AbortSignal): Promise<Rendered> {
    const { request } = this.#o;
    if (request.images.length === 0) {
      const { workloads } = await this.#look(signal);
      return {
        objects: workloads.map((object) => ({ object: asWritten(object) })),
        hooks: [],
        images: {},
        warnings: [],
      };
    }
    refuseSharedRepository(this.#o.request.images, 'an ImagePolicy');
    const { view, wanted } = await this.#decide(signal);
    const images = wanted.map(({ ref: { name, tag, digest }, image }) => ({
      name: image.name,
      repository: name,
      tag,
      ...(digest !== '' && { digest }),
    }));
    const carried = new Set(images.map(({ name }) => name));
    return {
      objects: setImages(view.workloads.map(asWritten), images).objects.map((object) => ({ object })),
      hooks: [],
      images: Object.fromEntries(wanted.map(({ image, ref }) => [image.name, textOfRef(ref)])),
      warnings: [
        ...request.images
          .filter(({ name }) => !carried.has(name))
          .map(({ name }) => `Image ${name} is published and not deployed: no policy of this environment follows it.`),
        ...view.policies.flatMap(suspendedWords),
      ],
    };
  }

  targets(rendered: Rendered): readonly ObjectRef[] {
    return rendered.objects.map(({ object }) => refOf(object));
  }

  async liveTargets(signal: AbortSignal): Promise<readonly ObjectRef[]> {
    return (await this.#look(signal)).workloads.map(refOf);
  }

  async owners(signal: AbortSignal) {
    return obstaclesFor({ kind: 'flux' }, (await this.#look(signal)).workloads);
  }

  /** Links of the chain that are stuck now: mended by this very change, or what it will stop at. */
  async concerns(signal: AbortSignal): Promise<readonly Answer[]> {
    const { snapshot, policies } = await this.#look(signal);
    const names = new Set(policies.map(({ key }) => key.replace(':', '/')));
    const links = fluxChains(snapshot, { now: this.#o.system.clock.now() })
      .filter(({ name }) => names.has(name))
      .flatMap((chain) => chain.links);
    const seen = new Set<string>();
    const stuck = links.flatMap(({ object, cause, step }): readonly Answer[] => {
      const key = nameOf(object);
      // What runs badly now is looked at by itself.
      if (cause === undefined || step === 'rolled-out' || seen.has(key)) return [];
      seen.add(key);
      const { code, message, fix, evidence } = cause;
      return [{ certainty: 'suspicious', code, object, message: `${key}: ${message}`, fix, evidence }];
    });
    return [...stuck, ...policies.flatMap(stagingTaken)];
  }

  async diff(signal: AbortSignal): Promise<readonly ObjectDiff[]> {
    const { objects } = await this.render(signal);
    const { workloads } = await this.#look(signal);
    const live = new Map(workloads.map((object) => [keyOfObject(object), object]));
    return objects.map(({ object }) => diffObject(object, live.get(keyOfObject(object)), { kind: 'subset' }));
  }

  /**
   * Idempotent: a tag that git holds already makes no second commit, so a killed run may be repeated. Returns when the
   * workloads carry the new references; how they fare is the rollout's to say.
   */
  async apply(options: ApplyOptions): Promise<Applied> {
    const { request, system, config } = this.#o;
    const { signal, onLine } = options;
    const { view, wanted, writer } = await this.#decide(signal);
    const goals = wanted.map(({ view: policy, ref }): Goal => ({ view: policy, ref }));
    const follow = this.#follow(options);
    const previous = versionsText(view.policies.map((policy) => [policy, liveTag(policy)]));
    const revision = versionsText(wanted.map(({ view: policy, ref }) => [policy, ref.tag]));
    this.#written = undefined;
    if (writer === 'automation') {
      onLine(
        `The automation writes git: ${goals.map(({ view: { key }, ref }) => `${key} is to choose ${ref.tag}`).join(', ')}.`,
      );
      await followChoice(goals, follow);
      await followCommit(goals, view, follow);
      this.#written = { revision, previous };
      await followSource(view.source, undefined, undefined, follow);
    } else {
      const branch = await openBranch(system, config, view, request);
      const pushed = await branch.commit({
        message: this.#message(goals, options.run),
        edit: async (head) => writeRefs(await indexOf(head), goals, request),
        signal,
      });
      this.#written = { revision, previous };
      onLine(
        pushed.outcome === 'pushed'
          ? `committed: ${pushed.commit.slice(0, 7)} on ${branch.remote}/${branch.branch}, ${pushed.files.join(', ')}`
          : `committed: nothing, ${branch.remote}/${branch.branch} holds it already`,
      );
      await followSource(view.source, pushed.commit, branch, follow);
    }
    const live = await followApply(goals, follow);
    const { warnings } = await this.render(signal);
    return { objects: live.map(refOf), revision, previous, warnings };
  }

  #follow({ signal, onLine }: Pick<ApplyOptions, 'signal' | 'onLine'>): FollowOptions {
    return { access: this.#o.access, clock: this.#o.system.clock, signal, onLine };
  }

  #message(goals: readonly Goal[], run: string): string {
    const { request, system } = this.#o;
    const what = goals.map(({ ref }) => `${ref.name.split('/').at(-1)} ${ref.tag}`).join(', ');
    // A pipeline that is started by its own commit would make the next tag, and so on without end.
    const skip = system.env.CI === undefined || system.env.CI === '' ? '' : ' [skip ci]';
    return `Deploy ${what} to ${request.environment.name}${skip}\n\nSlipway-Run: ${run}`;
  }

  async halfWritten(): Promise<Pick<Applied, 'revision' | 'previous'> | undefined> {
    return this.#written;
  }

  async wayBack({ from, previous, wanted, signal }: WayBackOptions): Promise<WayBack> {
    const { config, request } = this.#o;
    if (config.rollback === 'none' && this.#o.how === undefined) {
      return {
        kind: 'none',
        why: `Nothing was rolled back: environment ${request.environment.name} says rollback: none.`,
      };
    }
    const view = await this.#look(signal);
    const steps = view.policies.flatMap((policy) => {
      const bad = versionOf(from, policy, view) ?? liveTag(policy) ?? latestOf(policy.policy)?.tag;
      const verified = readVerified(policy.policy).find(({ tag }) => tag !== bad)?.tag;
      const served = versionOf(previous, policy, view) ?? latestOf(policy.policy, 'observedPreviousRef')?.tag;
      const good = wanted === undefined ? (verified ?? served) : versionOf(wanted, policy, view);
      if (bad === undefined || good === undefined || good === bad) return [];
      return [{ policy, good, isVerified: readVerified(policy.policy).some(({ tag }) => tag === good) }];
    });
    if (steps.length === 0) {
      return { kind: 'none', why: 'No other version is known: none was verified here, and the policy remembers none.' };
    }
    return {
      kind: 'revision',
      revision: versionsText(steps.map(({ policy, good }) => [policy, good])) ?? '',
      trust: steps.every(({ isVerified }) => isVerified) ? 'verified' : 'served',
      images: steps.map(({ policy, good }) => `${policy.image}:${good}`),
      targets: view.workloads.map(refOf),
    };
  }

  /** Goes back by the way that was chosen, and returns when the workloads carry the old references again. */
  async undo(way: Extract<WayBack, { readonly kind: 'revision' }>, options: ApplyOptions): Promise<string | null> {
    this.#view.forget();
    const back = await this.#back(way.revision, options.signal);
    const how = this.#o.how ?? (await this.#usualWay(back));
    await goBack(back, how, { ...this.#follow(options), run: options.run });
    return way.revision;
  }

  async #back(revision: string, signal: AbortSignal): Promise<GoBack> {
    const view = await this.#look(signal);
    const { access, system, config, request } = this.#o;
    const steps = view.policies.flatMap((policy) => {
      const good = versionOf(revision, policy, view);
      const bad = liveTag(policy) ?? latestOf(policy.policy)?.tag;
      if (good === undefined || bad === undefined) return [];
      return [{ policy, good, bad }];
    });
    return { access, system, registry: this.#registry, config, request, view, steps };
  }

  async #usualWay(back: GoBack): Promise<RollbackWay> {
    const { rollback } = this.#o.config;
    if (rollback !== undefined && rollback !== 'none') return rollback;
    return chooseWay(back);
  }

  /** For choosing: every way back to a version, with what each controller would do next. */
  async ways(revision: string, signal: AbortSignal) {
    const { waysBack } = await import('./fluxWays.ts');
    return waysBack(await this.#back(revision, signal));
  }

  /** Two further rounds of the whole chain, after each of which the old version must be there. */
  async stays(way: Extract<WayBack, { readonly kind: 'revision' }>, options: ApplyOptions): Promise<string> {
    this.#view.forget();
    const view = await this.#look(options.signal);
    const goals = view.policies.flatMap((policy): readonly Goal[] => {
      const tag = versionOf(way.revision, policy, view);
      return tag === undefined ? [] : [{ view: policy, ref: { name: policy.image, tag, digest: '' } }];
    });
    return provesToStay(goals, view, this.#follow(options));
  }

  async unlock(): Promise<string | undefined> {
    return undefined;
  }

  /** What the branch has held, newest first. */
  async history(signal: AbortSignal): Promise<readonly RevisionView[]> {
    const { system, config, request } = this.#o;
    const view = await this.#look(signal);
    const branch = await openBranch(system, config, view, request);
    const head = await branch.head();
    const { index } = await indexOf(head);
    const views: RevisionView[] = [];
    for (const policy of view.policies) {
      const files = markerFiles(index, policy);
      const live = liveTag(policy);
      const verified = new Set(readVerified(policy.policy).map(({ tag }) => tag));
      const seen = new Set<string>();
      for (const { commit, at, author, subject } of await branch.log(head.commit, files, 30)) {
        const tag = await tagAt(branch, commit, files, policy);
        if (tag === undefined || seen.has(tag)) continue;
        seen.add(tag);
        views.push({
          revision: versionsText([[policy, tag]], view.policies.length > 1) ?? tag,
          at,
          isLive: tag === live,
          isVerified: verified.has(tag),
          description: `${commit.slice(0, 7)} ${author}: ${subject}`,
        });
      }
    }
    return views;
  }

  async markVerified(revision: string | null, _targets: readonly ObjectRef[], signal: AbortSignal): Promise<void> {
    const view = await this.#look(signal);
    const now = new Date(this.#o.system.clock.now()).toISOString();
    for (const policy of view.policies) {
      const tag = versionOf(revision, policy, view) ?? liveTag(policy);
      if (tag !== undefined) await writeVerified(this.#o.access, policy.policy, tag, now, signal);
    }
  }
}

async function tagAt(
  branch: Awaited<ReturnType<typeof openBranch>>,
  commit: string,
  files: readonly string[],
  policy: PolicyView,
): Promise<string | undefined> {
  const index = new MarkerIndex();
  for (const file of files) {
    const text = await branch.readAt(commit, file);
    if (text !== undefined) index.update(file, text);
  }
  return tagInGit(index, policy);
}

/** An automation that somebody switched off: this run writes in its place, and nobody should forget why. */
function suspendedWords({ automations }: PolicyView): readonly string[] {
  return automations.filter(isSuspended).map((automation) => {
    const reminder = reminderOf(automation);
    const why = reminder === undefined ? '' : `: ${reminder.why} (${reminder.by}, ${reminder.at.slice(0, 10)})`;
    return `${nameOf(refOf(automation))} is suspended${why}. This run writes git in its place.`;
  });
}

/** Without what the server adds: for comparing, and for asking admission with it. */
function asWritten(object: KubeObject): KubeObject {
  const { status: _status, metadata, ...rest } = object;
  const { name, namespace, labels, annotations } = metadata;
  return {
    ...rest,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(labels !== undefined && { labels }),
      ...(annotations !== undefined && { annotations }),
    },
  } as KubeObject;
}
