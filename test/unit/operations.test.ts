import { expect, test } from 'vitest';
import { parseSeconds } from '../../src/cli/commands/place.ts';
import type { KubeObject } from '../../src/engine/cluster/index.ts';
import { containerOf, selectorText } from '../../src/engine/operations/find.ts';
import { compareTimes, parsePorts } from '../../src/engine/operations/index.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import { FakeApi, json, status } from './clusterServer.ts';

const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
    return 'nothing';
  } catch (error) {
    return SlipwayError.is(error) ? error.code : String(error);
  }
};

test.each([
  ['8080:http', { localPort: 8080, port: 'http' }],
  [':80', { localPort: 0, port: '80' }],
  ['80', { localPort: 80, port: '80' }],
  ['http', { localPort: 0, port: 'http' }],
])('ports %s', (text, expected) => {
  expect(parsePorts(text)).toEqual(expected);
});

test.each(['', '80:', 'a:80', '70000:80', '-1:80'])('"%s" is no pair of ports', (text) => {
  expect(codeOf(() => parsePorts(text))).toBe('forward.ports');
});

test('times are compared by their nanoseconds, whatever their length and zone', () => {
  const sorted = [
    '2026-11-21T08:00:00.1Z',
    '2026-11-21T08:00:00.10000001Z',
    '2026-11-21T08:00:00.2Z',
    '2026-11-21T10:00:01+02:00',
    '2026-11-21T08:00:01.000000001Z',
  ];
  expect([...sorted].reverse().sort(compareTimes)).toEqual(sorted);
  expect(compareTimes('2026-11-21T08:00:00.5Z', '2026-11-21T08:00:00.500Z')).toBe(0);
});

test('selectors as the API takes them', () => {
  const matchExpressions = [
    { key: 'tier', operator: 'In', values: ['a', 'b'] },
    { key: 'old', operator: 'DoesNotExist' },
    { key: 'new', operator: 'Exists' },
    { key: 'x', operator: 'NotIn', values: ['y'] },
  ];
  expect(selectorText({ matchLabels: { app: 'web' }, matchExpressions })).toBe(
    'app=web,tier in (a,b),!old,new,x notin (y)',
  );
  // An empty selector selects nothing here: all pods of a namespace are never meant.
  expect(selectorText({})).toBeUndefined();
});

test('the container that kubectl would take', () => {
  const pod = (annotations: Record<string, string>): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-1', annotations },
    spec: { containers: [{ name: 'web' }, { name: 'proxy' }], initContainers: [{ name: 'setup' }] },
  });
  expect(containerOf(pod({}), undefined)).toBe('web');
  expect(containerOf(pod({ 'kubectl.kubernetes.io/default-container': 'proxy' }), undefined)).toBe('proxy');
  expect(containerOf(pod({}), 'setup')).toBe('setup');
  expect(codeOf(() => containerOf(pod({}), 'nope'))).toBe('container.unknown');
});

test('lengths of time', () => {
  expect(['90', '90s', '10m', '2h', '1d'].map(parseSeconds)).toEqual([90, 90, 600, 7200, 86_400]);
  expect(() => parseSeconds('soon')).toThrow('no length of time');
});

test('a followed log that is cut goes on where the last line was, and ends with its pod', async () => {
  const api = new FakeApi();
  await api.start();
  const line = (second: number, text: string): string => `2026-11-21T08:00:0${second}.5Z ${text}\n`;
  const pod = (phase: string): object => ({
    metadata: { name: 'job-1', namespace: 'shop', uid: 'u1', resourceVersion: '2' },
    spec: { containers: [{ name: 'main' }] },
    status: { phase, containerStatuses: [{ name: 'main', restartCount: 0, state: { running: {} } }] },
  });
  let asked = 0;
  let tell: ((text: string) => void) | undefined;
  api.handler = ({ path, query }, answer) => {
    if (path.endsWith('/log')) {
      asked += 1;
      answer.writeHead(200);
      if (asked === 1) {
        answer.write(line(1, 'one') + line(2, 'two'));
        setTimeout(() => answer.destroy(), 20);
      } else {
        // The kubelet knows whole seconds only, so it gives again what was there.
        expect(query.get('sinceTime')).toBe('2026-11-21T08:00:02.5Z');
        answer.end(line(2, 'two') + line(2, 'two again') + line(3, 'three'));
        const event = { type: 'MODIFIED', object: { ...pod('Succeeded'), kind: 'Pod' } };
        setTimeout(() => tell?.(`${JSON.stringify(event)}\n`), 20);
      }
    } else if (query.get('watch') === '1') {
      answer.writeHead(200);
      answer.flushHeaders();
      tell = (text) => answer.write(text);
    } else if (path.endsWith('/pods')) json(answer, { metadata: { resourceVersion: '1' }, items: [pod('Running')] });
    else if (path.endsWith('/pods/job-1')) json(answer, { ...pod('Running'), kind: 'Pod' });
    else json(answer, status(404, 'NotFound', 'no'), 404);
  };
  const { followLogs } = await import('../../src/engine/operations/index.ts');
  const { realClock } = await import('../../src/engine/system/clock.ts');
  const lines: string[] = [];
  const cluster = await api.open();
  await followLogs(
    { workload: 'pod/job-1' },
    { cluster, namespace: 'shop', targets: [], signal: new AbortController().signal },
    { clock: realClock, onLine: ({ text }) => lines.push(text) },
  );
  await api.stop();
  expect(lines).toEqual(['one', 'two', 'two again', 'three']);
});
