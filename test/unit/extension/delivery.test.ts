import { describe, expect, it } from 'vitest';
import type { FluxStatus, Reconciled } from '../../../src/engine/main.ts';
import { SlipwayError } from '../../../src/engine/problems/index.ts';
import { fluxName, outcomeOf, switchables } from '../../../src/extension/delivery/deliveryText.ts';

const object = (kind: string, name: string, group = 'image.toolkit.fluxcd.io/v1') => ({
  apiVersion: group,
  kind,
  name,
  namespace: 'flux-system',
});
const repository = object('ImageRepository', 'api');
const policy = object('ImagePolicy', 'api');

const status: FluxStatus = {
  context: 'home',
  chains: ['api', 'web'].map((name) => ({
    name,
    links: [
      { step: 'scanned', object: repository, state: 'done', message: '12 tags' },
      { step: 'chosen', object: policy, state: 'suspended', message: 'suspended' },
      { step: 'rolled out', object: object('Deployment', 'api', 'apps/v1'), state: 'done', message: 'runs' },
    ],
    state: 'suspended',
    summary: '',
  })) as unknown as FluxStatus['chains'],
  suspended: [{ object: policy }],
};

const result = (over: Partial<Reconciled>): Reconciled => ({
  object: repository,
  outcome: 'done',
  message: 'stored 12 tags',
  elapsedMs: 10,
  ...over,
});

describe('delivery commands', () => {
  it('offers what Flux has and what is not suspended, each once', () => {
    expect(switchables(status).map(({ name, description }) => [name, description])).toEqual([
      ['imagerepository/flux-system/api', 'scanned: 12 tags'],
    ]);
    expect(fluxName({ ...policy, namespace: undefined } as never)).toBe('imagepolicy/api');
  });

  it('says in one sentence who looked again, and who is suspended', () => {
    expect(outcomeOf('home', [result({}), result({ object: policy, outcome: 'suspended' })])).toBe(
      'home: 1 of 2 objects of Flux have looked again; ImagePolicy api is suspended',
    );
  });

  it('throws the cause and the fix of what did not go through', () => {
    const cause = { code: 'flux.auth', message: 'The registry refused.', fix: 'Give it a secret.', evidence: ['401'] };
    const failed = result({ outcome: 'failed', cause: cause as Reconciled['cause'] & {} });
    expect(() => outcomeOf('home', [failed])).toThrow(SlipwayError);
    try {
      outcomeOf('home', [failed]);
    } catch (error) {
      expect(error).toMatchObject({ code: 'flux.auth', fix: 'Give it a secret.' });
    }
  });
});
