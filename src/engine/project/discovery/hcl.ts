/** A piece of a text, or a whole value, that cannot be told by reading: a function made it, or the surroundings do. */
export const OPEN = '\0';

export type HclValue = string | number | boolean | null | readonly HclValue[] | { readonly [key: string]: HclValue };
/** What a name stands for; `undefined` for one that is not known. */
export type Scope = (name: string) => HclValue | undefined;
export type Expression = (scope: Scope) => HclValue;

export interface HclAttribute {
  readonly value: Expression;
  /** Offset of its name. */
  readonly offset: number;
}

export interface HclBlock {
  readonly type: string;
  readonly labels: readonly string[];
  /** Of the first label's text, else of the type. */
  readonly offset: number;
  readonly attributes: ReadonlyMap<string, HclAttribute>;
  readonly blocks: readonly HclBlock[];
}

/** Where a text stops being HCL. */
export class HclMistake extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/**
 * Reads HCL's native syntax (github.com/hashicorp/hcl, hclsyntax/spec.md) as far as a bake file can be told without
 * running anything: blocks, attributes, templates, conditions and comparisons. Calls of functions and `for` are read over
 * and give {@link OPEN}. Throws {@link HclMistake}.
 */
export function readHcl(text: string): Omit<HclBlock, 'type' | 'labels' | 'offset'> {
  return new Reader(text.replace(/^\uFEFF/, ' ')).file();
}

/** A text with `${…}` in it, as JSON's strings are read. Throws {@link HclMistake}. */
export const readTemplate = (text: string): Expression => new Reader(text).bare();

const BINARY: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!='],
  ['<=', '>=', '<', '>'],
  ['+', '-'],
  ['*', '/', '%'],
];
/** Deeper than a person nests, and well below what the stack holds. */
const DEEPEST = 60;

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  file(): Omit<HclBlock, 'type' | 'labels' | 'offset'> {
    const body = this.#body();
    if (this.#at < this.#text.length) throw this.#mistake('a "}" too many');
    return body;
  }

  bare(): Expression {
    const parts: Expression[] = [];
    while (this.#at < this.#text.length) {
      const literal = this.#match(/(?:[^$%]|\$\$\{|%%\{|\$(?!\{)|%(?!\{))+/y);
      if (literal === undefined) parts.push(this.#interpolation());
      else parts.push(() => unescapeSigns(literal));
    }
    return parts.length === 0 ? () => '' : joined(parts);
  }

  #mistake(message: string): HclMistake {
    return new HclMistake(message, this.#at);
  }

  #deeper<T>(read: () => T): T {
    this.#depth += 1;
    if (this.#depth > DEEPEST) throw this.#mistake('nested too deep');
    const value = read();
    this.#depth -= 1;
    return value;
  }

  /** Spaces and comments; with `lines`, line ends as well. */
  #skip(lines: 'lines' | 'line'): void {
    const space =
      lines === 'lines'
        ? /(?:\s|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y
        : /(?:[ \t\r]|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
    space.lastIndex = this.#at;
    space.exec(this.#text);
    this.#at = Math.max(this.#at, space.lastIndex);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #expect(word: string): void {
    if (!this.#take(word)) throw this.#mistake(`"${word}" is missing`);
  }

  #body(): Omit<HclBlock, 'type' | 'labels' | 'offset'> {
    const attributes = new Map<string, HclAttribute>();
    const blocks: HclBlock[] = [];
    for (;;) {
      this.#skip('lines');
      if (this.#at >= this.#text.length || this.#text[this.#at] === '}') return { attributes, blocks };
      const offset = this.#at;
      const name = this.#match(/[\p{L}_][\p{L}\p{N}_-]*/uy);
      if (name === undefined) throw this.#mistake('a name is missing');
      this.#skip('line');
      if (this.#text[this.#at] === '=' && this.#text[this.#at + 1] !== '=') {
        this.#at += 1;
        this.#skip('line');
        attributes.set(name, { value: this.#expression(), offset });
        this.#skip('line');
        this.#match(/,/y);
        continue;
      }
      blocks.push(this.#block(name, offset));
    }
  }

  #block(type: string, start: number): HclBlock {
    const labels: string[] = [];
    let offset = start;
    for (;;) {
      this.#skip('line');
      if (this.#take('{')) break;
      const at = this.#at;
      const quoted = this.#match(/"(?:[^"\\\n]|\\.)*"/y);
      const label = quoted?.slice(1, -1) ?? this.#match(/[\p{L}_][\p{L}\p{N}_-]*/uy);
      if (label === undefined) throw this.#mistake(`"=" or "{" is missing after ${type}`);
      if (labels.length === 0) offset = quoted === undefined ? at : at + 1;
      labels.push(label);
    }
    const body = this.#deeper(() => this.#body());
    this.#expect('}');
    return { type, labels, offset, ...body };
  }

  #expression(): Expression {
    return this.#deeper(() => {
      const condition = this.#binary(0);
      this.#skip('line');
      if (!this.#take('?')) return condition;
      this.#skip('lines');
      const yes = this.#expression();
      this.#skip('lines');
      this.#expect(':');
      this.#skip('lines');
      const no = this.#expression();
      return (scope) => {
        const value = condition(scope);
        if (value === true || value === 'true') return yes(scope);
        if (value === false || value === 'false') return no(scope);
        const [one, other] = [yes(scope), no(scope)];
        return JSON.stringify(one) === JSON.stringify(other) ? one : OPEN;
      };
    });
  }

  #binary(level: number): Expression {
    const operators = BINARY[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      this.#skip('line');
      const word = operators.find((each) => this.#text.startsWith(each, this.#at));
      if (word === undefined) return left;
      this.#at += word.length;
      this.#skip('lines');
      const [one, other] = [left, this.#binary(level + 1)];
      left = (scope) => operate(word, one(scope), other(scope));
    }
  }

  #unary(): Expression {
    if (this.#take('!')) {
      const value = this.#deeper(() => this.#unary());
      return (scope) => {
        const known = value(scope);
        return typeof known === 'boolean' ? !known : OPEN;
      };
    }
    if (this.#take('-')) {
      const value = this.#deeper(() => this.#unary());
      return (scope) => {
        const known = value(scope);
        return typeof known === 'number' ? -known : OPEN;
      };
    }
    return this.#postfix();
  }

  #postfix(): Expression {
    let value = this.#primary();
    for (;;) {
      const inner = value;
      const attribute = this.#match(/\.(?:[\p{L}_][\p{L}\p{N}_-]*|\d+|\*)/uy);
      if (attribute !== undefined) {
        value = (scope) => member(inner(scope), attribute.slice(1));
        continue;
      }
      if (!this.#take('[')) return value;
      this.#skip('lines');
      if (this.#take('*')) {
        this.#expect(']');
        value = () => OPEN;
        continue;
      }
      const key = this.#expression();
      this.#skip('lines');
      this.#expect(']');
      value = (scope) => member(inner(scope), String(key(scope)));
    }
  }

  #primary(): Expression {
    const start = this.#text[this.#at];
    if (start === '"') return this.#template();
    if (this.#text.startsWith('<<', this.#at)) return this.#heredoc();
    if (this.#take('(')) {
      this.#skip('lines');
      const inner = this.#expression();
      this.#skip('lines');
      this.#expect(')');
      return inner;
    }
    if (start === '[') return this.#tuple();
    if (start === '{') return this.#object();
    const number = this.#match(/\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y);
    if (number !== undefined) return () => Number(number);
    const name = this.#match(/[\p{L}_][\p{L}\p{N}_-]*(?:::[\p{L}_][\p{L}\p{N}_-]*)*/uy);
    if (name === undefined) throw this.#mistake('a value is missing');
    if (this.#take('(')) {
      this.#list(')');
      return () => OPEN;
    }
    if (name === 'true' || name === 'false') return () => name === 'true';
    if (name === 'null') return () => null;
    return (scope) => scope(name) ?? OPEN;
  }

  /** Expressions up to the closing sign. */
  #list(end: ')' | ']'): readonly Expression[] {
    const items: Expression[] = [];
    for (;;) {
      this.#skip('lines');
      if (this.#take(end)) return items;
      items.push(this.#expression());
      this.#skip('lines');
      this.#take('...');
      this.#skip('lines');
      if (this.#take(',')) continue;
      this.#expect(end);
      return items;
    }
  }

  #tuple(): Expression {
    this.#at += 1;
    this.#skip('lines');
    if (this.#match(/for\b/y) !== undefined) return this.#for('[', ']');
    const items = this.#list(']');
    return (scope) => items.map((item) => item(scope));
  }

  #object(): Expression {
    this.#at += 1;
    this.#skip('lines');
    if (this.#match(/for\b/y) !== undefined) return this.#for('{', '}');
    const entries: (readonly [Expression, Expression])[] = [];
    for (;;) {
      this.#skip('lines');
      if (this.#take('}')) break;
      // A bare word is the key itself, not a variable.
      const word = this.#match(/[\p{L}_][\p{L}\p{N}_-]*(?=\s*[=:](?!=))/uy);
      const key = word === undefined ? this.#expression() : () => word;
      this.#skip('lines');
      if (!this.#take('=')) this.#expect(':');
      this.#skip('lines');
      entries.push([key, this.#expression()]);
      this.#skip('lines');
      this.#take(',');
    }
    return (scope) => Object.fromEntries(entries.map(([key, value]) => [textOf(key(scope)), value(scope)]));
  }

  /** `[for x in list : x]` to its end; what it gives is not told. */
  #for(open: '[' | '{', close: ']' | '}'): Expression {
    for (let depth = 1; depth > 0; ) {
      this.#skip('lines');
      if (this.#at >= this.#text.length) throw this.#mistake(`"${close}" is missing`);
      if (this.#text[this.#at] === '"') this.#template();
      else {
        if (this.#text[this.#at] === open) depth += 1;
        if (this.#text[this.#at] === close) depth -= 1;
        this.#at += 1;
      }
    }
    return () => OPEN;
  }

  #template(): Expression {
    this.#at += 1;
    const parts: Expression[] = [];
    for (;;) {
      const literal = this.#match(/(?:[^"\\$%\n]|\\[^\n]|\$\$\{|%%\{|\$(?!\{)|%(?!\{))+/y);
      if (literal !== undefined) parts.push(() => unescaped(literal));
      else if (this.#take('"')) break;
      else parts.push(this.#interpolation());
    }
    return joined(parts);
  }

  #interpolation(): Expression {
    if (this.#take('%{')) {
      // A directive (`if`, `for`): its outcome is not told.
      if (this.#match(/[^}\n]*\}/y) === undefined) throw this.#mistake('"}" is missing');
      return () => OPEN;
    }
    if (!this.#take('${')) throw this.#mistake('the text does not end');
    this.#take('~');
    this.#skip('lines');
    const value = this.#expression();
    this.#skip('lines');
    this.#take('~');
    this.#expect('}');
    return value;
  }

  #heredoc(): Expression {
    const opening = /<<(-?)([\p{L}_][\p{L}\p{N}_-]*)\r?\n/uy;
    opening.lastIndex = this.#at;
    const [whole, dash, word] = opening.exec(this.#text) ?? [];
    if (whole === undefined || word === undefined) throw this.#mistake('a value is missing');
    this.#at += whole.length;
    const closing = new RegExp(`^[ \\t]*${word}[ \\t]*\\r?$`, 'mu');
    const rest = this.#text.slice(this.#at);
    const end = closing.exec(rest)?.index;
    if (end === undefined) throw this.#mistake(`the text does not end with ${word}`);
    const lines = rest.slice(0, end).split(/(?<=\n)/);
    const indent = dash === '' ? 0 : Math.min(...lines.filter((line) => line.trim() !== '').map(indentOf));
    this.#at += end + (closing.exec(rest)?.[0].length ?? 0);
    const text = lines.map((line) => line.slice(Math.min(indent, indentOf(line)))).join('');
    return new Reader(text).bare();
  }
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

function joined(parts: readonly Expression[]): Expression {
  const [only] = parts;
  // `"${list}"` is the list itself.
  if (parts.length === 1 && only !== undefined) return only;
  return (scope) => parts.map((part) => textOf(part(scope))).join('');
}

const textOf = (value: HclValue): string => (typeof value === 'object' ? OPEN : String(value));

function member(value: HclValue, key: string): HclValue {
  if (typeof value !== 'object' || value === null) return OPEN;
  return (Array.isArray(value) ? value[Number(key)] : (value as Readonly<Record<string, HclValue>>)[key]) ?? OPEN;
}

function operate(word: string, left: HclValue, right: HclValue): HclValue {
  const isOpen = (value: HclValue): boolean => typeof value === 'string' && value.includes(OPEN);
  if (word === '&&' && (left === false || right === false)) return false;
  if (word === '||' && (left === true || right === true)) return true;
  if (isOpen(left) || isOpen(right)) return OPEN;
  if (word === '==') return JSON.stringify(left) === JSON.stringify(right);
  if (word === '!=') return JSON.stringify(left) !== JSON.stringify(right);
  if (word === '&&') return left === true && right === true;
  if (word === '||') return left === true || right === true;
  if (typeof left !== 'number' || typeof right !== 'number') return OPEN;
  switch (word) {
    case '<':
      return left < right;
    case '>':
      return left > right;
    case '<=':
      return left <= right;
    case '>=':
      return left >= right;
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    default:
      return left % right;
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

const unescapeSigns = (text: string): string => text.replaceAll('$${', '${').replaceAll('%%{', '%{');

const unescaped = (text: string): string =>
  unescapeSigns(
    text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_whole, code?: string, sign?: string) =>
      code === undefined ? (ESCAPES[sign ?? ''] ?? sign ?? '') : String.fromCharCode(Number.parseInt(code, 16)),
    ),
  );
