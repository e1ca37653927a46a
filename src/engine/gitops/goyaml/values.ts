/** Tokens with a text of their own: anchors, aliases, tags and scalars. */

import { BlockScanner } from './blocks.ts';
import { hash, isBlank, isBlankOrEnd, isBreak, isBreakOrEnd, isHex, isWord, space, tab } from './characters.ts';
import { foldBreaks, lineBreak, unquoteDouble, unquoteSingle } from './scalarText.ts';
import { type BlockScalar, T, Token, type TokenType } from './tokens.ts';

export abstract class ValueScanner extends BlockScanner {
  protected anchor(type: TokenType): void {
    this.saveKey();
    this.isKeyAllowed = false;
    const start = this.pos + 1;
    let end = start;
    while (isWord(this.text.charCodeAt(end))) end += 1;
    const after = this.text.charCodeAt(end);
    if (end === start || !(isBlankOrEnd(after) || '?:,]}%@`'.includes(String.fromCharCode(after)))) {
      this.fail('an anchor or alias with a character that is no letter, digit, "-" or "_"');
    }
    this.tokens.push(new Token(type, this.pos, this.line, this.column, end, this.text.slice(start, end)));
    this.moveTo(end);
  }

  protected tag(): void {
    this.saveKey();
    this.isKeyAllowed = false;
    const rest = this.text.slice(this.pos, this.pos + 1000);
    const match = /^!<[-\w;/?:@&=+$,.!~*'()[\]%]+>/.exec(rest) ?? /^![-\w;/?:@&=+$,.!~*'()[\]%]*/.exec(rest);
    const written = match?.[0] ?? '!';
    if (written.replaceAll(/%[0-9a-fA-F]{2}/g, '').includes('%')) this.fail('a tag with a broken % escape');
    if (written === '!!') this.fail('a tag without a name');
    if (/^![-\w]+!/.test(written)) this.fail('a tag with an undefined handle');
    const end = this.pos + written.length;
    if (!isBlankOrEnd(this.text.charCodeAt(end))) this.fail('a tag that runs into other text');
    this.tokens.push(new Token(T.tag, this.pos, this.line, this.column, end, written));
    this.moveTo(end);
  }

  protected plain(): void {
    this.saveKey();
    this.isKeyAllowed = false;
    const start = this.pos;
    const line = this.line;
    const column = this.column;
    const indent = this.indent + 1;
    const text = this.text;
    const inFlow = this.flowLevel > 0;
    let end = start;
    let folded: string | undefined;
    let spanStart = start;
    let hasBreaks = false;
    for (;;) {
      if (this.column === 0 && (this.code() === 45 || this.code() === 46) && this.isIndicator(this.code())) break;
      if (this.code() === hash) break;
      let at = this.pos;
      for (;;) {
        const code = text.charCodeAt(at);
        if (code <= space && isBlankOrEnd(code)) break;
        if (code > 127 && isBreak(code)) break;
        if (code === 58 && isBlankOrEnd(text.charCodeAt(at + 1))) break;
        if (inFlow && (code === 44 || code === 63 || code === 91 || code === 93 || code === 123 || code === 125)) break;
        at += 1;
      }
      if (at > this.pos) {
        if (hasBreaks) {
          folded = (folded ?? '') + text.slice(spanStart, end) + foldBreaks(text.slice(end, this.pos));
          spanStart = this.pos;
          hasBreaks = false;
        }
        end = at;
        this.moveTo(at);
      }
      if (!isBlank(this.code()) && !isBreak(this.code())) break;
      for (;;) {
        const code = this.code();
        if (isBreak(code)) {
          this.skipLine();
          hasBreaks = true;
        } else if (isBlank(code)) {
          if (code === tab && hasBreaks && this.column < indent) this.fail('a tab used as indentation');
          this.pos += 1;
        } else break;
      }
      if (!inFlow && this.column < indent) break;
    }
    const value = (folded ?? '') + text.slice(spanStart, end);
    this.tokens.push(new Token(T.scalar, start, line, column, end, value));
    if (hasBreaks) this.isKeyAllowed = true;
  }

  protected quoted(style: 'single' | 'double'): void {
    this.saveKey();
    this.isKeyAllowed = false;
    const { index: start, line, column } = this.mark();
    const text = this.text;
    const quote = style === 'single' ? 39 : 34;
    let isSimple = true;
    this.moveTo(start + 1);
    for (;;) {
      const code = this.code();
      if (code === 0) this.fail('a quoted text without its closing quote', start);
      if (this.column === 0 && (code === 45 || code === 46) && this.isIndicator(code)) {
        this.fail('a document separator inside quoted text', start);
      }
      if (code === quote) {
        if (style === 'single' && this.code(1) === 39) {
          isSimple = false;
          this.moveTo(this.pos + 2);
          continue;
        }
        break;
      }
      if (code === 92 && style === 'double') {
        isSimple = false;
        if (isBreak(this.code(1))) {
          this.pos += 1;
          this.skipLine();
        } else this.moveTo(this.pos + this.#escapeLength());
        continue;
      }
      if (isBreak(code)) {
        isSimple = false;
        this.skipLine();
      } else if (isBlank(code)) this.pos += 1;
      else this.moveTo(this.pos + 1);
    }
    this.moveTo(this.pos + 1);
    const inside = text.slice(start + 1, this.pos - 1);
    const value = isSimple ? inside : style === 'single' ? unquoteSingle(inside) : unquoteDouble(inside);
    this.tokens.push(new Token(T.scalar, start, line, column, this.pos, value, style));
  }

  #escapeLength(): number {
    const kind = String.fromCharCode(this.code(1));
    const length = kind === 'x' ? 2 : kind === 'u' ? 4 : kind === 'U' ? 8 : 0;
    if (length === 0) {
      if (!'0abt\tnvfre "\'\\N_LP'.includes(kind)) this.fail(`the unknown escape \\${kind}`);
      return 2;
    }
    for (let at = 2; at < 2 + length; at += 1) {
      if (!isHex(this.code(at))) this.fail(`an incomplete escape \\${kind}`);
    }
    const point = Number.parseInt(this.text.slice(this.pos + 2, this.pos + 2 + length), 16);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) this.fail('an escape that is no character');
    return 2 + length;
  }

  protected blockScalar(style: 'literal' | 'folded'): void {
    this.removeKey();
    this.isKeyAllowed = true;
    const { index: start, line, column } = this.mark();
    this.moveTo(start + 1);
    const indicators = /^(?:([+-])([0-9])?|([0-9])([+-])?)?/.exec(this.text.slice(this.pos, this.pos + 2));
    const chomping = indicators?.[1] ?? indicators?.[4] ?? '';
    const digit = indicators?.[2] ?? indicators?.[3];
    if (digit === '0') this.fail('a block text with the indentation indicator 0');
    if (indicators !== null && indicators[0] !== '') this.moveTo(this.pos + indicators[0].length);
    const headerEnd = this.pos;
    while (isBlank(this.code())) this.pos += 1;
    if (this.code() === hash) this.lineComment(start);
    if (!isBreakOrEnd(this.code())) this.fail('text after the header of a block text');
    if (this.code() !== 0) this.skipLine();
    const contentStart = this.pos;
    let indent = digit === undefined ? 0 : Math.max(this.indent, 0) + Number(digit);
    let breaks = '';
    const eatBreaks = (): void => {
      let deepest = 0;
      for (;;) {
        while ((indent === 0 || this.column < indent) && this.code() === space) this.pos += 1;
        deepest = Math.max(deepest, this.column);
        if ((indent === 0 || this.column < indent) && this.code() === tab) this.fail('a tab used as indentation');
        if (!isBreak(this.code())) break;
        breaks += lineBreak(this.code());
        this.skipLine();
      }
      if (indent === 0) indent = Math.max(deepest, this.indent + 1, 1);
    };
    eatBreaks();
    let value = '';
    let leadingBreak = '';
    let wasBlank = false;
    let contentEnd = contentStart;
    while (this.column === indent && this.code() !== 0) {
      const startsBlank = isBlank(this.code());
      if (style === 'folded' && leadingBreak === '\n' && !wasBlank && !startsBlank) {
        if (breaks === '') value += ' ';
      } else value += leadingBreak;
      value += breaks;
      breaks = '';
      leadingBreak = '';
      wasBlank = startsBlank;
      let end = this.pos;
      while (!isBreakOrEnd(this.text.charCodeAt(end))) end += 1;
      value += this.text.slice(this.pos, end);
      // Blank characters alone do not clear the count of line breaks, as in the original.
      if (/[^ \t]/.test(this.text.slice(this.pos, end))) this.moveTo(end);
      else this.pos = end;
      contentEnd = end;
      if (this.code() !== 0) {
        leadingBreak = lineBreak(this.code());
        this.skipLine();
      }
      eatBreaks();
    }
    if (chomping !== '-') value += leadingBreak;
    if (chomping === '+') value += breaks;
    const block: BlockScalar = { headerEnd, contentStart, contentEnd, indent };
    this.tokens.push(new Token(T.scalar, start, line, column, contentEnd, value, style, block));
  }
}
