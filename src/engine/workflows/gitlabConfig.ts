import { compileGitLabGlob } from '../gitops/index.ts';
import type { Diagnostic, Place } from '../problems/index.ts';
import { DerivedNode, layered, readYamlDocuments, type YamlEntry, type YamlNode } from '../yaml/index.ts';
import { type JobRule, readRules } from './gitlabRules.ts';
import type { ReadLocal } from './model.ts';

/** Where other files of the repository come from. */
export interface GitlabFiles {
  readonly readLocal?: ReadLocal;
  /** All paths of the repository, for includes with wildcards. */
  readonly paths?: readonly string[];
}

/** A top-level entry as it is after includes were joined. */
interface RawEntry {
  readonly node: YamlNode;
  readonly keyPlace: Place;
  /** `rules` of the includes it came by, all of which must say yes. */
  readonly conditions: readonly (readonly JobRule[])[];
}

/** A top-level entry with what it extends, references followed. */
export interface GitlabEntry extends RawEntry {
  /** What it extends and is in no file that was read: anything may stand there. */
  readonly missing: readonly string[];
}

/** GitLab follows no more: includes 100 in all, `extends` 10 deep, `!reference` 10 deep. */
const DEEPEST = 10;
const MOST_FILES = 150;

/**
 * One pipeline configuration: a file with its includes joined as GitLab joins them (maps deeply, the including file
 * over the included), `extends` (maps deeply, the last named parent over the first) and `!reference` followed after that.
 * The order is that of GitLab 18: includes, then `extends`, then references.
 */
export class GitlabConfig {
  readonly templates: { readonly name: string; readonly place: Place }[] = [];
  /** Includes that were not read, in words. */
  readonly unread: string[] = [];
  readonly diagnostics: Diagnostic[] = [];
  readonly #files: GitlabFiles;
  /** Absolute folder of the repository with a closing slash, or nothing. */
  readonly #root: string;
  readonly #texts = new Map<string, string>();
  readonly #entries = new Map<string, RawEntry>();
  readonly #extended = new Map<string, GitlabEntry>();
  readonly #said = new Set<string>();
  #count = 0;

  constructor(root: string, files: GitlabFiles) {
    this.#root = root;
    this.#files = files;
  }

  /** Takes in a file over what is there already. */
  addFile(text: string, file: string): void {
    this.#put(this.#read(text, file, new Map(), [], 0));
  }

  /** Takes in what an `include` (or `trigger:include`) names. */
  addIncludes(include: YamlNode): void {
    for (const each of include.kind === 'list' ? include.items() : [include]) this.#put(this.#include(each, [], 0));
  }

  get names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** The text of a file that was read, for places inside scripts. */
  textOf(file: string): string {
    return this.#texts.get(file) ?? '';
  }

  entry(name: string): GitlabEntry | undefined {
    const before = this.#extended.get(name);
    if (before !== undefined) return before;
    const raw = this.#entries.get(name);
    if (raw === undefined) return undefined;
    const missing = new Set<string>();
    const node = follow(this.#extend(raw.node, missing, 0), this.#references(), 0);
    const entry = { ...raw, node, missing: [...missing] };
    this.#extended.set(name, entry);
    return entry;
  }

  #references(): References {
    return {
      find: (path) => {
        const [name = '', ...rest] = path;
        const raw = this.#entries.get(name);
        return raw === undefined ? undefined : this.#extend(raw.node, new Set(), 0).at(...rest);
      },
      missing: (node, path) =>
        this.#say(
          `!reference ${path.join('.')}`,
          `!reference [${path.join(', ')}] leads to nothing in the files that were read; what stands there is not known.`,
          node.place,
        ),
    };
  }

  #extend(node: YamlNode, missing: Set<string>, depth: number): YamlNode {
    const parents = node.strings('extends');
    if (parents.length === 0 || depth > DEEPEST) return node;
    let below: YamlNode | undefined;
    for (const name of parents) {
      const parent = this.#entries.get(name);
      if (parent === undefined) {
        missing.add(name);
        const place = node.get('extends')?.place ?? node.place;
        this.#say(
          `extends ${name}`,
          `${name} is in no file that was read; what jobs take from it is not known.`,
          place,
        );
      } else below = layered(this.#extend(parent.node, missing, depth + 1), below);
    }
    return layered(node, below);
  }

  #put(entries: ReadonlyMap<string, RawEntry>): void {
    for (const [name, entry] of entries) this.#entries.set(name, joined(entry, this.#entries.get(name)));
  }

  #read(
    text: string,
    file: string,
    given: ReadonlyMap<string, string>,
    conditions: RawEntry['conditions'],
    depth: number,
  ): Map<string, RawEntry> {
    this.#texts.set(file, text);
    const { documents, diagnostics } = readYamlDocuments(text, file);
    this.diagnostics.push(...diagnostics);
    const [first, second] = documents;
    // A header document declares the inputs of the file.
    const header = first?.get('spec') === undefined ? undefined : first;
    const body = header === undefined ? first : second;
    const found = new Map<string, RawEntry>();
    if (body === undefined) return found;
    const inputs = new Map<string, string>();
    for (const { key, value } of header?.at('spec', 'inputs')?.entries() ?? []) {
      const fallback = value.string('default');
      if (fallback !== undefined) inputs.set(key, fallback);
    }
    for (const [key, value] of given) inputs.set(key, value);
    const root = text.includes('$[[') ? withInputs(body, inputs) : body;
    const include = root.get('include');
    const includes = include === undefined ? [] : include.kind === 'list' ? include.items() : [include];
    for (const each of includes)
      for (const [name, entry] of this.#include(each, conditions, depth))
        found.set(name, joined(entry, found.get(name)));
    for (const { key, keyPlace, value } of root.entries())
      if (key !== 'include') found.set(key, joined({ node: value, keyPlace, conditions }, found.get(key)));
    return found;
  }

  #include(include: YamlNode, conditions: RawEntry['conditions'], depth: number): Map<string, RawEntry> {
    const found = new Map<string, RawEntry>();
    const word = include.text();
    const isAddress = word !== undefined && /^https?:/.test(word);
    const local = include.string('local') ?? (isAddress ? undefined : word);
    const template = include.string('template') ?? include.string('component');
    if (template !== undefined) this.templates.push({ name: template, place: include.place });
    if (local === undefined) {
      if (template === undefined || !/container-scanning/i.test(template)) this.#notRead(include, sourceOf(include));
      return found;
    }
    const rules = readRules(include.get('rules'));
    const inner = rules === undefined ? conditions : [...conditions, rules];
    const given = new Map<string, string>();
    for (const { key, value } of include.get('inputs')?.entries() ?? [])
      given.set(key, value.text() ?? JSON.stringify(value.value()));
    const paths = this.#local(local.replace(/^\.?\//, ''));
    if (paths.length === 0 || depth >= DEEPEST) this.#notRead(include, local);
    for (const path of paths) {
      const text = this.#count < MOST_FILES && depth < DEEPEST ? this.#files.readLocal?.(path) : undefined;
      this.#count += 1;
      if (text === undefined) {
        this.#notRead(include, path);
        continue;
      }
      for (const [name, entry] of this.#read(text, `${this.#root}${path}`, given, inner, depth + 1))
        found.set(name, joined(entry, found.get(name)));
    }
    return found;
  }

  #local(path: string): readonly string[] {
    if (!path.includes('*')) return [path];
    const glob = compileGitLabGlob(path);
    return glob instanceof RegExp ? (this.#files.paths ?? []).filter((each) => glob.test(each)) : [];
  }

  #notRead(include: YamlNode, what: string): void {
    this.unread.push(what);
    this.diagnostics.push({
      severity: 'info',
      code: 'workflow.unresolved',
      message: `The include ${what} is not read; what it builds or deploys is not known.`,
      place: include.place,
    });
  }

  #say(key: string, message: string, place: Place): void {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.diagnostics.push({ severity: 'info', code: 'workflow.unresolved', message, place });
  }
}

/** An include that is not of this repository, in words. */
function sourceOf(include: YamlNode): string {
  const project = include.string('project');
  if (project !== undefined) {
    const ref = include.string('ref');
    return `${include.strings('file').join(', ')} of ${project}${ref === undefined ? '' : `@${ref}`}`;
  }
  const artifact = include.string('artifact');
  if (artifact !== undefined) return `${artifact}, which the job ${include.string('job') ?? ''} makes,`;
  const name = include.string('template') ?? include.string('component') ?? include.string('remote') ?? include.text();
  return name ?? 'of an unknown kind';
}

/** The upper entry over the lower; it is there without condition as soon as one of them is. */
function joined(upper: RawEntry, lower: RawEntry | undefined): RawEntry {
  if (lower === undefined) return upper;
  const conditions = upper.conditions.length === 0 ? upper.conditions : lower.conditions;
  return { ...upper, node: layered(upper.node, lower.node), conditions };
}

interface References {
  find(path: readonly string[]): YamlNode | undefined;
  missing(node: YamlNode, path: readonly string[]): void;
}

/** A node that shows another one, with its texts and children changed on the way. */
class Shown extends DerivedNode {
  readonly kind: YamlNode['kind'];
  readonly #node: YamlNode;
  readonly #child: (node: YamlNode) => readonly YamlNode[];
  readonly #text: (text: string) => string;

  constructor(
    node: YamlNode,
    child: (node: YamlNode) => readonly YamlNode[],
    text: (text: string) => string = (same) => same,
  ) {
    super(node);
    this.kind = node.kind;
    this.#node = node;
    this.#child = child;
    this.#text = text;
  }

  override entries(): readonly YamlEntry[] {
    return this.#node.entries().map((entry) => ({ ...entry, value: this.#child(entry.value)[0] ?? entry.value }));
  }

  override items(): readonly YamlNode[] {
    return this.#node.items().flatMap((item) => this.#child(item));
  }

  override text(): string | undefined {
    const text = this.#node.text();
    return text === undefined ? undefined : this.#text(text);
  }

  protected override scalar(): unknown {
    const value = this.#node.value();
    return typeof value === 'string' ? this.#text(value) : value;
  }
}

/** What a `!reference` leads to that no file that was read holds. Readers take it for unknown. */
class Lost extends DerivedNode {
  readonly kind = 'empty';
}

function follow(node: YamlNode, references: References, depth: number): YamlNode {
  if (node.tag !== '!reference')
    return node.kind === 'scalar' || node.kind === 'empty'
      ? node
      : new Shown(node, (child) => {
          const followed = follow(child, references, depth);
          // A list that is referred to within a list is taken in flat, as GitLab does.
          return child.tag === '!reference' && node.kind === 'list' && followed.kind === 'list'
            ? followed.items()
            : [followed];
        });
  const path = node.items().flatMap((item) => item.text() ?? []);
  const target = depth > DEEPEST ? undefined : references.find(path);
  if (target !== undefined) return follow(target, references, depth + 1);
  references.missing(node, path);
  return new Lost(node);
}

/** `$[[ inputs.name ]]`, with functions behind it left out. An input without a value differs from run to run: a variable. */
function withInputs(node: YamlNode, inputs: ReadonlyMap<string, string>): YamlNode {
  const replace = (text: string): string =>
    text.replaceAll(
      /\$\[\[\s*inputs\.([\w-]+)[^\]]*\]\]/g,
      (_whole, name: string) => inputs.get(name) ?? `\${input_${name.replaceAll('-', '_')}}`,
    );
  return new Shown(node, (child) => [withInputs(child, inputs)], replace);
}
