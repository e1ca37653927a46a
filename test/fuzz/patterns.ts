// Random Go patterns, most of them valid, with texts that come close to matching.
import fc from 'fast-check';

const character = fc.constantFrom(
  'a',
  'b',
  'c',
  '1',
  '2',
  '-',
  'B',
  '_',
  '\\.',
  '\\-',
  '\\x61',
  '\\x{62}',
  '\\n',
  '\\061',
);
const atomClass = fc.constantFrom(
  '.',
  '[a-c]',
  '[^a]',
  '[]a]',
  '[a-]',
  '[^-a]',
  '[[:alpha:]1]',
  '[[:^digit:]]',
  '[\\d_]',
  '[\\D]',
  '[^\\w.]',
  '\\d',
  '\\w',
  '\\W',
  '\\s',
  '\\S',
  '\\pL',
  '\\PL',
  '\\pN',
  '\\p{Lu}',
  '\\p{^Ll}',
  '\\p{Greek}',
  '\\p{Latin}',
  '[\\pLu1]',
  '[a-\\x{17f}]',
  '\\Qa.\\E',
  '\\Qb',
);
const assertion = fc.constantFrom('^', '$', '\\b', '\\B', '\\A', '\\z');
const quantifier = fc.constantFrom(
  '',
  '',
  '',
  '',
  '*',
  '+',
  '?',
  '*?',
  '+?',
  '??',
  '{2}',
  '{0,2}',
  '{1,}',
  '{2,3}?',
  '{0}',
  '{,2}',
);

const { pattern } = fc.letrec<{ pattern: string; sequence: string; item: string; group: string }>((tie) => ({
  group: fc
    .tuple(
      fc.constantFrom('(', '(', '(?:', '(?:', '(?P<n>', '(?<m>', '(?i:', '(?s:', '(?m:', '(?U:', '(?-s:', '(?i-m:'),
      tie('pattern'),
    )
    .map(([open, inside]) => `${open}${inside})`),
  item: fc.oneof(
    { maxDepth: 3 },
    fc.tuple(character, quantifier).map((parts) => parts.join('')),
    fc.tuple(atomClass, quantifier).map((parts) => parts.join('')),
    {
      weight: 1,
      arbitrary: fc.oneof(
        { weight: 6, arbitrary: assertion },
        { weight: 1, arbitrary: fc.constantFrom('(?i)', '(?s)', '(?m)', '(?U)', '(?i-s)') },
      ),
    },
    { weight: 2, arbitrary: fc.tuple(tie('group'), quantifier).map((parts) => parts.join('')) },
  ),
  sequence: fc.array(tie('item'), { minLength: 0, maxLength: 4 }).map((items) => items.join('')),
  pattern: fc
    .oneof(
      { weight: 4, arbitrary: fc.tuple(tie('sequence')) },
      { weight: 1, arbitrary: fc.array(tie('sequence'), { minLength: 2, maxLength: 3 }) },
    )
    .map((sides) => sides.join('|')),
}));

export const randomPattern = fc
  .tuple(fc.constantFrom('', '', '^', '(?i)', '(?i)^'), pattern, fc.constantFrom('', '', '$'))
  .map((parts) => parts.join(''));

const unit = fc.constantFrom('a', 'a', 'b', 'c', 'A', 'B', 'k', 's', 'S', '1', '2', '-', '_', '.', '\n', ' ', ',', '{');
export const randomTexts = fc.array(
  fc.array(unit, { maxLength: 8 }).map((units) => units.join('')),
  { minLength: 10, maxLength: 10 },
);
