import type { Config } from './schema.ts';

type TestInput = NonNullable<Config['test']>[number];

/** One cell: axis → value, as text. Empty for a test without a matrix. */
export type Cell = Readonly<Record<string, string>>;

/** All combinations of the axes, in the order they are written; the last axis changes first. */
export function cellsOf(matrix: TestInput['matrix']): readonly Cell[] {
  return Object.entries(matrix ?? {}).reduce<readonly Cell[]>(
    (cells, [axis, values]) => cells.flatMap((cell) => values.map((value) => ({ ...cell, [axis]: String(value) }))),
    [{}],
  );
}

/** `unit` of python 3.12 and a database `postgres:16` is `unit-3.12-postgres-16`: what a step id and a file name may hold. */
export function cellName(name: string, cell: Cell): string {
  const parts = Object.values(cell).map((value) => value.toLowerCase().replace(/[^a-z0-9._]+/g, '-'));
  return [name, ...parts].join('-').replace(/[^a-z0-9]+$/, '');
}

/** Environment of a cell: `MATRIX_PYTHON=3.12`. */
export function cellEnv(cell: Cell): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(cell).map(([axis, value]) => [`MATRIX_${axis.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}`, value]),
  );
}

/** Fills `{matrix.axis}` in every text of a value; `onUnknown` hears of axes that there are not. */
export function fill<T>(value: T, cell: Cell, onUnknown: (axis: string) => void): T {
  if (typeof value === 'string') {
    return value.replace(/\{matrix\.([^}]*)\}/g, (whole, axis: string) => {
      const found = cell[axis];
      if (found === undefined) onUnknown(axis);
      return found ?? whole;
    }) as T;
  }
  if (Array.isArray(value)) return value.map((item) => fill(item, cell, onUnknown)) as T;
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, fill(item as unknown, cell, onUnknown)]),
    ) as T;
  }
  return value;
}
