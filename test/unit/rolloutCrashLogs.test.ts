import { describe, expect, it } from 'vitest';
import { sayTheSame } from '../../src/engine/rollout/causesCrash.ts';

describe('sayTheSame', () => {
  it.each([
    ['equal but for times', ['2026-01-01T00:00:01Z boom', '2026-01-01T00:00:09Z boom'], true],
    ['silent programs', ['', '', ''], true],
    ['one log asked too late is the empty one of the next run', ['boom', '', 'boom'], true],
    ['one log asked too late is the half-written one of the next run', ['boom', 'starting', 'boom'], true],
    ['different every time', ['one thing', 'another thing', 'a third thing'], false],
    ['two against two', ['boom', 'boom', 'bang', 'bang'], false],
    ['only two, and different', ['boom', 'starting'], false],
  ])('%s', (_name, texts, expected) => {
    expect(sayTheSame(texts)).toBe(expected);
  });
});
