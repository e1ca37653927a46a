/** The comments between tokens, and which token each belongs to, by the position rules of go-yaml. */
import { hash, isBlank, isBreak, isBreakOrEnd, space, tab } from './characters.ts';
import { Cursor } from './cursor.ts';
import { type PendingComment, T, type Token } from './tokens.ts';

/** Comments further than this many blank characters ahead are not looked for. */
const commentReach = 512;

export abstract class CommentScanner extends Cursor {
  readonly tokens: Token[] = [];
  readonly comments: PendingComment[] = [];
  protected indent = -1;
  protected flowLevel = 0;
  protected isKeyAllowed = true;

  protected toNextToken(scanAt: number, scanLine: number): void {
    for (;;) {
      for (;;) {
        const code = this.code();
        if (code !== space && !(code === tab && (this.flowLevel > 0 || !this.isKeyAllowed))) break;
        this.pos += 1;
      }
      this.#lineCommentBecomesHead();
      if (this.code() === hash) this.#commentLines(scanAt, scanLine);
      if (!isBreak(this.code())) return;
      this.skipLine();
      if (this.flowLevel === 0) this.isKeyAllowed = true;
    }
  }

  /** `key: # text` above a wide sequence goes to the sequence's first item. */
  #lineCommentBecomesHead(): void {
    const comment = this.comments.at(-1);
    if (comment === undefined || comment.kind !== 'line' || isBreak(this.code())) return;
    if (this.tokens.at(-1)?.type !== T.blockEntry || this.tokens.at(-2)?.type !== T.blockSequenceStart) return;
    comment.kind = 'head';
    if (comment.startLine === this.line - 1) comment.tokenAt = this.pos;
  }

  /** A comment on the line of the token that was just read. */
  protected lineComment(tokenAt: number): void {
    if (this.newlines > 0) return;
    for (let peek = 0; peek < commentReach; peek += 1) {
      const code = this.code(peek);
      if (isBlank(code)) continue;
      if (code !== hash) return;
      const start = this.pos + peek;
      let end = start;
      while (!isBreakOrEnd(this.text.charCodeAt(end))) end += 1;
      this.comments.push({
        kind: 'line',
        text: this.text.slice(start, end),
        tokenAt,
        start,
        startLine: this.line,
        startColumn: start - this.lineStart,
        scanAt: 0,
        endAt: 0,
      });
      this.moveTo(end);
      return;
    }
  }

  /** One or more comment lines: the foot of what came before, the head of what follows, or first one and then the other. */
  #commentLines(firstScanAt: number, scanLine: number): void {
    let last = this.tokens.at(-1);
    if (last?.type === T.flowEntry && this.tokens.length > 1) last = this.tokens.at(-2);
    let tokenAt = last?.start ?? 0;
    let scanAt = firstScanAt;
    let indent = Math.max(this.indent, 0);
    let isAfterEmpty = false;
    let isFirstEmpty = this.newlines <= 1;
    let line = this.line;
    let column = this.column;
    let footLine = -1;
    if (scanLine > 0) {
      footLine = this.line - this.newlines + 1;
      if (this.newlines === 0 && this.column > 1) footLine += 1;
    }
    let text = '';
    let start = 0;
    let startLine = 0;
    let startColumn = 0;
    const add = (kind: 'head' | 'foot', token: number, end: number): void => {
      this.comments.push({ kind, text, tokenAt: token, start, startLine, startColumn, scanAt, endAt: end });
    };
    let peek = 0;
    let isTorn = false;
    for (; peek < commentReach; peek += 1) {
      column += 1;
      // The original walks over bytes: after the first one of NEL, LS or PS it meets the second, which is no white space.
      const code: number = isTorn ? 1 : this.code(peek);
      if (isBlank(code)) continue;
      const closesFlow = this.flowLevel > 0 && (code === 93 || code === 125);
      if (closesFlow || isBreakOrEnd(code)) {
        if (closesFlow || !isAfterEmpty) {
          const isDedented = startColumn - 1 < indent;
          if (closesFlow || (isFirstEmpty && ((startLine === footLine && last?.type !== T.value) || isDedented))) {
            if (text !== '') {
              add('foot', isDedented ? start : tokenAt, this.pos + peek);
              scanAt = this.pos + peek;
              tokenAt = scanAt;
              text = '';
            }
          } else if (text !== '' && code !== 0) text += '\n';
        }
        if (!isBreak(code)) break;
        isTorn = code > 127;
        isFirstEmpty = false;
        isAfterEmpty = true;
        column = 0;
        line += 1;
        continue;
      }
      if (text !== '' && (closesFlow || (column - 1 < indent && column !== startColumn))) {
        add('foot', tokenAt, this.pos + peek);
        scanAt = this.pos + peek;
        tokenAt = scanAt;
        text = '';
      }
      if (code !== hash) break;
      if (text === '') {
        start = this.pos + peek;
        startLine = line;
        startColumn = column;
      } else text += '\n';
      isAfterEmpty = false;
      // Take the comment line; the walk goes on behind it.
      const from = this.pos + peek;
      while (this.pos < from) {
        if (isBreak(this.code())) this.skipLine();
        else this.pos += 1;
      }
      let end = from;
      while (!isBreakOrEnd(this.text.charCodeAt(end))) end += 1;
      text += this.text.slice(from, end);
      this.moveTo(end);
      isTorn = this.code() > 127;
      peek = 0;
      column = 0;
      line = this.line;
      indent = Math.max(this.indent, 0);
    }
    if (text !== '') {
      tokenAt = start;
      add('head', start, this.pos + peek - 1);
    }
  }
}
