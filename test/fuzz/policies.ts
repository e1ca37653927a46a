// Random constraints, versions, policies and tags, close to the edges of the grammars.
import fc from 'fast-check';
import type { PolicyRules } from '../../src/engine/gitops/policy.ts';

const smallNumber = fc.constantFrom('0', '0', '1', '1', '2', '3', '10', '01');
const hugeNumber = fc.constantFrom(
  '9007199254740993',
  '9007199254740992',
  '18446744073709551615',
  '18446744073709551616',
  '00',
);
const identifier = fc.constantFrom(
  '0',
  '1',
  '2',
  '10',
  '01',
  'alpha',
  'beta',
  'rc1',
  'rc10',
  'rc9',
  'A',
  'a-b',
  '-',
  '--',
  '01a',
  '99999999999999999999',
  '',
);
const prerelease = fc.array(identifier, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('.'));
const metadata = fc.constantFrom('b', 'b.7', 'a_b', '-', '01');

const optional = (prefix: string, text: fc.Arbitrary<string>, likely: number): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 10 - likely, arbitrary: fc.constant('') },
    { weight: likely, arbitrary: text.map((value) => prefix + value) },
  );

const version = fc
  .tuple(
    fc.constantFrom('', '', '', 'v', 'V', '=', ' '),
    fc.array(fc.oneof({ weight: 20, arbitrary: smallNumber }, { weight: 1, arbitrary: hugeNumber }), {
      minLength: 1,
      maxLength: 4,
    }),
    optional('-', prerelease, 4),
    optional('+', metadata, 2),
  )
  .map(([mark, numbers, pre, meta]) => mark + numbers.join('.') + pre + meta);

export const randomVersions = fc.array(version, { minLength: 12, maxLength: 12 });

const partial = fc
  .tuple(
    fc.constantFrom('', '', '', '', 'v', 'V'),
    fc.array(
      fc.oneof(
        { weight: 20, arbitrary: smallNumber },
        { weight: 6, arbitrary: fc.constantFrom('x', 'X', '*') },
        { weight: 1, arbitrary: fc.oneof(hugeNumber, fc.constantFrom('xx', '1x', '1|2', '')) },
      ),
      { minLength: 1, maxLength: 4 },
    ),
    optional('-', prerelease, 3),
    optional('+', metadata, 1),
  )
  .map(([mark, numbers, pre, meta]) => mark + numbers.slice(0, numbers.length === 4 ? 3 : 4).join('.') + pre + meta);

const operator = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom('', '', '=', '!=', '>', '<', '>=', '=>', '<=', '=<', '~', '~>', '^') },
  { weight: 1, arbitrary: fc.constantFrom('==', '!', '<>', '~=', '&&') },
);
const comparator = fc.tuple(operator, fc.constantFrom('', '', '', ' ', '  '), partial).map((parts) => parts.join(''));
const joiner = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(' ', ' ', ',', ', ', ' , ', '\t', '\n') },
  { weight: 1, arbitrary: fc.constantFrom(',,', '', ';', '\u00a0') },
);
const hyphen = fc
  .tuple(
    partial,
    fc.oneof(
      { weight: 6, arbitrary: fc.constant(' - ') },
      { weight: 1, arbitrary: fc.constantFrom(' -  ', '- ', ' -', '-') },
    ),
    partial,
  )
  .map((parts) => parts.join(''));
const group = fc
  .array(fc.tuple(fc.oneof({ weight: 6, arbitrary: comparator }, { weight: 1, arbitrary: hyphen }), joiner), {
    minLength: 1,
    maxLength: 3,
  })
  .map((parts) => parts.map(([text, join], index) => (index === parts.length - 1 ? text : text + join)).join(''));

export const randomConstraint = fc
  .tuple(
    fc.constantFrom('', '', ' '),
    fc.array(group, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('||', ' || ', '|| '),
    fc.constantFrom('', '', ' '),
  )
  .map(([before, groups, or, after]) => before + groups.join(or) + after);

const numeric = fc.oneof(
  fc.nat(30).map(String),
  fc.constantFrom(
    '1e3',
    '0x1p4',
    'inf',
    'nan',
    'NaN',
    '1_000',
    '5.',
    '.5',
    '01',
    '1.0',
    '1',
    '007',
    '7',
    '-1',
    '-inf',
    '1.5e-3',
    '0x1.8p1',
    '1_0.0_1',
    'infinity',
  ),
  fc.constantFrom(
    '20240101120000001',
    '20240101120000002',
    '4.9e-324',
    '0x1p-1074',
    '0x1p-1076',
    '0x.8p-1074',
    '0x1.fffffffffffff8p0',
    '0x1p1023',
  ),
);
const notNumeric = fc.constantFrom(
  '0x10',
  '1e400',
  '1__0',
  '_1',
  '0x_1p2',
  '1_',
  '0b1',
  '1e',
  '0x1p1024',
  '1.2.3',
  '+nan',
  'infi',
);
const tag = fc.oneof(
  version,
  version,
  fc.tuple(fc.constantFrom('a1', 'b2', 'c3'), fc.nat(100)).map(([sha, time]) => `main-${sha}-${time}`),
  fc.constantFrom(
    'latest',
    'main',
    'v1.0.0.sig',
    'sha256-ab.sig',
    'RC1',
    'rc2',
    'n7',
    'dev-v1.2.3',
    'prd-v1.2.4',
    '1.2.3-alpine',
    '1.3.0-alpine',
    '5-amd64',
    '5-arm64',
  ),
  numeric,
);

export const randomTags = fc.oneof(
  { weight: 3, arbitrary: fc.uniqueArray(tag, { maxLength: 9 }) },
  { weight: 2, arbitrary: fc.uniqueArray(numeric, { maxLength: 9 }) },
  {
    weight: 1,
    arbitrary: fc.uniqueArray(fc.oneof({ weight: 6, arbitrary: numeric }, { weight: 1, arbitrary: notNumeric }), {
      maxLength: 6,
    }),
  },
);

const filterTags = fc.constantFrom(
  undefined,
  undefined,
  undefined,
  { pattern: '^main-[a-f0-9]+-(?P<ts>[0-9]+)$', extract: '$ts' },
  { pattern: '^v?(.*)$', extract: '$1' },
  { pattern: '^([0-9]+)', extract: '$1' },
  { pattern: '.*' },
  { pattern: '' },
  { extract: '$0' },
  { pattern: '(?i)^rc' },
  { pattern: '([0-9]+)\\.([0-9]+)', extract: '${1}_$2' },
  { pattern: '([0-9]+)\\.([0-9]+)', extract: '$1.$2.0' },
  { pattern: '([0-9]+)\\.([0-9]+)', extract: '$1_$2' },
  { pattern: '^(?P<a>[0-9]+)?(?P<a>[a-z]+)?', extract: '$a' },
  { pattern: '^(.)(.)?(.)?', extract: '$3$2$$1${1' },
  { pattern: '([0-9])', extract: 'x$01y$9${nope}$1' },
  { pattern: '^(?:dev|prd)-v(.*)', extract: '$1' },
  { pattern: '^(?P<v>[0-9.]+)-alpine$', extract: '$v' },
  { pattern: '[[:digit:]]{2}' },
  { pattern: 'a(?=b)' },
  { pattern: '\\d+\\.\\d+', extract: '$0' },
  { pattern: '^[^.]*$' },
  { pattern: '1|2', extract: '$0' },
  { pattern: '(1|2)(x)?', extract: '$2$1' },
  { pattern: '(?P<é>x)' },
  { pattern: '\\bv', extract: '$0' },
  { pattern: '[\\d-]+$', extract: '$0' },
  { pattern: '.+?(\\d*)$', extract: '$1' },
  { pattern: '(?U)(.+)(\\d+)', extract: '$1' },
  { pattern: '^([a-z]*)([0-9]*)', extract: '$2' },
  { pattern: '(a|ab)(c|bcd)?', extract: '$0' },
  { pattern: '\\A\\pL+\\z' },
  { pattern: '\\Q1.\\E', extract: '$0' },
);

export const randomRules: fc.Arbitrary<PolicyRules> = fc
  .tuple(
    fc.oneof(
      fc.constantFrom('*', '>=1.0.0', '1.x', '>=0-0', '^1', '~1.2', '*-0').map((range) => ({ semver: { range } })),
      randomConstraint.map((range) => ({ semver: { range } })),
      fc.constantFrom('asc', 'desc', '', 'ASC', 'up').map((order) => ({ alphabetical: { order } })),
      fc.constantFrom('asc', 'desc', '', 'Desc', 'down').map((order) => ({ numerical: { order } })),
      fc.constantFrom<PolicyRules['policy']>(
        {},
        { alphabetical: {} },
        { numerical: {} },
        { semver: { range: '*' }, numerical: {} },
        { alphabetical: {}, numerical: {} },
      ),
    ),
    filterTags,
    fc.constantFrom(undefined, undefined, undefined, [], ['^.*\\.sig$', '1\\.0'], ['('], ['1']),
  )
  .map(([policy, filter, exclusionList]) => ({
    policy,
    ...(filter !== undefined && { filterTags: filter }),
    ...(exclusionList !== undefined && { exclusionList }),
  }));
