/** Tokens, their scalars and the comments between them: what the scanner hands to the composer. */

export const T = {
  streamStart: 0,
  streamEnd: 1,
  documentStart: 2,
  documentEnd: 3,
  blockSequenceStart: 4,
  blockMappingStart: 5,
  blockEnd: 6,
  flowSequenceStart: 7,
  flowSequenceEnd: 8,
  flowMappingStart: 9,
  flowMappingEnd: 10,
  blockEntry: 11,
  flowEntry: 12,
  key: 13,
  value: 14,
  alias: 15,
  anchor: 16,
  tag: 17,
  scalar: 18,
  directive: 19,
} as const;
export type TokenType = (typeof T)[keyof typeof T];

export type ScalarStyle = 'plain' | 'single' | 'double' | 'literal' | 'folded';

/** Where the parts of a block scalar are. Offsets into the scanned text. */
export interface BlockScalar {
  /** After the `|` or `>` and its indicators. */
  readonly headerEnd: number;
  /** The first character after the header's line break. */
  readonly contentStart: number;
  /** After the last character that is not part of trailing line breaks; `contentStart` when there is no content. */
  readonly contentEnd: number;
  readonly indent: number;
}

export class Token {
  readonly type: TokenType;
  readonly start: number;
  readonly line: number;
  readonly column: number;
  readonly end: number;
  readonly style: ScalarStyle;
  /** The scalar's value, the anchor's or alias's name, or the tag as written. */
  readonly text: string;
  readonly block: BlockScalar | undefined;

  constructor(
    type: TokenType,
    start: number,
    line: number,
    column: number,
    end: number,
    text = '',
    style: ScalarStyle = 'plain',
    block?: BlockScalar,
  ) {
    this.type = type;
    this.start = start;
    this.line = line;
    this.column = column;
    this.end = end;
    this.style = style;
    this.text = text;
    this.block = block;
  }
}

/** Thrown inside this folder only; the composer turns it into data. */
export class ScanError extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/** A comment waiting for the token it belongs to. Fields are cleared when it has been handed over. */
export interface PendingComment {
  kind: 'head' | 'line' | 'foot' | 'done';
  text: string;
  tokenAt: number;
  start: number;
  startLine: number;
  startColumn: number;
  scanAt: number;
  endAt: number;
}
