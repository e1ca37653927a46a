import type { Answer, LintFinding, ObjectDiff } from '../../engine/main.ts';
import { placeText } from '../words.ts';

export function answerLines({ certainty, code, message, fix, place }: Answer): readonly string[] {
  return [
    `${certainty === 'wrong' ? '✗ wrong     ' : '? suspicious'}  ${code}: ${message}`,
    ...(place === undefined ? [] : [`    at ${placeText(place)}`]),
    `    Fix: ${fix}`,
  ];
}

/** A loop does not make this deploy fail; it makes the next ones come by themselves. */
export function loopLines({ code, message, fix, fixes, place }: LintFinding): readonly string[] {
  return [
    `? suspicious  ${code}: ${message}`,
    `    at ${placeText(place)}`,
    ...(fix === undefined ? [] : [`    Fix: ${fix}${fixes.length > 0 ? ' (slipway lint --fix)' : ''}`]),
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
