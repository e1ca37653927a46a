import { describe, expect, it } from 'vitest';
import { resolveText, type Scope } from '../../src/engine/workflows/expressions.ts';
import { readScript } from '../../src/engine/workflows/shell.ts';
import {
  literal,
  splitReference,
  tagTemplate,
  textOf,
  unknown,
  type Value,
  variable,
} from '../../src/engine/workflows/values.ts';

const scope: Scope = {
  env: new Map([['REGISTRY', literal('ghcr.io')]]),
  matrix: new Map<string, unknown>([
    ['app', 'web'],
    ['target', { name: 'prod', ports: [80] }],
  ]),
  inputs: new Map([['tag', literal('')]]),
  repository: 'Acme/Shop',
  output: (kind, id, name) => (kind === 'steps' && id === 'v' && name === 'tag' ? variable('sha', 7) : undefined),
};

describe('expressions', () => {
  it.each([
    ['${{ env.REGISTRY }}/${{ github.repository }}', 'ghcr.io/Acme/Shop'],
    ['${{ github.repository_owner }}', 'Acme'],
    ['${{github.sha}}', '${sha}'],
    ["${{ format('{0}/{1}:{2}', env.REGISTRY, matrix.app, github.sha) }}", 'ghcr.io/web:${sha}'],
    ["${{ format('{{{0}}}', 'a') }}", '{a}'],
    ['${{ inputs.tag || github.ref_name }}', '${ref-name}'],
    ["${{ inputs.tag != '' && inputs.tag || 'latest' }}", 'latest'],
    ["${{ matrix.target.name == 'PROD' && 'yes' || 'no' }}", 'yes'],
    ['${{ matrix.target.ports[0] }}', '80'],
    ["${{ matrix['app'] }}", 'web'],
    ['${{ matrix.absent }}', ''],
    ['${{ steps.v.outputs.tag }}', '${sha:7}'],
    ['${{ steps.w.outputs.tag }}', '${?steps.w.outputs.tag}'],
    ['${{ vars.REGION }}-docker', '${?vars.REGION}-docker'],
    ['${{ secrets.TOKEN }}', '${?secrets.TOKEN}'],
    ["${{ vars.A || 'b' }}", "${?vars.A || 'b'}"],
    ["${{ github.event_name == 'push' && 'a' || 'b' }}", "${?github.event_name == 'push'}"],
    ["${{ contains('refs/heads/main', 'MAIN') }}", 'true'],
    ["${{ startsWith('v1', 'v') && !endsWith('v1', 'x') }}", 'true'],
    ["${{ join(fromJSON('[1,2]'), '-') }}", '1-2'],
    ['${{ toJSON(matrix.app) }}', '"web"'],
    ['${{ 1 < 2 }}', 'true'],
    ["${{ 'it''s' }}", "it's"],
    ["${{ hashFiles('**/go.sum') }}", "${?hashfiles('**/go.sum')}"],
    ['${{ broken( }}', '${?broken(}'],
    ['no expression', 'no expression'],
  ])('%s is %s', (text, expected) => {
    const shown = textOf(resolveText(text, scope));
    // What decides about an unknown condition is named in full.
    if (expected.startsWith('${?github.event_name')) expect(shown.startsWith('${?github.event_name')).toBe(true);
    else expect(shown).toBe(expected);
  });
});

const run = (script: string, variables: Record<string, Value> = {}) =>
  readScript(script, new Map(Object.entries(variables)), (source) => unknown(source.trim()));
const words = (script: string, variables?: Record<string, Value>) =>
  run(script, variables).commands.map((command) => command.words.map(textOf));

describe('scripts', () => {
  it.each<[string, string[][]]>([
    ['a \'b c\' "d $X" e\\ f', [['a', 'b c', 'd x', 'e f']]],
    ['a && b || c; d | e & f', [['a'], ['b'], ['c'], ['d'], ['e'], ['f']]],
    ['a \\\n  b # c\n# d\ne', [['a', 'b'], ['e']]],
    ['a # b; c', [['a']]],
    ['echo a#b', [['echo', 'a#b']]],
    [
      'T=1 a $T; T=2; a $T',
      [
        ['a', '${?$T}'],
        ['a', '2'],
      ],
    ],
    ['export A=$X/y\na $A "${A}z"', [['a', 'x/y', 'x/yz']]],
    ['a > out 2>&1 < in &> all b', [['a', 'b']]],
    ['cat <<EOF > f\nnot a command\nEOF\nb', [['cat'], ['b']]],
    ["cat <<-'END'\n\tnot $(x)\n\tEND\nb", [['cat'], ['b']]],
    ['if [ -n "$X" ]; then a; else b; fi', [['[', '-n', 'x', ']'], ['a'], ['b']]],
    ['for i in 1 2; do a $i; done; b', [['a', '1'], ['a', '2'], ['b']]],
    [
      'for i in 1 2; do\n  for j in x y; do\n    a $i$j\n  done\ndone\nb',
      [['a', '1x'], ['a', '1y'], ['a', '2x'], ['a', '2y'], ['b']],
    ],
    ['(cd x; a)', [['a']]],
    ['a ""', [['a', '']]],
    ['a "$(b "c d")" e', [['a', '${?$(b "c d")}', 'e']]],
    ['a `b`', [['a', '${?$(b)}']]],
    ['a $((1 + 2))', [['a', '${?$($((1 + 2)))}']]],
    ['FLAGS="--a --b"; a $FLAGS "$FLAGS"', [['a', '--a', '--b', '--a --b']]],
    ['a ${{ github.sha }} "${{ x }}y"', [['a', '${?github.sha}', '${?x}y']]],
    ['a ${N:-d} ${X:-d} ${X:+s}', [['a', 'd', 'x', 'x']]],
  ])('%j', (script, expected) => {
    expect(words(script, { X: literal('x') })).toEqual(expected);
  });

  it.each([
    ['${SHA::7}', '${sha:7}'],
    ['${SHA:0:8}', '${sha:8}'],
    ['${REF#refs/tags/}', '${tag}'],
    ['${REF#refs/heads/}', '${branch}'],
    ['${REF##*/}', '${ref-name}'],
    ['${NAME,,}', 'acme/shop'],
    ['${NAME%/Shop}', 'Acme'],
    ['${NAME#Acme/}', 'Shop'],
    ['${NAME//\\//-}', 'Acme-Shop'],
    ['${TAG#v}', '${version}'],
    ['${REF#refs/tags/v}', '${version}'],
    ['${SHA#v}', '${?${SHA#v}}'],
    ['$(echo "$REF" | sed -e \'s/refs\\/heads\\///\')', '${branch}'],
    ['$(echo $REF | sed s/a/b/)', '${?$(echo $REF | sed s/a/b/)}'],
    ['$(git rev-parse --short HEAD)', '${sha:7}'],
    ['$(git rev-parse --short=10 HEAD)', '${sha:10}'],
    ['$(git rev-parse HEAD)', '${sha}'],
    ['1.0.$(git rev-list --count HEAD)', '1.0.${commit-count}'],
    ['$(date +%Y%m%d)', '${date}'],
    ['$(date +%s)', '${?$(date +%s)}'],
    ["$(echo $NAME | tr '[:upper:]' '[:lower:]')", 'acme/shop'],
    ["$(echo \"$NAME\" | tr 'A-Z' 'a-z')", 'acme/shop'],
    ['$(echo $SHA | cut -c1-7)', '${sha:7}'],
    ['$(echo ${SHA} | head -c 8)', '${sha:8}'],
    ['$(./version.sh)', '${?$(./version.sh)}'],
  ])('%s is %s', (word, expected) => {
    const variables = { SHA: variable('sha'), REF: variable('ref'), TAG: variable('tag'), NAME: literal('Acme/Shop') };
    expect(words(`a ${word}`, variables)).toEqual([['a', expected]]);
  });

  it('follows cd, and gives up where it cannot', () => {
    const folders = run('a; cd b/c; d; cd ..; e; cd $UNKNOWN; f').commands.map((command) => command.folder);
    expect(folders).toEqual(['.', 'b/c', 'b', undefined]);
  });

  it('reads what is written for later steps', () => {
    const result = run('echo "A=$X" >> $GITHUB_ENV\necho "tag=v-${X}" >> "$GITHUB_OUTPUT"\necho "B=1" >> other', {
      X: literal('x'),
    });
    expect([...result.environment].map(([key, value]) => [key, textOf(value)])).toEqual([['A', 'x']]);
    expect([...result.outputs].map(([key, value]) => [key, textOf(value)])).toEqual([['tag', 'v-x']]);
  });

  it('knows the line of each command', () => {
    expect(run('a\n\n# x\nb \\\n c\nd').commands.map((command) => command.line)).toEqual([0, 3, 5]);
  });
});

describe('values', () => {
  it.each([
    ['ghcr.io/a/b:1', 'ghcr.io/a/b', '1'],
    ['localhost:5000/a', 'localhost:5000/a', undefined],
    ['localhost:5000/a:b', 'localhost:5000/a', 'b'],
    ['a@sha256:0', 'a', undefined],
  ])('%s splits into %s and %s', (text, repository, tag) => {
    const split = splitReference(literal(text));
    expect([textOf(split.repository), split.tag && textOf(split.tag)]).toEqual([repository, tag]);
  });

  it.each<[Value, string | undefined]>([
    [variable('sha', 7), '{sha}'],
    [variable('sha'), '{sha:40}'],
    [['main-', { variable: 'sha', length: 8 }], 'main-{sha:8}'],
    [variable('ref-name'), '{branch}'],
    [variable('run-number'), undefined],
    [variable('version'), '{semver}'],
    [unknown('x'), undefined],
    [[], undefined],
  ])('%j becomes %s', (value, template) => {
    expect(tagTemplate(value)).toBe(template);
  });
});
