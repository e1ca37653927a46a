// What AI agents can do with Slipway: one list of operations for every host (MCP, VS Code's language-model tools).
import { toJsonSchema } from '@valibot/to-json-schema';
import { argocdHistory, argocdStatus, argocdSync, reconcile, resumeDelivery, suspend } from './deliveryOperations.ts';
import { check, diagnose, diff, fluxStatus, lint, propose, revisions } from './environmentOperations.ts';
import type { Operation } from './operation.ts';
import { findings, history, logs, plan, project, showRun } from './readOperations.ts';
import { cancel, resume, rollback, run, unlock } from './runOperations.ts';
import { status } from './statusOperation.ts';
import { bump, policies, tags, why } from './tagOperations.ts';

export { secretsOf } from '../engine/main.ts';
export { ActiveRuns } from './activeRuns.ts';
export type { AgentContext, Confirmation, Operation, RunHost, RunOptions } from './operation.ts';

export const operations: readonly Operation[] = [
  project,
  plan,
  status,
  history,
  showRun,
  logs,
  findings,
  check,
  diff,
  diagnose,
  revisions,
  fluxStatus,
  argocdStatus,
  argocdHistory,
  policies,
  why,
  tags,
  lint,
  propose,
  run,
  resume,
  rollback,
  cancel,
  bump,
  unlock,
  reconcile,
  suspend,
  resumeDelivery,
  argocdSync,
];

/** Tools of every host are called so, apart from other servers' tools. */
export const toolName = (operation: Operation): string => `slipway_${operation.name}`;

export const operationOf = (tool: string): Operation | undefined =>
  operations.find((operation) => toolName(operation) === tool);

export type JsonSchema = { readonly type: 'object' } & Readonly<Record<string, unknown>>;

/** The JSON schema of what an operation takes. */
export const inputSchemaOf = ({ input }: Operation): JsonSchema => schemaOf(input, 'input');
export const outputSchemaOf = ({ output }: Operation): JsonSchema => schemaOf(output, 'output');

function schemaOf(schema: Operation['input'], typeMode: 'input' | 'output'): JsonSchema {
  const { $schema: _dialect, ...json } = toJsonSchema(schema, { errorMode: 'ignore', typeMode });
  return { type: 'object', ...json } as JsonSchema;
}
