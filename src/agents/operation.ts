import * as v from 'valibot';
import type { Secrets } from '../engine/events/secrets.ts';
import type { Engine, PlanRequest, RunEvent, RunId, RunView, System } from '../engine/main.ts';
import { SlipwayError } from '../engine/problems/index.ts';

/** How runs are executed: by the process that speaks MCP, or by the editor's window. */
export interface RunHost {
  run(request: PlanRequest, options: RunOptions): Promise<RunView>;
  resume(run: RunId | undefined, options: RunOptions): Promise<RunView>;
  rollBack(environment: string, to: string | undefined, options: RunOptions): Promise<RunView>;
}

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly onEvent: (event: RunEvent) => void;
}

/** What an operation has to work with. */
export interface AgentContext {
  readonly system: System;
  readonly engine: Engine;
  readonly secrets: Secrets;
  readonly runs: ActiveRunsLike;
  /** Whether a process still works on a run that has no end yet. */
  readonly isLive: (view: RunView) => Promise<boolean>;
  /** Aborts when the agent takes its request back. */
  readonly signal: AbortSignal;
  /** What happens now, in a few words. */
  readonly report: (message: string) => void;
}

/** See {@link ActiveRuns}. */
export interface ActiveRunsLike {
  start(
    work: (host: RunHost, options: RunOptions) => Promise<RunView>,
    waiting: { readonly waitMs: number; readonly signal: AbortSignal; readonly report: (message: string) => void },
  ): Promise<RunView | { readonly startedRun: RunId }>;
  wait(run: RunId, waiting: { readonly waitMs: number; readonly signal: AbortSignal }): Promise<void>;
  /** True for a run that was started here and goes on. */
  has(run: RunId): boolean;
  cancel(run: RunId): Promise<'cancelled' | 'not-ours'>;
}

/** What a person is asked before a change. */
export interface Confirmation {
  /** A question without its mark, for example `Deploy to dev`. */
  readonly title: string;
  /** Where, what and which version, a line each. */
  readonly details: readonly string[];
  /** Name of the protected environment that it changes: such a change always asks a person. */
  readonly protectedEnvironment?: string;
}

interface Definition<Input extends v.GenericSchema, Output extends v.GenericSchema> {
  /** `verb` or `noun_verb`; hosts put `slipway_` before it. */
  readonly name: string;
  readonly title: string;
  /** What it does, what it does not, and when to use it: the model reads nothing else. */
  readonly description: string;
  /** `read` changes nothing but files below `.slipway`. */
  readonly effect: 'read' | 'change';
  readonly input: Input;
  readonly output: Output;
  /** Of changes: what a person is asked. */
  readonly confirmation?: (input: v.InferOutput<Input>, context: AgentContext) => Promise<Confirmation>;
  readonly run: (input: v.InferOutput<Input>, context: AgentContext) => Promise<v.InferInput<Output>>;
}

/** One thing an agent can do, the same in every host. */
export interface Operation {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly effect: 'read' | 'change';
  readonly input: v.GenericSchema;
  readonly output: v.GenericSchema;
  /** Throws SlipwayError `usage` for input that does not fit. */
  readonly confirm: (input: unknown, context: AgentContext) => Promise<Confirmation | undefined>;
  readonly call: (input: unknown, context: AgentContext) => Promise<Readonly<Record<string, unknown>>>;
}

export function operation<Input extends v.GenericSchema, Output extends v.GenericSchema>(
  definition: Definition<Input, Output>,
): Operation {
  const { name, title, description, effect, input, output } = definition;
  const read = (given: unknown): v.InferOutput<Input> => {
    const parsed = v.safeParse(input, given ?? {});
    if (parsed.success) return parsed.output;
    throw new SlipwayError({
      reason: 'usage',
      code: 'agent.input',
      message: `The input of ${name} does not fit: ${parsed.issues.map(issueText).join('; ')}.`,
      fix: 'Correct the input; the schema of the tool says what it takes.',
    });
  };
  return {
    name,
    title,
    description,
    effect,
    input,
    output,
    confirm: async (given, context) => definition.confirmation?.(read(given), context),
    call: async (given, context) => {
      const result = await definition.run(read(given), context);
      // What leaves is what the schema declares, masked; undefined members are dropped by JSON.
      return context.secrets.maskAll(JSON.parse(JSON.stringify(v.parse(output, result))));
    },
  };
}

const issueText = (issue: v.BaseIssue<unknown>): string => {
  const path = v.getDotPath(issue);
  return path === null ? issue.message : `${path}: ${issue.message}`;
};
