import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { Diagnostic, Place, Range } from '../problems/index.ts';

/** A YAML document that can say where each of its values stands. */
export interface PlacedYaml {
  readonly value: unknown;
  readonly diagnostics: readonly Diagnostic[];
  /** The place of the value at a path; the nearest ancestor's when the path does not exist. */
  placeOf(path: readonly (string | number)[]): Place;
  /** The place of the key (not the value) at a path. */
  placeOfKey(path: readonly (string | number)[]): Place;
}

/** Reads one YAML document. Syntax errors become diagnostics; what could be read is still there. */
export function readYaml(text: string, file: string): PlacedYaml {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const rangeOf = (start: number, end: number): Range => ({ start: position(lines, start), end: position(lines, end) });
  const diagnostics = [...document.errors, ...document.warnings].map(
    (error): Diagnostic => ({
      severity: error.name === 'YAMLWarning' ? 'warning' : 'error',
      code: 'yaml.syntax',
      message: `This is not valid YAML: ${error.message}`,
      place: { file, range: rangeOf(error.pos[0], Math.max(error.pos[1], error.pos[0] + 1)) },
      ...(error.code === 'TAB_AS_INDENT' && { fix: 'Indent with spaces.' }),
    }),
  );
  const whole: Place = { file };
  const place = (node: unknown): Place | undefined =>
    isNode(node) && node.range ? { file, range: rangeOf(node.range[0], node.range[1]) } : undefined;
  const keyAt = (path: readonly (string | number)[]): Node | undefined => {
    const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
    if (!isMap(parent)) return undefined;
    const pair = parent.items.find(
      (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(path.at(-1)),
    );
    return pair && isNode(pair.key) ? pair.key : undefined;
  };
  return {
    value: toValue(document),
    diagnostics,
    placeOf(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const found = place(document.getIn(path.slice(0, length), true));
        if (found !== undefined) return found;
      }
      return place(document.contents) ?? whole;
    },
    placeOfKey(path) {
      return place(keyAt(path)) ?? this.placeOf(path);
    },
  };
}

/** The bound stops aliases to aliases from growing without end; anchors in honest use stay far below it. */
const MOST_ALIASES = 1_000;

function toValue(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (error) {
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}

function position(lines: LineCounter, offset: number): { line: number; character: number } {
  const at = lines.linePos(offset);
  return { line: Math.max(0, at.line - 1), character: Math.max(0, at.col - 1) };
}
