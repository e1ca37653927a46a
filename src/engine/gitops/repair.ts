/** Mending a comment that was meant as a marker: the edit is offered only when Flux would act on the result. */
import { applyEdits, type TextEdit } from './edit.ts';
import type { DeadMarker } from './marker.ts';
import { findMarkers } from './markers.ts';

/**
 * Edits that turn a dead marker into a live one: its text written correctly, a missing space, or the comment moved behind
 * the value it was meant for. Undefined when none of these makes Flux act on it.
 */
export function repairMarker(text: string, file: string, dead: DeadMarker): readonly TextEdit[] | undefined {
  const before = findMarkers(text, file);
  return candidates(text, dead).find((edits) => {
    const after = findMarkers(applyEdits(text, edits), file);
    return after.markers.length === before.markers.length + 1 && after.dead.length === before.dead.length - 1;
  });
}

/**
 * Edits that put a marker behind each value `image:tag` of an image that has no comment yet. Only those that Flux would act
 * on; Flux does not read comments of values inside one-line collections, for example.
 */
export function markerEdits(text: string, file: string, image: string, policy: string): readonly TextEdit[] {
  const edits: TextEdit[] = [];
  const pattern = new RegExp(
    `^[^#\\n\\r]*[\\s"']${image.replaceAll(/[.+*?()|[\]{}^$\\]/g, '\\$&')}:[\\w.-]+["']?[ \\t]*$`,
    'gm',
  );
  for (const match of text.matchAll(pattern)) {
    const end = match.index + match[0].trimEnd().length;
    const edit = { start: end, end, text: ` # {"$imagepolicy": "${policy}"}` };
    const after = findMarkers(applyEdits(text, [...edits, edit]), file);
    if (after.markers.length === findMarkers(text, file).markers.length + edits.length + 1) edits.push(edit);
  }
  return edits;
}

function candidates(text: string, { comment }: DeadMarker): readonly (readonly TextEdit[])[] {
  const written = text.slice(comment.start, comment.end);
  const marker = rewritten(written);
  if (marker === undefined) return [];
  const { start } = comment;
  const end = comment.start + written.trimEnd().length;
  // Without its space the "#" belongs to the value, and with a ": " behind it the whole file is no YAML.
  if (start > 0 && text[start] === '#' && !/\s/.test(text[start - 1] ?? ''))
    return [[{ start, end: start, text: ' ' }]];
  const lineStart = Math.max(text.lastIndexOf('\n', start - 1), text.lastIndexOf('\r', start - 1)) + 1;
  const isAlone = text.slice(lineStart, start).trim() === '';
  const found: (readonly TextEdit[])[] = [[{ start, end, text: marker }]];
  const next = nextLine(text, end);
  // Behind the value on the next line, when that line has no comment of its own.
  if (next !== undefined && !next.text.includes('#') && next.text.trim() !== '') {
    const behind = { start: next.end, end: next.end, text: ` ${marker}` };
    const removed = isAlone
      ? { start: lineStart, end: next.start, text: '' }
      : { start: lineStart + text.slice(lineStart, start).trimEnd().length, end, text: '' };
    found.push([removed, behind]);
  }
  return found;
}

/** The marker that the comment's words mean; undefined when they name no namespace and policy. */
function rewritten(comment: string): string | undefined {
  const match =
    /\$imagepolicy\W{1,8}?([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)\s*[:/]\s*([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?:\s*[:/]\s*(tag|name|digest)\b)?/i.exec(
      comment,
    );
  if (match === null) return undefined;
  const [, namespace = '', policy = '', part] = match;
  return `# {"$imagepolicy": "${namespace}:${policy}${part === undefined ? '' : `:${part.toLowerCase()}`}"}`;
}

function nextLine(
  text: string,
  at: number,
): { readonly start: number; readonly end: number; readonly text: string } | undefined {
  const lineBreak = /\r\n|\r|\n/.exec(text.slice(at));
  if (lineBreak === null) return undefined;
  const start = at + lineBreak.index + lineBreak[0].length;
  const rest = text.slice(start);
  const length = rest.search(/[\r\n]/);
  const line = length === -1 ? rest : rest.slice(0, length);
  return { start, end: start + line.trimEnd().length, text: line };
}
