import { describe, expect, it } from 'vitest';
import { parseConstraint, whyNot } from '../../src/engine/gitops/constraint.ts';
import { parseGoFloat } from '../../src/engine/gitops/number.ts';
import { CompiledPolicy, compareRules, compilePolicy, selectTag } from '../../src/engine/gitops/policy.ts';
import { isAmbiguousPlain } from '../../src/engine/gitops/quoting.ts';
import { whyInvalidReference } from '../../src/engine/gitops/reference.ts';
import { compilePattern, expander, parseTemplate } from '../../src/engine/gitops/regexp.ts';
import { compareBytes } from '../../src/engine/gitops/selection.ts';
import { compareVersions, parseVersion, type Version } from '../../src/engine/gitops/version.ts';

const version = (text: string): Version => {
  const parsed = parseVersion(text);
  if (parsed === undefined) throw new Error(`${text} is no version`);
  return parsed;
};

describe('versions', () => {
  it('orders as SemVer 2 does, with exact numbers above 2^53', () => {
    const ordered = [
      '0.9.0',
      '1.0.0-1',
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-rc10',
      '1.0.0-rc9',
      '1.0.0',
      '9007199254740992.0.0',
      '9007199254740993.0.0',
    ];
    for (const [index, text] of ordered.entries()) {
      for (const [other, right] of ordered.entries()) {
        expect([text, right, Math.sign(compareVersions(version(text), version(right)))]).toEqual([
          text,
          right,
          Math.sign(index - other),
        ]);
      }
    }
  });

  it('says why a version is outside a range', () => {
    const constraint = parseConstraint('>=1.0.0 <2.0.0');
    if ('error' in constraint) throw new Error(constraint.error);
    expect(whyNot(constraint, version('1.2.0-rc.1'))).toContain('prerelease');
    expect(whyNot(constraint, version('2.0.0'))).toBe('it is not <2.0.0');
    expect(whyNot(constraint, version('1.2.0'))).toBeUndefined();
  });
});

describe('Go numbers', () => {
  it.each([
    ['1_000', 1000],
    ['5.', 5],
    ['.5', 0.5],
    ['0x1p4', 16],
    ['0x_1p2', 4],
    ['-inf', Number.NEGATIVE_INFINITY],
    ['0x1.fffffffffffff8p0', 2],
    ['0x1p-1074', 5e-324],
    ['0x1p-1076', 0],
  ])('%s is %d', (text, value) => expect(parseGoFloat(text)).toBe(value));

  it.each(['', '0x10', '1e400', '1__0', '_1', '1_', '+nan', '1e', '0x1p1024', '1.2.3', ' 1', '0b1'])(
    '%s is no number',
    (text) => expect(parseGoFloat(text)).toBeUndefined(),
  );
});

describe('Go regular expressions', () => {
  it.each(['a(?=b)', '(a)\\1', 'a++', '(?>a)', '[a', '*a', 'a{1001}', '\\Z', '(?<!a)b'])('%s is refused', (source) =>
    expect(compilePattern(source)).toHaveProperty('error'),
  );

  it('lets a group name occur twice and takes the one that matched', () => {
    const pattern = compilePattern('(?P<v>[0-9]+)|(?P<v>[a-z]+)');
    if ('error' in pattern) throw new Error(pattern.error);
    expect(expander(parseTemplate('<$v>'), pattern.names)(pattern.groups('abc') ?? [])).toBe('<abc>');
  });

  it.each([
    ['$1_$2', 'b'],
    ['${1}_$2', 'a_b'],
    ['$1.$2', 'a.b'],
    ['$01|$$|$|${1', '|$|$|${1'],
    ['$0$9$nope', 'a-b'],
  ])('expands %s', (template, result) => {
    const pattern = compilePattern('^(.)-(.)$');
    if ('error' in pattern) throw new Error(pattern.error);
    expect(expander(parseTemplate(template), pattern.names)(pattern.groups('a-b') ?? [])).toBe(result);
  });
});

describe('policies', () => {
  const tags = ['1.0.0', '1.1.0', '2.0.0', '2.1.0-rc.1', 'latest', 'x.sig'];

  it('gives a reason for every tag', () => {
    const policy = compilePolicy({ policy: { semver: { range: '1.x' } } });
    if (!(policy instanceof CompiledPolicy)) throw new Error(policy.message);
    expect(policy.explain(tags).map(({ tag, status }) => `${tag} ${status}`)).toEqual([
      'x.sig excluded',
      'latest not-a-version',
      '2.1.0-rc.1 out-of-range',
      '2.0.0 out-of-range',
      '1.1.0 selected',
      '1.0.0 candidate',
    ]);
  });

  it('reports that Flux itself cannot decide', () => {
    const selection = selectTag({ policy: { semver: { range: '*' } }, filterTags: { pattern: '.*' } }, [
      '1.0.0',
      'v1.0.0',
    ]);
    expect(selection.anyOf).toEqual(['v1.0.0', '1.0.0']);
  });

  it('names a tag that another one hides', () => {
    const policy = compilePolicy({ policy: { numerical: {} }, filterTags: { pattern: '^([0-9]+)-', extract: '$1' } });
    if (!(policy instanceof CompiledPolicy)) throw new Error(policy.message);
    const hidden = policy.explain(['5-amd64', '5-arm64']).find(({ status }) => status === 'shadowed');
    expect(hidden?.tag).toBe('5-arm64');
  });

  it('compares an edited policy with the old one', () => {
    const { before, after, enters, leaves } = compareRules(
      { policy: { semver: { range: '1.x' } } },
      { policy: { semver: { range: '>=1.1.0 !=2.0.0' } } },
      tags,
    );
    expect([before.latest, after.latest, enters, leaves]).toEqual(['1.1.0', '1.1.0', [], ['1.0.0']]);
  });

  it('sorts by UTF-8 bytes', () => {
    expect(['\u{1f600}', '\uff21', 'a', 'Z', 'é'].sort(compareBytes)).toEqual(['Z', 'a', 'é', '\uff21', '\u{1f600}']);
  });
});

describe('values and references', () => {
  it.each([
    '5',
    '0755',
    '08',
    '0x1f',
    '0o17',
    '0b11',
    '1_000',
    '12345678901234567890123',
    '1.10',
    '1.',
    '.5',
    '1e3',
    '.inf',
    'y',
    'NO',
    'off',
    'True',
    'null',
    '~',
    '2024-01-02',
    '2024-1-2',
    '-',
    '',
  ])('"%s" needs quotes', (value) => expect(isAmbiguousPlain(value)).toBe(true));
  it.each([
    '1.2.3',
    'v1',
    'inf',
    'nan',
    '1e',
    '0xZZ',
    '123abc',
    '2024-01-02-rc1',
    '5e10-dev',
    '1e400',
    '2024-02-30',
    'nULL',
    '0b2',
  ])('"%s" needs none', (value) => expect(isAmbiguousPlain(value)).toBe(false));
  it.each([
    ['ghcr.io/org/app:1', undefined],
    ['a:1', '2 to 255'],
    ['ghcr.io/Org/app:1', 'a-z'],
    ['nginx:1@sha256:12', 'digest'],
    ['nginx:a b', 'not a tag'],
  ])('reference %s', (text, why) => {
    const problem = whyInvalidReference(text);
    if (why === undefined) expect(problem).toBeUndefined();
    else expect(problem).toContain(why);
  });
});
