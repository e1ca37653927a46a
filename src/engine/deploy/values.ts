// Values of a chart: how the person's `set` and the images of the project become one values document, so that nothing
// secret is ever an argument of a process.

import { type Fields, isFields } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { type ImageToDeploy, referenceOf } from './images.ts';

/** How the digest reaches the chart. `tag` leaves it out, for charts that put the tag where `@` may not stand. */
export type Pinning = 'digest' | 'tag';

/** Helm's merge of values: maps merge key by key, everything else is replaced, null removes the key. */
export function mergeValues(base: Fields, over: Fields): Fields {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    if (value === null) delete merged[key];
    else merged[key] = isFields(before) && isFields(value) ? mergeValues(before, value) : value;
  }
  return merged;
}

/** The keys of a `--set` path: dots part keys, `\.` is a dot, `[n]` an index. Throws SlipwayError `config`. */
export function parseValuePath(path: string): readonly (string | number)[] {
  const keys: (string | number)[] = [];
  const token = /((?:\\.|[^.[\]\\])+)|\[(\d+)\]|(\.)/gy;
  let last = 0;
  let wasDot = true;
  while (last < path.length) {
    token.lastIndex = last;
    const match = token.exec(path);
    if (match === null) break;
    const [text, key, index] = match;
    if (key !== undefined) {
      if (!wasDot) break;
      keys.push(key.replace(/\\(.)/g, '$1'));
      wasDot = false;
    } else if (index !== undefined) {
      if (keys.length === 0) break;
      keys.push(Number(index));
      wasDot = false;
    } else {
      if (wasDot) break;
      wasDot = true;
    }
    last += text.length;
  }
  if (last < path.length || wasDot || keys.length === 0) {
    throw new SlipwayError({
      reason: 'config',
      code: 'helm.value-path',
      message: `"${path}" is not a values key.`,
      fix: 'Write it as Helm\'s --set does: `image.tag`, `list[0].name`, `annotations."a\\.b"` with dots of a key escaped.',
    });
  }
  return keys;
}

/**
 * The type Helm's `--set` gives a word: booleans, null and integers without leading zero are typed, `{a,b}` is a list,
 * all else is text.
 */
export function typedValue(text: string): unknown {
  if (text.startsWith('{') && text.endsWith('}')) {
    const inner = text.slice(1, -1);
    return inner === '' ? [] : inner.split(',').map((item) => typedValue(item.trim()));
  }
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (text === 'null') return null;
  if (/^-?(0|[1-9]\d*)$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  return text;
}

/**
 * `values` with the value at `path` set. `known` is what the chart and the person's files say: where the path leads
 * through a list, Helm replaces lists as a whole, so its other items are repeated from there.
 */
export function setValue(values: Fields, path: readonly (string | number)[], value: unknown, known: Fields): Fields {
  return setIn(values, known, path, value) as Fields;
}

function setIn(here: unknown, known: unknown, path: readonly (string | number)[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (typeof key === 'number') {
    const list: unknown[] = Array.isArray(here) ? [...here] : Array.isArray(known) ? [...known] : [];
    while (list.length < key) list.push(null);
    list[key] = setIn(list[key], list[key], rest, value);
    return list;
  }
  const fields = isFields(here) ? here : {};
  // Inside a list nothing is merged by Helm any more, so the item arrives here whole already.
  return { ...fields, [key]: setIn(fields[key], isFields(known) ? known[key] : undefined, rest, value) };
}

function getIn(values: unknown, path: readonly (string | number)[]): unknown {
  let here = values;
  for (const key of path) {
    if (typeof key === 'number') here = Array.isArray(here) ? here[key] : undefined;
    else here = isFields(here) ? here[key] : undefined;
  }
  return here;
}

export interface ValuesRequest {
  /** The chart's own values merged with the person's files. */
  readonly known: Fields;
  readonly set: Readonly<Record<string, string>>;
  /** Image name → values key. */
  readonly keys: Readonly<Record<string, string>>;
  readonly images: readonly ImageToDeploy[];
  readonly pinning: Pinning;
}

/** The values document that goes on top of the person's own files. */
export function overridesOf(request: ValuesRequest): Fields {
  let values: Fields = {};
  for (const [path, text] of Object.entries(request.set)) {
    values = setValue(values, parseValuePath(path), typedValue(text), request.known);
  }
  for (const image of request.images) {
    const key = request.keys[image.name];
    if (key === undefined) continue;
    const path = parseValuePath(key);
    const known = getIn(request.known, path);
    if (!isFields(known)) {
      const reference = referenceOf(request.pinning === 'tag' ? withoutDigest(image) : image);
      values = setValue(values, path, reference, request.known);
      continue;
    }
    for (const [sub, value] of Object.entries(subKeysOf(known, image, request.pinning))) {
      values = setValue(values, [...path, sub], value, request.known);
    }
  }
  return values;
}

const withoutDigest = ({ digest: _, ...image }: ImageToDeploy): ImageToDeploy => image;

/**
 * What goes into the map a chart has for an image, only in sub-keys it knows: `repository` (or `name`), with the host
 * apart where there is a `registry`; `tag`; `digest`. Without a `digest` key the digest is pinned into the tag.
 */
function subKeysOf(known: Fields, image: ImageToDeploy, pinning: Pinning): Record<string, string> {
  const out: Record<string, string> = {};
  const hasRegistry = 'registry' in known;
  const slash = image.repository.indexOf('/');
  if (hasRegistry) out.registry = image.repository.slice(0, slash);
  const repository = hasRegistry ? image.repository.slice(slash + 1) : image.repository;
  if ('repository' in known || !('name' in known)) out.repository = repository;
  else out.name = repository;
  const hasDigest = 'digest' in known;
  // An own tag of the chart may be written elsewhere (`version`), so a missing `tag` key is still the best guess.
  out.tag =
    !hasDigest && pinning === 'digest' && image.digest !== undefined ? `${image.tag}@${image.digest}` : image.tag;
  if (hasDigest) out.digest = pinning === 'digest' && image.digest !== undefined ? image.digest : '';
  return out;
}
