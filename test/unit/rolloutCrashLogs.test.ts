import { describe, expect, it } from 'vitest';
import { sayTheSame } from '../../src/engine/rollout/causesCrash.ts';
import { linesOfRun, logOf } from '../../src/engine/rollout/runLogs.ts';

describe('sayTheSame', () => {
  it.each([
    ['equal but for times', ['2026-01-01T00:00:01Z boom', '2026-01-01T00:00:09Z boom'], true],
    ['silent programs', ['', '', ''], true],
    ['one log that is not readable yet', ['boom', '', 'boom'], true],
    ['one that ended otherwise', ['boom', 'bang', 'boom'], false],
    ['different every time', ['one thing', 'another thing', 'a third thing'], false],
    ['two against two', ['boom', 'boom', 'bang', 'bang'], false],
    ['only two, and different', ['boom', 'starting'], false],
  ])('%s', (_name, texts, expected) => {
    expect(sayTheSame(texts)).toBe(expected);
  });
});

describe('whose log it is', () => {
  const pod = (state: object, lastState: object) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web' },
    status: { containerStatuses: [{ name: 'main', state, lastState }] },
  });
  const ended = (containerID: string) => ({ terminated: { containerID, exitCode: 1 } });

  it('the kubelet gives the run that ended last as the current one, then as the previous one, then no more', () => {
    expect(logOf(pod(ended('a'), {}), 'main', 'a')).toBe('current');
    expect(logOf(pod({ running: {} }, ended('a')), 'main', 'a')).toBe('previous');
    expect(logOf(pod({ waiting: {} }, ended('b')), 'main', 'a')).toBeUndefined();
    expect(logOf(pod(ended('a'), {}), 'other', 'a')).toBeUndefined();
  });

  const span = { from: Date.parse('2026-11-21T10:00:01Z'), to: Date.parse('2026-11-21T10:00:02Z') };
  it.each([
    ['its own', '2026-11-21T10:00:01.5Z boot\n2026-11-21T10:00:02.9Z fatal: no\n', 'boot\nfatal: no'],
    ['an empty line of it', '2026-11-21T10:00:01.5Z\n', ''],
    ['of the run after it', '2026-11-21T10:00:03.1Z boot\n', undefined],
    ['of the run before it', '2026-11-21T10:00:00.9Z boot\n', undefined],
    ['nothing', '', ''],
  ])('%s', (_name, text, expected) => expect(linesOfRun(text, span)).toBe(expected));
});
