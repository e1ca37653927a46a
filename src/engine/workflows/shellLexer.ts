import { EXPRESSION } from './expressions.ts';
import { unknown, type Value } from './values.ts';

export type Piece =
  | string
  | { readonly value: Value }
  | { readonly parameter: string; readonly operation: string }
  | { readonly substitution: string };
export type Word = readonly Piece[];

export interface Redirect {
  readonly operator: string;
  readonly target: Word;
}

export interface Simple {
  readonly words: readonly Word[];
  readonly redirects: readonly Redirect[];
  readonly line: number;
  readonly end: string;
  readonly heredoc?: string;
}

export const NAME = /^[A-Za-z_]\w*/;

/** Cuts a script into simple commands; nothing is expanded yet. */
export class Lexer {
  readonly #text: string;
  readonly #expression: (source: string) => Value;
  readonly #found: Simple[] = [];
  #at = 0;
  #line = 0;
  #words: Piece[][] = [];
  #redirects: { operator: string; target: Piece[] }[] = [];
  #word: Piece[] | undefined;
  #startLine: number | undefined;
  #pending: { readonly delimiter: string; readonly isStripped: boolean }[] = [];

  constructor(text: string, expression: (source: string) => Value) {
    this.#text = text.replace(/\r\n/g, '\n');
    this.#expression = expression;
  }

  read(): readonly Simple[] {
    while (this.#at < this.#text.length) this.#step();
    this.#endCommand('\n');
    return this.#found;
  }

  #step(): void {
    const rest = this.#text.slice(this.#at, this.#at + 3);
    const char = rest[0] ?? '';
    if (rest.startsWith('\\\n')) {
      this.#at += 2;
      this.#line += 1;
    } else if (char === '\n') {
      this.#at += 1;
      this.#endCommand('\n');
      this.#line += 1;
      this.#skipHeredocs();
    } else if (char === ' ' || char === '\t') {
      this.#at += 1;
      this.#word = undefined;
    } else if (char === '#' && this.#word === undefined) {
      const end = this.#text.indexOf('\n', this.#at);
      this.#at = end === -1 ? this.#text.length : end;
    } else if (rest.startsWith('&&') || rest.startsWith('||') || rest.startsWith(';;')) {
      this.#at += 2;
      this.#endCommand(rest.slice(0, 2));
    } else if (rest.startsWith('&>')) this.#redirect(/^&>>?/);
    else if (char === ';' || char === '|' || char === '&') {
      this.#at += 1;
      this.#endCommand(char);
    } else if ((char === '(' || char === ')') && !rest.startsWith('((')) {
      this.#at += 1;
      this.#endCommand(char);
    } else if (char === '<' || char === '>') this.#redirect(/^(<<<|<<-?|<&|<|>>|>&|>\|?)/);
    else if (/\d/.test(char) && this.#word === undefined && /^\d+[<>]/.test(this.#text.slice(this.#at)))
      this.#redirect(/^\d+(>>|>&|>|<&|<)/);
    else this.#piece(this.#current());
  }

  #current(): Piece[] {
    if (this.#word !== undefined) return this.#word;
    this.#startLine ??= this.#line;
    const word: Piece[] = [];
    this.#word = word;
    const redirect = this.#redirects.at(-1);
    if (redirect !== undefined && redirect.target.length === 0 && !redirect.operator.endsWith('&'))
      redirect.target = word;
    else this.#words.push(word);
    return word;
  }

  #redirect(pattern: RegExp): void {
    const match = pattern.exec(this.#text.slice(this.#at))?.[0] ?? '';
    this.#at += Math.max(1, match.length);
    this.#word = undefined;
    if (/^<<-?$/.test(match)) {
      const [whole = '', word = ''] = /^\s*('[^']*'|"[^"]*"|[\w.-]+)/.exec(this.#text.slice(this.#at)) ?? [];
      this.#at += whole.length;
      const delimiter = word.replace(/^["']|["']$/g, '');
      this.#pending.push({ delimiter, isStripped: match === '<<-' });
      return;
    }
    // `2>&1` names a descriptor, not a file.
    if (/&$/.test(match)) {
      this.#at += /^\s*[\d-]+/.exec(this.#text.slice(this.#at))?.[0].length ?? 0;
      return;
    }
    this.#redirects.push({ operator: match.replace(/^\d+/, ''), target: [] });
  }

  #skipHeredocs(): void {
    for (const { delimiter, isStripped } of this.#pending.splice(0)) {
      const lines: string[] = [];
      while (this.#at < this.#text.length) {
        const end = this.#text.indexOf('\n', this.#at);
        const line = this.#text.slice(this.#at, end === -1 ? this.#text.length : end);
        this.#at = end === -1 ? this.#text.length : end + 1;
        this.#line += 1;
        if ((isStripped ? line.trimStart() : line).trim() === delimiter) break;
        lines.push(line);
      }
      const last = this.#found.pop();
      if (last !== undefined) this.#found.push({ ...last, heredoc: lines.join('\n') });
    }
  }

  #endCommand(end: string): void {
    if (this.#words.length > 0 || this.#redirects.length > 0) {
      this.#found.push({ words: this.#words, redirects: this.#redirects, line: this.#startLine ?? this.#line, end });
    }
    this.#words = [];
    this.#redirects = [];
    this.#word = undefined;
    this.#startLine = undefined;
  }

  #piece(word: Piece[]): void {
    const char = this.#text[this.#at] ?? '';
    if (char === '\\') {
      word.push(this.#text[this.#at + 1] ?? '');
      this.#at += 2;
    } else if (char === "'") {
      const end = this.#text.indexOf("'", this.#at + 1);
      this.#take(word, this.#text.slice(this.#at + 1, end === -1 ? this.#text.length : end));
      this.#at = end === -1 ? this.#text.length : end + 1;
    } else if (char === '"') {
      this.#at += 1;
      // An empty text is a word, too.
      word.push('');
      while (this.#at < this.#text.length && this.#text[this.#at] !== '"') {
        const inner = this.#text[this.#at] ?? '';
        if (inner === '\\' && /["\\$`\n]/.test(this.#text[this.#at + 1] ?? '')) {
          const escaped = this.#text[this.#at + 1] ?? '';
          if (escaped === '\n') this.#line += 1;
          else word.push(escaped);
          this.#at += 2;
        } else if (inner === '$' || inner === '`') this.#expansion(word);
        else {
          if (inner === '\n') this.#line += 1;
          word.push(inner);
          this.#at += 1;
        }
      }
      this.#at += 1;
    } else if (char === '$' || char === '`') this.#expansion(word);
    else {
      word.push(char);
      this.#at += 1;
    }
  }

  /** Quoted text may hold expressions of the host, which are filled in before the shell sees the script. */
  #take(word: Piece[], text: string): void {
    let at = 0;
    word.push('');
    for (const match of text.matchAll(new RegExp(EXPRESSION, 'gs'))) {
      word.push(text.slice(at, match.index), { value: this.#expression(match[1] ?? '') });
      at = match.index + match[0].length;
    }
    word.push(text.slice(at));
    this.#line += text.split('\n').length - 1;
  }

  #expansion(word: Piece[]): void {
    const rest = this.#text.slice(this.#at);
    const expression = rest.startsWith('${{') ? EXPRESSION.exec(rest) : null;
    if (expression?.index === 0) {
      word.push({ value: this.#expression(expression[1] ?? '') });
      this.#at += expression[0].length;
      return;
    }
    if (rest.startsWith('$((')) {
      const end = rest.indexOf('))');
      const length = end === -1 ? rest.length : end + 2;
      word.push({ substitution: rest.slice(0, length) });
      this.#at += length;
      return;
    }
    if (rest.startsWith('$(') || rest.startsWith('`')) {
      const length = rest.startsWith('`') ? rest.indexOf('`', 1) + 1 || rest.length : balanced(rest, '(', ')');
      const inner = rest.startsWith('`') ? rest.slice(1, length - 1) : rest.slice(2, length - 1);
      this.#line += inner.split('\n').length - 1;
      word.push({ substitution: inner });
      this.#at += length;
      return;
    }
    if (rest.startsWith('${')) {
      const length = balanced(rest, '{', '}');
      const inner = rest.slice(2, length - 1);
      const name = NAME.exec(inner)?.[0] ?? '';
      word.push(
        name === '' ? { value: unknown(`\${${inner}}`) } : { parameter: name, operation: inner.slice(name.length) },
      );
      this.#at += length;
      return;
    }
    const name = NAME.exec(rest.slice(1))?.[0];
    if (name !== undefined) {
      word.push({ parameter: name, operation: '' });
      this.#at += name.length + 1;
    } else if (/^\$[\d@*#?!$-]/.test(rest)) {
      word.push({ value: unknown(rest.slice(0, 2)) });
      this.#at += 2;
    } else {
      word.push(rest[0] ?? '');
      this.#at += 1;
    }
  }
}

/** Length up to and with the closing sign that belongs to the first opening one. */
function balanced(text: string, open: string, close: string): number {
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === "'" && open === '(') {
      const end = text.indexOf("'", index + 1);
      if (end !== -1) index = end;
    } else if (text[index] === open) depth += 1;
    else if (text[index] === close) {
      depth -= 1;
      if (depth === 0) return index + 1;
    }
  }
  return text.length;
}

/** The word when it is plain text. */
export const plain = (word: Word): string | undefined =>
  word.every((piece) => typeof piece === 'string') ? word.join('') : undefined;
