import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { selectTag } from '../../src/engine/gitops/policy.ts';
import { compilePattern } from '../../src/engine/gitops/regexp.ts';
import { nativePattern } from '../../src/engine/gitops/regexpNative.ts';
import { compareBytes } from '../../src/engine/gitops/selection.ts';
import { randomPattern, randomTexts } from '../fuzz/patterns.ts';

describe('Go patterns as RegExp', () => {
  it.each([
    '^main-[a-f0-9]+-(?P<ts>[0-9]+)$',
    '^(?P<branch>.*)-[a-f0-9]+-(?P<ts>[0-9]+)$',
    '(?i)^V?(?P<v>1\\.[[:digit:]]+\\..*)$',
    '^\\pL?(?P<v>1\\..*)$',
    '^(?:[a-z]+-)*(?P<v>[0-9]+)$',
    '^((?:[0-9]+\\.){2}[0-9]+)$',
    '^\\Qv1.\\E(\\d+)\\b',
    '^(?:(a)-(b)_)+$',
    '^(?U)(.+)-x$',
  ])('%s runs natively', (source) => expect(nativePattern(source)).toBeDefined());

  it.each([
    ['a group that not every round sets', '^(?:(a)|b)*$'],
    ['a round may match nothing', '^(?:a?)*$'],
    ['nested repetition', '^(?:a+)+$'],
    ['alternatives that start alike, repeated', '^(?:a|ab)*$'],
    ['three ends that nothing decides', '^.*a.*b.*c$'],
    ['unanchored, and two such ends', 'x.*a.*b'],
    ['folding from outside of ASCII', '(?i)\u017f'],
    ['folding from outside of ASCII, in a class', '(?i)[a-\u212a]'],
  ])('%s stays with re2js', (_why, source) => expect(nativePattern(source)).toBeUndefined());

  it('gives what RE2 gives, group by group', () => {
    let compared = 0;
    fc.assert(
      fc.property(randomPattern, randomTexts, (source, texts) => {
        const native = nativePattern(source);
        const ours = compilePattern(source);
        if (native === undefined || 'error' in ours) return;
        const re2 = RE2JS.compile(source.replaceAll(/\?P?<[a-z]>/g, ''));
        for (const text of texts) {
          const groups = re2.exec(text)?.map((group: unknown) => group ?? undefined);
          expect([source, text, ours.groups(text)?.slice()]).toEqual([source, text, groups]);
          expect(ours.test(text)).toBe(groups !== undefined);
          compared += 1;
        }
      }),
      { numRuns: 2_000, seed: 11 },
    );
    expect(compared).toBeGreaterThan(5_000);
  });

  it.each([
    ['x.sig', true],
    ['.sig', true],
    ['x.sig\n', false],
    ['a\nx.sig', false],
    ['xsig', false],
    ['x.sigs', false],
    ['\u{1f600}.sig', true],
    ['', false],
  ])('the default exclusion on %j: %s', (text, isExcluded) => {
    const pattern = compilePattern('^.*\\.sig$');
    expect('error' in pattern ? undefined : pattern.test(text)).toBe(isExcluded);
  });

  it('a text that can be no tag is answered by re2js', () => {
    const pattern = compilePattern('^(.)[^a]*$');
    if ('error' in pattern) throw new Error(pattern.error);
    expect(pattern.groups('é1')).toEqual(['é1', 'é']);
    expect(pattern.test('b'.repeat(1_000))).toBe(true);
  });

  it('orders texts by their bytes, whatever characters they hold', () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', 'é', '\ue000', '\uff21', '\u{1f600}'))
      .map((units) => units.join(''));
    fc.assert(
      fc.property(fc.array(text, { minLength: 1 }), fc.constantFrom('asc', 'desc'), (tags, order) => {
        const sorted = tags.toSorted(compareBytes);
        const rules = { policy: { alphabetical: { order } }, exclusionList: [] };
        expect(selectTag(rules, tags).latest).toBe(order === 'asc' ? sorted.at(-1) : sorted[0]);
      }),
    );
  });
});
