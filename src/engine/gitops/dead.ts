/** Why a comment that mentions `$imagepolicy` in a readable file is not a marker for Flux. */

import { type FluxDocument, keyName } from './file.ts';
import type { Node } from './goyaml/nodes.ts';
import type { DeadCode, DeadMarker, Span } from './marker.ts';
import { readMarkerText } from './setter.ts';

interface Found {
  readonly node: Node;
  readonly start: number;
  readonly end: number;
  readonly role: 'key' | 'value' | 'item';
  /** For a key: its value. */
  readonly value?: { readonly node: Node; readonly start: number };
  readonly isDuplicate: boolean;
}

const sameLine = 'Put it behind the value, on the same line.';

/** `mention` is the offset of `$imagepolicy`; `comment` is the comment around it, or the mention alone. */
export function whyDead(text: string, comment: Span, mention: number, documents: readonly FluxDocument[]): DeadMarker {
  const dead = (code: DeadCode, reason: string, fix: string): DeadMarker => ({
    status: 'dead',
    code,
    comment,
    reason,
    fix,
  });
  const nodes = documents.flatMap((document) => listNodes(document));
  const around = nodes.find(({ node, start, end }) => node.kind === 'scalar' && start <= mention && mention < end);
  if (around?.node.kind === 'scalar') {
    return around.node.style === 'plain' && text[comment.start] === '#'
      ? dead('no-space', 'without a space before the "#" it is part of the value', 'Put a space before the "#".')
      : dead(
          'text',
          'it stands inside a text value, where YAML has no comments',
          'Move the value out of the text, for example into a patch file of its own.',
        );
  }
  const written = readMarkerText(text.slice(comment.start, comment.end));
  switch (written.kind) {
    case 'not-a-marker':
      return dead('syntax', written.reason, written.fix);
    case 'no-setter':
      return dead('setter', written.reason, written.fix);
    case 'literal':
      return dead(
        'literal',
        `Flux writes "${written.value}" here without any policy, and Slipway leaves it alone`,
        'Use {"$imagepolicy": "<namespace>:<policy>"} instead.',
      );
    case 'comment':
      return dead('syntax', 'it is a plain comment for Flux', 'Write {"$imagepolicy": "<namespace>:<policy>"}.');
    default:
  }
  const lineStart = Math.max(text.lastIndexOf('\n', comment.start), text.lastIndexOf('\r', comment.start)) + 1;
  const isAlone = text.slice(lineStart, comment.start).trim() === '';
  return isAlone ? whyDeadAlone(text, comment, nodes, dead) : whyDeadBehind(comment, lineStart, nodes, dead);
}

type Say = (code: DeadCode, reason: string, fix: string) => DeadMarker;

function whyDeadBehind(comment: Span, lineStart: number, nodes: readonly Found[], dead: Say): DeadMarker {
  const before = nodes.filter(({ start, end }) => end <= comment.start && start >= lineStart).at(-1);
  if (before === undefined) {
    return dead(
      'collection',
      'it stands behind a bracket and so belongs to the whole collection',
      'Write one entry per line and put it behind the value.',
    );
  }
  if (before.isDuplicate) {
    return dead(
      'duplicate-key',
      'the key occurs twice, and Flux looks only at the first one',
      'Remove one of the two.',
    );
  }
  if (before.node.kind === 'alias') {
    return dead(
      'alias',
      'an alias cannot be written; only the anchored value can',
      'Move the marker to the value with the anchor.',
    );
  }
  if (before.role === 'key' && before.value !== undefined) {
    const { node, start } = before.value;
    if (node.kind === 'mapping' || node.kind === 'sequence') {
      const what = node.kind === 'mapping' ? 'a mapping' : 'a list';
      return dead(
        'collection',
        `the key holds ${what}, not one value`,
        'Put it behind the value that Flux should write.',
      );
    }
    if (node.kind === 'scalar' && node.start === node.end && node.style === 'plain') {
      return dead(
        'no-value',
        'the key has no value that could be replaced',
        'Write a value between the key and the marker.',
      );
    }
    if (start > comment.end) return dead('next-line', 'the value is on the next line', sameLine);
  }
  if (before.role === 'item' && before.node.kind !== 'scalar') {
    return dead(
      'collection',
      'the list item is a collection, not one value',
      'Put it behind the value that Flux should write.',
    );
  }
  return dead(
    'collection',
    'it stands behind a collection written on one line and belongs to all of it',
    'Write one entry per line and put it behind the value.',
  );
}

function whyDeadAlone(text: string, comment: Span, nodes: readonly Found[], dead: Say): DeadMarker {
  const lineAt = (offset: number): string => text.slice(offset).split(/\r\n|\r|\n/, 1)[0] ?? '';
  const previousLine =
    text
      .slice(0, comment.start)
      .split(/\r\n|\r|\n/)
      .at(-2) ?? '';
  const nextOffset = comment.end + (text.startsWith('\r\n', comment.end) ? 2 : 1);
  if (previousLine.trim().startsWith('#') || lineAt(nextOffset).trim().startsWith('#')) {
    return dead(
      'several-lines',
      'Flux joins comment lines that stand together and then finds no marker',
      'Keep only the marker directly above the item, or put it behind the value.',
    );
  }
  const next = nodes.find(({ start }) => start >= comment.end);
  const gap = next === undefined ? '\n\n' : text.slice(comment.end, next.start);
  const isDirect = (gap.match(/\n|\r(?!\n)/g) ?? []).length === 1;
  if (next === undefined || !isDirect) {
    return dead('below', 'nothing follows it that it could belong to', sameLine);
  }
  if (next.role === 'key') {
    const dash = text.slice(comment.end, next.start).includes('-');
    return dash
      ? dead(
          'above-collection',
          'the list item below is a mapping, not one value',
          'Put it behind the value inside the item.',
        )
      : dead('above-key', 'a comment line above a key belongs to the key', sameLine);
  }
  if (next.node.kind === 'scalar' && next.node.line !== undefined) {
    return dead(
      'hidden',
      'the value has a comment behind it, and then Flux does not look at the line above',
      'Remove the other comment, or put the marker behind the value.',
    );
  }
  return dead('placement', 'at this place it belongs to no value', sameLine);
}

/** All scalars, aliases and keys of a document in text order, with offsets of the file. */
function listNodes({ root, toOffset }: FluxDocument): readonly Found[] {
  const found: Found[] = [];
  const add = (node: Node, role: Found['role'], isDuplicate: boolean, value?: Node): void => {
    const end = node.kind === 'scalar' || node.kind === 'alias' ? node.end : node.start;
    if (node.kind === 'scalar' || node.kind === 'alias') {
      found.push({
        node,
        role,
        isDuplicate,
        start: toOffset(node.start),
        end: toOffset(end),
        ...(value !== undefined && { value: { node: value, start: toOffset(value.start) } }),
      });
    }
    if (node.kind === 'sequence') for (const item of node.items) add(item, 'item', isDuplicate);
    if (node.kind === 'mapping') {
      const seen = new Set<string>();
      for (const { key, value: inner } of node.entries) {
        const name = keyName(key);
        const again = isDuplicate || seen.has(name);
        seen.add(name);
        add(key, 'key', again, inner);
        add(inner, 'value', again);
      }
    }
  };
  add(root, 'value', false);
  // Values that are not written have no place of their own.
  return found
    .filter(({ node, start, end }) => node.kind !== 'scalar' || end > start)
    .sort((a, b) => a.start - b.start);
}
