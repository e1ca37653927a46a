import type { TextEdit } from '../gitops/index.ts';
import type { Diagnostic, Place } from '../problems/index.ts';

/** An edit of one file that mends a finding; every other byte of the file stays. */
export interface LintFix {
  readonly title: string;
  /** Absolute. */
  readonly file: string;
  readonly edits: readonly TextEdit[];
  /** What to know before taking it. */
  readonly warning?: string;
}

export interface LintFinding extends Diagnostic {
  /** Best first; empty when a person has to decide. */
  readonly fixes: readonly LintFix[];
  /** The other end of a loop. */
  readonly related?: { readonly place: Place; readonly message: string };
}
