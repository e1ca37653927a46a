import { Branches } from './shellBranches.ts';
import { Lexer, NAME, plain, type Simple, type Word } from './shellLexer.ts';
import { certaintyOf, join, literal, literalOf, mapText, split, unknown, type Value, variable } from './values.ts';

/** A simple command of a script, with everything in it that the files can tell. */
export interface ShellCommand {
  /** Program and arguments. */
  readonly words: readonly Value[];
  /** Line of the script, from 0, that the command begins on. */
  readonly line: number;
  /** Folder it runs in, relative to where the script starts; undefined when a `cd` cannot be followed. */
  readonly folder: string | undefined;
  /** Its output goes to the next command. */
  readonly isPiped: boolean;
}

export interface ScriptResult {
  readonly commands: readonly ShellCommand[];
  /** `KEY=value` lines written to $GITHUB_ENV and $GITHUB_OUTPUT. */
  readonly environment: ReadonlyMap<string, Value>;
  readonly outputs: ReadonlyMap<string, Value>;
  /** Variables as the script leaves them: later scripts of a GitLab job see them. */
  readonly variables: ReadonlyMap<string, Value>;
}

/**
 * Reads a POSIX or Bash script without running it: quotes, expansions, lists, pipes, `for` over known words, `cd`.
 * The commands of all branches of `if` and `case` are there, as any of them may run; what only some branches set is
 * unknown behind them. What depends on running something is unknown.
 */
export function readScript(
  script: string,
  variables: ReadonlyMap<string, Value>,
  expression: (source: string) => Value,
): ScriptResult {
  const commands = new Lexer(script, expression).read();
  const interpreter = new Interpreter(variables, expression);
  interpreter.run(commands);
  return interpreter.result();
}

const KEYWORDS = new Set(['if', 'then', 'elif', 'else', 'fi', 'do', 'while', 'until', '{', '}', '!', 'time', 'esac']);
/** Programs whose answer decides what comes behind `&&`. */
const TESTS = new Set(['[', '[[', 'test', 'grep', 'false']);
/** Loops over more than this are not worth unrolling. */
const MOST_ROUNDS = 32;

class Interpreter {
  readonly #variables: Map<string, Value>;
  readonly #environment = new Map<string, Value>();
  readonly #outputs = new Map<string, Value>();
  readonly #commands: ShellCommand[] = [];
  readonly #expression: (source: string) => Value;
  readonly #branches: Branches;
  #folder: string | undefined = '.';
  /** How the list went on before this command, and whether a test stands at its head. */
  #before: { readonly end: string; readonly isTest: boolean } = { end: ';', isTest: false };
  readonly #pushed: (string | undefined)[] = [];

  constructor(variables: ReadonlyMap<string, Value>, expression: (source: string) => Value) {
    this.#variables = new Map(variables);
    this.#branches = new Branches({
      variables: this.#variables,
      environment: this.#environment,
      outputs: this.#outputs,
    });
    this.#expression = expression;
  }

  /** The first word of a piece of script. */
  #word(text: string): Value {
    return this.expand(new Lexer(text, this.#expression).read()[0]?.words[0] ?? []);
  }

  result(): ScriptResult {
    this.#branches.finish();
    return {
      commands: this.#commands,
      environment: this.#environment,
      outputs: this.#outputs,
      variables: this.#variables,
    };
  }

  run(commands: readonly Simple[]): void {
    for (let index = 0; index < commands.length; index += 1) {
      const command = commands[index];
      if (command === undefined) continue;
      const words = [...command.words];
      while (words[0] !== undefined && KEYWORDS.has(plain(words[0]) ?? ''))
        this.#keyword(plain(words.shift() ?? []) ?? '');
      // `case $X in a) …;; b) …;; esac`: a pattern ends with a bracket, its commands with two semicolons.
      if (plain(words[0] ?? []) === 'case') {
        this.#branches.begin('case');
        continue;
      }
      if (command.end === ')' && this.#before.end === ';;') this.#branches.branch('pattern');
      const first = words[0] === undefined ? undefined : plain(words[0]);
      if (first === 'for' && words[2] !== undefined && plain(words[2]) === 'in') {
        const end = endOfLoop(commands, index);
        this.#loop(plain(words[1] ?? []) ?? '', words.slice(3), commands.slice(index + 1, end));
        index = end;
        continue;
      }
      if (first === 'done' || words.length === 0) {
        this.#before = { end: command.end, isTest: false };
        continue;
      }
      const { end, isTest } = this.#before;
      const isPerhaps = end === '||' || (end === '&&' && isTest);
      const simple = { ...command, words };
      if (isPerhaps) this.#branches.perhaps(() => this.#simple(simple));
      else this.#simple(simple);
      if ((first === 'exit' || first === 'return') && !isPerhaps) this.#branches.exit();
      this.#before = {
        end: command.end,
        isTest: TESTS.has(first ?? '') || ((end === '&&' || end === '||') && isTest),
      };
    }
  }

  #keyword(word: string): void {
    if (word === 'if') this.#branches.begin('if');
    else if (word === 'then' || word === 'elif' || word === 'else') this.#branches.branch(word);
    else if (word === 'fi') this.#branches.end('if');
    else if (word === 'esac') this.#branches.end('case');
  }

  #loop(name: string, list: readonly Word[], body: readonly Simple[]): void {
    const values = list.flatMap((word) => {
      const value = this.expand(word);
      return certaintyOf(value) === 'literal' ? split(value, /\s+/) : [value];
    });
    for (const value of values.slice(0, MOST_ROUNDS)) {
      this.#variables.set(name, value);
      this.run(body);
    }
  }

  #simple(command: Simple): void {
    const words = [...command.words];
    const assigned: [string, Value][] = [];
    if (['export', 'readonly', 'local', 'declare'].includes(plain(words[0] ?? []) ?? '')) {
      words.shift();
      for (const word of words) {
        const pair = this.#assignment(word);
        if (pair !== undefined) this.#variables.set(...pair);
      }
      return;
    }
    for (;;) {
      const pair = words[0] === undefined ? undefined : this.#assignment(words[0]);
      if (pair === undefined) break;
      assigned.push(pair);
      words.shift();
    }
    if (words.length === 0) {
      for (const pair of assigned) this.#variables.set(...pair);
      return;
    }
    const values = words.flatMap((word) => this.#fields(word));
    const first = literalOf(values[0]);
    if (first === 'cd' || first === 'pushd') {
      const target = literalOf(values[1]);
      if (first === 'pushd') this.#pushed.push(this.#folder);
      this.#folder =
        target === undefined || this.#folder === undefined || target.startsWith('/')
          ? undefined
          : joinFolder(this.#folder, target);
      return;
    }
    if (first === 'popd') {
      if (this.#pushed.length > 0) this.#folder = this.#pushed.pop();
      return;
    }
    this.#writes(command, values);
    this.#commands.push({ words: values, line: command.line, folder: this.#folder, isPiped: command.end === '|' });
  }

  /** `echo "A=$B" >> "$GITHUB_ENV"`, also `| tee -a`, and the here-document form. */
  #writes(command: Simple, values: readonly Value[]): void {
    for (const { operator, target } of command.redirects) {
      if (!operator.startsWith('>')) continue;
      const name = target.find((piece) => typeof piece === 'object' && 'parameter' in piece);
      const file = typeof name === 'object' && 'parameter' in name ? name.parameter : '';
      const into = {
        GITHUB_ENV: this.#environment,
        GITHUB_OUTPUT: this.#outputs,
        GITEA_ENV: this.#environment,
        GITEA_OUTPUT: this.#outputs,
      }[file];
      if (into === undefined || !['echo', 'printf'].includes(literalOf(values[0]) ?? '')) continue;
      const text = join(...values.slice(1).filter((value) => literalOf(value) !== '-e' && literalOf(value) !== '-n'));
      const [head, ...rest] = text;
      if (typeof head !== 'string') continue;
      const match = /^([A-Za-z_][\w-]*)=(.*)$/s.exec(head);
      if (match !== null) into.set(match[1] ?? '', join(literal(match[2]?.replace(/\\n$/, '') ?? ''), rest));
    }
  }

  #assignment(word: Word): [string, Value] | undefined {
    let text = '';
    for (const [index, piece] of word.entries()) {
      if (typeof piece !== 'string') return undefined;
      text += piece;
      const equal = text.indexOf('=');
      if (equal === -1) continue;
      const name = text.slice(0, equal);
      if (NAME.exec(name)?.[0] !== name) return undefined;
      return [name, this.expand([text.slice(equal + 1), ...word.slice(index + 1)])];
    }
    return undefined;
  }

  /** An unquoted variable with spaces is several words; ours have spaces only in flags kept in variables. */
  #fields(word: Word): readonly Value[] {
    const value = this.expand(word);
    const only = word.length === 1 ? word[0] : undefined;
    if (typeof only === 'object' && 'parameter' in only && certaintyOf(value) === 'literal') return split(value, /\s+/);
    return [value];
  }

  expand(word: Word): Value {
    return join(
      ...word.map((piece): Value => {
        if (typeof piece === 'string') return literal(piece);
        if ('value' in piece) return piece.value;
        if ('substitution' in piece) return this.#substitution(piece.substitution);
        return this.#parameter(piece.parameter, piece.operation);
      }),
    );
  }

  #parameter(name: string, operation: string): Value {
    const value = this.#variables.get(name);
    const source = unknown(`$${name}`);
    if (operation === '') return value ?? source;
    const [, sign, rest = ''] = /^(:-|:=|-|=|,,|\^\^|:\?|:\+|##|#|%%|%|\/\/|\/|:)(.*)$/s.exec(operation) ?? [];
    if (sign === ':-' || sign === '-' || sign === ':=' || sign === '=') {
      return value !== undefined && value.length > 0 ? value : this.#word(rest);
    }
    if (value === undefined) return unknown(`\${${name}${operation}}`);
    if (sign === ',,') return mapText(value, (text) => text.toLowerCase());
    if (sign === ':?' || sign === ':+') return value;
    if (sign === ':') return cut(value, rest) ?? unknown(`\${${name}${operation}}`);
    return stripped(value, sign ?? '', rest) ?? unknown(`\${${name}${operation}}`);
  }

  #substitution(source: string): Value {
    const text = source.trim().replace(/\s+/g, ' ');
    const short = /^git rev-parse --short(?:=(\d+))? (?:HEAD|"?\$\{?GITHUB_SHA\}?"?)$/.exec(text);
    if (short !== null) return variable('sha', Number(short[1] ?? 7));
    if (/^git rev-parse (--verify )?HEAD$/.test(text) || /^git log -1 --format=%H$/.test(text)) return variable('sha');
    if (/^git log -1 --(format|pretty)=(format:)?"?%h"?$/.test(text)) return variable('sha', 7);
    if (/^git rev-list --count HEAD$/.test(text)) return variable('commit-count');
    if (/^git (rev-parse --abbrev-ref HEAD|branch --show-current)$/.test(text)) return variable('branch');
    if (/^git describe --tags (--abbrev=0|--exact-match)$/.test(text)) return variable('tag');
    if (/^date (-u )?\+"?'?%Y%m%d"?'?$/.test(text)) return variable('date');
    const piped = /^(?:echo|printf)(?: -n| '?%s'?)? (.+?) \| (.+)$/.exec(text);
    if (piped !== null) {
      const value = this.#word(piped[1] ?? '');
      const filter = piped[2] ?? '';
      if (/^tr (-s )?['"]?(\[?A-Z\]?|\[:upper:\])['"]? ['"]?(\[?a-z\]?|\[:lower:\])['"]?$/.test(filter))
        return mapText(value, (each) => each.toLowerCase());
      const length = /^(?:cut -c ?1?-(\d+)|head -c ?(\d+))$/.exec(filter);
      if (length !== null) return cut(value, `0:${length[1] ?? length[2]}`) ?? unknown(`$(${text})`);
      const [only, ...others] = value;
      if (others.length > 0 || typeof only !== 'object' || !('variable' in only)) return unknown(`$(${text})`);
      // `s/refs\/heads\///`, with any delimiter and further expressions.
      const strips = (kind: string) => new RegExp(`^sed .*s(.)\\^?refs\\\\?/${kind}\\\\?/\\1\\1`).test(filter);
      if (only.variable === 'ref' && strips('heads')) return variable('branch');
      if (only.variable === 'ref' && strips('tags')) return variable('tag');
      const isSlug = /^(tr|sed) .*[/_].*-/.test(filter);
      if (isSlug && (only.variable === 'branch' || only.variable === 'ref-name')) return value;
    }
    return unknown(`$(${text})`);
  }
}

/** Index of the `done` that closes the loop beginning at `start`. */
function endOfLoop(commands: readonly Simple[], start: number): number {
  let depth = 0;
  for (let index = start; index < commands.length; index += 1) {
    for (const word of commands[index]?.words ?? []) {
      const text = plain(word) ?? '';
      if (['for', 'while', 'until'].includes(text)) depth += 1;
      else if (text === 'done') depth -= 1;
      // Loops open and close where commands begin, perhaps behind `do` or `then`.
      if (!KEYWORDS.has(text) || text === 'while' || text === 'until') break;
    }
    if (depth === 0) return index;
  }
  return commands.length;
}

function joinFolder(base: string, target: string): string | undefined {
  const parts: string[] = [];
  for (const part of `${base}/${target}`.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (parts.length === 0) return undefined;
      parts.pop();
    } else parts.push(part);
  }
  return parts.join('/') || '.';
}

/** `${X:0:7}` and `${X::7}`. */
function cut(value: Value, range: string): Value | undefined {
  const [, from, length] = /^\s*(\d*)\s*(?::\s*(\d+))?$/.exec(range) ?? [];
  const start = Number(from || '0');
  const text = literalOf(value);
  if (text !== undefined) return literal(text.slice(start, length === undefined ? undefined : start + Number(length)));
  const [only, ...rest] = value;
  if (
    rest.length === 0 &&
    typeof only === 'object' &&
    'variable' in only &&
    only.variable === 'sha' &&
    start === 0 &&
    length !== undefined
  )
    return variable('sha', Math.min(Number(length), only.length ?? 40));
  return undefined;
}

/** `#`, `##`, `%`, `/`: on the refs of a run and on plain texts with plain patterns. */
function stripped(value: Value, sign: string, pattern: string): Value | undefined {
  const [only, ...rest] = value;
  if (rest.length === 0 && typeof only === 'object' && 'variable' in only) {
    if (only.variable === 'ref' && sign.startsWith('/')) {
      const [, kind] = /^refs\\?\/(heads|tags)\\?\/\/?$/.exec(pattern) ?? [];
      if (kind !== undefined) return variable(kind === 'tags' ? 'tag' : 'branch');
    }
    if (only.variable === 'ref' && sign.startsWith('#')) {
      if (pattern === 'refs/tags/') return variable('tag');
      if (pattern === 'refs/tags/v') return variable('version');
      if (pattern === 'refs/heads/') return variable('branch');
      if (pattern === '*/') return variable('ref-name');
      if (pattern === 'refs/*/') return variable('ref-name');
    }
    if (sign.startsWith('#') && pattern === 'v' && (only.variable === 'tag' || only.variable === 'ref-name'))
      return variable('version');
    // Making a branch name fit for a tag.
    if (sign.startsWith('/') && (only.variable === 'branch' || only.variable === 'ref-name')) return value;
  }
  const text = literalOf(value);
  if (text === undefined || /[*?[]/.test(pattern)) return undefined;
  if (sign.startsWith('#')) return literal(text.startsWith(pattern) ? text.slice(pattern.length) : text);
  if (sign.startsWith('%')) return literal(text.endsWith(pattern) ? text.slice(0, text.length - pattern.length) : text);
  const [, from = '', to = ''] = /^((?:\\.|[^/])*)(?:\/(.*))?$/s.exec(pattern) ?? [];
  const plainFrom = from.replace(/\\(.)/g, '$1');
  return literal(sign === '//' ? text.replaceAll(plainFrom, to) : text.replace(plainFrom, () => to));
}
