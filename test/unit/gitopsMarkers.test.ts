import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyPolicies, applyPoliciesToBytes, replaceValue } from '../../src/engine/gitops/edit.ts';
import { findMarkers } from '../../src/engine/gitops/markers.ts';
import { checkEdit } from '../fuzz/check.ts';
import { randomFile } from '../fuzz/documents.ts';

const marker = '# {"$imagepolicy": "team:app"}';
const refs = new Map([['team:app', { name: 'ghcr.io/acme/app', tag: '2.0.1' }]]);

describe('dead markers say why', () => {
  const table: readonly (readonly [string, string, string])[] = [
    ['alias', 'base: &b x:1\nimage: *b {}\n', 'alias'],
    ['key of a mapping', 'image: {}\n  name: x\n', 'collection'],
    ['key of a list', 'images: {}\n- x:1\n', 'collection'],
    ['flow collection', 'image: {name: x} {}\n', 'collection'],
    ['no value', 'image: {}\nb: c\n', 'no-value'],
    ['value on the next line', 'image: {}\n  x:1\n', 'next-line'],
    ['above a key', 'spec:\n  {}\n  image: x:1\n', 'above-key'],
    ['above an item that is a mapping', 'images:\n{}\n- name: x\n', 'above-collection'],
    ['two comment lines', 'args:\n# note\n{}\n- x:1\n', 'several-lines'],
    ['other comment behind the value', 'args:\n{}\n- x:1 # note\n', 'hidden'],
    ['below the value', 'image: x:1\n{}\n', 'below'],
    ['inside a block text', 'patch: |\n  image: x:1 {}\n', 'text'],
    ['inside quotes', "image: 'x:1 {}'\n", 'text'],
    ['no space', 'image: x:1#{"$imagepolicy":"team:app"}\n', 'no-space'],
    ['second of two keys', 'image: x:1\nimage: y:1 {}\n', 'duplicate-key'],
    ['list file', '- x:1 {}\n', 'file'],
    ['broken YAML', 'image: x:1 {}\nb: [\n', 'file'],
  ];
  it.each(table)('%s', (_name, template, code) => {
    const text = template.replace('{}', marker);
    const { markers, dead } = findMarkers(text, 'a.yaml');
    expect(markers).toEqual([]);
    expect(dead.map((one) => one.code)).toEqual([code]);
    expect(text.slice(dead[0]?.comment.start, dead[0]?.comment.end)).toContain('$imagepolicy');
  });

  it.each([
    ["# {'$imagepolicy': 'team:app'}", 'double quotes'],
    ['# {"$imagepolicy": "team:app",}', 'comma'],
    ['# image {"$imagepolicy": "team:app"}', 'before the JSON'],
    ['# {"$imagepolicy": "team:app"} text', 'after the JSON'],
    ['# {"$ImagePolicy": "team:app"}', 'must be "$imagepolicy"'],
    ['# {"$imagepolicy": "team/app"}', 'other than ":"'],
    ['# {"$imagepolicy": "app"}', 'no namespace'],
    ['# {"$imagepolicy": "team:app:TAG"}', 'not one of'],
    ['# {"$imagepolicy": "team:app", "n": 1}', 'must be texts'],
    ['# [{"$imagepolicy": "team:app"}]', 'JSON list'],
  ])('%s', (comment, reason) => {
    const { dead } = findMarkers(`image: x:1 ${comment}\nkeep: 1 # "$imagepolicy"\n`, 'a.yaml');
    expect(dead[0]?.reason).toContain(reason);
  });
});

describe('live markers', () => {
  it('gives ranges in the offsets of the file, with CRLF and a byte order mark', () => {
    const text = `\ufeffa: 😀\r\nspec:\r\n  image: "ghcr.io/x/y:1@sha256:ab" ${marker} \r\n`;
    const [found] = findMarkers(text, 'a.yaml').markers;
    expect(text.slice(found?.value.start, found?.value.end)).toBe('"ghcr.io/x/y:1@sha256:ab"');
    expect(text.slice(found?.comment.start, found?.comment.end)).toBe(`${marker} `);
    expect(found?.parts).toEqual({ name: 'ghcr.io/x/y', tag: '1', digest: 'sha256:ab' });
    expect(found?.path).toEqual(['spec', 'image']);
  });
});

describe('edits', () => {
  it('keep every other byte of the file', () => {
    const bytes = new TextEncoder().encode(`\ufeffa: 1   # é 😀\r\nimage: 'x:1'   ${marker}\r\n\r\n\r\nb:   [ 1,2 ]`);
    const result = applyPoliciesToBytes(bytes, 'a.yaml', refs);
    expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(result.bytes)).toBe(
      `\ufeffa: 1   # é 😀\r\nimage: 'ghcr.io/acme/app:2.0.1'   ${marker}\r\n\r\n\r\nb:   [ 1,2 ]`,
    );
  });

  it('skip a file that is not UTF-8', () => {
    const bytes = new Uint8Array([0x61, 0x3a, 0x20, 0xff]);
    expect(applyPoliciesToBytes(bytes, 'a.yaml', refs).skipped?.code).toBe('not-utf8');
  });

  it('replace one marker by hand and refuse a stale one', () => {
    const text = `a: x:1 ${marker}\nb: y:1 ${marker}\n`;
    const [, second] = findMarkers(text, 'a.yaml').markers;
    if (second === undefined) throw new Error('no marker');
    expect(replaceValue(text, 'a.yaml', second, 'z:2')).toEqual([
      { start: text.indexOf('y:1'), end: text.indexOf('y:1') + 3, text: 'z:2' },
    ]);
    expect(() => replaceValue(`# new line\n${text}`, 'a.yaml', second, 'z:2')).toThrow(/any more/);
  });

  it('fail as Flux does on a reference that it refuses', () => {
    expect(() =>
      applyPolicies(`a: x:1 ${marker}\n`, 'a.yaml', new Map([['team:z', { name: 'A/b', tag: '1' }]])),
    ).toThrow(/refuses/);
  });

  it('hold their promises on random files', () => {
    let edited = 0;
    fc.assert(
      fc.property(randomFile, (file) => {
        const { result, problem } = checkEdit(file);
        edited += result.changes.length;
        return problem === undefined;
      }),
      { numRuns: 400 },
    );
    // A generator that makes nothing to edit would prove nothing.
    expect(edited).toBeGreaterThan(50);
  });
});
