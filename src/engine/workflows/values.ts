/**
 * What a text in a workflow comes to: known words, values that differ per run but whose meaning is known (the commit),
 * and parts that only the host knows.
 */
export type Value = readonly Part[];

export type Part = string | VariablePart | UnknownPart;

export interface VariablePart {
  readonly variable: VariableName;
  /** Cut to this many characters. */
  readonly length?: number;
}

/** A part that cannot be told from the files, with its source text: `vars.REGISTRY`, `$(./version.sh)`. */
export interface UnknownPart {
  readonly unknown: string;
}

export type VariableName =
  | 'sha'
  | 'branch'
  | 'tag'
  /** The git tag without its leading `v`. */
  | 'version'
  /** Branch or tag, whichever started the run. */
  | 'ref-name'
  /** `refs/heads/…` or `refs/tags/…`. */
  | 'ref'
  | 'run-number'
  | 'run-id'
  | 'run-attempt'
  | 'commit-count'
  | 'date'
  | 'actor'
  | 'event'
  | 'pull-request';

export const literal = (text: string): Value => (text === '' ? [] : [text]);
export const variable = (name: VariableName, length?: number): Value => [
  { variable: name, ...(length !== undefined && { length }) },
];
export const unknown = (source: string): Value => [{ unknown: source }];

/** Joined, neighbouring texts made one. */
export function join(...values: readonly Value[]): Value {
  const parts: Part[] = [];
  for (const part of values.flat()) {
    const last = parts.at(-1);
    if (typeof part === 'string' && typeof last === 'string') parts[parts.length - 1] = last + part;
    else if (part !== '') parts.push(part);
  }
  return parts;
}

export type Certainty = 'literal' | 'template' | 'unknown';

export function certaintyOf(value: Value): Certainty {
  if (value.some((part) => typeof part !== 'string' && 'unknown' in part)) return 'unknown';
  return value.every((part) => typeof part === 'string') ? 'literal' : 'template';
}

/** The text when nothing in it varies; undefined otherwise. */
export const literalOf = (value: Value | undefined): string | undefined =>
  value !== undefined && certaintyOf(value) === 'literal' ? value.join('') : undefined;

/** For people: `ghcr.io/acme/app:${sha:7}`, `${?vars.REGISTRY}/app`. */
export function textOf(value: Value): string {
  return value
    .map((part) => {
      if (typeof part === 'string') return part;
      if ('unknown' in part) return `\${?${part.unknown}}`;
      return `\${${part.variable}${part.length === undefined ? '' : `:${part.length}`}}`;
    })
    .join('');
}

/** Applies a text change to the known parts only: lower case, for example. */
export const mapText = (value: Value, change: (text: string) => string): Value =>
  value.map((part) => (typeof part === 'string' ? change(part) : part));

/** Cuts at every match of a separator in the known parts; empty pieces are left out. */
export function split(value: Value, separator: RegExp): readonly Value[] {
  const pieces: Part[][] = [[]];
  for (const part of value) {
    if (typeof part !== 'string') pieces.at(-1)?.push(part);
    else {
      for (const [index, piece] of part.split(separator).entries()) {
        if (index > 0) pieces.push([]);
        if (piece !== '') pieces.at(-1)?.push(piece);
      }
    }
  }
  return pieces.map((piece) => trim(piece)).filter((piece) => piece.length > 0);
}

export function trim(value: Value): Value {
  const parts = [...value];
  const first = parts[0];
  if (typeof first === 'string') parts[0] = first.trimStart();
  const last = parts.at(-1);
  if (typeof last === 'string') parts[parts.length - 1] = last.trimEnd();
  return parts.filter((part) => part !== '');
}

/** Repository and tag of an image reference; a tag is what follows the last `:` behind the last `/`. */
export function splitReference(reference: Value): { readonly repository: Value; readonly tag?: Value } {
  let at: readonly [part: number, character: number] | undefined;
  for (const [index, part] of reference.entries()) {
    if (typeof part !== 'string') continue;
    for (let character = 0; character < part.length; character += 1) {
      if (part[character] === '/') at = undefined;
      else if (part[character] === '@') {
        return { repository: [...reference.slice(0, index), part.slice(0, character)].filter((each) => each !== '') };
      } else if (part[character] === ':') at = [index, character];
    }
  }
  if (at === undefined) return { repository: reference };
  const [index, character] = at;
  const part = reference[index];
  if (typeof part !== 'string') return { repository: reference };
  const clean = (value: Value) => value.filter((each) => each !== '');
  return {
    repository: clean([...reference.slice(0, index), part.slice(0, character)]),
    tag: clean([part.slice(character + 1), ...reference.slice(index + 1)]),
  };
}

/** The tag in the words of slipway.yaml; undefined when it has no counterpart there. */
export function tagTemplate(value: Value): string | undefined {
  let text = '';
  for (const part of value) {
    if (typeof part === 'string') text += part;
    else if ('unknown' in part) return undefined;
    else if (part.variable === 'sha') {
      const length = part.length ?? 40;
      text += length === 7 ? '{sha}' : `{sha:${length}}`;
    } else if (part.variable === 'branch' || part.variable === 'ref-name') text += '{branch}';
    else if (part.variable === 'tag') text += '{tag}';
    else if (part.variable === 'version') text += '{semver}';
    else if (part.variable === 'commit-count') text += '{commits}';
    else if (part.variable === 'date') text += '{date}';
    else return undefined;
  }
  return text === '' ? undefined : text;
}
