/** What the composer makes of a document: values with their places and the comments that belong to them. */
import type { BlockScalar, ScalarStyle } from './tokens.ts';

/** A comment of a node; several comment lines are one text joined with line breaks. */
export interface Comment {
  readonly text: string;
  /** Offsets of the comment's first line in the composed text; the end is exclusive. */
  readonly start: number;
  readonly end: number;
}

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly value: string;
  readonly style: ScalarStyle;
  /** As written, for example `!!str`. */
  readonly tag: string | undefined;
  readonly tagStart: number;
  readonly anchor: string | undefined;
  /** The token with its quotes, without tag and anchor. Equal offsets when nothing is written. */
  readonly start: number;
  readonly end: number;
  readonly block: BlockScalar | undefined;
  readonly line: Comment | undefined;
  readonly head: Comment | undefined;
}

export interface MappingNode {
  readonly kind: 'mapping';
  readonly style: 'block' | 'flow';
  readonly tag: string | undefined;
  readonly start: number;
  /** After the closing bracket; for a block collection the same as `start`. */
  readonly end: number;
  readonly entries: readonly { readonly key: Node; readonly value: Node }[];
  /** Whether a node anywhere below carries a comment; few do, so that most of a document need not be looked through. */
  readonly hasComments: boolean;
}

export interface SequenceNode {
  readonly kind: 'sequence';
  readonly style: 'block' | 'flow';
  readonly tag: string | undefined;
  readonly start: number;
  /** As in {@link MappingNode}. */
  readonly end: number;
  readonly items: readonly Node[];
  /** As in {@link MappingNode}. */
  readonly hasComments: boolean;
}

export interface AliasNode {
  readonly kind: 'alias';
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly line: Comment | undefined;
  readonly head: Comment | undefined;
}

export type Node = ScalarNode | MappingNode | SequenceNode | AliasNode;
