import { posix } from 'node:path';
import type { Place } from '../../problems/index.ts';
import { readYamlDocuments, type YamlNode } from '../../yaml/index.ts';
import type { BuildFinding, RelativePath } from './findings.ts';
import {
  type Expression,
  type HclBlock,
  HclMistake,
  type HclValue,
  OPEN,
  readHcl,
  readTemplate,
  type Scope,
} from './hcl.ts';
import { folderOf, isRepository, repositoryOf, resolveFrom } from './paths.ts';

/** `docker-bake.hcl`, `docker-bake.override.json`, `docker-bake.release.hcl`. */
export const isBakeFile = (path: string): boolean => /(^|\/)docker-bake(\.[\w-]+)?\.(hcl|json)$/.test(path);

/** Files that bake takes together when none is named, in its order; any other stands for itself. */
const TOGETHER = ['docker-bake.json', 'docker-bake.hcl', 'docker-bake.override.json', 'docker-bake.override.hcl'];

export interface BakeText {
  readonly path: RelativePath;
  readonly text: string;
  /** Absolute. */
  readonly file: string;
}

/** Bake files that are read as one. */
export function bakeSets(files: readonly BakeText[]): readonly (readonly BakeText[])[] {
  const rank = ({ path }: BakeText) => TOGETHER.indexOf(posix.basename(path));
  const sets = Map.groupBy(files, (each) => (rank(each) < 0 ? each.path : folderOf(each.path)));
  return [...sets.values()].map((set) => set.toSorted((a, b) => rank(a) - rank(b)));
}

/** Something that only buildx can work out, or that is no HCL. */
export interface BakeGap {
  readonly what: string;
  readonly place: Place;
}

export interface BakeReading {
  readonly builds: readonly BuildFinding[];
  /** What keeps a target from being read. */
  readonly gaps: readonly BakeGap[];
  /** Targets to ask `bake --print` for. Empty where the files could not be read: then for the default group. */
  readonly names: readonly string[];
  /** Where each target stands. */
  readonly places: ReadonlyMap<string, Place>;
  /** Folder that bake is to be called in. */
  readonly folder: RelativePath;
}

/** A target before its values are worked out. */
interface Target {
  readonly name: string;
  readonly place: Place;
  readonly fields: ReadonlyMap<string, Expression>;
  readonly matrix?: Expression;
}

interface Definition {
  readonly targets: Map<string, Target>;
  readonly groups: Map<string, Expression>;
  readonly variables: Map<string, Expression>;
  readonly gaps: BakeGap[];
}

const MOST_COMBINATIONS = 64;
/** Fields that slipway.yaml has no words for, or that cannot be taken out of the file they stand in. */
const ONLY_BAKE = [
  'contexts',
  'secret',
  'ssh',
  'dockerfile-inline',
  'network',
  'shm-size',
  'ulimits',
  'extra-hosts',
  'entitlements',
];

/**
 * The targets of bake files, read without running anything: variables by the defaults written there, `inherits`, groups
 * and matrices. What a function makes or the surroundings give is a gap where an image cannot be told without it. `isFile`
 * says whether there is a file of that path.
 */
export function readBakeSet(set: readonly BakeText[], isFile: (path: RelativePath) => boolean): BakeReading {
  const definition: Definition = { targets: new Map(), groups: new Map(), variables: new Map(), gaps: [] };
  for (const each of set) {
    if (each.path.endsWith('.json')) readJson(each, definition);
    else readNative(each, definition);
  }
  const values = new BakeValues(definition);
  const wanted = values.wanted();
  const first = set[0]?.path ?? '.';
  const folder = calledFrom(
    folderOf(first),
    wanted.flatMap((target) => target.dockerfileBelow('.') ?? []),
    isFile,
  );
  const builds: BuildFinding[] = [];
  const gaps: BakeGap[] = [...definition.gaps];
  const places = new Map([...definition.targets.values()].map(({ name, place }) => [name, place]));
  for (const { name, origin } of wanted) places.set(name, places.get(origin) ?? { file: set[0]?.file ?? '' });
  for (const target of wanted) {
    const build = target.build(folder, first, referenceTo(set, folder));
    gaps.push(...target.gaps);
    if (build !== undefined) builds.push(build);
  }
  for (const [target, aside] of values.aside(wanted)) {
    const build = target.build(folder, first, undefined);
    if (build !== undefined) builds.push({ ...build, aside });
  }
  return { builds, gaps, names: [...new Set(wanted.map(({ origin }) => origin))], places, folder };
}

/** What `buildx bake --print` said of the files that `reading` is of. Throws where it is no JSON of targets. */
export function readPrintedBake(text: string, reading: BakeReading, set: readonly BakeText[]): readonly BuildFinding[] {
  const [first] = set;
  if (first === undefined) return [];
  const printed: Definition = { targets: new Map(), groups: new Map(), variables: new Map(), gaps: [] };
  readJson({ ...first, text }, printed);
  const reference = referenceTo(set, reading.folder);
  const values = new BakeValues(printed);
  const wanted = values.wanted();
  const placed = (target: BakeTargetValues): readonly BuildFinding[] => {
    const build = target.build(reading.folder, first.path, reference, 'printed');
    return build === undefined ? [] : [{ ...build, place: reading.places.get(target.name) ?? { file: first.file } }];
  };
  return [
    ...wanted.flatMap(placed),
    ...values.aside(wanted).flatMap(([target, aside]) => placed(target).map((build) => ({ ...build, aside }))),
  ];
}

/** How slipway.yaml names them; undefined where bake would have to be called in another folder or with several files. */
function referenceTo(set: readonly BakeText[], folder: RelativePath): { readonly file?: string } | undefined {
  const [first, ...others] = set;
  if (first === undefined || folder !== '.') return undefined;
  if (others.length === 0) return { file: first.path };
  return folderOf(first.path) === '.' ? {} : undefined;
}

/** The root, unless the Dockerfiles that the targets name lie below the file's own folder only. */
function calledFrom(
  folder: RelativePath,
  dockerfiles: readonly RelativePath[],
  isFile: (path: RelativePath) => boolean,
): RelativePath {
  if (folder === '.' || dockerfiles.some(isFile)) return '.';
  return dockerfiles.some((path) => isFile(posix.join(folder, path))) ? folder : '.';
}

function readNative({ text, file }: BakeText, into: Definition): void {
  const placeOf = (offset: number, length: number): Place => {
    const before = text.slice(0, offset);
    const line = before.split('\n').length - 1;
    const character = offset - (before.lastIndexOf('\n') + 1);
    return { file, range: { start: { line, character }, end: { line, character: character + length } } };
  };
  let blocks: readonly HclBlock[];
  try {
    const body = readHcl(text);
    blocks = body.blocks;
    // An attribute at the top is a variable, too.
    for (const [name, { value }] of body.attributes) into.variables.set(name, value);
  } catch (error) {
    if (!(error instanceof HclMistake)) throw error;
    into.gaps.push({ what: `it cannot be read here (${error.message})`, place: placeOf(error.offset, 1) });
    return;
  }
  for (const { type, labels, offset, attributes } of blocks) {
    const [name] = labels;
    if (name === undefined) continue;
    const fields = new Map([...attributes].map(([key, { value }]) => [key, value]));
    if (type === 'variable') into.variables.set(name, fields.get('default') ?? (() => OPEN));
    if (type === 'group') into.groups.set(name, fields.get('targets') ?? (() => []));
    if (type === 'target') addTarget(into, name, placeOf(offset, name.length), fields);
  }
}

function readJson({ text, file }: BakeText, into: Definition): void {
  const root = readYamlDocuments(text, file).documents[0];
  for (const { key, value } of root?.get('variable')?.entries() ?? []) {
    const given = value.get('default');
    into.variables.set(key, given === undefined ? () => OPEN : expressionOf(given));
  }
  for (const { key, value } of root?.get('group')?.entries() ?? []) {
    const targets = value.get('targets');
    if (targets !== undefined) into.groups.set(key, expressionOf(targets));
  }
  for (const { key, keyPlace, value } of root?.get('target')?.entries() ?? [])
    addTarget(into, key, keyPlace, new Map(value.entries().map((field) => [field.key, expressionOf(field.value)])));
}

function expressionOf(node: YamlNode): Expression {
  const text = node.text();
  if (text !== undefined) {
    try {
      return readTemplate(text);
    } catch {
      return () => OPEN;
    }
  }
  const items = node.items().map(expressionOf);
  if (node.kind === 'list') return (scope) => items.map((item) => item(scope));
  const entries = node.entries().map(({ key, value }) => [key, expressionOf(value)] as const);
  if (node.kind === 'map') return (scope) => Object.fromEntries(entries.map(([key, value]) => [key, value(scope)]));
  return () => null;
}

/** A later block of the same name is laid over the earlier one. */
function addTarget(into: Definition, name: string, place: Place, own: ReadonlyMap<string, Expression>): void {
  const earlier = into.targets.get(name);
  const fields = new Map([...(earlier?.fields ?? []), ...own]);
  for (const key of ['args', 'contexts']) {
    const [under, over] = [earlier?.fields.get(key), own.get(key)];
    if (under !== undefined && over !== undefined) fields.set(key, (scope) => merged(under(scope), over(scope)));
  }
  const matrix = fields.get('matrix');
  into.targets.set(name, {
    name,
    place: earlier?.place ?? place,
    fields,
    ...(matrix !== undefined && { matrix }),
  });
}

const isMap = (value: HclValue | undefined): value is { readonly [key: string]: HclValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const merged = (under: HclValue, over: HclValue): HclValue =>
  isMap(under) && isMap(over) ? { ...under, ...over } : over;
const isOpen = (value: HclValue | undefined): boolean => typeof value === 'string' && value.includes(OPEN);
const listOf = (value: HclValue | undefined): readonly HclValue[] => (Array.isArray(value) ? value : []);

class BakeValues {
  readonly #definition: Definition;
  readonly #parents = new Set<string>();
  readonly #scope: Scope;

  constructor(definition: Definition) {
    this.#definition = definition;
    const busy = new Set<string>();
    this.#scope = (name) => {
      const expression = definition.variables.get(name);
      // One that stands for itself is buildx's to refuse.
      if (expression === undefined || busy.has(name)) return undefined;
      busy.add(name);
      const value = expression(this.#scope);
      busy.delete(name);
      return value;
    };
    for (const { fields } of definition.targets.values())
      for (const name of listOf(fields.get('inherits')?.(this.#scope))) this.#parents.add(String(name));
  }

  /** The targets that are images: those with tags, else those that are not there for others only. */
  wanted(): readonly BakeTargetValues[] {
    const all = [...this.#definition.targets.values()].flatMap((target) => this.#expanded(target));
    const built = all.filter((each) => each.givesImage());
    // The action of that name fills its tags in; those written there are for builds on one's own machine.
    const tagged = built.filter((each) => each.tags().length > 0 && each.name !== 'docker-metadata-action');
    const plain = built.filter(
      ({ name, origin }) => !this.#parents.has(name) && !this.#parents.has(origin) && !name.startsWith('_'),
    );
    return tagged.length > 0 ? tagged : plain;
  }

  /** Targets that are not wanted, with what they are for. */
  aside(wanted: readonly BakeTargetValues[]): readonly (readonly [BakeTargetValues, string])[] {
    const names = new Set(wanted.map(({ name }) => name));
    return [...this.#definition.targets.values()]
      .flatMap((target) => this.#expanded(target))
      .flatMap((each) =>
        names.has(each.name)
          ? []
          : [[each, `the bake target "${each.name}" ${each.givesImage() ? 'has no tags' : 'gives no image'}`] as const],
      );
  }

  /** One for each combination of a matrix. */
  #expanded(target: Target): readonly BakeTargetValues[] {
    const matrix = target.matrix?.(this.#scope);
    if (!isMap(matrix)) return [this.#values(target, target.name, this.#scope)];
    let combinations: readonly Readonly<Record<string, HclValue>>[] = [{}];
    for (const [key, list] of Object.entries(matrix)) {
      // A list that cannot be told leaves one combination with a gap in it.
      const values = Array.isArray(list) ? (list as readonly HclValue[]) : [OPEN];
      combinations = combinations.flatMap((each) => values.map((value) => ({ ...each, [key]: value })));
      if (combinations.length > MOST_COMBINATIONS) combinations = combinations.slice(0, MOST_COMBINATIONS);
    }
    return combinations.map((values) => {
      const scope: Scope = (name) => values[name] ?? this.#scope(name);
      const name = target.fields.get('name')?.(scope);
      return this.#values(target, typeof name === 'string' ? name : target.name, scope);
    });
  }

  #values(target: Target, name: string, scope: Scope): BakeTargetValues {
    const field = (from: Target, key: string, depth: number): HclValue | undefined => {
      const own = from.fields.get(key)?.(scope);
      const isMerged = key === 'args' || key === 'contexts';
      if ((own !== undefined && !isMerged) || depth > 8) return own;
      let inherited: HclValue | undefined;
      for (const parent of listOf(from.fields.get('inherits')?.(scope))) {
        const target = this.#definition.targets.get(String(parent));
        const value = target === undefined ? undefined : field(target, key, depth + 1);
        if (value !== undefined) inherited = isMerged && inherited !== undefined ? merged(inherited, value) : value;
      }
      if (own === undefined) return inherited;
      return inherited === undefined ? own : merged(inherited, own);
    };
    return new BakeTargetValues(target, name, (key) => field(target, key, 0));
  }
}

class BakeTargetValues {
  readonly name: string;
  /** The block it comes from: a matrix makes several of one. */
  readonly origin: string;
  readonly gaps: BakeGap[] = [];
  readonly #place: Place;
  readonly #field: (key: string) => HclValue | undefined;

  constructor(target: Target, name: string, field: (key: string) => HclValue | undefined) {
    this.name = name;
    this.origin = target.name;
    this.#place = target.place;
    this.#field = field;
  }

  tags(): readonly string[] {
    const tags = this.#field('tags');
    return isOpen(tags) ? [OPEN] : listOf(tags).flatMap((tag) => (typeof tag === 'string' && tag !== '' ? [tag] : []));
  }

  /** False when all it gives are files or nothing: `type=local`, `type=cacheonly`. */
  givesImage(): boolean {
    const outputs = listOf(this.#field('output')).map((one) =>
      typeof one === 'string' ? one : isMap(one) ? `type=${String(one.type)}` : '',
    );
    return outputs.length === 0 || outputs.some((one) => !/(^|,)type=(local|tar|cacheonly)\b|^[^=,]+$/.test(one));
  }

  /** Where its Dockerfile would be when bake is called in the folder. */
  dockerfileBelow(folder: RelativePath): RelativePath | undefined {
    const [context, dockerfile] = [this.#text('context') ?? '.', this.#text('dockerfile') ?? 'Dockerfile'];
    if (isOpen(context) || isOpen(dockerfile)) return undefined;
    const below = resolveFrom(folder, context);
    return below === undefined ? undefined : resolveFrom(below, dockerfile);
  }

  build(
    folder: RelativePath,
    path: RelativePath,
    reference: { readonly file?: string } | undefined,
    how: 'read' | 'printed' = 'read',
  ): BuildFinding | undefined {
    const context = this.#text('context') ?? '.';
    if (/^([a-z-]+:\/\/|git@)/.test(context)) return undefined;
    const inline = this.#field('dockerfile-inline');
    const repositories = this.tags().map(repositoryOf);
    const repository = repositories.find((each) => !isOpen(each) && isRepository(each));
    if (this.name.includes(OPEN)) this.#gap('the name of one');
    if (isOpen(this.#field('inherits'))) this.#gap('what it inherits');
    for (const key of ['context', 'dockerfile', 'target', 'platforms'] as const)
      if (isOpen(this.#field(key)) || listOf(this.#field(key)).some(isOpen)) this.#gap(`"${key}"`);
    if (repository === undefined && repositories.some(isOpen)) this.#gap('the repository of its tags');
    const below = isOpen(context) ? undefined : resolveFrom(folder, context);
    const dockerfile = typeof inline === 'string' ? `${path}#${this.name}` : this.dockerfileBelow(folder);
    if (below === undefined || dockerfile === undefined || this.name.includes(OPEN)) return undefined;
    const target = this.#text('target');
    const args = this.#args();
    const beyond = ONLY_BAKE.filter((key) => !isNothing(this.#field(key)));
    const isOnlyBake = how === 'printed' || args.isOpen || this.gaps.length > 0 || beyond.length > 0;
    if (reference === undefined && (args.isOpen || beyond.length > 0))
      this.#gap([...(args.isOpen ? ['an argument'] : []), ...beyond.map((key) => `"${key}"`)].join(', '));
    return {
      origin: 'bake',
      name: this.name,
      context: below,
      dockerfile,
      ...(typeof inline === 'string' && { inline }),
      ...(target !== undefined && !isOpen(target) && { target }),
      ...(repository !== undefined && { repository }),
      platforms: this.#texts('platforms'),
      args: args.known,
      cacheFrom: this.#texts('cache-from'),
      cacheTo: this.#texts('cache-to'),
      tags: [],
      ...(isOnlyBake && reference !== undefined && { bake: { target: this.name, ...reference } }),
      place: this.#place,
    };
  }

  #gap(what: string): void {
    this.gaps.push({ what: `${what} of the target "${this.origin}"`, place: this.#place });
  }

  #text(key: string): string | undefined {
    const value = this.#field(key);
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  #texts(key: string): readonly string[] {
    return listOf(this.#field(key)).flatMap((one) => {
      const text = typeof one === 'string' ? one : isMap(one) ? cacheText(one) : '';
      return text === '' || text.includes(OPEN) ? [] : [text];
    });
  }

  #args(): { readonly known: Readonly<Record<string, string>>; readonly isOpen: boolean } {
    const args = this.#field('args');
    if (!isMap(args)) return { known: {}, isOpen: isOpen(args) };
    const entries = Object.entries(args).filter(([, value]) => value !== null && typeof value !== 'object');
    return {
      known: Object.fromEntries(entries.flatMap(([key, value]) => (isOpen(value) ? [] : [[key, String(value)]]))),
      isOpen: entries.some(([, value]) => isOpen(value)),
    };
  }
}

const isNothing = (value: HclValue | undefined): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value).length === 0);

/** Newer buildx prints cache entries as maps: `{type: registry, ref: …}`. */
const cacheText = (entry: { readonly [key: string]: HclValue }): string =>
  Object.entries(entry)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
