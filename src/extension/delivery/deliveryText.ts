// Words and choices of the delivery commands. Pure.
import type { ObjectRef } from '../../engine/events/index.ts';
import type { FluxStatus, Reconciled } from '../../engine/main.ts';
import { SlipwayError } from '../../engine/problems/index.ts';

export interface Switchable {
  /** As the engine finds it: `imagepolicy/flux-system/api`. */
  readonly name: string;
  readonly label: string;
  readonly description: string;
  readonly detail?: string;
}

export const fluxName = ({ kind, namespace, name }: ObjectRef): string =>
  [kind.toLowerCase(), ...(namespace === undefined ? [] : [namespace]), name].join('/');

/** What can be suspended: the objects of Flux in the chains that are not, each once, in the order of delivery. */
export function switchables({ chains, suspended }: FluxStatus): readonly Switchable[] {
  const off = new Set(suspended.map(({ object }) => fluxName(object)));
  const found = new Map<string, Switchable>();
  for (const { links } of chains) {
    for (const { object, step, message } of links) {
      const name = fluxName(object);
      if (!object.apiVersion.includes('.toolkit.fluxcd.io/') || off.has(name) || found.has(name)) continue;
      found.set(name, { name, label: `${object.kind} ${object.name}`, description: `${step}: ${message}` });
    }
  }
  return [...found.values()];
}

/** One sentence. Throws SlipwayError `rollout` with the cause and fix of the first object that did not go through. */
export function outcomeOf(environment: string, results: readonly Reconciled[]): string {
  const bad = results.find(({ outcome }) => outcome === 'failed' || outcome === 'timeout');
  if (bad !== undefined) {
    const { object, cause, message } = bad;
    throw new SlipwayError({
      reason: 'rollout',
      code: cause?.code ?? 'reconcile.failed',
      message: `${object.kind} ${object.name}: ${cause?.message ?? message}`,
      ...(cause !== undefined && { fix: cause.fix, evidence: cause.evidence }),
    });
  }
  const off = results
    .filter(({ outcome }) => outcome === 'suspended')
    .map(({ object }) => `${object.kind} ${object.name}`);
  const done = results.length - off.length;
  return `${environment}: ${done} of ${results.length} objects of Flux have looked again${off.length === 0 ? '' : `; ${off.join(', ')} is suspended`}`;
}
