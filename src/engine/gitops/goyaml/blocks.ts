/** Where block collections start and end, and which token turns out to be a key when its `:` comes. */
import { CommentScanner } from './comments.ts';
import type { Mark } from './cursor.ts';
import { T, Token, type TokenType } from './tokens.ts';

interface SimpleKey {
  possible: boolean;
  required: boolean;
  token: number;
  index: number;
  line: number;
  column: number;
}

/** A key on one line may be this long. */
const keyReach = 1024;

export abstract class BlockScanner extends CommentScanner {
  readonly #indents: number[] = [];
  protected readonly keys: SimpleKey[] = [];
  protected readonly keySlots: (number | undefined)[] = [];

  protected isValid(key: SimpleKey): boolean {
    if (!key.possible) return false;
    if (key.line < this.line || this.#isBeyondReach(key)) {
      if (key.required) this.fail('a key without ":"', key.index);
      key.possible = false;
      return false;
    }
    return true;
  }

  /** Code points are counted; there are at most as many as UTF-16 units. */
  #isBeyondReach({ index }: SimpleKey): boolean {
    if (index + keyReach >= this.pos) return false;
    let points = 0;
    for (let at = index; at < this.pos; at += 1) {
      const unit = this.text.charCodeAt(at);
      if (unit < 0xdc00 || unit > 0xdfff) points += 1;
    }
    return points > keyReach;
  }

  protected saveKey(): void {
    if (!this.isKeyAllowed) return;
    const required = this.flowLevel === 0 && this.indent === this.column;
    this.removeKey();
    const slot = this.keys.length - 1;
    this.keys[slot] = {
      possible: true,
      required,
      token: this.tokens.length,
      index: this.pos,
      line: this.line,
      column: this.column,
    };
    this.keySlots[this.tokens.length] = slot;
  }

  protected removeKey(): void {
    const key = this.keys.at(-1);
    if (key === undefined || !key.possible) return;
    if (key.required) this.fail('a key without ":"', key.index);
    key.possible = false;
    this.keySlots[key.token] = undefined;
  }

  protected roll(column: number, at: number | 'end', type: TokenType, mark: Mark): void {
    if (this.flowLevel > 0 || this.indent >= column) return;
    this.#indents.push(this.indent);
    this.indent = column;
    const token = new Token(type, mark.index, mark.line, mark.column, mark.index);
    if (at === 'end') this.tokens.push(token);
    else this.insert(at, token);
  }

  /** Always close to the end, where moving one or two tokens costs less than `splice` and the list it returns. */
  protected insert(at: number, token: Token): void {
    const { tokens } = this;
    let moved = token;
    for (let index = at; index < tokens.length; index += 1) {
      const next = tokens[index];
      tokens[index] = moved;
      if (next !== undefined) moved = next;
    }
    tokens.push(moved);
  }

  protected unroll(column: number, scanAt: number): void {
    if (this.flowLevel > 0) return;
    let blockAt = scanAt - 1;
    while (this.indent > column) {
      // A comment at the indentation of the block that ends belongs inside it.
      let stop = blockAt;
      for (let index = this.comments.length - 1; index >= 0; index -= 1) {
        const comment = this.comments[index];
        if (comment === undefined || comment.endAt < stop) break;
        if (comment.startColumn === this.indent + 1) blockAt = comment.start;
        stop = comment.scanAt;
      }
      this.tokens.push(new Token(T.blockEnd, blockAt, this.line, 0, blockAt));
      this.indent = this.#indents.pop() ?? -1;
    }
  }
}
