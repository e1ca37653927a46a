// Writes schemas/slipway.schema.json from the one schema the reader uses. A unit test compares.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toJsonSchema } from '@valibot/to-json-schema';
import { configSchema } from '../src/engine/project/schema.ts';

const path = join(import.meta.dirname, '..', 'schemas', 'slipway.schema.json');

export function schemaText(): string {
  const schema = toJsonSchema(configSchema, { errorMode: 'ignore', typeMode: 'input' });
  return `${JSON.stringify({ ...schema, title: 'Slipway pipeline', description: 'slipway.yaml: images, tests, gate, environments.' }, null, 2)}\n`;
}

if (process.argv[1]?.endsWith('schema.ts')) writeFileSync(path, schemaText());
