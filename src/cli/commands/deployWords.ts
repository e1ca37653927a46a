import type { Answer, ObjectDiff } from '../../engine/main.ts';
import { placeText } from '../words.ts';

export function answerLines({ certainty, code, message, fix, place }: Answer): readonly string[] {
  return [
    `${certainty === 'wrong' ? '✗ wrong     ' : '? suspicious'}  ${code}: ${message}`,
    ...(place === undefined ? [] : [`    at ${placeText(place)}`]),
    `    Fix: ${fix}`,
  ];
}

export function diffLines({ object, action, changes }: ObjectDiff): readonly string[] {
  if (action === 'none') return [];
  const sign = { create: '+', change: '~', delete: '-' }[action];
  const name = `${object.kind} ${object.namespace === undefined ? '' : `${object.namespace}/`}${object.name}`;
  const shown = (value: unknown) =>
    value === undefined ? '(none)' : typeof value === 'string' ? value : JSON.stringify(value);
  return [
    `${sign} ${name}`,
    ...changes.map(({ path, before, after }) => `    ${path}: ${shown(before)} → ${shown(after)}`),
  ];
}
