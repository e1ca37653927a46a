// Random YAML files with markers in every position the rules speak of, and in many they do not.
import fc from 'fast-check';
import type { ImageRef } from '../../src/engine/gitops/reference.ts';

export interface RandomFile {
  readonly text: string;
  readonly policies: Readonly<Record<string, ImageRef>>;
}

const digest = `sha256:${'1a2b'.repeat(16)}`;

const setter = fc.constantFrom(
  'flux-system:app',
  'flux-system:app',
  'flux-system:app',
  'flux-system:app:tag',
  'flux-system:app:tag',
  'flux-system:app:name',
  'flux-system:app:digest',
  'apps:api',
  'apps:api:tag',
  'apps:none',
  'flux-system:app:TAG',
  'flux-system:app:tag:x',
  'flux-system/app',
  'app',
  '',
  'a%3Ab',
  'flux-system%3Aapp',
);

/** A comment from its `#`; mostly a good marker. */
const marker = fc
  .tuple(
    setter,
    fc.constantFrom(
      ...Array.from({ length: 10 }, () => (name: string) => `# {"$imagepolicy": "${name}"}`),
      (name: string) => `#{"$imagepolicy":"${name}"}`,
      (name: string) => `### { "$imagepolicy" : "${name}" }  `,
      (name: string) => `# # {"$imagepolicy": "${name}"}`,
      (name: string) => `# {"$imagepolicy": "${name}", "note": "x"}`,
      (name: string) => `# {"$imagepolicy": "${name}", "note": 1}`,
      (name: string) => `# {"$imagepolicy": "${name}", "note": null}`,
      (name: string) => `# {"$imagepolicy": "${name}",}`,
      (name: string) => `# {'$imagepolicy': '${name}'}`,
      (name: string) => `# text {"$imagepolicy": "${name}"}`,
      (name: string) => `# {"$imagepolicy": "${name}"} text`,
      (name: string) => `# ["$imagepolicy", "${name}"]`,
      (name: string) => `#\u00a0{"$imagepolicy": "${name}"}`,
      (name: string) => `# {"$ref": "#/definitions/io.k8s.cli.setters.${name}"}`,
      (name: string) => `# {"$ImagePolicy": "${name}"}`,
    ),
  )
  .map(([name, write]) => write(name));

const note = fc.constantFrom('# note', '#', '# - x: y', '# "quoted" {braces}', '#no space', '# ünï 😀');
const comment = fc.oneof({ weight: 4, arbitrary: marker }, { weight: 2, arbitrary: note });
/** What stands behind a token on its line. */
const tail = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.oneof(
          { weight: 30, arbitrary: fc.constantFrom(' ', ' ', ' ', '  ', '\t') },
          { weight: 1, arbitrary: fc.constant('') },
        ),
        marker,
      )
      .map((parts) => parts.join('')),
  },
  { weight: 3, arbitrary: fc.constantFrom('', '', ' ', '  ') },
  { weight: 1, arbitrary: note.map((text) => ` ${text}`) },
);

const commonPlain = fc.constantFrom(
  'x:1',
  'ghcr.io/acme/app:1.2.3',
  'a b',
  '5',
  '1.10',
  '0x1f',
  'true',
  'yes',
  '~',
  'null',
  '2024-01-02',
  'v1',
  '-1',
  'http://x/y?z=1#frag',
  'a#b',
  "it's",
  'ünï😀',
  '.5',
  '!!str 5',
  '!foo x',
  '&b1 x:1',
  '&b2 !!str x',
);
/** Values that make the file unreadable, or Flux write nonsense. */
const oddPlain = fc.constantFrom(
  '{{ x }}',
  'x: y',
  '*nope',
  '@at',
  '%x',
  '!!int 5',
  '"bad \\q"',
  '- x',
  '[',
  '`x',
  '"open',
);
const plain = fc.oneof({ weight: 60, arbitrary: commonPlain }, { weight: 1, arbitrary: oddPlain });
const quoted = fc.constantFrom(
  '"x:1"',
  "'x:1'",
  '"a \\" b # c"',
  "'it''s'",
  '""',
  "''",
  '"\\u00e9\\n"',
  '"5"',
  "'yes'",
  '"tab\t"',
);
const scalar = fc.oneof({ weight: 5, arbitrary: plain }, { weight: 3, arbitrary: quoted });
const commonKey = fc.constantFrom(
  'image',
  'tag',
  'name',
  'a',
  'b',
  'c',
  'd',
  'kind',
  '"quoted key"',
  "'k'",
  'x y',
  'args',
  '1',
  'spec',
  'values',
);
const oddKey = fc.constantFrom('? z', '<<', 'metadata', 'annotations', 'items', '*nope', '&k key', '[x]');
const key = fc.oneof({ weight: 40, arbitrary: commonKey }, { weight: 1, arbitrary: oddKey });
/** What stands behind `key:`; without a space it would be part of the key. */
const keyTail = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('', '', ' ') },
  { weight: 2, arbitrary: comment.map((text) => ` ${text}`) },
);

type Lines = readonly string[];
const indented = (lines: Lines, by: number): Lines => lines.map((line) => (line === '' ? line : ' '.repeat(by) + line));

const blockText = fc
  .tuple(
    fc.constantFrom('|', '>', '|-', '>-', '|+', '>+', '|2', '|-'),
    tail,
    fc.array(
      fc.constantFrom(
        'x:1',
        'two words',
        '',
        '  deeper',
        '# {"$imagepolicy": "flux-system:app"}',
        'value: x # {"$imagepolicy": "flux-system:app"}',
        'trailing  ',
      ),
      {
        maxLength: 4,
      },
    ),
    fc.constantFrom(2, 2, 1, 4),
  )
  .map(
    ([header, after, body, by]): Lines => [
      `${header}${after}`,
      ...indented(body.length > 0 ? ['first', ...body] : [], by),
    ],
  );

/** Lines of one mapping entry, item or comment; nested ones are indented by whoever uses them. */
interface Shapes {
  readonly entries: Lines;
  readonly items: Lines;
  readonly flow: Lines;
}

const comma = fc.oneof({ weight: 12, arbitrary: fc.constant(',') }, { weight: 1, arbitrary: fc.constant('') });

const { entries } = fc.letrec<Shapes>((tie: fc.LetrecTypedTie<Shapes>) => {
  const flowItem = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(scalar, comma, tail).map(([value, after, last]): Lines => [value + after + last]),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(key, scalar, comma, tail)
        .map(([name, value, after, last]): Lines => [`${name}: ${value}${after}${last}`]),
    },
    { weight: 1, arbitrary: comment.map((text): Lines => [text]) },
  );
  const flow = fc
    .tuple(
      fc.constantFrom('[]', '{}'),
      tail,
      fc.array(flowItem, { maxLength: 3 }),
      tail,
      fc.constantFrom(2, 2, 2, 2, 0),
    )
    .map(
      ([[open, close], first, items, last, by]): Lines => [
        `${open}${first}`,
        ...indented(items.flat(), by),
        `${' '.repeat(by)}${close}${last}`,
      ],
    );
  const flowLine = fc
    .tuple(fc.array(fc.tuple(key, scalar), { maxLength: 3 }), tail)
    .map(([pairs, after]): Lines => [`{${pairs.map(([name, value]) => `${name}: ${value}`).join(', ')}}${after}`]);
  const entry = fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    {
      weight: 10,
      arbitrary: fc.tuple(key, scalar, tail).map(([name, value, after]): Lines => [`${name}: ${value}${after}`]),
    },
    { weight: 2, arbitrary: comment.map((text): Lines => [text]) },
    {
      weight: 1,
      arbitrary: fc.tuple(comment, fc.constantFrom(1, 2, 4)).map(([text, by]): Lines => [' '.repeat(by) + text]),
    },
    { weight: 1, arbitrary: fc.constant<Lines>(['']) },
    { weight: 1, arbitrary: fc.tuple(key, keyTail).map(([name, after]): Lines => [`${name}:${after}`]) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(key, keyTail, fc.option(comment, { nil: undefined }), scalar, tail, fc.constantFrom(0, 2))
        .map(
          ([name, first, between, value, after, by]): Lines => [
            `${name}:${first}`,
            ...(between === undefined ? [] : [' '.repeat(by) + between]),
            `  ${value}${after}`,
          ],
        ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(key, blockText).map(([name, [first = '', ...rest]]): Lines => [`${name}: ${first}`, ...rest]),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(key, tie('flow'))
        .map(([name, [first = '', ...rest]]): Lines => [`${name}: ${first}`, ...rest]),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(key, flowLine).map(([name, [first = '', ...rest]]): Lines => [`${name}: ${first}`, ...rest]),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(key, fc.constantFrom('x', 'a b', 'x:1'), fc.constantFrom('y', '5', 'y#z', '- w'), tail)
        .map(([name, a, b, after]): Lines => [`${name}: ${a}`, `  ${b}${after}`]),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Lines>(
        ['a1: &a1 x:1'],
        ['a1: &a1 x:1', 'use: *a1 # {"$imagepolicy": "flux-system:app"}'],
      ),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(key, keyTail, tie('entries'), fc.constantFrom(2, 2, 4, 1))
        .map(([name, after, inner, by]): Lines => [`${name}:${after}`, ...indented(inner, by)]),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(key, keyTail, tie('items'), fc.constantFrom(0, 2, 2, 4))
        .map(([name, after, inner, by]): Lines => [`${name}:${after}`, ...indented(inner, by)]),
    },
  );
  const item = fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 6, arbitrary: fc.tuple(scalar, tail).map(([value, after]): Lines => [`- ${value}${after}`]) },
    { weight: 3, arbitrary: comment.map((text): Lines => [text]) },
    { weight: 1, arbitrary: fc.constant<Lines>(['']) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(tail, scalar, tail)
        .map(([first, value, after]): Lines => [`-${first}`, `  ${value}${after}`]),
    },
    { weight: 1, arbitrary: blockText.map(([first = '', ...rest]): Lines => [`- ${first}`, ...rest]) },
    { weight: 1, arbitrary: tie('flow').map(([first = '', ...rest]): Lines => [`- ${first}`, ...rest]) },
    {
      weight: 3,
      arbitrary: tie('entries').map(
        (inner): Lines => indented(inner, 2).map((line, index) => (index === 0 ? `- ${line.slice(2)}` : line)),
      ),
    },
    {
      weight: 1,
      arbitrary: tie('items').map(
        (inner): Lines => indented(inner, 2).map((line, index) => (index === 0 ? `- ${line.slice(2)}` : line)),
      ),
    },
  );
  return {
    entries: fc.array(entry, { minLength: 1, maxLength: 4, depthIdentifier: 'yaml' }).map((parts) => parts.flat()),
    items: fc.array(item, { minLength: 1, maxLength: 4, depthIdentifier: 'yaml' }).map((parts) => parts.flat()),
    flow,
  };
});

const separator = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom(
      '---',
      '---',
      '---',
      '--- # next',
      '---   ',
      '--- # {"$imagepolicy": "flux-system:app"}',
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('--- x', '----', '...') },
);
/** Lines that usually spoil the file, put anywhere. */
const oddLine = fc.constantFrom(
  '- x',
  '\tx: y',
  'a: b: c',
  '...',
  '{{- if }}',
  'b: [',
  '  stray: x',
  '# {"$imagepolicy": "flux-system:app"}',
  '',
  ']',
  '%YAML 1.1',
  'use: *nope',
);

const ref = fc
  .tuple(
    fc.constantFrom('ghcr.io/acme/app', 'registry.local:5000/team/app', 'nginx'),
    fc.constantFrom(
      '1.2.4',
      '1.10',
      '5',
      '0755',
      '08',
      '0x1f',
      '0o17',
      '1_000',
      '1e3',
      '2024-01-02',
      '2024-13-02',
      'on',
      'n',
      'null',
      'v2',
      '1.',
      'latest',
      '123abc',
      '_',
      '12345678901234567890123',
      '0b1',
      '1e400',
      'main-abc-1700000000',
    ),
    fc.constantFrom('', '', digest),
  )
  .map(([name, tag, sum]): ImageRef => ({ name, tag, ...(sum !== '' && { digest: sum }) }));

/** A random file with the latest references of three policies. */
export const randomFile: fc.Arbitrary<RandomFile> = fc
  .tuple(
    fc.array(fc.tuple(separator, entries), { minLength: 1, maxLength: 3 }),
    fc.constantFrom('none', 'none', 'separator', 'comment'),
    fc.constantFrom('\n', '\n', '\n', '\r\n', 'mixed'),
    fc.constantFrom('', '', '', '\ufeff'),
    fc.constantFrom('break', 'break', 'break', 'none', 'several'),
    fc.record({ 'flux-system:app': ref, 'apps:api': ref }),
    fc.oneof(
      { weight: 12, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.tuple(fc.nat(60), oddLine) },
    ),
  )
  .map(([documents, start, ends, mark, last, policies, odd]) => {
    const lines = documents.flatMap(([line, body], index) =>
      index === 0 && start !== 'separator' ? body : [line, ...body],
    );
    if (odd !== undefined) lines.splice(odd[0] % (lines.length + 1), 0, odd[1]);
    if (start === 'comment') lines.unshift('# head', '');
    let text = '';
    lines.forEach((line, index) => {
      const end = ends === 'mixed' ? (index % 3 === 0 ? '\r\n' : '\n') : ends;
      text += line + (index < lines.length - 1 || last !== 'none' ? end : '');
    });
    return { text: mark + text + (last === 'several' ? '\n\n' : ''), policies };
  });
