/**
 * The syntax of Go's regular expressions (Go 1.25 `regexp/syntax`, flags `Perl`) as a tree, for texts of ASCII
 * characters only. Image tags are such texts: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`. With them a class is a set of 128
 * bits, and Unicode tables and case folding lose their traps.
 */

/** Which of the 128 ASCII characters, one bit each. */
export type AsciiSet = bigint;

export type Expression =
  | { readonly kind: 'set'; readonly set: AsciiSet }
  | { readonly kind: 'assertion'; readonly what: Assertion }
  | { readonly kind: 'sequence'; readonly items: readonly Expression[] }
  | { readonly kind: 'choice'; readonly items: readonly Expression[] }
  | { readonly kind: 'capture'; readonly body: Expression }
  | {
      readonly kind: 'repeat';
      readonly body: Expression;
      readonly min: number;
      /** `Infinity` for none. */
      readonly max: number;
      readonly mode: 'greedy' | 'lazy';
    };

export type Assertion = 'text-start' | 'text-end' | 'line-start' | 'line-end' | 'word-edge' | 'no-word-edge';

interface Flags {
  readonly fold: boolean;
  readonly lines: boolean;
  readonly dotAll: boolean;
  readonly swapped: boolean;
}

/** Thrown and caught in this file: the pattern has something that the tree cannot say. */
class Unsupported extends Error {}

/**
 * The tree of a pattern that RE2 accepts; undefined for one with a construct that has no certain meaning here. What RE2
 * refuses must be sorted out before: it may come back as a tree.
 */
export function parseExpression(source: string): Expression | undefined {
  try {
    return new Parser(source).whole();
  } catch (error) {
    if (error instanceof Unsupported) return undefined;
    throw error;
  }
}

export const everything: AsciiSet = (1n << 128n) - 1n;

const bit = (code: number): AsciiSet => (code < 128 ? 1n << BigInt(code) : 0n);

function range(from: number, to: number): AsciiSet {
  const last = Math.min(to, 127);
  return from > last ? 0n : ((1n << BigInt(last - from + 1)) - 1n) << BigInt(from);
}

const digit = range(48, 57);
const upper = range(65, 90);
const lower = range(97, 122);
const alpha = upper | lower;
const word = alpha | digit | bit(95);
const perlClasses: Readonly<Record<string, AsciiSet>> = {
  d: digit,
  w: word,
  s: range(9, 10) | range(12, 13) | bit(32),
};
const posixClasses: Readonly<Record<string, AsciiSet>> = {
  alnum: alpha | digit,
  alpha,
  ascii: everything,
  blank: bit(9) | bit(32),
  cntrl: range(0, 31) | bit(127),
  digit,
  graph: range(33, 126),
  lower,
  print: range(32, 126),
  punct: range(33, 126) & ~(alpha | digit),
  space: range(9, 13) | bit(32),
  upper,
  word,
  xdigit: digit | range(65, 70) | range(97, 102),
};
const controls: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };

const invert = (set: AsciiSet): AsciiSet => everything & ~set;
/** Upper and lower case are 32 apart. */
const fold = (set: AsciiSet): AsciiSet => set | ((set & upper) << 32n) | ((set & lower) >> 32n);

class Parser {
  readonly #source: string;
  #at = 0;
  #flags: Flags = { fold: false, lines: false, dotAll: false, swapped: false };

  constructor(source: string) {
    this.#source = source;
  }

  whole(): Expression {
    const found = this.#choice();
    if (this.#at < this.#source.length) throw new Unsupported();
    return found;
  }

  #next(): string {
    return this.#source[this.#at] ?? '';
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match;
  }

  /** Alternatives up to the closing parenthesis; flags set inside end with the group. */
  #choice(): Expression {
    const outer = this.#flags;
    const items = [this.#sequence()];
    while (this.#next() === '|') {
      this.#at += 1;
      items.push(this.#sequence());
    }
    this.#flags = outer;
    const [only] = items;
    return only !== undefined && items.length === 1 ? only : { kind: 'choice', items };
  }

  #sequence(): Expression {
    const items: Expression[] = [];
    while (this.#at < this.#source.length && this.#next() !== '|' && this.#next() !== ')') {
      const quoted = this.#take(/\\Q((?:(?!\\E)[\s\S])*)(?:\\E|$)/y);
      if (quoted !== undefined) {
        const characters = [...(quoted[1] ?? '')];
        items.push(...characters.map((text) => this.#literal(text.codePointAt(0) ?? 0)));
        // A repetition behind a quoted text is about its last character; behind an empty one it is not clear.
        if (characters.length === 0 && this.#take(/[*+?{]/y) !== undefined) throw new Unsupported();
      } else {
        const atom = this.#atom();
        if (atom === undefined) continue;
        items.push(atom);
      }
      const last = items.pop();
      if (last !== undefined) items.push(this.#repeated(last));
    }
    const [only] = items;
    return only !== undefined && items.length === 1 ? only : { kind: 'sequence', items };
  }

  #repeated(body: Expression): Expression {
    const match = this.#take(/([*+?])(\??)|\{(0|[1-9]\d*)(,?)((?:0|[1-9]\d*)?)\}(\??)/y);
    if (match === undefined) return body;
    const [, sign, lazySign, from, comma, to, lazyCount] = match;
    const isLazy = ((lazySign ?? lazyCount) === '?') !== this.#flags.swapped;
    const least = sign === undefined ? Number(from) : sign === '+' ? 1 : 0;
    const open = to === '' && comma !== '' ? Number.POSITIVE_INFINITY : Number(to === '' ? from : to);
    const most = sign === undefined ? open : sign === '?' ? 1 : Number.POSITIVE_INFINITY;
    return { kind: 'repeat', body, min: least, max: most, mode: isLazy ? 'lazy' : 'greedy' };
  }

  /** One value; undefined for flags, which stand for nothing. */
  #atom(): Expression | undefined {
    const character = this.#next();
    switch (character) {
      case '(':
        return this.#group();
      case '[':
        return { kind: 'set', set: this.#class() };
      case '\\':
        return this.#escape();
      case '.':
        this.#at += 1;
        return { kind: 'set', set: this.#flags.dotAll ? everything : invert(bit(10)) };
      case '^':
        this.#at += 1;
        return { kind: 'assertion', what: this.#flags.lines ? 'line-start' : 'text-start' };
      case '$':
        this.#at += 1;
        return { kind: 'assertion', what: this.#flags.lines ? 'line-end' : 'text-end' };
      case '*':
      case '+':
      case '?':
        throw new Unsupported();
      default: {
        const code = this.#source.codePointAt(this.#at) ?? 0;
        this.#at += code > 0xffff ? 2 : 1;
        return this.#literal(code);
      }
    }
  }

  #literal(code: number): Expression {
    if (code > 127 && this.#flags.fold) throw new Unsupported();
    return { kind: 'set', set: this.#folded(bit(code)) };
  }

  #folded(set: AsciiSet): AsciiSet {
    return this.#flags.fold ? fold(set) : set;
  }

  #group(): Expression | undefined {
    if (this.#take(/\((?!\?)|\(\?P?<[^>]*>/y) !== undefined) return { kind: 'capture', body: this.#inside() };
    const match = this.#take(/\(\?([imsU]*)(?:-([imsU]+))?([:)])/y);
    if (match === undefined) throw new Unsupported();
    const outer = this.#flags;
    const [, on = '', off = '', end] = match;
    const flag = (letter: string, now: boolean): boolean => (now || on.includes(letter)) && !off.includes(letter);
    this.#flags = {
      fold: flag('i', outer.fold),
      lines: flag('m', outer.lines),
      dotAll: flag('s', outer.dotAll),
      swapped: flag('U', outer.swapped),
    };
    if (end === ')') return undefined;
    const body = this.#inside();
    this.#flags = outer;
    return body;
  }

  #inside(): Expression {
    const body = this.#choice();
    if (this.#next() !== ')') throw new Unsupported();
    this.#at += 1;
    return body;
  }

  #escape(): Expression {
    const assertion = this.#take(/\\([AzbB])/y)?.[1];
    if (assertion !== undefined) {
      const what = ({ A: 'text-start', z: 'text-end', b: 'word-edge', B: 'no-word-edge' } as const)[assertion];
      if (what === undefined) throw new Unsupported();
      return { kind: 'assertion', what };
    }
    const set = this.#classEscape();
    return set === undefined ? this.#literal(this.#codeEscape()) : { kind: 'set', set };
  }

  /** `\d`, `\pL` and their like, here or inside brackets. */
  #classEscape(): AsciiSet | undefined {
    const perl = this.#take(/\\([dDsSwW])/y)?.[1];
    if (perl !== undefined) {
      const set = perlClasses[perl.toLowerCase()] ?? 0n;
      return perl === perl.toLowerCase() ? set : invert(set);
    }
    const table = this.#take(/\\([pP])(?:([A-Z])|\{(\^?)([A-Za-z_]+)\})/y);
    if (table === undefined) return undefined;
    const [, letter, short, not, long] = table;
    const set = this.#folded(unicodeSet(short ?? long ?? ''));
    return (letter === 'P') !== (not === '^') ? invert(set) : set;
  }

  #codeEscape(): number {
    const match = this.#take(
      /\\(?:x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]+)\}|(0[0-7]{0,2}|[1-7][0-7]{1,2})|([aftnrv])|([!-/:-@[-`{-~]))/y,
    );
    if (match === undefined) throw new Unsupported();
    const [, two, braced, octal, control, sign] = match;
    const hexadecimal = two ?? braced;
    if (hexadecimal !== undefined) return Number.parseInt(hexadecimal, 16);
    if (octal !== undefined) return Number.parseInt(octal, 8);
    return control === undefined ? (sign?.codePointAt(0) ?? 0) : (controls[control] ?? 0);
  }

  /** Folding happens before negation, as in Go; a character outside ASCII may fold into it, and then nothing is certain. */
  #class(): AsciiSet {
    this.#at += 1;
    const isNegated = this.#take(/\^/y) !== undefined;
    let set: AsciiSet = 0n;
    for (let isFirst = true; isFirst || this.#next() !== ']'; isFirst = false) {
      if (this.#at >= this.#source.length) throw new Unsupported();
      const named = this.#take(/\[:(\^?)([a-z]+):\]/y);
      if (named !== undefined) {
        const found = posixClasses[named[2] ?? ''];
        if (found === undefined) throw new Unsupported();
        set |= named[1] === '^' ? invert(this.#folded(found)) : this.#folded(found);
        continue;
      }
      const escaped = this.#classEscape();
      if (escaped !== undefined) {
        set |= escaped;
        continue;
      }
      const from = this.#classCharacter();
      const to = this.#take(/-(?!\])/y) === undefined ? from : this.#classCharacter();
      if (this.#flags.fold && to > 127) throw new Unsupported();
      set |= this.#folded(range(from, to));
    }
    this.#at += 1;
    return isNegated ? invert(set) : set;
  }

  #classCharacter(): number {
    if (this.#next() === '\\') return this.#codeEscape();
    const code = this.#source.codePointAt(this.#at);
    if (code === undefined) throw new Unsupported();
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }
}

/** The ASCII part of a Unicode category or script, which no version of Unicode changes. */
function unicodeSet(name: string): AsciiSet {
  if (name === 'Any') return everything;
  const pattern = [name, `Script=${name}`].flatMap((property) => {
    try {
      return [new RegExp(`\\p{${property}}`, 'u')];
    } catch {
      return [];
    }
  })[0];
  // One letter or two letters are categories in Go, all else is a script; JavaScript knows more names than that.
  if (pattern === undefined || !/^(?:[CLMNPSZ][a-z]?|[A-Z][a-z]{2,}(?:_[A-Z][a-z]+)*)$/.test(name))
    throw new Unsupported();
  let set: AsciiSet = 0n;
  for (let code = 0; code < 128; code += 1) if (pattern.test(String.fromCharCode(code))) set |= bit(code);
  return set;
}
