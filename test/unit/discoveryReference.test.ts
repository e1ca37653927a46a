import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/engine/project/index.ts';

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

const root = join(import.meta.dirname, '../..');
const reference = readFileSync(join(root, 'docs/configuration.md'), 'utf8');
const schema: Schema = JSON.parse(readFileSync(join(root, 'schemas/slipway.schema.json'), 'utf8'));

/** Every key of the schema with the path of the map it is in. */
function keys(part: Schema, path: string): readonly (readonly [path: string, key: string])[] {
  const alternatives = [part, ...(part.anyOf ?? [])];
  return alternatives.flatMap((each) => [
    ...Object.entries(each.properties ?? {}).flatMap(([key, inner]) => [
      [path, key] as const,
      ...keys(inner, path === '' ? key : `${path}.${key}`),
    ]),
    ...(typeof each.additionalProperties === 'object' ? keys(each.additionalProperties, `${path}.<name>`) : []),
    ...(each.items === undefined ? [] : keys(each.items, `${path}[]`)),
  ]);
}

/** The section of the reference about a map: from its heading to the next. */
function section(path: string): string {
  const title =
    path === '' ? 'Top level' : path.replace('secrets.<name>', 'secrets.<id>').replace('smoke[].exec', 'smoke[]');
  const lines = reference.split('\n');
  const start = lines.findIndex(
    (line) => line.replace(/^#+ /, '').replaceAll('\\', '') === title && line.startsWith('#'),
  );
  if (start === -1) return '';
  const end = lines.findIndex((line, index) => index > start && line.startsWith('#'));
  return lines.slice(start, end === -1 ? undefined : end).join('\n');
}

const all = [...new Map(keys(schema, '').map((each) => [each.join(' '), each])).values()];

describe('docs/configuration.md', () => {
  it('is compared with a schema that has keys', () => {
    expect(all.length).toBeGreaterThan(80);
  });

  it.each(all)('describes in the section %j the key %s', (path, key) => {
    expect(section(path)).toMatch(new RegExp(`\`${key}\``));
  });

  it('shows an example without mistakes', () => {
    const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(reference) ?? [];
    expect(readConfig(example, '/w/slipway.yaml', '/w').diagnostics).toEqual([]);
  });
});
