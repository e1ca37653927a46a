import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
  type ServerNotification,
  type ServerRequest,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { type Engine, type System, secretsOf } from '../engine/main.ts';
import { isCancelled, SlipwayError, toFailure } from '../engine/problems/index.ts';
import { isRunLive } from '../engine/run/index.ts';
import { ActiveRuns } from './activeRuns.ts';
import { Consent, confirmationText } from './consent.ts';
import { inputSchemaOf, operationOf, operations, outputSchemaOf, toolName } from './index.ts';
import type { AgentContext, Confirmation, Operation } from './operation.ts';
import { failureOf } from './shapes.ts';

export interface McpOptions {
  readonly system: System;
  readonly engine: Engine;
  readonly version: string;
  /** `allow`: changes need no agreement, except to protected environments. */
  readonly changes: 'ask' | 'allow';
  /** Ends the server. */
  readonly signal: AbortSignal;
  /** Default: this process's stdin and stdout. */
  readonly transport?: Transport;
}

/** How long a person may think about a question. */
const ASK_MS = 10 * 60_000;

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** Serves the operations until the client goes or the signal aborts; runs that go on then are cancelled in order. */
export async function serveMcp(options: McpOptions): Promise<void> {
  const service = new McpService(options);
  await service.serve();
}

class McpService {
  readonly #o: McpOptions;
  readonly #server: Server;
  readonly #runs: ActiveRuns;
  readonly #consent: Consent;

  constructor(options: McpOptions) {
    this.#o = options;
    const { engine } = options;
    this.#consent = new Consent(() => options.system.clock.now());
    this.#runs = new ActiveRuns({
      run: (request, run) => engine.run({ ...request, ...run, startedBy: 'agent' }),
      resume: (run, each) => engine.resume({ ...(run !== undefined && { run }), ...each, startedBy: 'agent' }),
      rollBack: (environment, to, each) =>
        engine.rollBack({ environment, ...(to !== undefined && { to }), ...each, startedBy: 'agent' }),
    });
    this.#server = new Server(
      { name: 'slipway', title: 'Slipway', version: options.version },
      {
        capabilities: { tools: {} },
        instructions:
          'Slipway takes the commit of a containerised app to a verified rollout. Begin with slipway_project and slipway_status. slipway_plan shows what a run would do; slipway_run does it, and asks before. When something failed, the answer has its cause and the fix; slipway_logs, slipway_findings and slipway_diagnose show more.',
      },
    );
    this.#server.setRequestHandler(ListToolsRequestSchema, () => ({
      tools: operations.map((operation) => this.#tool(operation)),
    }));
    this.#server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) =>
      this.#call(params.name, params.arguments ?? {}, extra),
    );
  }

  async serve(): Promise<void> {
    const { signal, transport } = this.#o;
    const closed = Promise.withResolvers<void>();
    this.#server.onclose = () => closed.resolve();
    await this.#server.connect(transport ?? new StdioServerTransport());
    // The transport does not end by itself when the client closes the pipe.
    if (transport === undefined)
      process.stdin.once('end', () => closed.resolve()).once('close', () => closed.resolve());
    signal.addEventListener('abort', () => closed.resolve(), { once: true });
    if (signal.aborted) closed.resolve();
    await closed.promise;
    await this.#runs.stop();
    await this.#server.close();
  }

  #tool(operation: Operation): Tool {
    const input = inputSchemaOf(operation);
    const isChange = operation.effect === 'change';
    const properties = (input.properties ?? {}) as Record<string, object>;
    return {
      name: toolName(operation),
      title: operation.title,
      description: operation.description,
      inputSchema: {
        ...input,
        properties: isChange && this.#o.changes === 'ask' ? { ...properties, confirm: confirmProperty } : properties,
      } as Tool['inputSchema'],
      outputSchema: outputSchemaOf(operation) as Tool['outputSchema'],
      annotations: {
        title: operation.title,
        readOnlyHint: !isChange && operation.name !== 'cancel',
        destructiveHint: isChange && operation.name !== 'bump',
        idempotentHint: !isChange,
        openWorldHint: true,
      },
    };
  }

  async #call(name: string, given: Readonly<Record<string, unknown>>, extra: Extra): Promise<CallToolResult> {
    const operation = operationOf(name);
    const { confirm, ...input } = given;
    try {
      if (operation === undefined) {
        throw new SlipwayError({
          reason: 'usage',
          code: 'agent.unknown-tool',
          message: `There is no tool ${name}.`,
          fix: `There are ${operations.map(toolName).join(', ')}.`,
        });
      }
      const context = this.#context(extra);
      const confirmation = await operation.confirm(input, context);
      if (confirmation !== undefined) {
        const refusal = await this.#agree(name, input, confirm, confirmation, extra);
        if (refusal !== undefined) return refusal;
      }
      const output = await operation.call(input, context);
      return { content: [{ type: 'text', text: JSON.stringify(output) }], structuredContent: output };
    } catch (error) {
      if (isCancelled(error) || extra.signal.aborted) return failed('Cancelled.');
      const failure = failureOf(toFailure(error), this.#o.engine.root);
      return failed(JSON.stringify({ error: secretsOf(this.#o.system).maskAll(JSON.parse(JSON.stringify(failure))) }));
    }
  }

  #context(extra: Extra): AgentContext {
    const { system, engine } = this.#o;
    const token = extra._meta?.progressToken;
    let progress = 0;
    return {
      system,
      engine,
      secrets: secretsOf(system),
      runs: this.#runs,
      isLive: async (view) => this.#runs.has(view.id) || (await isRunLive(system, view)),
      signal: extra.signal,
      report: (message) => {
        if (token === undefined || extra.signal.aborted) return;
        progress += 1;
        void extra
          .sendNotification({ method: 'notifications/progress', params: { progressToken: token, progress, message } })
          // A client that is gone needs no progress.
          .catch(() => {});
      },
    };
  }

  /** Undefined when the person agreed; else what the client is told. */
  async #agree(
    tool: string,
    input: unknown,
    token: unknown,
    confirmation: Confirmation,
    extra: Extra,
  ): Promise<CallToolResult | undefined> {
    const { protectedEnvironment } = confirmation;
    if (this.#o.changes === 'allow' && protectedEnvironment === undefined) return undefined;
    if (this.#server.getClientCapabilities()?.elicitation !== undefined) return this.#elicit(confirmation, extra);
    if (protectedEnvironment !== undefined) {
      return failed(
        `Not done: ${protectedEnvironment} is protected, and this client cannot ask its person. Let the person run it in a terminal or in the editor.`,
      );
    }
    if (typeof token === 'string' && this.#consent.take(token, tool, input)) return undefined;
    const offered = this.#consent.offer(tool, input);
    return failed(
      [
        `Not done yet: this changes something and needs the person's agreement.${typeof token === 'string' ? ' The token does not fit this call.' : ''}`,
        confirmationText(confirmation),
        `Show this to the person. Only when they agree, call ${tool} again with the same input and "confirm": "${offered}".`,
      ].join('\n'),
    );
  }

  async #elicit(confirmation: Confirmation, extra: Extra): Promise<CallToolResult | undefined> {
    const { protectedEnvironment: name } = confirmation;
    const answer = await this.#server.elicitInput(
      {
        message: confirmationText(confirmation),
        requestedSchema:
          name === undefined
            ? {
                type: 'object',
                properties: { agree: { type: 'boolean', title: confirmation.title, default: false } },
                required: ['agree'],
              }
            : {
                type: 'object',
                properties: {
                  name: {
                    type: 'string',
                    title: 'Name of the environment',
                    description: `${name} is protected. Type its name to agree.`,
                  },
                },
                required: ['name'],
              },
      },
      { signal: extra.signal, timeout: ASK_MS },
    );
    const isAgreed =
      answer.action === 'accept' &&
      (name === undefined ? answer.content?.agree === true : answer.content?.name === name);
    return isAgreed ? undefined : failed('Not done: the person did not agree.');
  }
}

const confirmProperty = {
  type: 'string',
  description: 'Only after the person agreed: the token that the first call of this tool gave.',
};

const failed = (text: string): CallToolResult => ({ isError: true, content: [{ type: 'text', text }] });
