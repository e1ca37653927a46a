/** What a marker is: one that Flux acts on, or a comment that looks like one and is dead. */
import type { ScalarStyle } from './goyaml/tokens.ts';
import type { Setter } from './setter.ts';

/** A half-open range of UTF-16 offsets. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A marker that Flux acts on as soon as its policy has a latest reference. */
export interface Marker {
  readonly status: 'live';
  readonly setter: Setter;
  readonly form: 'short' | 'ref';
  /** The comment, from its first `#`. */
  readonly comment: Span;
  /** The setter's name inside the comment, without quotes; undefined when it is written with escapes. */
  readonly setterSpan: Span | undefined;
  /** The value's token with its quotes; for a block text its header. */
  readonly value: Span;
  readonly current: string;
  readonly style: ScalarStyle;
  /** The current value taken apart; for a `:tag` marker only `tag`, and so on. */
  readonly parts: { readonly name?: string; readonly tag?: string; readonly digest?: string };
  /** Keys from the document's root to the value; list items count as their index. */
  readonly path: readonly (string | number)[];
}

export type DeadCode =
  | 'file'
  | 'syntax'
  | 'setter'
  | 'literal'
  | 'text'
  | 'no-space'
  | 'alias'
  | 'collection'
  | 'no-value'
  | 'next-line'
  | 'above-key'
  | 'above-collection'
  | 'several-lines'
  | 'hidden'
  | 'below'
  | 'duplicate-key'
  | 'outside-items'
  | 'placement';

/** A comment with `$imagepolicy` in it that Flux ignores. */
export interface DeadMarker {
  readonly status: 'dead';
  readonly code: DeadCode;
  readonly comment: Span;
  /** One sentence without a full stop. */
  readonly reason: string;
  readonly fix: string;
}
