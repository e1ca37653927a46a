import type { Place } from '../problems/index.ts';
import type { YamlNode } from '../yaml/index.ts';

/**
 * The place of a line of a script that is written in a YAML scalar: in a block (`|`, `>`) the very line of the file, else
 * the whole scalar. `line` counts from 0.
 */
export function scriptPlace(node: YamlNode, text: string, line: number): Place {
  const { place, offsets } = node;
  const start = place.range?.start;
  if (start === undefined || !/^[|>]/.test(text.slice(offsets[0], offsets[0] + 1))) return place;
  const number = start.line + 1 + line;
  const written = text.split('\n')[number];
  if (written === undefined) return place;
  const character = written.search(/\S/);
  if (character === -1) return place;
  return {
    file: place.file,
    range: { start: { line: number, character }, end: { line: number, character: written.trimEnd().length } },
  };
}
