// Values of a chart: how the person's `set` and the images of the project become one values document, so that nothing
// secret is ever an argument of a process.

import { type Fields, isFields } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { isImageKeys, parseImageKeys } from '../project/imageKeys.ts';
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
  const tagKeys = request.images.flatMap(({ name }) => {
    const keys = parseImageKeys(request.keys[name] ?? '');
    return typeof keys === 'string' || keys.tag === undefined ? [] : [keys.tag];
  });
  for (const [path, text] of Object.entries(request.set)) {
    values = setValue(values, parseValuePath(path), typedValue(text), request.known);
  }
  for (const image of request.images) {
    const key = request.keys[image.name];
    if (key === undefined) continue;
    if (isImageKeys(key)) {
      for (const [each, value] of Object.entries(composedOf(key, image, request, tagKeys))) {
        const before = getIn(values, parseValuePath(each));
        if (before !== undefined && before !== value && tagKeys.includes(each)) throw sharedTag(each, image);
        values = setValue(values, parseValuePath(each), value, request.known);
      }
      continue;
    }
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

/**
 * What goes into each value of an image that a chart puts together. A registry or folder that the values name already and that
 * fits stays as it is: other images of the chart may be put together with it. Throws SlipwayError `config` where the chart's
 * own text does not fit the repository.
 */
function composedOf(
  text: string,
  image: ImageToDeploy,
  { known, pinning }: ValuesRequest,
  tagKeys: readonly string[],
): Record<string, string> {
  const keys = parseImageKeys(text);
  const wrong = (message: string): SlipwayError =>
    new SlipwayError({
      reason: 'config',
      code: 'helm.image-keys',
      message,
      fix: `Correct \`deploy.helm.images.${image.name}\`, or the repository of the image.`,
    });
  if (typeof keys === 'string') throw wrong(`${keys}.`);
  const out: Record<string, string> = {};
  let rest = image.repository;
  const later = [...keys.repository];
  for (let part = later.shift(); part !== undefined; part = later.shift()) {
    if ('text' in part) {
      if (!rest.startsWith(part.text))
        throw wrong(`The chart writes "${part.text}" into ${text}, which does not fit ${image.repository}.`);
      rest = rest.slice(part.text.length);
      continue;
    }
    const following = later.filter((each) => 'key' in each).length;
    const before = getIn(known, parseValuePath(part.key));
    const there = typeof before === 'string' ? before.replace(/\/$/, '') : '';
    if (following === 0) {
      const end = later[0] !== undefined && 'text' in later[0] ? rest.length - later[0].text.length : rest.length;
      out[part.key] = rest.slice(0, end);
      rest = rest.slice(end);
    } else if (there !== '' && rest.startsWith(`${there}/`)) rest = rest.slice(there.length);
    else {
      const parts = rest.split('/');
      const count = out[part.key] === undefined && part === keys.repository[0] ? 1 : parts.length - following;
      out[part.key] = parts.slice(0, count).join('/');
      rest = rest.slice((out[part.key] ?? '').length);
    }
  }
  const { tag, digest } = keys;
  const pinned = pinning === 'digest' ? image.digest : undefined;
  // One tag for several images cannot hold the digest of each.
  const isShared = tagKeys.filter((key) => key === tag).length > 1;
  const isPinnedByTag = digest === undefined && pinned !== undefined && !isShared;
  if (tag !== undefined) out[tag] = isPinnedByTag ? `${image.tag}@${pinned}` : image.tag;
  if (digest !== undefined) out[digest] = pinned ?? '';
  return out;
}

const sharedTag = (key: string, image: ImageToDeploy): SlipwayError =>
  new SlipwayError({
    reason: 'config',
    code: 'helm.shared-tag',
    message: `The chart has one tag (${key}) for several images, and ${image.name} has another one than those before it.`,
    fix: 'Give the images of this environment the same tag, without {image} in it.',
  });

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
