import { configSchema } from '../schema.ts';

/** A path of keys and list indices from the top of the file. */
export type Path = readonly (string | number)[];

/** What valibot's schemas of slipway.yaml hold; read, never run. */
export interface Shape {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly wrapped?: Shape;
  readonly item?: Shape;
  readonly value?: Shape;
  readonly options?: readonly (Shape | string)[];
  readonly literal?: string | number | boolean;
  readonly pipe?: readonly { readonly type: string; readonly description?: string }[];
}

export interface KeyShape {
  readonly name: string;
  readonly description?: string;
  readonly isRequired: boolean;
  /** The alternatives its value may have. */
  readonly shapes: readonly Shape[];
}

/**
 * The alternatives for what stands at a path: none when the format knows nothing there. Where the format branches (kinds
 * of smoke checks), the branch that has the keys of the `value` written there is taken.
 */
export function shapesAt(path: Path, value?: unknown): readonly Shape[] {
  let shapes = branches([configSchema as unknown as Shape], value);
  let here = value;
  for (const part of path) {
    here = typeof here === 'object' && here !== null ? (here as Record<string | number, unknown>)[part] : undefined;
    shapes = branches(
      shapes.flatMap((shape) => below(shape, part)),
      here,
    );
  }
  return shapes;
}

function below(shape: Shape, part: string | number): readonly Shape[] {
  const found =
    shape.entries !== undefined
      ? typeof part === 'string'
        ? shape.entries[part]
        : undefined
      : shape.type === 'record'
        ? shape.value
        : shape.type === 'array' && typeof part === 'number'
          ? shape.item
          : undefined;
  return found === undefined ? [] : [found];
}

/** Optional wrappers off, unions opened. Of map-like branches only those that the value's keys point to. */
function branches(shapes: readonly Shape[], value: unknown): readonly Shape[] {
  const open = (shape: Shape): readonly Shape[] => {
    if (shape.type === 'optional' && shape.wrapped !== undefined) return open(shape.wrapped);
    if (shape.type !== 'union') return [shape];
    return (shape.options ?? []).flatMap((option) => (typeof option === 'string' ? [] : open(option)));
  };
  const all = shapes.flatMap(open);
  const maps = all.filter(({ entries }) => entries !== undefined);
  if (maps.length < 2 || typeof value !== 'object' || value === null) return all;
  const written = new Set(Object.keys(value));
  const meant = maps.filter(({ entries }) => {
    const required = Object.entries(entries ?? {}).filter(([, { type }]) => type !== 'optional');
    return required.length > 0 && required.every(([name]) => written.has(name));
  });
  return meant.length === 0 ? all : all.filter((shape) => shape.entries === undefined || meant.includes(shape));
}

/** The fixed keys that maps of these shapes may have, in the format's order; names a person chooses are not among them. */
export function keysOf(shapes: readonly Shape[]): readonly KeyShape[] {
  const keys = new Map<string, KeyShape>();
  for (const { entries } of shapes) {
    for (const [name, shape] of Object.entries(entries ?? {})) {
      if (keys.has(name)) continue;
      const description = descriptionOf(shape);
      keys.set(name, {
        name,
        ...(description !== undefined && { description }),
        isRequired: shape.type !== 'optional',
        shapes: branches([shape], undefined),
      });
    }
  }
  return [...keys.values()];
}

/** The keys known at a path; for suggestions. */
export const keysAt = (path: Path): readonly string[] => keysOf(shapesAt(path)).map(({ name }) => name);

/** Words a value of these shapes may be; empty when it is free text, a number, a list or a map. */
export function wordsOf(shapes: readonly Shape[]): readonly string[] {
  return shapes.flatMap((shape) => {
    if (shape.type === 'picklist') return (shape.options ?? []).map(String);
    if (shape.type === 'boolean') return ['true', 'false'];
    return shape.type === 'literal' ? [String(shape.literal)] : [];
  });
}

/** What the format says about the key at a path. */
export function descriptionAt(path: Path, value?: unknown): string | undefined {
  const last = path.at(-1);
  if (typeof last !== 'string') return undefined;
  return keysOf(shapesAt(path.slice(0, -1), value)).find(({ name }) => name === last)?.description;
}

/** In words for a person: `text`, `list of text`, `HIGH or LOW`, `map of names`. */
export function kindWords(shapes: readonly Shape[]): string {
  const words = shapes.map((shape): string => {
    if (shape.type === 'picklist' || shape.type === 'literal') return wordsOf([shape]).join(', ');
    if (shape.type === 'boolean') return 'true or false';
    if (shape.type === 'array')
      return `list of ${shape.item === undefined ? 'anything' : kindWords(branches([shape.item], undefined))}`;
    if (shape.entries !== undefined) return 'map';
    if (shape.type === 'record') return 'map of names';
    return { string: 'text', number: 'number', null: 'null' }[shape.type] ?? shape.type;
  });
  return [...new Set(words)].join(' or ');
}

/** The innermost description wins over none; pipes of pipes are looked through. */
function descriptionOf(shape: Shape): string | undefined {
  const own = shape.pipe?.findLast(({ type }) => type === 'description')?.description;
  return own ?? (shape.wrapped === undefined ? undefined : descriptionOf(shape.wrapped));
}
