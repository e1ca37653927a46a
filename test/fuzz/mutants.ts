// Files that people wrote, with a few random wounds: characters that mean something in YAML put in anywhere, lines doubled,
// moved, indented or cut. They reach states of a parser that files made by rules do not.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { splitReference } from '../../src/engine/gitops/reference.ts';
import { type RandomFile, randomFile } from './documents.ts';

interface Written {
  readonly input: string;
  readonly policies: Readonly<Record<string, string>>;
}

const folder = join(import.meta.dirname, '../conformance/cases');
const originals: readonly RandomFile[] = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .flatMap((name): Partial<Written>[] => JSON.parse(readFileSync(join(folder, name), 'utf8')))
  .flatMap(({ input, policies }) => {
    if (input === undefined || policies === undefined) return [];
    const refs = Object.entries(policies).flatMap(([key, text]) => {
      const { name, tag = '', digest } = splitReference(text);
      return text === '' ? [] : [[key, { name, tag, ...(digest !== undefined && { digest }) }] as const];
    });
    return [{ text: input, policies: Object.fromEntries(refs) }];
  });

const pieces = [
  '#',
  ' #',
  '# ',
  ' # {"$imagepolicy": "flux-system:app"}',
  '\n# {"$imagepolicy": "flux-system:app:tag"}\n',
  '\t',
  ' ',
  '  ',
  '\r',
  '\n',
  '\n\n',
  '\r\n',
  '\n---\n',
  '\n--- # note\n',
  '---\n',
  '\n...\n',
  '...',
  '|',
  '>',
  '|-\n',
  '>2-\n',
  '>+\n',
  '&a ',
  '*a',
  '!!str ',
  '!!int ',
  '!!binary ',
  '!foo ',
  '!<tag:yaml.org,2002:str> ',
  '! ',
  '? ',
  ': ',
  ':',
  '- ',
  '-',
  ',',
  '[',
  ']',
  '{',
  '}',
  '"',
  "'",
  '\\',
  '%',
  '%YAML 1.2\n',
  '@',
  '`',
  '~',
  'null',
  '<<: ',
  '\u0085',
  '\u2028',
  '\u00a0',
  '\ufeff',
  '\0',
  '\u0007',
  '\u007f',
  '\ufffd',
  'é',
  '😀',
  'metadata:',
  'metadata: {annotations: {config.kubernetes.io/path: manifest.yaml}}\n',
  'annotations: ',
  'kind: List\nitems:\n',
  'x: &a 1\n',
  'y: *a\n',
];

type Wound = (text: string, at: number, other: number) => string;

const place = (text: string, at: number): number => (text.length === 0 ? 0 : at % (text.length + 1));
const lineWound =
  (change: (lines: string[], at: number, other: number) => void): Wound =>
  (text, at, other) => {
    const lines = text.split('\n');
    change(lines, at % lines.length, other % lines.length);
    return lines.join('\n');
  };

const wound: fc.Arbitrary<Wound> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.constantFrom(...pieces).map(
      (piece): Wound =>
        (text, at) =>
          text.slice(0, place(text, at)) + piece + text.slice(place(text, at)),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...pieces).map(
      (piece): Wound =>
        (text, at) =>
          text.slice(0, place(text, at)) + piece + text.slice(place(text, at) + 1),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(1, 1, 1, 2, 5, 20).map(
      (length): Wound =>
        (text, at) =>
          text.slice(0, place(text, at)) + text.slice(place(text, at) + length),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constant(lineWound((lines, at, other) => void lines.splice(other, 0, lines[at] ?? ''))),
  },
  {
    weight: 2,
    arbitrary: fc.constant(lineWound((lines, at, other) => void lines.splice(other, 0, lines.splice(at, 1)[0] ?? ''))),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(' ', '  ', '    ', '\t', '- ')
      .map((by) => lineWound((lines, at) => void lines.splice(at, 1, by + (lines[at] ?? '')))),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(1, 2, 4)
      .map((by) => lineWound((lines, at) => void lines.splice(at, 1, (lines[at] ?? '').slice(by)))),
  },
  { weight: 1, arbitrary: fc.constant(lineWound((lines, at) => void lines.splice(at, 1))) },
);

const word = fc.constantFrom(
  ...[
    'a',
    'b',
    'image',
    'x:1',
    'y',
    '1.10',
    'tag',
    '"q"',
    "'s'",
    '"d \\n"',
    '5',
    'a b',
    'kind',
    'spec',
    '- - x',
    '? k',
    '<<',
  ],
);
const marker = fc.constantFrom(
  '# {"$imagepolicy": "flux-system:app"}',
  '# {"$imagepolicy": "flux-system:app:tag"}',
  '# {"$imagepolicy": "flux-system:app:digest"}',
  '#{"$imagepolicy":"flux-system:app:name"}',
  '# note',
);
const soupLine = fc
  .tuple(
    fc.constantFrom('', '', '', '  ', '  ', '    ', ' ', '- ', '- ', '  - ', '\t', '      '),
    fc.array(
      fc.oneof(
        { weight: 4, arbitrary: word },
        { weight: 2, arbitrary: marker },
        { weight: 3, arbitrary: fc.constantFrom(...pieces) },
      ),
      { maxLength: 4 },
    ),
    fc.constantFrom(': ', ' ', '', ':'),
    fc.oneof(
      fc.constant(''),
      marker.map((text) => ` ${text}`),
    ),
  )
  .map(([indent, parts, joiner, end]) => indent + parts.join(joiner) + end);
/** Lines of words and signs, one after another. */
const soup = fc.array(soupLine, { minLength: 2, maxLength: 7 }).map(
  (lines): RandomFile => ({
    text: `${lines.join('\n')}\nlast: x:1 # {"$imagepolicy": "flux-system:app"}\n`,
    policies: { 'flux-system:app': { name: 'ghcr.io/acme/app', tag: '1.10' } },
  }),
);

const original = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...originals) },
  { weight: 2, arbitrary: soup },
  { weight: 1, arbitrary: randomFile },
);

/** A wounded file; now and then two of them as documents of one file. */
export const mutant: fc.Arbitrary<RandomFile> = fc
  .tuple(
    original,
    fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: original }),
    fc.array(fc.tuple(wound, fc.nat(), fc.nat()), { minLength: 1, maxLength: 4 }),
  )
  .map(([first, second, wounds]) => {
    const joined = second === undefined ? first.text : `${first.text}---\n${second.text}`;
    const text = wounds.reduce((so, [change, at, other]) => change(so, at, other), joined);
    // A wound through a surrogate pair leaves what no UTF-8 file can hold.
    return { text: text.toWellFormed(), policies: { ...second?.policies, ...first.policies } };
  });
