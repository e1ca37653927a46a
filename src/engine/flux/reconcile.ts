// "Look again, now": the annotation that every Flux controller answers to, one object after the other in the order in which
// a change passes through them, each waited for until the controller says it is done.
import { at, type KubeObject, refOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import { type Cause, causeOf } from './causes.ts';
import { dependenciesOf, keyOf, keyOfObject, orderOf, referenceAt, sourceOf } from './kinds.ts';
import { controllerOf } from './links.ts';
import type { FluxAccess } from './read.ts';
import { handledRequest, isSuspended, REQUESTED_AT, standingOf } from './standing.ts';

export interface Reconciled {
  readonly object: ObjectRef;
  /** `suspended`: it was not asked, it would not do anything. `unsupported`: this version of Flux has no such request. */
  readonly outcome: 'done' | 'failed' | 'suspended' | 'unsupported' | 'timeout';
  readonly message: string;
  readonly cause?: Cause;
  readonly elapsedMs: number;
}

export interface ReconcileOptions {
  readonly access: FluxAccess;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress?: (object: ObjectRef, message: string) => void;
  /** For each object, ms. Default 3 minutes. */
  readonly timeoutMs?: number;
  /** HelmRelease only: also forget the failures so far (`resetAt`), or upgrade although nothing changed (`forceAt`). */
  readonly helm?: 'reset' | 'force';
  /** Ends the wait for an object early, for example when what it brings has been seen. */
  readonly isEnough?: (object: KubeObject) => boolean | Promise<boolean>;
}

const STEP_MS = 250;
const TIMEOUT_MS = 3 * 60_000;
/** Before Flux 2.7 an ImagePolicy does not answer; after so long it is taken for such a one. */
const POLICY_MS = 5_000;

/** Images, then sources, then what applies them; dependencies before those that name them. */
export function reconcileOrder(objects: readonly KubeObject[]): readonly KubeObject[] {
  const byKey = new Map(objects.map((object) => [keyOfObject(object), object]));
  const ordered: KubeObject[] = [];
  const placed = new Set<string>();
  const place = (object: KubeObject): void => {
    const key = keyOfObject(object);
    if (placed.has(key)) return;
    placed.add(key);
    const before = [...dependenciesOf(object), ...inputsOf(object)];
    for (const reference of before) {
      const needed = byKey.get(keyOf(reference));
      // An automation writes to its source, so it goes before that one although it names it.
      if (needed !== undefined && !(object.kind === 'ImageUpdateAutomation' && needed.kind === 'GitRepository'))
        place(needed);
    }
    ordered.push(object);
  };
  for (const object of [...objects].sort((a, b) => orderOf(a.kind) - orderOf(b.kind))) place(object);
  return ordered;
}

function inputsOf(object: KubeObject) {
  const reference =
    object.kind === 'ImagePolicy'
      ? referenceAt(object, ['spec', 'imageRepositoryRef'], 'ImageRepository')
      : sourceOf(object);
  return reference === undefined ? [] : [reference];
}

/** Asks each in order and waits for it. Goes on after a failure, because the later ones may be of another branch. */
export async function reconcileAll(
  objects: readonly KubeObject[],
  options: ReconcileOptions,
): Promise<readonly Reconciled[]> {
  const results: Reconciled[] = [];
  for (const object of reconcileOrder(objects)) results.push(await reconcile(refOf(object), options));
  return results;
}

/**
 * Asks one object to be reconciled and waits until its controller reports this very request as handled and says how it
 * went. Throws SlipwayError `cluster` when it cannot be asked, and CancelledError.
 */
export async function reconcile(ref: ObjectRef, options: ReconcileOptions): Promise<Reconciled> {
  const { access, clock, signal, onProgress, helm } = options;
  const startedAt = clock.now();
  const finish = (outcome: Reconciled['outcome'], message: string, cause?: Cause): Reconciled => {
    onProgress?.(ref, message);
    return { object: ref, outcome, message, ...(cause !== undefined && { cause }), elapsedMs: clock.now() - startedAt };
  };
  const before = await access.get(ref, signal);
  if (before === undefined) throw gone(ref);
  if (isSuspended(before)) return finish('suspended', 'suspended: it does nothing before it is resumed');
  if (ref.kind === 'HelmRepository' && textOf(at(before, 'spec', 'type')) === 'oci')
    return finish('done', 'an OCI registry has nothing to fetch');
  const token = new Date(startedAt).toISOString().replace('Z', `${String(Math.random()).slice(2, 8).padEnd(6, '0')}Z`);
  await access.merge(
    ref,
    {
      metadata: {
        annotations: {
          [REQUESTED_AT]: token,
          ...(ref.kind === 'HelmRelease' && helm === 'reset' && { 'reconcile.fluxcd.io/resetAt': token }),
          ...(ref.kind === 'HelmRelease' && helm === 'force' && { 'reconcile.fluxcd.io/forceAt': token }),
        },
      },
    },
    { signal },
  );
  onProgress?.(ref, 'asked to look again');
  let told = '';
  for (;;) {
    const object = await access.get(ref, signal);
    if (object === undefined) throw gone(ref);
    const standing = standingOf(object);
    const isHandled = handledRequest(object) === token;
    if (await options.isEnough?.(object)) return finish('done', 'what was asked of it is there');
    if (isHandled && standing.state === 'failed') return finish('failed', standing.message, causeOf(object, standing));
    if (isHandled && standing.state === 'ready') return finish('done', standing.message);
    if (isHandled && standing.state === 'suspended') return finish('suspended', 'it was suspended meanwhile');
    if (standing.state === 'working' && standing.message !== told) {
      told = standing.message;
      if (told !== '') onProgress?.(ref, told);
    }
    const elapsed = clock.now() - startedAt;
    if (!isHandled && ref.kind === 'ImagePolicy' && elapsed > POLICY_MS) {
      return finish('unsupported', 'image policies answer to a request since Flux 2.7; it follows its repository');
    }
    if (elapsed > (options.timeoutMs ?? TIMEOUT_MS)) {
      const seconds = Math.round(elapsed / 1000);
      return finish('timeout', `no end after ${seconds} s${told === '' ? '' : ` (${told})`}`, {
        code: 'flux.no-answer',
        message: isHandled
          ? `It is still at it after ${seconds} s.`
          : `${controllerOf(ref.kind)} has not answered within ${seconds} s.`,
        fix: isHandled
          ? 'Look at its status: slipway flux status.'
          : `See whether it runs: kubectl -n flux-system get deployment ${controllerOf(ref.kind)}, and its log. A running health check or upgrade also keeps it busy.`,
        evidence: told === '' ? [] : [told],
      });
    }
    await clock.sleep(STEP_MS, signal);
  }
}

function gone(ref: ObjectRef): SlipwayError {
  return new SlipwayError({
    reason: 'cluster',
    code: 'flux.gone',
    message: `${ref.kind} ${ref.namespace ?? ''}/${ref.name} does not exist.`,
    fix: 'Look what there is: slipway flux status.',
  });
}
