// One link of the delivery chain each: what the object has done with what came before it, in a sentence, and why not.
import { at, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import { CompiledPolicy, compilePolicy, defaultExclusionList, type PolicyRules, selectTag } from '../gitops/index.ts';
import { type Cause, causeOf } from './causes.ts';
import { commitOf, dependenciesOf, keyOf, keyOfObject, revisionText, sourceOf } from './kinds.ts';
import { type ChainLink, done, link, type Said, stuck, waiting } from './link.ts';
import { reminderOf } from './reminder.ts';
import { ago, durationMs, lastSpecWrite, type Standing, standingOf } from './standing.ts';

export interface LinkContext {
  /** ms since the epoch. */
  readonly now: number;
  /** The tag that is asked about: where is it? */
  readonly wanted?: string;
  readonly find: (key: string) => KubeObject | undefined;
}

/** Without a word from the controller for so long after a change, it does not run. */
const SILENT_MS = 2 * 60_000;

const everyText = (object: KubeObject): string => {
  const interval = textOf(at(object, 'spec', 'interval'));
  return interval === undefined ? 'it looks again at its interval' : `it looks again every ${interval}`;
};

/** What the object's own standing says; undefined when it is ready and the link has to be judged by what it did. */
function ownState(object: KubeObject, context: LinkContext, whenSuspended: string): Said | undefined {
  const standing = standingOf(object);
  switch (standing.state) {
    case 'ready':
      return standing.pendingRequest === undefined
        ? undefined
        : (silent(object, standing, context) ?? {
            state: 'working',
            message: 'It was asked to look again and has not answered yet.',
          });
    case 'suspended': {
      const reminder = reminderOf(object);
      const why = reminder === undefined ? '' : ` (${reminder.why}, ${reminder.by}, ${ago(reminder.at, context.now)})`;
      return { state: 'suspended', message: `Suspended${why}: ${whenSuspended}` };
    }
    case 'deleting':
      return { state: 'working', message: 'It is being deleted.' };
    case 'failed':
      return failed(object, standing, context);
    case 'stale':
      return (
        silent(object, standing, context) ?? {
          state: 'working',
          message: `Its status is of an older generation: the change is not looked at yet.${working(standing)}`,
        }
      );
    case 'new':
      return (
        silent(object, standing, context) ?? { state: 'working', message: 'Its controller has not looked at it yet.' }
      );
    case 'working':
      return { state: 'working', message: standing.message === '' ? 'Its controller is at it.' : standing.message };
  }
}

const working = ({ message }: Standing): string => (message === '' ? '' : ` (${message})`);

function silent(object: KubeObject, standing: Standing, { now }: LinkContext): Said | undefined {
  const since =
    standing.state === 'ready' && standing.pendingRequest !== undefined
      ? standing.pendingRequest
      : (lastSpecWrite(object) ?? object.metadata.creationTimestamp);
  const ms = since === undefined ? Number.NaN : now - Date.parse(since);
  // While a health check or a helm upgrade runs, a new request waits for its end.
  if (Number.isNaN(ms) || ms < SILENT_MS) return undefined;
  const controller = controllerOf(object.kind);
  return stuck({
    code: 'flux.controller-silent',
    message: `${controller} has not answered since ${ago(since, now)}.`,
    fix: `See whether it runs: kubectl -n flux-system get deployment ${controller}, and its log.`,
    evidence: [
      `generation ${object.metadata.generation ?? '?'}, observedGeneration ${String(at(object, 'status', 'observedGeneration') ?? 'none')}`,
    ],
  });
}

export function controllerOf(kind: string): string {
  switch (kind) {
    case 'ImageRepository':
    case 'ImagePolicy':
      return 'image-reflector-controller';
    case 'ImageUpdateAutomation':
      return 'image-automation-controller';
    case 'Kustomization':
      return 'kustomize-controller';
    case 'HelmRelease':
      return 'helm-controller';
    default:
      return 'source-controller';
  }
}

function failed(object: KubeObject, standing: Standing, context: LinkContext): Said {
  const cause = causeOf(object, standing);
  if (cause.code !== 'flux.dependency') return stuck(cause);
  const blocker = deepestBlocker(object, context, new Set());
  return stuck(blocker === undefined ? cause : { ...cause, ...blocker });
}

/** The dependency at the root of the waiting: with a chain of dependsOn, only the first one has a cause of its own. */
function deepestBlocker(
  object: KubeObject,
  context: LinkContext,
  seen: Set<string>,
): Pick<Cause, 'message' | 'fix'> | undefined {
  seen.add(keyOfObject(object));
  for (const reference of dependenciesOf(object)) {
    const name = `${reference.kind} ${reference.namespace}/${reference.name}`;
    const dependency = context.find(keyOf(reference));
    if (dependency === undefined)
      return {
        message: `It waits for ${name}, which does not exist.`,
        fix: 'Correct spec.dependsOn, or add that object.',
      };
    if (seen.has(keyOfObject(dependency)))
      return {
        message: `It waits for ${name}, which waits for it in turn.`,
        fix: 'Break the circle: take one of the two dependsOn entries out.',
      };
    const standing = standingOf(dependency);
    if (standing.state === 'ready') continue;
    if (standing.state === 'suspended')
      return { message: `It waits for ${name}, which is suspended.`, fix: `Resume ${name}.` };
    const deeper = deepestBlocker(dependency, context, seen);
    if (deeper !== undefined) return deeper;
    if (standing.state === 'failed') {
      const { message, fix } = causeOf(dependency, standing);
      return { message: `It waits for ${name}: ${message}`, fix };
    }
    return {
      message: `It waits for ${name}, which is not ready yet${working(standing)}.`,
      fix: 'Wait for that one; this one follows within 30 s.',
    };
  }
  return undefined;
}

export function scannedLink(repository: KubeObject, context: LinkContext): ChainLink {
  return link('scanned', repository, scanned(repository, context));
}

function scanned(repository: KubeObject, context: LinkContext): Said {
  const own = ownState(repository, context, 'new tags are not seen.');
  if (own !== undefined) return own;
  const result = at(repository, 'status', 'lastScanResult');
  const time = textOf(at(result, 'scanTime'));
  const count = numberOf(at(result, 'tagCount')) ?? 0;
  const latest = at(result, 'latestTags');
  const listed = Array.isArray(latest) ? latest : [];
  const text = `${count} ${count === 1 ? 'tag' : 'tags'} of ${textOf(at(repository, 'spec', 'image')) ?? '?'}, scanned ${ago(time, context.now)}`;
  const { wanted } = context;
  // latestTags holds at most ten, the last in byte order: only a complete list proves that a tag is missing.
  if (wanted !== undefined && listed.length === count && !listed.includes(wanted)) {
    return waiting(`${wanted} is not among the ${text}; ${everyText(repository)}.`);
  }
  return done(`${text}.`);
}

export const exclusionsOf = (repository: KubeObject | undefined): readonly string[] => {
  const list = at(repository, 'spec', 'exclusionList');
  return Array.isArray(list) ? list.filter((one) => typeof one === 'string') : defaultExclusionList;
};

/** The rules of a live ImagePolicy, for the same policy code that reads files. */
export function rulesOf(policy: KubeObject, repository: KubeObject | undefined): PolicyRules {
  const spec = (...path: readonly string[]) => textOf(at(policy, 'spec', ...path));
  const range = spec('policy', 'semver', 'range');
  const order = (kind: string) => {
    const found = spec('policy', kind, 'order');
    return found === undefined ? {} : { order: found };
  };
  const pattern = spec('filterTags', 'pattern');
  const extract = spec('filterTags', 'extract');
  return {
    policy: {
      ...(range !== undefined && { semver: { range } }),
      ...(at(policy, 'spec', 'policy', 'alphabetical') !== undefined && { alphabetical: order('alphabetical') }),
      ...(at(policy, 'spec', 'policy', 'numerical') !== undefined && { numerical: order('numerical') }),
    },
    ...(pattern !== undefined && {
      filterTags: { pattern, ...(extract !== undefined && { extract }) },
    }),
    exclusionList: exclusionsOf(repository),
  };
}

export interface ImageChoice {
  readonly name: string;
  readonly tag: string;
  readonly digest?: string;
}

/** `status.latestRef`, before Flux 2.6 `status.latestImage`. */
export function latestOf(
  policy: KubeObject,
  field: 'latestRef' | 'observedPreviousRef' = 'latestRef',
): ImageChoice | undefined {
  const name = textOf(at(policy, 'status', field, 'name'));
  const tag = textOf(at(policy, 'status', field, 'tag'));
  const digest = textOf(at(policy, 'status', field, 'digest'));
  if (name !== undefined && tag !== undefined)
    return { name, tag, ...(digest !== undefined && digest !== '' && { digest }) };
  const old = textOf(at(policy, 'status', field === 'latestRef' ? 'latestImage' : 'observedPreviousImage'));
  const [, image, oldTag] = /^(.+):([^:/@]+)$/.exec(old ?? '') ?? [];
  return image === undefined || oldTag === undefined ? undefined : { name: image, tag: oldTag };
}

export function chosenLink(policy: KubeObject, repository: KubeObject | undefined, context: LinkContext): ChainLink {
  return link('chosen', policy, chosen(policy, repository, context));
}

function chosen(policy: KubeObject, repository: KubeObject | undefined, context: LinkContext): Said {
  const latest = latestOf(policy);
  const own = ownState(
    policy,
    context,
    latest === undefined ? 'nothing is chosen.' : `${latest.tag} stays chosen and is still written.`,
  );
  if (own !== undefined) {
    const kept = own.state === 'stuck' && latest !== undefined ? ` Until then ${latest.tag} stays chosen.` : '';
    return { ...own, message: `${own.message}${kept}` };
  }
  if (latest === undefined) return waiting('Nothing is chosen yet.');
  const { wanted } = context;
  const previous = latestOf(policy, 'observedPreviousRef');
  const text = `${latest.tag} is the latest${previous === undefined ? '' : ` (before: ${previous.tag})`}`;
  if (wanted === undefined || wanted === latest.tag) return done(`${text}.`);
  const rules = rulesOf(policy, repository);
  const compiled = compilePolicy(rules);
  const verdict = compiled instanceof CompiledPolicy ? compiled.judge(wanted) : undefined;
  if (verdict !== undefined && verdict.status !== 'candidate') {
    return stuck({
      code: 'flux.tag-refused',
      message: `The policy does not take ${wanted}: ${verdict.reason}.`,
      fix: 'Change the policy, or push a tag of the form that it takes.',
      evidence: [`latest is ${latest.tag}`],
    });
  }
  if (selectTag(rules, [wanted, latest.tag]).latest === latest.tag) {
    return stuck({
      code: 'flux.tag-older',
      message: `The policy prefers ${latest.tag} to ${wanted}.`,
      fix: `Pin ${wanted} or exclude ${latest.tag}: slipway rollback --how pin or exclude.`,
      evidence: [],
    });
  }
  return waiting(`${wanted} would be chosen and is not seen yet; ${latest.tag} is the latest so far.`);
}

export function committedLink(automation: KubeObject, policy: KubeObject, context: LinkContext): ChainLink {
  return link('committed', automation, committed(automation, policy, context));
}

function committed(automation: KubeObject, policy: KubeObject, context: LinkContext): Said {
  const own = ownState(automation, context, 'nothing is written to git.');
  if (own !== undefined) return own;
  const latest = latestOf(policy);
  if (latest === undefined) return waiting('There is nothing to write yet.');
  const observed = at(automation, 'status', 'observedPolicies', policy.metadata.name);
  const commit = textOf(at(automation, 'status', 'lastPushCommit'));
  const pushed =
    commit === undefined
      ? 'it has found nothing to change in git so far'
      : `last push ${commit.slice(0, 7)}, ${ago(textOf(at(automation, 'status', 'lastPushTime')), context.now)}`;
  // observedPolicies came with v1beta2; without it only Ready is known.
  if (at(automation, 'status', 'observedPolicies') === undefined) return done(`It is up to date (${pushed}).`);
  if (textOf(at(observed, 'tag')) === latest.tag && (textOf(at(observed, 'digest')) ?? '') === (latest.digest ?? '')) {
    return done(`${latest.tag} is in git (${pushed}).`);
  }
  return waiting(`It has not run since ${latest.tag} was chosen; ${everyText(automation)}.`);
}

export function fetchedLink(source: KubeObject, automations: readonly KubeObject[], context: LinkContext): ChainLink {
  return link('fetched', source, fetched(source, automations, context));
}

export const artifactRevision = (source: KubeObject): string | undefined =>
  textOf(at(source, 'status', 'artifact', 'revision'));

function fetched(source: KubeObject, automations: readonly KubeObject[], context: LinkContext): Said {
  // Only an address: source-controller (since Flux 2.3) writes no status for it.
  if (source.kind === 'HelmRepository' && textOf(at(source, 'spec', 'type')) === 'oci') {
    return done('An OCI registry: charts are fetched when they are needed.');
  }
  const own = ownState(source, context, 'new commits are not fetched.');
  if (own !== undefined) return own;
  const revision = artifactRevision(source);
  if (revision === undefined) return waiting('Nothing is fetched yet.');
  const updated = textOf(at(source, 'status', 'artifact', 'lastUpdateTime'));
  const text = `${revisionText(revision)}, fetched ${ago(updated, context.now)}`;
  const branch = textOf(at(source, 'spec', 'ref', 'branch'));
  for (const automation of automations) {
    const commit = textOf(at(automation, 'status', 'lastPushCommit'));
    const time = textOf(at(automation, 'status', 'lastPushTime'));
    if (commit === undefined || commitOf(revision) === commit) continue;
    const pushBranch = textOf(at(automation, 'spec', 'git', 'push', 'branch'));
    if (pushBranch !== undefined && branch !== undefined && pushBranch !== branch) {
      return waiting(
        `${text}; the automation pushes to ${pushBranch} (last ${commit.slice(0, 7)}), and somebody has to merge it into ${branch}.`,
      );
    }
    if (time !== undefined && (updated === undefined || Date.parse(time) > Date.parse(updated))) {
      return waiting(
        `${text}; the automation's commit ${commit.slice(0, 7)} is newer and nothing has told about it: ${everyText(source)}.`,
      );
    }
  }
  return done(`${text}.`);
}

export function appliedLink(
  kustomization: KubeObject,
  source: KubeObject | undefined,
  context: LinkContext,
): ChainLink {
  return link('applied', kustomization, applied(kustomization, source, context));
}

function applied(kustomization: KubeObject, source: KubeObject | undefined, context: LinkContext): Said {
  const own = ownState(kustomization, context, 'changes in git are not applied.');
  if (own !== undefined) return withHealthCheck(kustomization, own);
  const revision = textOf(at(kustomization, 'status', 'lastAppliedRevision'));
  const wanted = source === undefined ? undefined : artifactRevision(source);
  if (revision === undefined) return waiting('Nothing is applied yet.');
  if (wanted !== undefined && !isSameRevision(wanted, revision)) {
    return waiting(`${revisionText(revision)} is applied, ${revisionText(wanted)} is fetched and comes next.`);
  }
  return done(`${revisionText(revision)} is applied.`);
}

export const isSameRevision = (a: string, b: string): boolean => {
  const commit = commitOf(a);
  return commit === undefined ? a === b : commit === commitOf(b);
};

/** With `wait` or health checks the next commit is not looked at before this one is healthy or its time is over. */
function withHealthCheck(kustomization: KubeObject, own: Said): Said {
  if (own.state !== 'working' || !/Running health checks/.test(own.message)) return own;
  const limit = textOf(at(kustomization, 'spec', 'timeout')) ?? textOf(at(kustomization, 'spec', 'interval')) ?? '?';
  return {
    state: 'working',
    message: `Applied, and waiting for the objects to become healthy, for at most ${limit}. A newer commit is not applied before that.`,
  };
}

/** How long a health check may hold back the next commit, ms. */
export const healthLimitMs = (kustomization: KubeObject): number =>
  durationMs(textOf(at(kustomization, 'spec', 'timeout'))) ??
  durationMs(textOf(at(kustomization, 'spec', 'interval'))) ??
  5 * 60_000;

export function releasedLink(release: KubeObject, context: LinkContext): ChainLink {
  return link('released', release, released(release, context));
}

/** A chart that cannot be had: helm-controller (1.4) looks at it again, and says so, only half a minute later. */
function chartProblem(release: KubeObject, context: LinkContext): Said | undefined {
  const reference = sourceOf(release);
  const chart = reference?.kind === 'HelmChart' ? context.find(keyOf(reference)) : undefined;
  const standing = chart === undefined ? undefined : standingOf(chart);
  return chart !== undefined && standing?.state === 'failed' ? failed(chart, standing, context) : undefined;
}

function released(release: KubeObject, context: LinkContext): Said {
  const own = ownState(release, context, 'changes are not released.');
  if (own !== undefined) return own.state === 'working' ? (chartProblem(release, context) ?? own) : own;
  const [latest] = listOf(at(release, 'status', 'history'));
  if (latest === undefined) return waiting('Nothing is released yet.');
  const chart = `${textOf(latest.chartName) ?? 'chart'} ${textOf(latest.chartVersion) ?? '?'}`;
  return done(`${chart}, release ${String(latest.version ?? '?')}, ${textOf(latest.status) ?? 'unknown'}.`);
}
