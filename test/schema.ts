// Writes what is generated from the code: schemas/slipway.schema.json from the one schema the reader uses, and the
// language-model tools of package.json from the one list of operations. Unit tests compare.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toJsonSchema } from '@valibot/to-json-schema';
import { inputSchemaOf, operations, toolName } from '../src/agents/index.ts';
import { configSchema } from '../src/engine/project/schema.ts';

const root = join(import.meta.dirname, '..');

export function schemaText(): string {
  const schema = toJsonSchema(configSchema, { errorMode: 'ignore', typeMode: 'input' });
  return `${JSON.stringify({ ...schema, title: 'Slipway pipeline', description: 'slipway.yaml: images, tests, gate, environments.' }, null, 2)}\n`;
}

/** The tools as `contributes.languageModelTools` wants them. */
export function languageModelTools(): readonly Readonly<Record<string, unknown>>[] {
  return operations.map((operation) => {
    const input = inputSchemaOf(operation);
    const properties = (input.properties ?? {}) as Readonly<Record<string, unknown>>;
    return {
      name: toolName(operation),
      toolReferenceName: toolName(operation).replace(/_(\w)/g, (_match, letter: string) => letter.toUpperCase()),
      displayName: `Slipway: ${operation.title}`,
      modelDescription: operation.description,
      userDescription: operation.title,
      canBeReferencedInPrompt: true,
      icon: '$(rocket)',
      tags: ['slipway', operation.effect],
      when: 'isWorkspaceTrusted',
      inputSchema: {
        ...input,
        properties: {
          ...properties,
          folder: {
            type: 'string',
            description: 'Name of the workspace folder. Only needed when several have a project.',
          },
        },
      },
    };
  });
}

if (process.argv[1]?.endsWith('schema.ts')) {
  writeFileSync(join(root, 'schemas', 'slipway.schema.json'), schemaText());
  const file = join(root, 'package.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as { contributes: Record<string, unknown> };
  manifest.contributes.languageModelTools = languageModelTools();
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
}
