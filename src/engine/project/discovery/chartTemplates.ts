import type { Place } from '../../problems/index.ts';
import type { RelativePath } from './findings.ts';

export interface ChartText {
  readonly path: RelativePath;
  readonly text: string;
  /** Absolute. */
  readonly file: string;
}

/** One way in which a template writes an image: texts and values keys one after the other. */
export type ImageParts = readonly ({ readonly text: string } | { readonly key: string } | { readonly open: string })[];

/** An `image:` of a template with the ways it may come out. */
export interface TemplateImage {
  readonly place: Place;
  /** As it is written. */
  readonly written: string;
  readonly ways: readonly ImageParts[];
}

/** What a word of a template stands for: a path from `.Values`, from the chart, or something not known. */
type Meaning = { readonly ways: readonly ImageParts[] };
interface Frame {
  /** What `.` is: a path below the values with `.Values` in front, the root (''), or not known. */
  readonly dot: string | undefined;
  readonly names: Map<string, Meaning>;
}

const MOST_WAYS = 12;
const DEEPEST = 6;
const open = (text: string): Meaning => ({ ways: [[{ open: text }]] });

/**
 * The images that a chart's templates write, without rendering them: values paths, `default`, `coalesce`, `printf`, variables,
 * `with`, helpers of the chart itself, and Bitnami's `common.images.image`. What else there is (a loop, a helper of another
 * chart) is {@link ImageParts} with `open` in it.
 */
export function readTemplateImages(templates: readonly ChartText[]): readonly TemplateImage[] {
  const helpers = new Map<string, string>();
  for (const { text } of templates)
    for (const [, name = '', body = ''] of text.matchAll(
      /\{\{-?\s*define\s+"([^"]+)"\s*-?\}\}([\s\S]*?)(?=\{\{-?\s*define\s+"|$(?![\s\S]))/g,
    ))
      helpers.set(name, upToEnd(body));
  const reader = new TemplateReader(helpers);
  return templates.flatMap(({ path, text, file }) => (/\.ya?ml$/.test(path) ? reader.images(text, file) : []));
}

/** The body of a block up to the `end` that closes it. */
function upToEnd(body: string): string {
  let depth = 0;
  for (const match of body.matchAll(/\{\{-?\s*(if|with|range|block|end)\b[\s\S]*?\}\}/g)) {
    if (match[1] !== 'end') depth += 1;
    else if (depth === 0) return body.slice(0, match.index);
    else depth -= 1;
  }
  return body;
}

class TemplateReader {
  readonly #helpers: ReadonlyMap<string, string>;

  constructor(helpers: ReadonlyMap<string, string>) {
    this.#helpers = helpers;
  }

  images(text: string, file: string): readonly TemplateImage[] {
    const found: TemplateImage[] = [];
    const stack: Frame[] = [{ dot: '', names: new Map() }];
    for (const [line, content] of text.split('\n').entries()) {
      const frame = stack.at(-1) ?? { dot: undefined, names: new Map() };
      const [, lead = '', written] = /^(\s*(?:-\s+)?image:\s*)(.+?)\s*$/.exec(content) ?? [];
      if (written?.includes('{{') === true) {
        const place = {
          file,
          range: { start: { line, character: lead.length }, end: { line, character: lead.length + written.length } },
        };
        found.push({ place, written, ways: this.#output(written.replace(/^["']|["']$/g, ''), frame, 0) });
      }
      for (const [, action = ''] of content.matchAll(/\{\{-?\s*([\s\S]*?)\s*-?\}\}/g)) this.#step(action, stack);
    }
    return found;
  }

  /** Keeps up with blocks and variables. */
  #step(action: string, stack: Frame[]): void {
    const frame = stack.at(-1);
    if (frame === undefined) return;
    const [, variable, value] = /^\$(\w+)\s*:?=\s*([\s\S]+)$/.exec(action) ?? [];
    if (variable !== undefined && value !== undefined) frame.names.set(variable, this.#meaning(value, frame, 0));
    else if (/^(if|block)\b/.test(action)) stack.push({ dot: frame.dot, names: frame.names });
    else if (/^define\b/.test(action)) stack.push({ dot: undefined, names: new Map() });
    else if (/^with\b/.test(action)) {
      const [, name, path = ''] = /^with\s+(?:\$(\w+)\s*:=\s*)?([\s\S]+)$/.exec(action) ?? [];
      const names = new Map(frame.names);
      const [way] = this.#meaning(path, frame, 0).ways;
      const [only] = way ?? [];
      if (name !== undefined) names.set(name, this.#meaning(path, frame, 0));
      stack.push({
        dot: way?.length === 1 && only !== undefined && 'key' in only ? `.Values.${only.key}` : undefined,
        names,
      });
    } else if (/^range\b/.test(action)) {
      const names = new Map(frame.names);
      for (const [, name = ''] of action.matchAll(/\$(\w+)/g))
        if (!frame.names.has(name)) names.set(name, open(action));
      stack.push({ dot: undefined, names });
    } else if (/^end\b/.test(action) && stack.length > 1) stack.pop();
  }

  /** What a text with actions gives, each way. */
  #output(text: string, frame: Frame, depth: number): readonly ImageParts[] {
    let ways: readonly ImageParts[] = [[]];
    let at = 0;
    for (const match of text.matchAll(/\{\{-?\s*([\s\S]*?)\s*-?\}\}/g)) {
      const before = text.slice(at, match.index);
      at = match.index + match[0].length;
      const meaning = this.#meaning(match[1] ?? '', frame, depth);
      ways = ways
        .flatMap((way) => meaning.ways.map((more) => [...way, ...(before === '' ? [] : [{ text: before }]), ...more]))
        .slice(0, MOST_WAYS);
    }
    const rest = text.slice(at);
    return rest === '' ? ways : ways.map((way) => [...way, { text: rest }]);
  }

  #meaning(expression: string, frame: Frame, depth: number): Meaning {
    if (depth > DEEPEST) return open(expression);
    // `x | default y | quote`: what is piped in is the last argument.
    let value: Meaning | undefined;
    for (const command of splitAt(expression, '|')) value = this.#call(wordsOf(command), value, frame, depth);
    return value ?? open(expression);
  }

  #call(words: readonly string[], piped: Meaning | undefined, frame: Frame, depth: number): Meaning {
    const [name = '', ...rest] = words;
    const at = (word: string | undefined): Meaning =>
      word === undefined ? (piped ?? open(name)) : this.#word(word, frame, depth);
    const all = [...rest.map((word) => this.#word(word, frame, depth)), ...(piped === undefined ? [] : [piped])];
    switch (name) {
      case 'default':
        return { ways: [...(all[1] ?? open(name)).ways, ...(all[0] ?? open(name)).ways].slice(0, MOST_WAYS) };
      case 'coalesce':
        return { ways: all.flatMap(({ ways }) => ways).slice(0, MOST_WAYS) };
      case 'ternary':
        return { ways: all.slice(0, 2).flatMap(({ ways }) => ways) };
      case 'printf':
        return this.#printf(rest[0] ?? '', all.slice(1));
      case 'include':
      case 'template':
        return this.#include(rest, frame, depth);
      case 'tpl':
        return at(rest[0]);
      case 'quote':
      case 'squote':
      case 'toString':
      case 'trim':
      case 'lower':
      case 'trimSuffix':
      case 'trimPrefix':
      case 'required':
      case 'print':
        return all.at(-1) ?? open(name);
      default:
        return rest.length === 0 && piped === undefined ? this.#word(name, frame, depth) : open(words.join(' '));
    }
  }

  #printf(format: string, values: readonly Meaning[]): Meaning {
    let ways: readonly ImageParts[] = [[]];
    const texts = format.replace(/^"|"$/g, '').split(/%[sv]/);
    for (const [index, text] of texts.entries()) {
      const value = values[index];
      ways = ways
        .map((way) => (text === '' ? way : [...way, { text }]))
        .flatMap((way) =>
          index === texts.length - 1 ? [way] : (value ?? open('printf')).ways.map((more) => [...way, ...more]),
        )
        .slice(0, MOST_WAYS);
    }
    return { ways };
  }

  #include([quoted = '', ...given]: readonly string[], frame: Frame, depth: number): Meaning {
    const name = quoted.replace(/^"|"$/g, '');
    const argument = given
      .join(' ')
      .replace(/^\(|\)$/g, '')
      .trim();
    const body = this.#helpers.get(name);
    if (body === undefined) {
      // Bitnami's library is most often not in the repository; what it does is known.
      const root = /"imageRoot"\s+\$?(?:\.Values)?\.?([\w.]+)/.exec(argument)?.[1];
      if (/(^|\.)images?\.image$/.test(name) && root !== undefined)
        return {
          ways: [
            [
              { key: `${root}.registry` },
              { text: '/' },
              { key: `${root}.repository` },
              { text: ':' },
              { key: `${root}.tag` },
            ],
          ],
        };
      return open(`include "${name}"`);
    }
    const [word] = wordsOf(argument);
    const dot = word === '.' ? frame.dot : word === '$' ? '' : undefined;
    return { ways: this.#helper(body, { dot, names: new Map() }, depth + 1).slice(0, MOST_WAYS) };
  }

  /** What a helper writes: each branch of its conditions is a way of its own. */
  #helper(body: string, frame: Frame, depth: number): readonly ImageParts[] {
    const branch = /\{\{-?\s*(?:if|with)\b[\s\S]*?\}\}/.exec(body);
    if (branch !== null && depth <= DEEPEST) {
      const inside = body.slice(branch.index + branch[0].length);
      const own = upToEnd(inside);
      const after = inside.slice(own.length).replace(/^\{\{-?\s*end\s*-?\}\}/, '');
      const before = body.slice(0, branch.index);
      const choices = branchesOf(own);
      return [...choices, ...(choices.length === 1 ? [''] : [])]
        .flatMap((choice) =>
          this.#helper(`${before}${choice}${after}`, { dot: frame.dot, names: new Map(frame.names) }, depth + 1),
        )
        .filter((way) => way.length > 0)
        .slice(0, MOST_WAYS);
    }
    const texts: string[] = [];
    let at = 0;
    for (const match of body.matchAll(/\{\{-?\s*([\s\S]*?)\s*-?\}\}/g)) {
      texts.push(body.slice(at, match.index).trim());
      at = match.index + match[0].length;
      const action = match[1] ?? '';
      const [, variable, value] = /^\$(\w+)\s*:?=\s*([\s\S]+)$/.exec(action) ?? [];
      if (variable !== undefined && value !== undefined) frame.names.set(variable, this.#meaning(value, frame, depth));
      else if (!action.startsWith('/*')) texts.push(match[0]);
    }
    texts.push(body.slice(at).trim());
    return this.#output(texts.join(''), frame, depth);
  }

  #word(word: string, frame: Frame, depth: number): Meaning {
    if (word.startsWith('(')) return this.#meaning(word.slice(1, -1), frame, depth + 1);
    if (/^"/.test(word)) return { ways: [[{ text: word.slice(1, -1) }]] };
    const [, variable, below = ''] = /^\$(\w+)((?:\.[\w-]+)*)$/.exec(word) ?? [];
    if (variable !== undefined) {
      const value = frame.names.get(variable) ?? open(word);
      if (below === '') return value;
      const ways = value.ways.flatMap((way) => {
        const [only] = way;
        return way.length === 1 && only !== undefined && 'key' in only ? [[{ key: `${only.key}${below}` }]] : [];
      });
      return ways.length === 0 ? open(word) : { ways };
    }
    const path = word.startsWith('$.')
      ? word.slice(1)
      : frame.dot === undefined
        ? undefined
        : `${frame.dot}${word === '.' ? '' : word}`;
    if (path === undefined || !/^(\.[\w-]+)+$/.test(path)) return open(word);
    if (path.startsWith('.Values.')) return { ways: [[{ key: path.slice('.Values.'.length) }]] };
    return /^\.Chart\.(AppVersion|Version)$/.test(path) ? { ways: [[{ text: '\0' }]] } : open(word);
  }
}

/** The texts of `if … else if … else …`. */
function branchesOf(body: string): readonly string[] {
  const found: string[] = [];
  let depth = 0;
  let at = 0;
  for (const match of body.matchAll(/\{\{-?\s*(if|with|range|end|else)\b[\s\S]*?\}\}/g)) {
    if (match[1] === 'end') depth -= 1;
    else if (match[1] !== 'else') depth += 1;
    else if (depth === 0) {
      found.push(body.slice(at, match.index));
      at = match.index + match[0].length;
    }
  }
  return [...found, body.slice(at)];
}

/** Parts at a sign that stands in no quotes and brackets. */
function splitAt(text: string, sign: string): readonly string[] {
  const parts: string[] = [''];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|`[^`]*`|\([^()]*(?:\([^()]*\)[^()]*)*\)|[\s\S]/g)) {
    if (token === sign) parts.push('');
    else parts[parts.length - 1] += token;
  }
  return parts.map((part) => part.trim());
}

const wordsOf = (text: string): readonly string[] =>
  splitAt(text.replace(/\s+/g, ' '), ' ').filter((word) => word !== '');
