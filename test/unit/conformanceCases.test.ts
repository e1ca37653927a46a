import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CaseFileError, readCases } from '../conformance/cases.ts';

const folder = mkdtempSync(join(tmpdir(), 'slipway-cases-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(text: string): string {
  const file = join(folder, 'cases.json');
  writeFileSync(file, text);
  return file;
}

describe('case files', () => {
  it.each([
    ['[{"a": 1},', /not JSON/],
    ['[]', /no case/],
  ])('refuses %s whole', (text, reason) => {
    expect(() => readCases(fileOf(text))).toThrow(reason);
    expect(() => readCases(fileOf(text))).toThrow(CaseFileError);
  });

  it.each([
    ['5', 'a case is an object, and this is 5'],
    ['{"what": 1}', 'its fields are what'],
    ['{"constraint": 7}', '"constraint" must be a text, and is 7'],
    ['{"constraint": "^1"}', '"version" is missing'],
    ['{"constraint": "^1", "version": "1.0.0"}', '"matches" or "error" is missing'],
    ['{"policy": {}, "tags": "x"}', '"tags" must be a list of texts'],
    [
      '{"policy": {"semver": {"range": 1}}, "tags": [], "error": true}',
      '"policy.semver.range" must be a text, and is 1',
    ],
    ['{"policy": {}, "tags": []}', '"latest", "latestAnyOf" or "error" is missing'],
    ['{"input": "a: b"}', '"policies" is missing'],
    ['{"input": "a: b", "policies": {"a:b": 1}, "error": true}', '"policies.a:b" must be a text, and is 1'],
    ['{"input": "a: b", "policies": {}}', '"expected", "changed" or "error" is missing'],
  ])('says what is wrong with %s', (item, reason) => {
    const [good, bad] = readCases(fileOf(`[{"constraint": "*", "version": "1.0.0", "matches": true},\n${item}]`));
    expect(good?.found.kind).toBe('constraint');
    expect(bad).toMatchObject({ line: 2, found: { kind: 'fault', reason: expect.stringContaining(reason) } });
  });

  it('takes a null for a field that is not there, and one case without a list', () => {
    const [only] = readCases(
      fileOf('\ufeff{"policy": {"semver": null, "numerical": {}}, "filterTags": null, "tags": ["1"], "latest": "1"}'),
    );
    expect(only?.found).toMatchObject({ kind: 'policy', rules: { policy: { numerical: {} } }, latest: '1' });
  });
});
