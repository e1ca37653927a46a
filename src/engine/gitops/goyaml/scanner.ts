/**
 * YAML tokens as go.yaml.in/yaml v3.0.4 finds them, because that parser decides in Flux which files are readable and
 * which comment belongs to which value. Two differences from YAML 1.2 parsers matter most: comments are attached by
 * position rules of its own, and NEL, LS and PS end a line.
 */

import {
  carriageReturn,
  hash,
  isBlank,
  isBlankOrEnd,
  isBreak,
  isBreakOrEnd,
  isHex,
  isWord,
  newline,
  space,
  tab,
} from './characters.ts';
import { foldBreaks, lineBreak, unquoteDouble, unquoteSingle } from './scalarText.ts';
import { type BlockScalar, type PendingComment, ScanError, T, Token, type TokenType } from './tokens.ts';

interface Mark {
  readonly index: number;
  readonly line: number;
  readonly column: number;
}

interface SimpleKey {
  possible: boolean;
  required: boolean;
  token: number;
  index: number;
  line: number;
  column: number;
}

/** Comments further than this many blank characters ahead are not looked for. */
const commentReach = 512;
/** A key on one line may be this long. */
const keyReach = 1024;

export class Scanner {
  readonly tokens: Token[] = [];
  readonly comments: PendingComment[] = [];
  /** Index of the next token the composer takes. */
  head = 0;
  readonly #text: string;
  #pos = 0;
  #line = 0;
  #lineStart = 0;
  #newlines = 0;
  #indent = -1;
  readonly #indents: number[] = [];
  #flowLevel = 0;
  #isKeyAllowed = true;
  readonly #keys: SimpleKey[] = [];
  readonly #keySlots: (number | undefined)[] = [];

  /** `text` has `\n` line ends where the file had `\r\n`, and no byte order mark. */
  constructor(text: string) {
    this.#text = `${text}\0\0\0\0`;
    this.tokens.push(new Token(T.streamStart, 0, 0, 0, 0));
    this.#keys.push({ possible: false, required: false, token: 0, index: 0, line: 0, column: 0 });
  }

  /** Reads ahead until the next token and two more are there: comments need that much to find their place. */
  fetch(): void {
    for (;;) {
      if (this.head < this.tokens.length - 2) {
        const slot = this.#keySlots[this.head];
        const key = slot === undefined ? undefined : this.#keys[slot];
        if (key === undefined || !this.#isValid(key)) return;
      }
      this.#next();
    }
  }

  get #column(): number {
    return this.#pos - this.#lineStart;
  }

  #mark(): Mark {
    return { index: this.#pos, line: this.#line, column: this.#column };
  }

  #code(ahead = 0): number {
    return this.#text.charCodeAt(this.#pos + ahead);
  }

  #fail(message: string, at: number = this.#pos): never {
    throw new ScanError(message, at);
  }

  #skipLine(): void {
    this.#pos += this.#code() === carriageReturn && this.#code(1) === newline ? 2 : 1;
    this.#line += 1;
    this.#lineStart = this.#pos;
    this.#newlines += 1;
  }

  /** Moves past characters that are neither blank nor breaks, at least in part. */
  #moveTo(pos: number): void {
    this.#pos = pos;
    this.#newlines = 0;
  }

  #push(type: TokenType, length: number): void {
    this.tokens.push(new Token(type, this.#pos, this.#line, this.#column, this.#pos + length));
    this.#moveTo(this.#pos + length);
  }

  #next(): void {
    const scanAt = this.#pos;
    this.#toNextToken(scanAt, this.#line);
    this.#unroll(this.#column, scanAt);
    const code = this.#code();
    if (code === 0) {
      this.#streamEnd();
      return;
    }
    if (this.#column === 0) {
      if (code === 37) {
        this.#directive();
        return;
      }
      if (code === 45 && this.#isIndicator(45)) {
        this.#documentIndicator(T.documentStart);
        return;
      }
      if (code === 46 && this.#isIndicator(46)) {
        this.#documentIndicator(T.documentEnd);
        return;
      }
    }
    const last = this.tokens.at(-1);
    const isTrailing = (this.#flowLevel === 0 && code === 58) || (this.#flowLevel > 0 && code === 44);
    const commentAt = isTrailing && last !== undefined ? last.start : this.#pos;
    this.#dispatch(code);
    if (this.tokens.at(-1)?.type !== T.blockEntry) this.#lineComment(commentAt);
  }

  #isIndicator(code: number): boolean {
    return this.#code(1) === code && this.#code(2) === code && isBlankOrEnd(this.#code(3));
  }

  #dispatch(code: number): void {
    switch (code) {
      case 91:
        this.#flowStart(T.flowSequenceStart);
        return;
      case 123:
        this.#flowStart(T.flowMappingStart);
        return;
      case 93:
        this.#flowEnd(T.flowSequenceEnd);
        return;
      case 125:
        this.#flowEnd(T.flowMappingEnd);
        return;
      case 44:
        this.#removeKey();
        this.#isKeyAllowed = true;
        this.#push(T.flowEntry, 1);
        return;
      case 45:
        if (isBlankOrEnd(this.#code(1))) {
          this.#blockEntry();
          return;
        }
        this.#plain();
        return;
      case 63:
        if (this.#flowLevel > 0 || isBlankOrEnd(this.#code(1))) {
          this.#explicitKey();
          return;
        }
        this.#plain();
        return;
      case 58:
        if (this.#flowLevel > 0 || isBlankOrEnd(this.#code(1))) {
          this.#value();
          return;
        }
        this.#plain();
        return;
      case 42:
        this.#anchor(T.alias);
        return;
      case 38:
        this.#anchor(T.anchor);
        return;
      case 33:
        this.#tag();
        return;
      case 124:
      case 62:
        if (this.#flowLevel > 0) break;
        this.#blockScalar(code === 124 ? 'literal' : 'folded');
        return;
      case 39:
        this.#quoted('single');
        return;
      case 34:
        this.#quoted('double');
        return;
      case 37:
      case 64:
      case 96:
      case hash:
      case tab:
        break;
      default:
        this.#plain();
        return;
    }
    this.#fail(code === tab ? 'a tab used as indentation' : `"${String.fromCharCode(code)}" cannot start a value`);
  }

  #toNextToken(scanAt: number, scanLine: number): void {
    for (;;) {
      for (;;) {
        const code = this.#code();
        if (code !== space && !(code === tab && (this.#flowLevel > 0 || !this.#isKeyAllowed))) break;
        this.#pos += 1;
      }
      this.#lineCommentBecomesHead();
      if (this.#code() === hash) this.#commentLines(scanAt, scanLine);
      if (!isBreak(this.#code())) return;
      this.#skipLine();
      if (this.#flowLevel === 0) this.#isKeyAllowed = true;
    }
  }

  /** `key: # text` above a wide sequence goes to the sequence's first item. */
  #lineCommentBecomesHead(): void {
    const comment = this.comments.at(-1);
    if (comment === undefined || comment.kind !== 'line' || isBreak(this.#code())) return;
    if (this.tokens.at(-1)?.type !== T.blockEntry || this.tokens.at(-2)?.type !== T.blockSequenceStart) return;
    comment.kind = 'head';
    if (comment.startLine === this.#line - 1) comment.tokenAt = this.#pos;
  }

  /** A comment on the line of the token that was just read. */
  #lineComment(tokenAt: number): void {
    if (this.#newlines > 0) return;
    for (let peek = 0; peek < commentReach; peek += 1) {
      const code = this.#code(peek);
      if (isBlank(code)) continue;
      if (code !== hash) return;
      const start = this.#pos + peek;
      let end = start;
      while (!isBreakOrEnd(this.#text.charCodeAt(end))) end += 1;
      this.comments.push({
        kind: 'line',
        text: this.#text.slice(start, end),
        tokenAt,
        start,
        startLine: this.#line,
        startColumn: start - this.#lineStart,
        scanAt: 0,
        endAt: 0,
      });
      this.#moveTo(end);
      return;
    }
  }

  /** One or more comment lines: the foot of what came before, the head of what follows, or first one and then the other. */
  #commentLines(firstScanAt: number, scanLine: number): void {
    let last = this.tokens.at(-1);
    if (last?.type === T.flowEntry && this.tokens.length > 1) last = this.tokens.at(-2);
    let tokenAt = last?.start ?? 0;
    let scanAt = firstScanAt;
    let indent = Math.max(this.#indent, 0);
    let isAfterEmpty = false;
    let isFirstEmpty = this.#newlines <= 1;
    let line = this.#line;
    let column = this.#column;
    let footLine = -1;
    if (scanLine > 0) {
      footLine = this.#line - this.#newlines + 1;
      if (this.#newlines === 0 && this.#column > 1) footLine += 1;
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
      const code: number = isTorn ? 1 : this.#code(peek);
      if (isBlank(code)) continue;
      const closesFlow = this.#flowLevel > 0 && (code === 93 || code === 125);
      if (closesFlow || isBreakOrEnd(code)) {
        if (closesFlow || !isAfterEmpty) {
          const isDedented = startColumn - 1 < indent;
          if (closesFlow || (isFirstEmpty && ((startLine === footLine && last?.type !== T.value) || isDedented))) {
            if (text !== '') {
              add('foot', isDedented ? start : tokenAt, this.#pos + peek);
              scanAt = this.#pos + peek;
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
        add('foot', tokenAt, this.#pos + peek);
        scanAt = this.#pos + peek;
        tokenAt = scanAt;
        text = '';
      }
      if (code !== hash) break;
      if (text === '') {
        start = this.#pos + peek;
        startLine = line;
        startColumn = column;
      } else text += '\n';
      isAfterEmpty = false;
      // Take the comment line; the walk goes on behind it.
      const from = this.#pos + peek;
      while (this.#pos < from) {
        if (isBreak(this.#code())) this.#skipLine();
        else this.#pos += 1;
      }
      let end = from;
      while (!isBreakOrEnd(this.#text.charCodeAt(end))) end += 1;
      text += this.#text.slice(from, end);
      this.#moveTo(end);
      isTorn = this.#code() > 127;
      peek = 0;
      column = 0;
      line = this.#line;
      indent = Math.max(this.#indent, 0);
    }
    if (text !== '') {
      tokenAt = start;
      add('head', start, this.#pos + peek - 1);
    }
  }

  #isValid(key: SimpleKey): boolean {
    if (!key.possible) return false;
    if (key.line < this.#line || this.#isBeyondReach(key)) {
      if (key.required) this.#fail('a key without ":"', key.index);
      key.possible = false;
      return false;
    }
    return true;
  }

  /** Code points are counted; there are at most as many as UTF-16 units. */
  #isBeyondReach({ index }: SimpleKey): boolean {
    if (index + keyReach >= this.#pos) return false;
    let points = 0;
    for (let at = index; at < this.#pos; at += 1) {
      const unit = this.#text.charCodeAt(at);
      if (unit < 0xdc00 || unit > 0xdfff) points += 1;
    }
    return points > keyReach;
  }

  #saveKey(): void {
    if (!this.#isKeyAllowed) return;
    const required = this.#flowLevel === 0 && this.#indent === this.#column;
    this.#removeKey();
    const slot = this.#keys.length - 1;
    this.#keys[slot] = {
      possible: true,
      required,
      token: this.tokens.length,
      index: this.#pos,
      line: this.#line,
      column: this.#column,
    };
    this.#keySlots[this.tokens.length] = slot;
  }

  #removeKey(): void {
    const key = this.#keys.at(-1);
    if (key === undefined || !key.possible) return;
    if (key.required) this.#fail('a key without ":"', key.index);
    key.possible = false;
    this.#keySlots[key.token] = undefined;
  }

  #roll(column: number, at: number | 'end', type: TokenType, mark: Mark): void {
    if (this.#flowLevel > 0 || this.#indent >= column) return;
    this.#indents.push(this.#indent);
    this.#indent = column;
    const token = new Token(type, mark.index, mark.line, mark.column, mark.index);
    if (at === 'end') this.tokens.push(token);
    else this.#insert(at, token);
  }

  /** Always close to the end, where moving one or two tokens costs less than `splice` and the list it returns. */
  #insert(at: number, token: Token): void {
    const { tokens } = this;
    let moved = token;
    for (let index = at; index < tokens.length; index += 1) {
      const next = tokens[index];
      tokens[index] = moved;
      if (next !== undefined) moved = next;
    }
    tokens.push(moved);
  }

  #unroll(column: number, scanAt: number): void {
    if (this.#flowLevel > 0) return;
    let blockAt = scanAt - 1;
    while (this.#indent > column) {
      // A comment at the indentation of the block that ends belongs inside it.
      let stop = blockAt;
      for (let index = this.comments.length - 1; index >= 0; index -= 1) {
        const comment = this.comments[index];
        if (comment === undefined || comment.endAt < stop) break;
        if (comment.startColumn === this.#indent + 1) blockAt = comment.start;
        stop = comment.scanAt;
      }
      this.tokens.push(new Token(T.blockEnd, blockAt, this.#line, 0, blockAt));
      this.#indent = this.#indents.pop() ?? -1;
    }
  }

  #streamEnd(): void {
    if (this.#column !== 0) {
      this.#line += 1;
      this.#lineStart = this.#pos;
    }
    this.#unroll(-1, this.#pos);
    this.#removeKey();
    this.#isKeyAllowed = false;
    this.tokens.push(new Token(T.streamEnd, this.#pos, this.#line, this.#column, this.#pos));
  }

  #documentIndicator(type: TokenType): void {
    this.#unroll(-1, this.#pos);
    this.#removeKey();
    this.#isKeyAllowed = false;
    this.#push(type, 3);
  }

  /** `%YAML` and `%TAG` lines; the token's text is the directive without its comment. */
  #directive(): void {
    this.#unroll(-1, this.#pos);
    this.#removeKey();
    this.#isKeyAllowed = false;
    const { index: start, line, column } = this.#mark();
    let end = start;
    while (!isBreakOrEnd(this.#text.charCodeAt(end))) end += 1;
    const written = this.#text.slice(start, end);
    const match =
      /^(%YAML[ \t]+\d{1,2}\.\d{1,2}|%TAG[ \t]+!(?:[-\w]*!)?[ \t]+[-\w;/?:@&=+$,.!~*'()[\]%]+)(?:[ \t]*|[ \t]+#.*)$/.exec(
        written,
      );
    if (match === null) this.#fail('a % line that is no directive');
    this.#moveTo(end);
    if (this.#code() !== 0) this.#skipLine();
    this.tokens.push(new Token(T.directive, start, line, column, end, match[1]));
  }

  #flowStart(type: TokenType): void {
    this.#saveKey();
    this.#keys.push({ possible: false, required: false, token: this.tokens.length, index: 0, line: 0, column: 0 });
    this.#flowLevel += 1;
    if (this.#flowLevel > 10_000) this.#fail('collections nested too deep');
    this.#isKeyAllowed = true;
    this.#push(type, 1);
  }

  #flowEnd(type: TokenType): void {
    this.#removeKey();
    if (this.#flowLevel > 0) {
      this.#flowLevel -= 1;
      const key = this.#keys.pop();
      if (key !== undefined) this.#keySlots[key.token] = undefined;
    }
    this.#isKeyAllowed = false;
    this.#push(type, 1);
  }

  #blockEntry(): void {
    if (this.#flowLevel === 0) {
      if (!this.#isKeyAllowed) this.#fail('a "-" where no list item can start');
      this.#roll(this.#column, 'end', T.blockSequenceStart, this.#mark());
    }
    this.#removeKey();
    this.#isKeyAllowed = true;
    this.#push(T.blockEntry, 1);
  }

  #explicitKey(): void {
    if (this.#flowLevel === 0) {
      if (!this.#isKeyAllowed) this.#fail('a "?" where no key can start');
      this.#roll(this.#column, 'end', T.blockMappingStart, this.#mark());
    }
    this.#removeKey();
    this.#isKeyAllowed = this.#flowLevel === 0;
    this.#push(T.key, 1);
  }

  #value(): void {
    const key = this.#keys.at(-1);
    if (key !== undefined && this.#isValid(key)) {
      this.#insert(key.token, new Token(T.key, key.index, key.line, key.column, key.index));
      this.#roll(key.column, key.token, T.blockMappingStart, key);
      key.possible = false;
      this.#keySlots[key.token] = undefined;
      this.#isKeyAllowed = false;
    } else {
      if (this.#flowLevel === 0) {
        if (!this.#isKeyAllowed) this.#fail('a ":" where no value can start');
        this.#roll(this.#column, 'end', T.blockMappingStart, this.#mark());
      }
      this.#isKeyAllowed = this.#flowLevel === 0;
    }
    this.#push(T.value, 1);
  }

  #anchor(type: TokenType): void {
    this.#saveKey();
    this.#isKeyAllowed = false;
    const start = this.#pos + 1;
    let end = start;
    while (isWord(this.#text.charCodeAt(end))) end += 1;
    const after = this.#text.charCodeAt(end);
    if (end === start || !(isBlankOrEnd(after) || '?:,]}%@`'.includes(String.fromCharCode(after)))) {
      this.#fail('an anchor or alias with a character that is no letter, digit, "-" or "_"');
    }
    this.tokens.push(new Token(type, this.#pos, this.#line, this.#column, end, this.#text.slice(start, end)));
    this.#moveTo(end);
  }

  #tag(): void {
    this.#saveKey();
    this.#isKeyAllowed = false;
    const rest = this.#text.slice(this.#pos, this.#pos + 1000);
    const match = /^!<[-\w;/?:@&=+$,.!~*'()[\]%]+>/.exec(rest) ?? /^![-\w;/?:@&=+$,.!~*'()[\]%]*/.exec(rest);
    const written = match?.[0] ?? '!';
    if (written.replaceAll(/%[0-9a-fA-F]{2}/g, '').includes('%')) this.#fail('a tag with a broken % escape');
    if (written === '!!') this.#fail('a tag without a name');
    if (/^![-\w]+!/.test(written)) this.#fail('a tag with an undefined handle');
    const end = this.#pos + written.length;
    if (!isBlankOrEnd(this.#text.charCodeAt(end))) this.#fail('a tag that runs into other text');
    this.tokens.push(new Token(T.tag, this.#pos, this.#line, this.#column, end, written));
    this.#moveTo(end);
  }

  #plain(): void {
    this.#saveKey();
    this.#isKeyAllowed = false;
    const start = this.#pos;
    const line = this.#line;
    const column = this.#column;
    const indent = this.#indent + 1;
    const text = this.#text;
    const inFlow = this.#flowLevel > 0;
    let end = start;
    let folded: string | undefined;
    let spanStart = start;
    let hasBreaks = false;
    for (;;) {
      if (this.#column === 0 && (this.#code() === 45 || this.#code() === 46) && this.#isIndicator(this.#code())) break;
      if (this.#code() === hash) break;
      let at = this.#pos;
      for (;;) {
        const code = text.charCodeAt(at);
        if (code <= space && isBlankOrEnd(code)) break;
        if (code > 127 && isBreak(code)) break;
        if (code === 58 && isBlankOrEnd(text.charCodeAt(at + 1))) break;
        if (inFlow && (code === 44 || code === 63 || code === 91 || code === 93 || code === 123 || code === 125)) break;
        at += 1;
      }
      if (at > this.#pos) {
        if (hasBreaks) {
          folded = (folded ?? '') + text.slice(spanStart, end) + foldBreaks(text.slice(end, this.#pos));
          spanStart = this.#pos;
          hasBreaks = false;
        }
        end = at;
        this.#moveTo(at);
      }
      if (!isBlank(this.#code()) && !isBreak(this.#code())) break;
      for (;;) {
        const code = this.#code();
        if (isBreak(code)) {
          this.#skipLine();
          hasBreaks = true;
        } else if (isBlank(code)) {
          if (code === tab && hasBreaks && this.#column < indent) this.#fail('a tab used as indentation');
          this.#pos += 1;
        } else break;
      }
      if (!inFlow && this.#column < indent) break;
    }
    const value = (folded ?? '') + text.slice(spanStart, end);
    this.tokens.push(new Token(T.scalar, start, line, column, end, value));
    if (hasBreaks) this.#isKeyAllowed = true;
  }

  #quoted(style: 'single' | 'double'): void {
    this.#saveKey();
    this.#isKeyAllowed = false;
    const { index: start, line, column } = this.#mark();
    const text = this.#text;
    const quote = style === 'single' ? 39 : 34;
    let isSimple = true;
    this.#moveTo(start + 1);
    for (;;) {
      const code = this.#code();
      if (code === 0) this.#fail('a quoted text without its closing quote', start);
      if (this.#column === 0 && (code === 45 || code === 46) && this.#isIndicator(code)) {
        this.#fail('a document separator inside quoted text', start);
      }
      if (code === quote) {
        if (style === 'single' && this.#code(1) === 39) {
          isSimple = false;
          this.#moveTo(this.#pos + 2);
          continue;
        }
        break;
      }
      if (code === 92 && style === 'double') {
        isSimple = false;
        if (isBreak(this.#code(1))) {
          this.#pos += 1;
          this.#skipLine();
        } else this.#moveTo(this.#pos + this.#escapeLength());
        continue;
      }
      if (isBreak(code)) {
        isSimple = false;
        this.#skipLine();
      } else if (isBlank(code)) this.#pos += 1;
      else this.#moveTo(this.#pos + 1);
    }
    this.#moveTo(this.#pos + 1);
    const inside = text.slice(start + 1, this.#pos - 1);
    const value = isSimple ? inside : style === 'single' ? unquoteSingle(inside) : unquoteDouble(inside);
    this.tokens.push(new Token(T.scalar, start, line, column, this.#pos, value, style));
  }

  #escapeLength(): number {
    const kind = String.fromCharCode(this.#code(1));
    const length = kind === 'x' ? 2 : kind === 'u' ? 4 : kind === 'U' ? 8 : 0;
    if (length === 0) {
      if (!'0abt\tnvfre "\'\\N_LP'.includes(kind)) this.#fail(`the unknown escape \\${kind}`);
      return 2;
    }
    for (let at = 2; at < 2 + length; at += 1) {
      if (!isHex(this.#code(at))) this.#fail(`an incomplete escape \\${kind}`);
    }
    const point = Number.parseInt(this.#text.slice(this.#pos + 2, this.#pos + 2 + length), 16);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) this.#fail('an escape that is no character');
    return 2 + length;
  }

  #blockScalar(style: 'literal' | 'folded'): void {
    this.#removeKey();
    this.#isKeyAllowed = true;
    const { index: start, line, column } = this.#mark();
    this.#moveTo(start + 1);
    const indicators = /^(?:([+-])([0-9])?|([0-9])([+-])?)?/.exec(this.#text.slice(this.#pos, this.#pos + 2));
    const chomping = indicators?.[1] ?? indicators?.[4] ?? '';
    const digit = indicators?.[2] ?? indicators?.[3];
    if (digit === '0') this.#fail('a block text with the indentation indicator 0');
    if (indicators !== null && indicators[0] !== '') this.#moveTo(this.#pos + indicators[0].length);
    const headerEnd = this.#pos;
    while (isBlank(this.#code())) this.#pos += 1;
    if (this.#code() === hash) this.#lineComment(start);
    if (!isBreakOrEnd(this.#code())) this.#fail('text after the header of a block text');
    if (this.#code() !== 0) this.#skipLine();
    const contentStart = this.#pos;
    let indent = digit === undefined ? 0 : Math.max(this.#indent, 0) + Number(digit);
    let breaks = '';
    const eatBreaks = (): void => {
      let deepest = 0;
      for (;;) {
        while ((indent === 0 || this.#column < indent) && this.#code() === space) this.#pos += 1;
        deepest = Math.max(deepest, this.#column);
        if ((indent === 0 || this.#column < indent) && this.#code() === tab) this.#fail('a tab used as indentation');
        if (!isBreak(this.#code())) break;
        breaks += lineBreak(this.#code());
        this.#skipLine();
      }
      if (indent === 0) indent = Math.max(deepest, this.#indent + 1, 1);
    };
    eatBreaks();
    let value = '';
    let leadingBreak = '';
    let wasBlank = false;
    let contentEnd = contentStart;
    while (this.#column === indent && this.#code() !== 0) {
      const startsBlank = isBlank(this.#code());
      if (style === 'folded' && leadingBreak === '\n' && !wasBlank && !startsBlank) {
        if (breaks === '') value += ' ';
      } else value += leadingBreak;
      value += breaks;
      breaks = '';
      leadingBreak = '';
      wasBlank = startsBlank;
      let end = this.#pos;
      while (!isBreakOrEnd(this.#text.charCodeAt(end))) end += 1;
      value += this.#text.slice(this.#pos, end);
      // Blank characters alone do not clear the count of line breaks, as in the original.
      if (/[^ \t]/.test(this.#text.slice(this.#pos, end))) this.#moveTo(end);
      else this.#pos = end;
      contentEnd = end;
      if (this.#code() !== 0) {
        leadingBreak = lineBreak(this.#code());
        this.#skipLine();
      }
      eatBreaks();
    }
    if (chomping !== '-') value += leadingBreak;
    if (chomping === '+') value += breaks;
    const block: BlockScalar = { headerEnd, contentStart, contentEnd, indent };
    this.tokens.push(new Token(T.scalar, start, line, column, contentEnd, value, style, block));
  }
}
