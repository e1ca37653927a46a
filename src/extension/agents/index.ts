import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as vscode from 'vscode';
import type { AgentContext, Operation } from '../../agents/index.ts';
import { isCancelled, SlipwayError, toFailure } from '../../engine/problems/index.ts';
import { confirmByName } from '../commands/confirmByName.ts';
import { refuseUntrusted } from '../commands/register.ts';
import { Owner } from '../events.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Runner } from '../run/runner.ts';
import type { Root, Workspace } from '../workspace.ts';

type Agents = typeof import('../../agents/index.ts');
type ActiveRuns = InstanceType<Agents['ActiveRuns']>;

export interface AgentParts {
  readonly context: vscode.ExtensionContext;
  readonly workspace: Workspace;
  readonly runner: Runner;
  readonly loader: EngineLoader;
  readonly system: AgentContext['system'];
  readonly log: vscode.LogOutputChannel;
}

type Input = Readonly<Record<string, unknown>> & { readonly folder?: unknown };

/**
 * The operations as language-model tools. The manifest lists them (a test holds it to the one list of operations), so
 * nothing is loaded before a model calls one. In Restricted Mode there are none.
 */
export function registerAgents(parts: AgentParts): Owner {
  const owner = new Owner();
  const tools = new AgentTools(parts);
  const contributed = (parts.context.extension.packageJSON as Manifest).contributes.languageModelTools;
  const register = (): void => {
    for (const { name } of contributed) owner.own(vscode.lm.registerTool(name, tools.tool(name)));
  };
  if (vscode.workspace.isTrusted) register();
  else owner.own(vscode.workspace.onDidGrantWorkspaceTrust(register));
  return owner;
}

interface Manifest {
  readonly contributes: { readonly languageModelTools: readonly { readonly name: string }[] };
}

class AgentTools {
  readonly #o: AgentParts;
  readonly #runs = new Map<Root, ActiveRuns>();
  #module: Promise<Agents> | undefined;

  constructor(parts: AgentParts) {
    this.#o = parts;
  }

  tool(name: string): vscode.LanguageModelTool<Input> {
    return {
      prepareInvocation: async ({ input }, token) => this.#prepare(name, input ?? {}, token),
      invoke: async ({ input }, token) => this.#invoke(name, input ?? {}, token),
    };
  }

  async #prepare(
    name: string,
    input: Input,
    token: vscode.CancellationToken,
  ): Promise<vscode.PreparedToolInvocation | undefined> {
    refuseUntrusted();
    const operation = await this.#operation(name);
    const invocationMessage = vscode.l10n.t('Slipway: {0}', operation.title);
    if (operation.effect === 'read') return { invocationMessage };
    const { context, rest, dispose } = await this.#context(input, token);
    try {
      const confirmation = await operation.confirm(rest, context);
      if (confirmation === undefined) return { invocationMessage };
      const lines = confirmation.details.map((line) => `- ${line.replace(/[\\`*_{}[\]<>#|]/g, '\\$&')}`);
      return {
        invocationMessage,
        confirmationMessages: {
          title: `${confirmation.title}?`,
          message: new vscode.MarkdownString(lines.join('\n')),
        },
      };
    } catch (error) {
      // The invocation finds the same and tells it; asking about a call that cannot be done would be odd.
      if (SlipwayError.is(error)) return { invocationMessage };
      throw error;
    } finally {
      dispose();
    }
  }

  async #invoke(name: string, input: Input, token: vscode.CancellationToken): Promise<vscode.LanguageModelToolResult> {
    const { log } = this.#o;
    const operation = await this.#operation(name);
    try {
      refuseUntrusted();
      const { context, rest, dispose } = await this.#context(input, token);
      try {
        await this.#askForProtected(operation, rest, context);
        log.info(`Agent: ${name} ${JSON.stringify(rest)}`);
        const output = await operation.call(rest, context);
        return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(JSON.stringify(output))]);
      } finally {
        dispose();
      }
    } catch (error) {
      if (isCancelled(error)) throw new vscode.CancellationError();
      const { message, fix } = toFailure(error);
      log.error(`Agent: ${name}: ${message}`);
      throw new Error(fix === undefined ? message : `${message} ${fix}`, { cause: error });
    }
  }

  /** A person may have told VS Code to allow a tool always; a protected environment asks nevertheless. */
  async #askForProtected(operation: Operation, input: unknown, context: AgentContext): Promise<void> {
    if (operation.effect === 'read') return;
    const confirmation = await operation.confirm(input, context);
    if (confirmation?.protectedEnvironment === undefined) return;
    await confirmByName(
      confirmation.protectedEnvironment,
      vscode.l10n.t('An agent wants to: {0}. This environment is protected', confirmation.title),
      confirmation.details,
    );
  }

  async #context(input: Input, token: vscode.CancellationToken) {
    const { workspace, loader, system } = this.#o;
    const { folder, ...rest } = input;
    const root = await pickRoot(workspace, folder);
    const [agents, engine] = await Promise.all([this.#load(), loader.engine(root.path)]);
    const cancel = new AbortController();
    const cancelled = token.onCancellationRequested(() => cancel.abort());
    if (token.isCancellationRequested) cancel.abort();
    const context: AgentContext = {
      system,
      engine,
      secrets: agents.secretsOf(system),
      runs: this.#runsOf(root, agents),
      isLive: async (view) => root.runs.get(view.id)?.isLive === true,
      signal: cancel.signal,
      // The run shows its own progress in the window.
      report: () => {},
    };
    return { context, rest, dispose: () => cancelled.dispose() };
  }

  /** Runs go through the window's runner: its views show them, its end ends them. */
  #runsOf(root: Root, agents: Agents): ActiveRuns {
    const known = this.#runs.get(root);
    if (known !== undefined) return known;
    const { runner } = this.#o;
    const runs = new agents.ActiveRuns({
      run: (request, options) =>
        runner.perform(
          root,
          request.environment ?? null,
          (engine, each) => engine.run({ ...request, ...each }),
          options,
        ),
      resume: (run, options) =>
        runner.perform(
          root,
          (run === undefined ? root.runs.list()[0] : root.runs.get(run))?.view.environment ?? null,
          (engine, each) => engine.resume({ ...(run !== undefined && { run }), ...each }),
          options,
        ),
      rollBack: (environment, to, options) =>
        runner.perform(
          root,
          environment,
          (engine, each) => engine.rollBack({ environment, ...(to !== undefined && { to }), ...each }),
          options,
        ),
    });
    this.#runs.set(root, runs);
    return runs;
  }

  #load(): Promise<Agents> {
    this.#module ??= import(
      pathToFileURL(join(this.#o.context.extensionPath, 'dist', 'agents.mjs')).href
    ) as Promise<Agents>;
    return this.#module;
  }

  async #operation(name: string): Promise<Operation> {
    const operation = (await this.#load()).operationOf(name);
    if (operation === undefined) throw new Error(`There is no tool ${name}.`);
    return operation;
  }
}

/** The folder that is named, else the only one with a project, else the first. */
async function pickRoot(workspace: Workspace, folder: unknown): Promise<Root> {
  await workspace.show();
  const named = workspace.roots.find(({ folder: { name }, path }) => name === folder || path === folder);
  const withProject = workspace.roots.filter(({ project }) => project !== undefined);
  const names = workspace.roots.map((root) => root.folder.name).join(', ');
  if (folder !== undefined && folder !== '' && named === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'agent.no-folder',
      message: `There is no workspace folder ${String(folder)}.`,
      fix: `There is ${names}.`,
    });
  }
  if (named !== undefined) return named;
  const [only, second] = withProject;
  if (only !== undefined && second !== undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'agent.which-folder',
      message: 'This workspace has several projects.',
      fix: `Name one as "folder": ${withProject.map((root) => root.folder.name).join(', ')}.`,
    });
  }
  const root = only ?? workspace.roots[0];
  if (root !== undefined) return root;
  throw new SlipwayError({
    reason: 'usage',
    code: 'workspace.no-folder',
    message: 'No folder is open.',
    fix: 'Open the folder of an app.',
  });
}
