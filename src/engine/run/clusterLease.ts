import { randomBytes } from 'node:crypto';
import { ApiError, at, type KubeObject, textOf } from '../cluster/index.ts';
import type { ClusterAccess } from '../deploy/index.ts';
import type { ObjectRef, RunId } from '../events/index.ts';
import { CancelledError, isCancelled, SlipwayError } from '../problems/index.ts';
import type { EnvironmentConfig } from '../project/model.ts';
import type { System } from '../system/index.ts';
import { isProcessAlive } from './lock.ts';

/** A holder renews three times within this; one that lets it pass unrenewed is dead (as client-go's leader election). */
const LEASE_SECONDS = 15;
const RENEW_MS = 5_000;
const LOOK_MS = 1_000;

export interface HeldLease {
  /** Gives it back. Never throws: a lease that stays runs out by itself. */
  release(): Promise<void>;
}

export interface LeaseOptions {
  readonly system: System;
  readonly access: ClusterAccess;
  readonly environment: EnvironmentConfig;
  readonly run: RunId;
  readonly signal: AbortSignal;
  /** Hears what is worth a line in the log. */
  readonly say: (text: string) => void;
}

/**
 * Takes the Lease (coordination.k8s.io/v1) of what an environment deploys, in its own namespace, and keeps it renewed: the
 * one lock that other machines and CI see. A holder that renews is left alone, with its name in the failure (`locked`);
 * one whose process is gone from this machine is replaced at once, any other after 15 s without a renewal, judged by
 * change and not by clocks. Undefined where there can be none: no namespace yet, or no right to write Leases.
 */
export async function takeLease(options: LeaseOptions): Promise<HeldLease | undefined> {
  const { access, environment, signal, say } = options;
  const ref: ObjectRef = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    name: leaseName(environment),
    namespace: environment.namespace,
  };
  const holder = `${options.run}_${options.system.host}_${options.system.pid}_${randomBytes(3).toString('hex')}`;
  try {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const current = await access.get(ref, signal);
      if (await tryTake(options, ref, holder, current)) return keep(options, ref, holder);
    }
  } catch (error) {
    if (isCancelled(error) || signal.aborted) throw new CancelledError();
    if (!(error instanceof ApiError) || (error.status !== 403 && error.status !== 404)) throw error;
    if (error.status === 403)
      say(
        `No lock in the cluster: ${error.message} Two machines that deploy to ${environment.name} at once are not kept apart.\n`,
      );
    return undefined;
  }
  throw new SlipwayError({
    reason: 'locked',
    code: 'lease.contended',
    message: `The Lease ${ref.namespace}/${ref.name} changes hands faster than it can be taken.`,
    fix: 'Try again.',
  });
}

/** Helm's own unit is the release; for plain objects it is the environment in its namespace. */
export function leaseName({ deploy, name }: EnvironmentConfig): string {
  const unit = deploy.kind === 'helm' ? `helm-${deploy.release}` : name;
  return `slipway-${unit.replace(/[^a-z0-9.-]+/g, '-')}`;
}

/** False when somebody else was faster; throws `locked` when the lease is rightly held. */
async function tryTake(
  options: LeaseOptions,
  ref: ObjectRef,
  holder: string,
  current: KubeObject | undefined,
): Promise<boolean> {
  const { access, system, signal, run } = options;
  const now = microTime(system.clock.now());
  const spec = {
    holderIdentity: holder,
    leaseDurationSeconds: LEASE_SECONDS,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: Number(at(current, 'spec', 'leaseTransitions') ?? 0) + (current === undefined ? 0 : 1),
  };
  try {
    if (current === undefined) {
      const metadata = {
        name: ref.name,
        ...(ref.namespace !== undefined && { namespace: ref.namespace }),
        labels: { 'app.kubernetes.io/managed-by': 'slipway' },
      };
      await access.create({ apiVersion: ref.apiVersion, kind: ref.kind, metadata, spec }, { signal });
      return true;
    }
    const held = textOf(at(current, 'spec', 'holderIdentity')) ?? '';
    const isFree = held === '' || held.startsWith(`${run}_`) || (await isDeadHere(held, system));
    if (!isFree) await outlive(options, ref, current, held);
    // Conditional on what we have seen: of two that find it dead, one gets it.
    const resourceVersion = current.metadata.resourceVersion;
    const latest = isFree ? resourceVersion : ((await access.get(ref, signal))?.metadata.resourceVersion ?? '');
    await access.merge(ref, { metadata: { resourceVersion: latest }, spec }, { signal });
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return false;
    throw error;
  }
}

/** `<run>_<host>_<pid>_<random>` of a process on this machine that is no more. */
async function isDeadHere(held: string, system: System): Promise<boolean> {
  const match = /^[^_]+_(.+)_(\d+)_[0-9a-f]+$/.exec(held);
  return match !== null && match[1] === system.host && !(await isProcessAlive(system, Number(match[2])));
}

/** Waits until the lease has not been renewed for its whole duration; throws `locked` when it is. */
async function outlive(options: LeaseOptions, ref: ObjectRef, current: KubeObject, held: string): Promise<void> {
  const { access, system, signal, environment, say } = options;
  const seconds = Number(at(current, 'spec', 'leaseDurationSeconds') ?? LEASE_SECONDS);
  const renewed = textOf(at(current, 'spec', 'renewTime'));
  say(`${environment.name} is locked in the cluster by ${held}; looking whether that still lives.\n`);
  const until = system.clock.now() + seconds * 1000;
  while (system.clock.now() < until) {
    await system.clock.sleep(LOOK_MS, signal);
    const seen = await access.get(ref, signal);
    if (seen === undefined) return;
    if (textOf(at(seen, 'spec', 'renewTime')) === renewed && textOf(at(seen, 'spec', 'holderIdentity')) === held)
      continue;
    const [run = held, host = '?'] = (textOf(at(seen, 'spec', 'holderIdentity')) ?? held).split('_');
    throw new SlipwayError({
      reason: 'locked',
      code: 'lease.held',
      message: `${environment.name} is being deployed by run ${run} on ${host}: it holds the Lease ${ref.namespace}/${ref.name} and renews it.`,
      fix: 'Wait for it to end, then slipway resume. A Lease whose holder is gone frees itself after 15 s.',
      evidence: [`holder ${held}`, `renewed ${textOf(at(seen, 'spec', 'renewTime')) ?? '?'}`],
    });
  }
}

function keep({ access, system, environment, say }: LeaseOptions, ref: ObjectRef, holder: string): HeldLease {
  // Its own signal: a cancelled run still gives the lease back.
  const own = new AbortController();
  const isOurs = { op: 'test', path: '/spec/holderIdentity', value: holder } as const;
  let isLost = false;
  const timer = setInterval(() => {
    const renewTime = microTime(system.clock.now());
    access
      .patch(ref, [isOurs, { op: 'replace', path: '/spec/renewTime', value: renewTime }], { signal: own.signal })
      .catch((error: unknown) => {
        // A network fault may pass before the lease has run out; only the server's own no is a loss.
        if (isLost || !(error instanceof ApiError) || (error.status !== 422 && error.status !== 404)) return;
        isLost = true;
        say(`The lock of ${environment.name} in the cluster was taken over by somebody else.\n`);
      });
  }, RENEW_MS);
  timer.unref();
  return {
    async release() {
      clearInterval(timer);
      try {
        const signal = AbortSignal.timeout(5_000);
        // The object stays, free: deleting it would need a right more, and races with the next one to take it.
        await access.patch(ref, [isOurs, { op: 'replace', path: '/spec/holderIdentity', value: '' }], { signal });
      } catch {
        // It runs out by itself.
      } finally {
        own.abort();
      }
    },
  };
}

/** Kubernetes' MicroTime: RFC 3339 with exactly six digits of a second. */
const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');
