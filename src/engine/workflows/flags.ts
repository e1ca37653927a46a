import type { Fact } from './model.ts';
import type { ShellCommand } from './shell.ts';
import { join, literal, literalOf, textOf, type Value } from './values.ts';

/** What every fact of a step shares. */
export type Common = Pick<Fact, 'job' | 'order' | 'place'> & { readonly condition?: string };

export interface Flags {
  readonly rest: readonly Value[];
  get(...names: readonly string[]): Value | undefined;
  all(...names: readonly string[]): readonly Value[];
  has(...names: readonly string[]): boolean;
}

/**
 * Splits arguments into flags and the rest. `valued` names the flags that take the next word; a flag with `=` needs no
 * mention. `-tVALUE` is read for the single letters among them.
 */
export function readFlags(words: readonly Value[], valued: readonly string[]): Flags {
  const found: [name: string, value: Value][] = [];
  const rest: Value[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? [];
    const head = typeof word[0] === 'string' ? word[0] : '';
    if (!head.startsWith('-') || head === '-') rest.push(word);
    else {
      const equal = head.indexOf('=');
      const letter = head.slice(0, 2);
      if (equal !== -1) found.push([head.slice(0, equal), join(literal(head.slice(equal + 1)), word.slice(1))]);
      else if (valued.includes(head) && word.length === 1) {
        found.push([head, words[index + 1] ?? []]);
        index += 1;
      } else if (!head.startsWith('--') && valued.includes(letter) && textOf(word).length > 2)
        found.push([letter, join(literal(head.slice(2)), word.slice(1))]);
      else found.push([head, []]);
    }
  }
  const all = (...names: readonly string[]) => found.filter(([name]) => names.includes(name)).map(([, value]) => value);
  return { rest, all, get: (...names) => all(...names).at(-1), has: (...names) => all(...names).length > 0 };
}

export const pairs = (values: readonly Value[]): readonly (readonly [name: string, value: Value])[] =>
  values.map(pair).filter((each) => each !== undefined);

function pair(value: Value): readonly [string, Value] | undefined {
  const [head, ...rest] = value;
  if (typeof head !== 'string') return undefined;
  const equal = head.indexOf('=');
  return equal <= 0 ? undefined : [head.slice(0, equal), join(literal(head.slice(equal + 1)), rest)];
}

/** A path in a script is relative to the folder the script is in. */
export function inFolder(command: ShellCommand, path: Value): Value {
  if (command.folder === '.' || /^(\/|https?:|git@)/.test(textOf(path))) return path;
  if (command.folder === undefined) return [{ unknown: textOf(path) }];
  return literalOf(path) === '.' ? literal(command.folder) : join(literal(`${command.folder}/`), path);
}
