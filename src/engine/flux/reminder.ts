// Why something is suspended: kept on the object itself, where everyone who looks at the cluster finds it.
import type { KubeObject } from '../cluster/object.ts';

export interface Reminder {
  readonly why: string;
  readonly by: string;
  /** ISO time. */
  readonly at: string;
  /** What to do before it is resumed, in one sentence; absent when nothing is known. */
  readonly before?: string;
}

const keys = {
  why: 'slipway.dev/suspended-why',
  by: 'slipway.dev/suspended-by',
  at: 'slipway.dev/suspended-at',
  before: 'slipway.dev/before-resume',
} as const;

export function reminderOf(object: KubeObject): Reminder | undefined {
  const { annotations } = object.metadata;
  const why = annotations?.[keys.why];
  if (why === undefined) return undefined;
  const before = annotations?.[keys.before];
  return {
    why,
    by: annotations?.[keys.by] ?? 'unknown',
    at: annotations?.[keys.at] ?? '',
    ...(before !== undefined && { before }),
  };
}

/** Annotations of a merge patch; null takes them away again. */
export const reminderAnnotations = (reminder: Reminder | null): Readonly<Record<string, string | null>> => ({
  [keys.why]: reminder?.why ?? null,
  [keys.by]: reminder?.by ?? null,
  [keys.at]: reminder?.at ?? null,
  [keys.before]: reminder?.before ?? null,
});
