/**
 * YAML tokens as go.yaml.in/yaml v3.0.4 finds them, because that parser decides in Flux which files are readable and
 * which comment belongs to which value. Two differences from YAML 1.2 parsers matter most: comments are attached by
 * position rules of its own, and NEL, LS and PS end a line.
 */

import { hash, isBlankOrEnd, isBreakOrEnd, tab } from './characters.ts';
import { T, Token, type TokenType } from './tokens.ts';
import { ValueScanner } from './values.ts';

export class Scanner extends ValueScanner {
  /** Index of the next token the composer takes. */
  head = 0;

  /** `text` has `\n` line ends where the file had `\r\n`, and no byte order mark. */
  constructor(text: string) {
    super(text);
    this.tokens.push(new Token(T.streamStart, 0, 0, 0, 0));
    this.keys.push({ possible: false, required: false, token: 0, index: 0, line: 0, column: 0 });
  }

  /** Reads ahead until the next token and two more are there: comments need that much to find their place. */
  fetch(): void {
    for (;;) {
      if (this.head < this.tokens.length - 2) {
        const slot = this.keySlots[this.head];
        const key = slot === undefined ? undefined : this.keys[slot];
        if (key === undefined || !this.isValid(key)) return;
      }
      this.#next();
    }
  }

  #push(type: TokenType, length: number): void {
    this.tokens.push(new Token(type, this.pos, this.line, this.column, this.pos + length));
    this.moveTo(this.pos + length);
  }

  #next(): void {
    const scanAt = this.pos;
    this.toNextToken(scanAt, this.line);
    this.unroll(this.column, scanAt);
    const code = this.code();
    if (code === 0) {
      this.#streamEnd();
      return;
    }
    if (this.column === 0) {
      if (code === 37) {
        this.#directive();
        return;
      }
      if (code === 45 && this.isIndicator(45)) {
        this.#documentIndicator(T.documentStart);
        return;
      }
      if (code === 46 && this.isIndicator(46)) {
        this.#documentIndicator(T.documentEnd);
        return;
      }
    }
    const last = this.tokens.at(-1);
    const isTrailing = (this.flowLevel === 0 && code === 58) || (this.flowLevel > 0 && code === 44);
    const commentAt = isTrailing && last !== undefined ? last.start : this.pos;
    this.#dispatch(code);
    if (this.tokens.at(-1)?.type !== T.blockEntry) this.lineComment(commentAt);
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
        this.removeKey();
        this.isKeyAllowed = true;
        this.#push(T.flowEntry, 1);
        return;
      case 45:
        if (isBlankOrEnd(this.code(1))) {
          this.#blockEntry();
          return;
        }
        this.plain();
        return;
      case 63:
        if (this.flowLevel > 0 || isBlankOrEnd(this.code(1))) {
          this.#explicitKey();
          return;
        }
        this.plain();
        return;
      case 58:
        if (this.flowLevel > 0 || isBlankOrEnd(this.code(1))) {
          this.#value();
          return;
        }
        this.plain();
        return;
      case 42:
        this.anchor(T.alias);
        return;
      case 38:
        this.anchor(T.anchor);
        return;
      case 33:
        this.tag();
        return;
      case 124:
      case 62:
        if (this.flowLevel > 0) break;
        this.blockScalar(code === 124 ? 'literal' : 'folded');
        return;
      case 39:
        this.quoted('single');
        return;
      case 34:
        this.quoted('double');
        return;
      case 37:
      case 64:
      case 96:
      case hash:
      case tab:
        break;
      default:
        this.plain();
        return;
    }
    this.fail(code === tab ? 'a tab used as indentation' : `"${String.fromCharCode(code)}" cannot start a value`);
  }

  #streamEnd(): void {
    if (this.column !== 0) {
      this.line += 1;
      this.lineStart = this.pos;
    }
    this.unroll(-1, this.pos);
    this.removeKey();
    this.isKeyAllowed = false;
    this.tokens.push(new Token(T.streamEnd, this.pos, this.line, this.column, this.pos));
  }

  #documentIndicator(type: TokenType): void {
    this.unroll(-1, this.pos);
    this.removeKey();
    this.isKeyAllowed = false;
    this.#push(type, 3);
  }

  /** `%YAML` and `%TAG` lines; the token's text is the directive without its comment. */
  #directive(): void {
    this.unroll(-1, this.pos);
    this.removeKey();
    this.isKeyAllowed = false;
    const { index: start, line, column } = this.mark();
    let end = start;
    while (!isBreakOrEnd(this.text.charCodeAt(end))) end += 1;
    const written = this.text.slice(start, end);
    const match =
      /^(%YAML[ \t]+\d{1,2}\.\d{1,2}|%TAG[ \t]+!(?:[-\w]*!)?[ \t]+[-\w;/?:@&=+$,.!~*'()[\]%]+)(?:[ \t]*|[ \t]+#.*)$/.exec(
        written,
      );
    if (match === null) this.fail('a % line that is no directive');
    this.moveTo(end);
    if (this.code() !== 0) this.skipLine();
    this.tokens.push(new Token(T.directive, start, line, column, end, match[1]));
  }

  #flowStart(type: TokenType): void {
    this.saveKey();
    this.keys.push({ possible: false, required: false, token: this.tokens.length, index: 0, line: 0, column: 0 });
    this.flowLevel += 1;
    if (this.flowLevel > 10_000) this.fail('collections nested too deep');
    this.isKeyAllowed = true;
    this.#push(type, 1);
  }

  #flowEnd(type: TokenType): void {
    this.removeKey();
    if (this.flowLevel > 0) {
      this.flowLevel -= 1;
      const key = this.keys.pop();
      if (key !== undefined) this.keySlots[key.token] = undefined;
    }
    this.isKeyAllowed = false;
    this.#push(type, 1);
  }

  #blockEntry(): void {
    if (this.flowLevel === 0) {
      if (!this.isKeyAllowed) this.fail('a "-" where no list item can start');
      this.roll(this.column, 'end', T.blockSequenceStart, this.mark());
    }
    this.removeKey();
    this.isKeyAllowed = true;
    this.#push(T.blockEntry, 1);
  }

  #explicitKey(): void {
    if (this.flowLevel === 0) {
      if (!this.isKeyAllowed) this.fail('a "?" where no key can start');
      this.roll(this.column, 'end', T.blockMappingStart, this.mark());
    }
    this.removeKey();
    this.isKeyAllowed = this.flowLevel === 0;
    this.#push(T.key, 1);
  }

  #value(): void {
    const key = this.keys.at(-1);
    if (key !== undefined && this.isValid(key)) {
      this.insert(key.token, new Token(T.key, key.index, key.line, key.column, key.index));
      this.roll(key.column, key.token, T.blockMappingStart, key);
      key.possible = false;
      this.keySlots[key.token] = undefined;
      this.isKeyAllowed = false;
    } else {
      if (this.flowLevel === 0) {
        if (!this.isKeyAllowed) this.fail('a ":" where no value can start');
        this.roll(this.column, 'end', T.blockMappingStart, this.mark());
      }
      this.isKeyAllowed = this.flowLevel === 0;
    }
    this.#push(T.value, 1);
  }
}
