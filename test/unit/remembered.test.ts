import { describe, expect, test, vi } from 'vitest';
import { Remembered } from '../../src/engine/problems/remembered.ts';

describe('what is remembered', () => {
  test('is found out once, however many ask, and by key', async () => {
    const remembered = new Remembered<string>();
    const find = vi.fn(async () => 'a');
    expect(await Promise.all([remembered.get(find), remembered.get(find), remembered.get(find, 'other')])).toEqual([
      'a',
      'a',
      'a',
    ]);
    await remembered.get(find);
    expect(find).toHaveBeenCalledTimes(2);
  });

  test('is not a failure: all who wait are told, the next one tries again', async () => {
    const remembered = new Remembered<string>();
    const find = vi.fn<() => Promise<string>>().mockRejectedValueOnce(new Error('away')).mockResolvedValue('back');
    const both = await Promise.allSettled([remembered.get(find), remembered.get(find)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await remembered.get(find)).toBe('back');
    expect(find).toHaveBeenCalledTimes(2);
  });

  test('may be forgotten; a failure of what was forgotten takes away nothing newer', async () => {
    const remembered = new Remembered<string>();
    let fail: (error: Error) => void = () => {};
    const first = remembered.get(() => new Promise((_resolve, reject) => (fail = reject)));
    remembered.forget();
    const find = vi.fn(async () => 'new');
    await remembered.get(find);
    fail(new Error('late'));
    await expect(first).rejects.toThrow('late');
    await remembered.get(find);
    expect(find).toHaveBeenCalledTimes(1);
  });
});
