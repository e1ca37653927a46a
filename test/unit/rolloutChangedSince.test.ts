import { describe, expect, test } from 'vitest';
import { changesOf } from '../../src/engine/rollout/changedSince.ts';

describe('what a container has other than the version before', () => {
  const old = {
    name: 'web',
    image: 'app:1',
    args: ['serve'],
    env: [
      { name: 'MODE', value: 'a' },
      { name: 'GONE', value: 'b' },
    ],
    envFrom: [{ configMapRef: { name: 'settings' } }],
    resources: { limits: { memory: '64Mi' } },
    ports: [{ containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/ready', port: 8080 } },
  };

  test.each<[string, object, readonly string[]]>([
    ['nothing', {}, []],
    ['the image', { image: 'app:2' }, ['image app:1 → app:2']],
    ['how it starts', { command: ['/run'], args: undefined }, ['command none → /run', 'arguments serve → none']],
    [
      'variables, by name only: values may be secret',
      {
        env: [
          { name: 'MODE', value: 'hunter2' },
          { name: 'NEW', value: 'hunter3' },
        ],
      },
      ['variable NEW added', 'variable GONE removed', 'variable MODE changed'],
    ],
    [
      'where variables come from',
      { envFrom: [{ secretRef: { name: 'login' } }] },
      ['variables of login added', 'variables of settings removed'],
    ],
    ['its limit', { resources: { limits: { memory: '32Mi' } } }, ['memory limit 64Mi → 32Mi']],
    [
      'probes and ports',
      { livenessProbe: {}, readinessProbe: {}, ports: [{ containerPort: 80 }] },
      ['livenessProbe added', 'readinessProbe changed', 'ports 8080 → 80'],
    ],
  ])('%s', (_what, change, words) => {
    expect(changesOf(old, { ...old, ...change })).toEqual(words);
  });
});
