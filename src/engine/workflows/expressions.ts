import { join, literal, literalOf, unknown, type Value, variable } from './values.ts';

/** Where names in `${{ }}` get their values. */
export interface Scope {
  readonly env: ReadonlyMap<string, Value>;
  readonly matrix: ReadonlyMap<string, unknown>;
  readonly inputs: ReadonlyMap<string, Value>;
  /** `owner/name`, when known. */
  readonly repository?: string;
  /** Value of `steps.<id>.outputs.<name>` and `needs.<job>.outputs.<name>`; undefined = not known from the files. */
  readonly output: (kind: 'steps' | 'needs', id: string, name: string) => Value | undefined;
}

/** `${{ … }}`; braces within quotes do not end it. Group 1 is the expression. */
export const EXPRESSION = /\$\{\{((?:'[^']*'|(?!\}\})[^'])*)\}\}/s;
const ALL_EXPRESSIONS = new RegExp(EXPRESSION, 'gs');

/** A text with `${{ }}` in it. */
export function resolveText(text: string, scope: Scope): Value {
  const parts: Value[] = [];
  let at = 0;
  for (const match of text.matchAll(ALL_EXPRESSIONS)) {
    parts.push(literal(text.slice(at, match.index)), resolveExpression(match[1] ?? '', scope));
    at = match.index + match[0].length;
  }
  parts.push(literal(text.slice(at)));
  return join(...parts);
}

/** An expression without its braces. What cannot be told is unknown, with the expression as its source. */
export function resolveExpression(source: string, scope: Scope): Value {
  try {
    const parser = new Parser(source);
    const tree = parser.parse();
    return toValue(evaluate(tree, scope), source.trim());
  } catch (error) {
    if (error instanceof ExpressionError) return unknown(source.trim());
    throw error;
  }
}

class ExpressionError extends Error {}

type Tree =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'path'; readonly path: readonly (string | Tree)[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Tree[] }
  | { readonly kind: 'not'; readonly of: Tree }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Tree; readonly right: Tree };

const TOKEN =
  /\s*(?:('(?:[^']|'')*')|(-?(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?))|([A-Za-z_][\w-]*)|(&&|\|\||==|!=|<=|>=|[<>!()[\],.*]))/iy;
const POWER: Readonly<Record<string, number>> = {
  '||': 1,
  '&&': 2,
  '==': 3,
  '!=': 3,
  '<': 4,
  '<=': 4,
  '>': 4,
  '>=': 4,
};

class Parser {
  readonly #tokens: { readonly kind: 'text' | 'number' | 'name' | 'sign'; readonly text: string }[] = [];
  #at = 0;

  constructor(source: string) {
    const pattern = new RegExp(TOKEN);
    while (pattern.lastIndex < source.length) {
      if (source.slice(pattern.lastIndex).trim() === '') break;
      const match = pattern.exec(source);
      if (match === null) throw new ExpressionError();
      const [, text, number, name, sign] = match;
      if (text !== undefined) this.#tokens.push({ kind: 'text', text: text.slice(1, -1).replaceAll("''", "'") });
      else if (number !== undefined) this.#tokens.push({ kind: 'number', text: number });
      else if (name !== undefined) this.#tokens.push({ kind: 'name', text: name });
      else this.#tokens.push({ kind: 'sign', text: sign ?? '' });
    }
  }

  parse(): Tree {
    const tree = this.#binary(0);
    if (this.#at < this.#tokens.length) throw new ExpressionError();
    return tree;
  }

  #peek(text: string): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === 'sign' && token.text === text;
  }

  #take(text: string): boolean {
    if (!this.#peek(text)) return false;
    this.#at += 1;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw new ExpressionError();
  }

  #binary(least: number): Tree {
    let left = this.#unary();
    for (;;) {
      const token = this.#tokens[this.#at];
      const power = token?.kind === 'sign' ? POWER[token.text] : undefined;
      if (token === undefined || power === undefined || power <= least) return left;
      this.#at += 1;
      left = { kind: 'binary', operator: token.text, left, right: this.#binary(power) };
    }
  }

  #unary(): Tree {
    if (this.#take('!')) return { kind: 'not', of: this.#unary() };
    if (this.#take('(')) {
      const inner = this.#binary(0);
      this.#expect(')');
      return inner;
    }
    const token = this.#tokens[this.#at];
    this.#at += 1;
    if (token === undefined) throw new ExpressionError();
    if (token.kind === 'text') return { kind: 'literal', value: token.text };
    if (token.kind === 'number') return { kind: 'literal', value: Number(token.text) };
    if (token.kind !== 'name') throw new ExpressionError();
    if (['true', 'false', 'null'].includes(token.text))
      return { kind: 'literal', value: token.text === 'null' ? null : token.text === 'true' };
    if (this.#take('(')) {
      const args: Tree[] = [];
      while (!this.#take(')')) {
        if (args.length > 0) this.#expect(',');
        args.push(this.#binary(0));
      }
      return { kind: 'call', name: token.text.toLowerCase(), args };
    }
    const path: (string | Tree)[] = [token.text];
    for (;;) {
      if (this.#take('.')) {
        const next = this.#tokens[this.#at];
        if (next?.kind !== 'name' && next?.text !== '*') throw new ExpressionError();
        this.#at += 1;
        path.push(next.text);
      } else if (this.#take('[')) {
        path.push(this.#binary(0));
        this.#expect(']');
      } else return { kind: 'path', path };
    }
  }
}

/** JSON data, or a value that is not fully known. */
type Result = { readonly data: unknown } | { readonly value: Value };
const known = (data: unknown): Result => ({ data });
const partly = (value: Value): Result => {
  const text = literalOf(value);
  return text === undefined ? { value } : { data: text };
};

function toValue(result: Result, source: string): Value {
  if ('value' in result) return result.value;
  const { data } = result;
  if (data === undefined) return unknown(source);
  return literal(textOfData(data));
}

/** As the host turns a value into text: null is empty, an object its type's name. */
const textOfData = (data: unknown): string =>
  data === null || data === undefined
    ? ''
    : typeof data === 'object'
      ? Array.isArray(data)
        ? 'Array'
        : 'Object'
      : String(data);

const sourceOf = (result: Result): Value => ('value' in result ? result.value : literal(textOfData(result.data)));

/** Truthiness: undefined when it cannot be told. Run facts (the commit, the branch) are never empty. */
function truth(result: Result): boolean | undefined {
  if ('data' in result) return result.data === undefined ? undefined : Boolean(result.data);
  const { value } = result;
  if (value.some((part) => typeof part === 'string' && part !== '')) return true;
  return value.some(
    (part) =>
      typeof part !== 'string' && 'variable' in part && part.variable !== 'tag' && part.variable !== 'pull-request',
  )
    ? true
    : undefined;
}

const isUnknown = (result: Result): boolean =>
  'data' in result ? result.data === undefined : truth(result) === undefined;

function evaluate(tree: Tree, scope: Scope): Result {
  switch (tree.kind) {
    case 'literal':
      return known(tree.value);
    case 'not': {
      const inner = truth(evaluate(tree.of, scope));
      return inner === undefined ? { value: unknown('!') } : known(!inner);
    }
    case 'binary':
      return binary(tree, scope);
    case 'call':
      return call(tree.name, tree.args, scope);
    case 'path':
      return path(tree.path, scope);
  }
}

function binary(tree: Tree & { readonly kind: 'binary' }, scope: Scope): Result {
  const left = evaluate(tree.left, scope);
  if (tree.operator === '&&' || tree.operator === '||') {
    const side = truth(left);
    if (side === undefined) {
      const right = evaluate(tree.right, scope);
      // Both ways the same.
      if ('data' in left && 'data' in right && left.data === right.data) return left;
      return { value: unknown(describe(tree)) };
    }
    return side === (tree.operator === '||') ? left : evaluate(tree.right, scope);
  }
  const right = evaluate(tree.right, scope);
  if (!('data' in left && 'data' in right) || isUnknown(left) || isUnknown(right))
    return { value: unknown(describe(tree)) };
  const [a, b] = [left.data, right.data];
  const same =
    typeof a === 'string' && typeof b === 'string'
      ? a.toLowerCase() === b.toLowerCase()
      : a === b || Number(a) === Number(b);
  switch (tree.operator) {
    case '==':
      return known(same);
    case '!=':
      return known(!same);
    case '<':
      return known(Number(a) < Number(b));
    case '<=':
      return known(Number(a) <= Number(b));
    case '>':
      return known(Number(a) > Number(b));
    default:
      return known(Number(a) >= Number(b));
  }
}

function describe(tree: Tree): string {
  switch (tree.kind) {
    case 'literal':
      return typeof tree.value === 'string' ? `'${tree.value}'` : String(tree.value);
    case 'path':
      return tree.path
        .map((part) => (typeof part === 'string' ? part : `[${describe(part)}]`))
        .join('.')
        .replaceAll('.[', '[');
    case 'call':
      return `${tree.name}(${tree.args.map(describe).join(', ')})`;
    case 'not':
      return `!${describe(tree.of)}`;
    case 'binary':
      return `${describe(tree.left)} ${tree.operator} ${describe(tree.right)}`;
  }
}

function call(name: string, trees: readonly Tree[], scope: Scope): Result {
  const args = trees.map((tree) => evaluate(tree, scope));
  const data = args.map((arg) => ('data' in arg ? arg.data : undefined));
  const isKnown = args.every((arg) => 'data' in arg && arg.data !== undefined);
  const giveUp: Result = { value: unknown(`${name}(${trees.map(describe).join(', ')})`) };
  switch (name) {
    case 'format': {
      const pattern = data[0];
      if (typeof pattern !== 'string') return giveUp;
      const pieces: Value[] = [];
      for (const match of pattern.matchAll(/\{\{|\}\}|\{(\d+)\}|[^{}]+|[{}]/g)) {
        const index = match[1];
        const arg = index === undefined ? undefined : args[Number(index) + 1];
        if (index !== undefined && arg === undefined) return giveUp;
        pieces.push(
          arg === undefined ? literal(match[0] === '{{' ? '{' : match[0] === '}}' ? '}' : match[0]) : sourceOf(arg),
        );
      }
      return partly(join(...pieces));
    }
    case 'join':
      if (!isKnown) return giveUp;
      return known(
        (Array.isArray(data[0]) ? data[0] : [data[0]])
          .map(textOfData)
          .join(data.length > 1 ? textOfData(data[1]) : ','),
      );
    case 'tojson':
      return isKnown ? known(JSON.stringify(data[0], null, 2)) : giveUp;
    case 'fromjson': {
      if (!isKnown) return giveUp;
      try {
        return known(JSON.parse(textOfData(data[0])));
      } catch {
        return giveUp;
      }
    }
    case 'contains': {
      if (!isKnown) return giveUp;
      const [where, what] = data;
      if (Array.isArray(where))
        return known(where.some((each) => textOfData(each).toLowerCase() === textOfData(what).toLowerCase()));
      return known(textOfData(where).toLowerCase().includes(textOfData(what).toLowerCase()));
    }
    case 'startswith':
    case 'endswith': {
      if (!isKnown) return giveUp;
      const [text, piece] = data.map((each) => textOfData(each).toLowerCase());
      return known(name === 'startswith' ? text?.startsWith(piece ?? '') : text?.endsWith(piece ?? ''));
    }
    default:
      return giveUp;
  }
}

function path(parts: readonly (string | Tree)[], scope: Scope): Result {
  const names: string[] = [];
  for (const part of parts) {
    if (typeof part === 'string') names.push(part);
    else {
      const key = evaluate(part, scope);
      if (!('data' in key) || key.data === undefined)
        return { value: unknown(describe({ kind: 'path', path: parts })) };
      names.push(textOfData(key.data));
    }
  }
  const [context = '', name = '', ...rest] = names;
  const giveUp: Result = { value: unknown(names.join('.')) };
  switch (context.toLowerCase()) {
    case 'env': {
      const value = scope.env.get(name);
      return value === undefined ? giveUp : partly(value);
    }
    case 'matrix': {
      if (!scope.matrix.has(name)) return scope.matrix.size > 0 ? known(null) : giveUp;
      return known(deeper(scope.matrix.get(name), rest));
    }
    case 'inputs': {
      const value = scope.inputs.get(name);
      return value === undefined ? giveUp : partly(value);
    }
    case 'steps':
    case 'needs': {
      if (rest[0] !== 'outputs' || rest[1] === undefined) return giveUp;
      const value = scope.output(context.toLowerCase() === 'steps' ? 'steps' : 'needs', name, rest[1]);
      return value === undefined ? giveUp : partly(value);
    }
    case 'github':
    case 'gitea':
    case 'forge':
      return github(name, rest, scope) ?? giveUp;
    default:
      return giveUp;
  }
}

function deeper(data: unknown, path: readonly string[]): unknown {
  let here = data;
  for (const part of path)
    here = typeof here === 'object' && here !== null ? (here as Record<string, unknown>)[part] : undefined;
  return here ?? null;
}

function github(name: string, rest: readonly string[], scope: Scope): Result | undefined {
  const [owner, repository] = scope.repository?.split('/') ?? [];
  switch (name.toLowerCase()) {
    case 'repository':
      return scope.repository === undefined ? undefined : known(scope.repository);
    case 'repository_owner':
      return owner === undefined ? undefined : known(owner);
    case 'sha':
      return { value: variable('sha') };
    case 'ref_name':
      return { value: variable('ref-name') };
    case 'head_ref':
      // Empty unless a pull request started the run; what follows `||` is for the other runs.
      return { value: variable('pull-request') };
    case 'ref':
      return { value: variable('ref') };
    case 'run_number':
      return { value: variable('run-number') };
    case 'run_id':
      return { value: variable('run-id') };
    case 'run_attempt':
      return { value: variable('run-attempt') };
    case 'actor':
    case 'triggering_actor':
      return { value: variable('actor') };
    case 'event_name':
      return { value: variable('event') };
    case 'server_url':
      return known('https://github.com');
    case 'event':
      if (rest.join('.') === 'repository.name' && repository !== undefined) return known(repository);
      if (rest.join('.') === 'release.tag_name') return { value: variable('tag') };
      if (rest.join('.') === 'pull_request.head.sha') return { value: variable('sha') };
      return undefined;
    default:
      return undefined;
  }
}
