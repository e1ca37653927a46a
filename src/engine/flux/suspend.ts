import { type KubeObject, nameOf, refOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import type { FluxAccess } from './read.ts';
import { type Reminder, reminderAnnotations, reminderOf } from './reminder.ts';
import { conditionOf, isSuspended, suspendDeclaredBy } from './standing.ts';

interface Options {
  readonly access: FluxAccess;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const STEP_MS = 250;
/** A pass that is under way when the automation is suspended still finishes; longer than its timeout it cannot take. */
const QUIET_MS = 60_000;

/**
 * Suspends an object with a reminder on it, and waits until a pass that was under way has ended. Throws SlipwayError
 * `refused` when Git declares `spec.suspend`, because Flux would put that value back.
 */
export async function suspend(
  ref: ObjectRef,
  reminder: Omit<Reminder, 'at'>,
  options: Options,
): Promise<'suspended' | 'already'> {
  const { access, clock, signal } = options;
  const object = await mustGet(access, ref, signal);
  refuseDeclared(object, true);
  const was = isSuspended(object);
  // Another's reminder is worth more than a second one.
  if (!(was && reminderOf(object) !== undefined)) {
    const at = new Date(clock.now()).toISOString();
    await access.merge(
      ref,
      { metadata: { annotations: reminderAnnotations({ ...reminder, at }) }, ...(!was && { spec: { suspend: true } }) },
      { signal },
    );
  }
  await waitQuiet(ref, options);
  return was ? 'already' : 'suspended';
}

/** Resumes an object and takes the reminder away; gives it back, so that the person sees what it said. */
export async function resume(ref: ObjectRef, { access, signal }: Options): Promise<Reminder | undefined> {
  const object = await mustGet(access, ref, signal);
  refuseDeclared(object, false);
  await access.merge(
    ref,
    { metadata: { annotations: reminderAnnotations(null) }, spec: { suspend: false } },
    { signal },
  );
  return reminderOf(object);
}

/** Until no condition says that the controller is at it. */
async function waitQuiet(ref: ObjectRef, { access, clock, signal }: Options): Promise<void> {
  const startedAt = clock.now();
  for (;;) {
    const object = await mustGet(access, ref, signal);
    const isBusy = conditionOf(object, 'Reconciling')?.status === 'True';
    // A failure that is tried again keeps Reconciling true for good; a suspended object tries nothing.
    const isRetry = conditionOf(object, 'Reconciling')?.reason === 'ProgressingWithRetry';
    if (!isBusy || isRetry || clock.now() - startedAt > QUIET_MS) return;
    await clock.sleep(STEP_MS, signal);
  }
}

async function mustGet(access: FluxAccess, ref: ObjectRef, signal: AbortSignal): Promise<KubeObject> {
  const object = await access.get(ref, signal);
  if (object !== undefined) return object;
  throw new SlipwayError({
    reason: 'usage',
    code: 'flux.gone',
    message: `${nameOf(ref)} does not exist.`,
    fix: 'Look what there is: slipway flux status.',
  });
}

function refuseDeclared(object: KubeObject, wanted: boolean): void {
  const manager = suspendDeclaredBy(object);
  if (manager === undefined || isSuspended(object) === wanted) return;
  throw new SlipwayError({
    reason: 'refused',
    code: 'flux.suspend-declared',
    message: `Git declares spec.suspend of ${nameOf(refOf(object))}, so ${manager} would put the value back.`,
    fix: `Write suspend: ${wanted} in git instead; \`slipway rollback --how suspend\` does so.`,
  });
}
