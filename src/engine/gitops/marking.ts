/** Putting an `$imagepolicy` marker behind the value that says an image's version; every other byte stays. Pure. */
import { SlipwayError } from '../problems/index.ts';
import { applyEdits, type TextEdit } from './edit.ts';
import { fieldOf } from './file.ts';
import type { ScalarNode } from './goyaml/nodes.ts';
import { cannotEdit, containerImages, type ImagePlace, kustomizeEntry } from './imagePlaces.ts';
import { findMarkers } from './markers.ts';
import { nodeAt, readYamlObjects, type YamlObject } from './yaml.ts';

interface Value {
  readonly node: ScalarNode;
  readonly object: YamlObject;
  readonly part: '' | ':tag';
}

/**
 * The file with a marker for `namespace:policy` at every value of the place. A comment that stands there moves to a line
 * of its own above, as Flux reads one comment only. Throws SlipwayError `config` where no marker can stand (a value
 * inside `{…}`), or when Flux would not find it.
 */
export function markImageAt(place: ImagePlace, text: string, policy: string): string {
  const values = valuesOf(place, text);
  if (values.length === 0) throw cannotEdit(place);
  const edits = values.flatMap((value) => markEdits(place, text, value, policy));
  const marked = applyEdits(text, edits);
  const found = findMarkers(marked, place.file).markers.filter(
    ({ setter }) => `${setter.namespace}:${setter.policy}` === policy,
  );
  if (found.length >= values.length) return marked;
  throw new SlipwayError({
    reason: 'config',
    code: 'gitops.not-marked',
    message: `Flux would not find a marker that is written into ${place.file}.`,
    fix: 'Run `slipway policies` on the file: something in it keeps Flux from reading it.',
    place: { file: place.file },
  });
}

function valuesOf(place: ImagePlace, text: string): readonly Value[] {
  switch (place.kind) {
    case 'manifests':
      return containerImages(text, place).map(({ node, object }) => ({ node, object, part: '' as const }));
    case 'kustomization': {
      const entry = kustomizeEntry(text, place);
      const node = fieldOf(entry?.node, 'newTag');
      return entry === undefined || node?.kind !== 'scalar' ? [] : [{ node, object: entry.object, part: ':tag' }];
    }
    case 'values': {
      const [object] = readYamlObjects(text, place.file);
      const path = [...place.key.split('.'), ...(place.shape === 'map' ? ['tag'] : [])];
      const node = nodeAt(object?.root, path);
      if (object === undefined || node?.kind !== 'scalar') return [];
      return [{ node, object, part: place.shape === 'map' ? ':tag' : '' }];
    }
    default:
      return [];
  }
}

function markEdits(
  place: ImagePlace,
  text: string,
  { node, object, part }: Value,
  policy: string,
): readonly TextEdit[] {
  const comment = `# {"$imagepolicy": "${policy}${part}"}`;
  const end = object.toOffset(node.end);
  const rest = /^([ \t]*)(#[^\r\n]*)?(?=\r|\n|$)/.exec(text.slice(end));
  if (rest === null || node.block !== undefined || node.start === node.end) {
    throw new SlipwayError({
      reason: 'config',
      code: 'gitops.no-line-end',
      message: `${place.file} writes the version of ${place.repository} where no comment can follow it on its line, and Flux reads markers only there.`,
      fix: 'Write the image on a line of its own.',
      place: { file: place.file, range: object.lines.rangeAt(object.toOffset(node.start), end) },
    });
  }
  const [whole, , old] = rest;
  if (old === undefined) return [{ start: end, end: end + whole.length, text: ` ${comment}` }];
  if (old.includes('$imagepolicy'))
    return [{ start: end + whole.length - old.length, end: end + whole.length, text: comment }];
  const start = object.toOffset(node.start);
  const lineStart = Math.max(text.lastIndexOf('\n', start - 1), text.lastIndexOf('\r', start - 1)) + 1;
  const indent = /^[ \t]*/.exec(text.slice(lineStart))?.[0] ?? '';
  const lineBreak = text.includes('\r\n') ? '\r\n' : '\n';
  return [
    { start: lineStart, end: lineStart, text: `${indent}${old}${lineBreak}` },
    { start: end, end: end + whole.length, text: ` ${comment}` },
  ];
}
