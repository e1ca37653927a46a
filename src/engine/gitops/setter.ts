/** The text of a marker comment: `{"$imagepolicy": "<namespace>:<policy>[:tag|:name|:digest]"}`, as kyaml's fieldmeta reads it. */

export type MarkerPart = 'reference' | 'tag' | 'name' | 'digest';

/** A setter name in its parts. */
export interface Setter {
  /** As looked up, for example `flux-system:podinfo:tag`. */
  readonly name: string;
  readonly namespace: string;
  readonly policy: string;
  readonly part: MarkerPart;
}

export type MarkerText =
  /** A marker that names a policy. `form` is `ref` for the long `{"$ref": "#/definitions/io.k8s.cli.setters.…"}`. */
  | { readonly kind: 'setter'; readonly setter: Setter; readonly form: 'short' | 'ref' }
  /** JSON of the right shape whose name can never be a setter. */
  | { readonly kind: 'no-setter'; readonly written: string; readonly reason: string; readonly fix: string }
  /** `x-k8s-cli`: Flux writes its value without any policy. Slipway leaves it alone. */
  | { readonly kind: 'literal'; readonly value: string }
  /** Looks like a marker, is a plain comment for Flux. */
  | { readonly kind: 'not-a-marker'; readonly reason: string; readonly fix: string }
  | { readonly kind: 'comment' };

const definitions = '#/definitions/io.k8s.cli.setters.';

/** Reads the text of one comment, which may be several lines joined with line breaks. */
export function readMarkerText(comment: string): MarkerText {
  const text = comment.replace(/^#+/, '');
  if (!/\$imagepolicy|\$ref|x-k8s-cli|\\u/.test(text)) {
    return /\$imagepolicy/i.test(text) ? whyNotMarker(text) : { kind: 'comment' };
  }
  const fields = objectIn(text);
  if (fields !== undefined) {
    // Go reads the object into a map of strings, where null is the empty string and anything else fails.
    const areStrings = Object.values(fields).every((value) => typeof value === 'string' || value === null);
    const short = areStrings ? fields.$imagepolicy : undefined;
    const found = typeof short === 'string' ? parseSetter(short) : undefined;
    if (found !== undefined && 'name' in found) return { kind: 'setter', setter: found, form: 'short' };
    if (found !== undefined && typeof fields.$ref !== 'string')
      return { kind: 'no-setter', written: String(short), ...found };
  }
  // The long forms are read with a decoder that stops after the first JSON value, so text behind it does no harm.
  const first = fields ?? objectIn(firstObject(text));
  // Of the reference, a URL, only the fragment is looked at.
  const ref = typeof first?.$ref === 'string' ? first.$ref.slice(Math.max(0, first.$ref.indexOf('#'))) : '';
  if (ref.startsWith(definitions)) {
    const setter = parseSetter(ref.slice(definitions.length));
    if ('name' in setter) return { kind: 'setter', setter, form: 'ref' };
  }
  const literal = literalOf(first?.['x-k8s-cli']);
  if (literal !== undefined) return { kind: 'literal', value: literal };
  return text.includes('$imagepolicy') ? whyNotMarker(text) : { kind: 'comment' };
}

function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? { ...json } : undefined;
  } catch {
    return undefined;
  }
}

/** The text up to the brace that closes the first one. */
function firstObject(text: string): string {
  let depth = 0;
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (match[0] === '{') depth += 1;
    else if (match[0] === '}') {
      depth -= 1;
      if (depth === 0) return text.slice(0, match.index + 1);
    }
  }
  return text;
}

function literalOf(extension: unknown): string | undefined {
  if (typeof extension !== 'object' || extension === null || !('setter' in extension)) return undefined;
  const { setter } = extension;
  if (typeof setter !== 'object' || setter === null || !('value' in setter)) return undefined;
  return typeof setter.value === 'string' ? setter.value : undefined;
}

interface Why {
  readonly reason: string;
  readonly fix: string;
}

const form = 'Write "<namespace>:<policy>", with ":tag", ":name" or ":digest" after it for one part.';

/** A setter name as Flux looks it up; the name travels through a URL fragment on the way. */
export function parseSetter(written: string): Setter | Why {
  if (written === '') return { reason: 'it names no policy', fix: form };
  if (/[/~#?]/.test(written))
    return { reason: `"${written}" separates namespace and policy with something other than ":"`, fix: form };
  let name: string;
  try {
    name = decodeURIComponent(written);
  } catch {
    return { reason: `"${written}" has a broken % escape`, fix: form };
  }
  const [namespace = '', policy, suffix, ...rest] = name.split(':');
  if (policy === undefined) return { reason: `"${written}" has no namespace`, fix: form };
  if (rest.length > 0 || namespace === '' || policy === '')
    return { reason: `"${written}" has the wrong number of parts`, fix: form };
  if (/\s/.test(name)) return { reason: `"${written}" has white space in it`, fix: 'Remove the white space.' };
  if (suffix === undefined) return { name, namespace, policy, part: 'reference' };
  if (suffix === 'tag' || suffix === 'name' || suffix === 'digest') return { name, namespace, policy, part: suffix };
  const meant = ['tag', 'name', 'digest'].find((part) => part === suffix.toLowerCase());
  return {
    reason: `":${suffix}" is not one of ":tag", ":name" and ":digest"`,
    fix: meant === undefined ? form : `Write ":${meant}" in lower case.`,
  };
}

/** Says which rule of the comment's syntax is broken. */
function whyNotMarker(text: string): MarkerText {
  const answer = (reason: string, fix: string): MarkerText => ({ kind: 'not-a-marker', reason, fix });
  const trimmed = text.trim();
  const open = trimmed.indexOf('{');
  const close = trimmed.lastIndexOf('}');
  if (text.includes('\n'))
    return answer(
      'several comment lines stand together, so Flux reads them as one',
      'Keep only the marker directly above the item.',
    );
  if (open === -1 || close === -1)
    return answer('it is not a JSON object', 'Write {"$imagepolicy": "<namespace>:<policy>"}.');
  if (trimmed.startsWith('[')) return answer('it is a JSON list', 'Remove the brackets.');
  if (open > 0)
    return answer(
      `there is text before the JSON object ("${trimmed.slice(0, open).trim()}")`,
      'Move the text to a line of its own.',
    );
  if (close < trimmed.length - 1)
    return answer(
      `there is text after the JSON object ("${trimmed.slice(close + 1).trim()}")`,
      'Move the text to a line of its own.',
    );
  const inside = trimmed.slice(open, close + 1);
  if (/^[^ -~]|[\u00a0\u2000-\u200b\u3000\ufeff]/.test(text.replaceAll('\t', ' ')))
    return answer('it contains a character that only looks like a space', 'Replace it with a plain space.');
  if (/'\s*\$imagepolicy/i.test(inside))
    return answer('JSON needs double quotes', 'Replace the single quotes with double quotes.');
  if (/,\s*\}$/.test(inside)) return answer('there is a comma before the closing brace', 'Remove the comma.');
  try {
    const json: unknown = JSON.parse(inside);
    const keys = typeof json === 'object' && json !== null ? Object.keys(json) : [];
    const key = keys.find((name) => name !== '$imagepolicy' && name.toLowerCase() === '$imagepolicy');
    if (key !== undefined && !keys.includes('$imagepolicy'))
      return answer(`the key "${key}" must be "$imagepolicy"`, 'Write "$imagepolicy" in lower case.');
    if (keys.includes('$imagepolicy'))
      return answer('all its values must be texts', 'Put every value in double quotes.');
  } catch {
    return answer('it is not valid JSON', 'Write {"$imagepolicy": "<namespace>:<policy>"}.');
  }
  return answer('it has no "$imagepolicy" key', 'Write {"$imagepolicy": "<namespace>:<policy>"}.');
}
