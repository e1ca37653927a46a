// What a workflow asks for when it is started by hand. Pure.
import { parse } from 'yaml';

export interface DispatchInput {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'choice' | 'number';
  readonly description: string;
  readonly value: string;
  readonly isRequired: boolean;
  readonly options: readonly string[];
}

type Data = Readonly<Record<string, unknown>>;
const asData = (value: unknown): Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Data) : {};
const asText = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';

/** Inputs of `on.workflow_dispatch`; undefined when the workflow cannot be started by hand. */
export function readInputs(text: string): readonly DispatchInput[] | undefined {
  const on = asData(parse(text, { logLevel: 'silent' })).on;
  const names = typeof on === 'string' ? [on] : Array.isArray(on) ? on : Object.keys(asData(on));
  if (!names.includes('workflow_dispatch')) return undefined;
  return Object.entries(asData(asData(asData(on).workflow_dispatch).inputs)).map(([name, value]) => {
    const input = asData(value);
    const type = asText(input.type);
    return {
      name,
      type: type === 'boolean' || type === 'choice' || type === 'number' ? type : 'string',
      description: asText(input.description),
      value: asText(input.default),
      isRequired: input.required === true,
      options: Array.isArray(input.options) ? input.options.map(asText) : [],
    };
  });
}
