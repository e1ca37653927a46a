// One line of the table of causes: what a controller's words mean, by kind, and what mends it.
import type { FluxKind } from './kinds.ts';

interface Facts {
  readonly name: string;
  readonly namespace: string;
  readonly kind: string;
  readonly match: RegExpExecArray;
}

export interface CauseRule {
  /** `flux.` and the class, for example `flux.registry-auth`. */
  readonly code: string;
  readonly kinds: readonly FluxKind[] | 'any';
  /** Tried on `reason: message`. */
  readonly pattern: RegExp;
  readonly says: (facts: Facts) => readonly [message: string, fix: string];
}

export function firstLine(text: string): string {
  const [line = ''] = text.split('\n');
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
