import { relative, sep } from 'node:path';
import { Document, isMap, isNode, isPair, isScalar, isSeq, type Node, visit } from 'yaml';
import type { Draft, Note } from './discovery/draftModel.ts';
import type { Findings } from './discovery/findings.ts';

const HEADER = ` Slipway: from commit to a verified rollout. Reference: docs/configuration.md
 Written by "slipway init" from what lies in this repository; each comment says where a value came from.
 CHECK marks a guess.`;

/** The draft as a commented slipway.yaml. */
export function draftText(draft: Draft, findings: Findings): string {
  const document = new Document(draft.config, { aliasDuplicateObjects: false });
  document.commentBefore = HEADER;
  for (const [path, notes] of grouped(draft.notes.filter((note) => !isSaidAbove(note, draft.notes)))) {
    const target = document.getIn(path.slice(0, -1), true);
    const last = path.at(-1);
    const comment = notes.map((note) => ` ${noteText(note, findings)}`).join('\n');
    const parent = path.length === 1 ? document.contents : target;
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === last);
      if (pair !== undefined && isNode(pair.key)) pair.key.commentBefore = comment;
    } else if (isSeq(parent) && typeof last === 'number') {
      const item = parent.items[last];
      if (isNode(item)) item.commentBefore = comment;
    }
  }
  for (const key of ['images', 'tags', 'test', 'scan', 'environments']) spaceBefore(document, key);
  visit(document, {
    Seq(_key, node) {
      // Short lists of words on one line, as people write them.
      if (node.items.every(isScalar)) node.flow = true;
    },
  });
  return document.toString({ lineWidth: 120, flowCollectionPadding: false });
}

function spaceBefore(document: Document, key: string): void {
  const root = document.contents;
  if (!isMap(root)) return;
  const pair = root.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key);
  if (pair !== undefined && isNode(pair.key)) (pair.key as Node).spaceBefore = true;
}

/** The map a value is in has the same comment already. */
const isSaidAbove = (note: Note, notes: readonly Note[]): boolean =>
  notes.some(
    (other) =>
      other.path.length < note.path.length &&
      other.path.every((part, index) => part === note.path[index]) &&
      other.text === note.text &&
      other.place === note.place,
  );

/** Notes by path; several of one path become several comment lines. */
function grouped(notes: readonly Note[]): readonly (readonly [readonly (string | number)[], readonly Note[]])[] {
  const byPath = Map.groupBy(notes, (note) => JSON.stringify(note.path));
  return [...byPath.values()].flatMap((list) => (list[0] === undefined ? [] : [[list[0].path, list] as const]));
}

function noteText(note: Note, findings: Findings): string {
  const file = relative(findings.root, note.place.file).split(sep).join('/');
  const line = note.place.range === undefined ? '' : `:${note.place.range.start.line + 1}`;
  const where = file === '' || file.startsWith('..') ? '' : ` (${file}${line})`;
  const text = `${note.certainty === 'guess' ? 'CHECK: ' : ''}${note.text}${where}`;
  const whole = note.fix === undefined || note.certainty === 'read' ? text : `${text}. ${note.fix}`;
  return whole.replace(/\s+/g, ' ');
}
