import { describe, expect, it } from 'vitest';
import { PageMemory } from '../../../src/extension/rollout/pageMemory.ts';

function memento(stored?: unknown) {
  let value = stored;
  return {
    get: () => value,
    update: async (_key: string, next: unknown) => {
      value = next;
    },
  };
}

const dev = { folder: '/work/shop', environment: 'dev', run: 'r1', step: 'build:api' };
const prod = { folder: '/work/shop', environment: 'prod', run: 'r2' };

describe('page memory', () => {
  it('prefers what was written down to the older state that the editor kept', () => {
    const memory = new PageMemory(memento());
    memory.remember(dev);
    memory.remember({ ...dev, run: 'r3' });
    expect(memory.find({ ...dev, filter: 'x' }, () => false)).toEqual({ ...dev, run: 'r3' });
    expect(memory.pages()).toHaveLength(1);
  });

  it('gives a page without a state the newest one that is not open', () => {
    const memory = new PageMemory(memento());
    memory.remember(dev);
    memory.remember(prod);
    expect(memory.find(undefined, () => false)).toEqual(prod);
    expect(memory.find(undefined, ({ environment }) => environment === 'prod')).toEqual(dev);
    expect(memory.find(undefined, () => true)).toBeUndefined();
  });

  it('takes the state of the editor when nothing was written down, and passes over what is not ours', () => {
    expect(new PageMemory(memento([{ folder: 7 }, dev])).pages()).toEqual([dev]);
    expect(new PageMemory(memento('?')).find(prod, () => false)).toEqual(prod);
  });
});
