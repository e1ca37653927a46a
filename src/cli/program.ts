import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { Engine } from '../engine/main.ts';
import { exitCodeOf, isCancelled, SlipwayError, toFailure } from '../engine/problems/index.ts';
import { createSystem, type System } from '../engine/system/index.ts';
import { addArgoCdCommands } from './commands/argocd.ts';
import { addCiCommands } from './commands/ci.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addEnvironmentCommands } from './commands/environment.ts';
import { addFluxCommands } from './commands/flux.ts';
import { addHistoryCommands } from './commands/history.ts';
import { addInitCommand } from './commands/init.ts';
import { addLintCommand } from './commands/lint.ts';
import { addMcpCommand } from './commands/mcp.ts';
import { addOperationCommands } from './commands/operations.ts';
import { addPlanCommand } from './commands/plan.ts';
import { addPolicyCommands } from './commands/policies.ts';
import { addRunCommands } from './commands/run.ts';
import { addStageCommands } from './commands/stages.ts';
import { addTagsCommand } from './commands/tags.ts';
import type { CliContext } from './context.ts';
import { failureLines } from './words.ts';

/** Runs one command. Exit codes: 0 ok, 1 the app failed a gate, test or rollout, 2 usage or configuration, 3 surroundings, 130 cancelled. */
export async function main(argv: readonly string[]): Promise<number> {
  const system = createSystem();
  const cancel = new AbortController();
  listenForSignals(system, cancel);
  let exitCode = 0;
  // The program drops `--` before a command sees it, and takes options that belong to what comes after.
  const dashes = argv.indexOf('--');
  const own = dashes === -1 ? argv : argv.slice(0, dashes);
  const rest = dashes === -1 ? [] : argv.slice(dashes + 1);
  const program = new Command('slipway')
    .description('From commit to a verified rollout: test, build, scan, publish, deploy, watch, smoke-test, roll back.')
    .version(version(), '-V, --version')
    .addOption(new Option('-C, --directory <folder>', 'workspace root').env('SLIPWAY_DIRECTORY').default('.'))
    .addOption(new Option('-c, --config <file>', 'configuration file instead of slipway.yaml').env('SLIPWAY_CONFIG'))
    .option('--json', 'JSON lines instead of text')
    .option('-v, --verbose', 'plain lines with every log line')
    .showHelpAfterError('(slipway --help lists the commands)')
    .addHelpText('after', HELP)
    .hook('preAction', (command) =>
      refuseMissingFolder(system, resolve(command.opts<{ directory: string }>().directory)),
    )
    .exitOverride();
  const context = (): CliContext => {
    const options = program.opts<{ directory: string; config?: string; json?: boolean; verbose?: boolean }>();
    const root = resolve(options.directory);
    return {
      system,
      root,
      signal: cancel.signal,
      rest,
      isJson: options.json === true,
      isVerbose: options.verbose === true,
      engine: new Engine({
        system,
        root,
        ...(options.config !== undefined && { configFile: resolve(options.config) }),
      }),
      print: (text) => void process.stdout.write(`${text}\n`),
      exitWith: (code) => {
        exitCode = code;
      },
    };
  };
  program.commandsGroup('Pipeline:');
  addRunCommands(program, context);
  addStageCommands(program, context);
  addPlanCommand(program, context);
  program.commandsGroup('Environments:');
  addEnvironmentCommands(program, context);
  program.commandsGroup('Runs and workloads:');
  addHistoryCommands(program, context);
  addOperationCommands(program, context);
  program.commandsGroup('Images and GitOps:');
  addPolicyCommands(program, context);
  addTagsCommand(program, context);
  addFluxCommands(program, context);
  addArgoCdCommands(program, context);
  program.commandsGroup('Repository and CI:');
  addInitCommand(program, context);
  addCiCommands(program, context);
  addLintCommand(program, context);
  program.commandsGroup('For tools:');
  addMcpCommand(program, context, version());
  addCompletionCommand(program, context);
  program.helpCommand('help [command]', 'The same for one command.');
  try {
    await program.parseAsync([...own], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : await usageError(error, program, context);
    if (isCancelled(error) || cancel.signal.aborted) return 130;
    const failure = toFailure(error);
    const isJson = program.opts<{ json?: boolean }>().json === true;
    if (isJson) process.stdout.write(`${JSON.stringify({ type: 'error', failure })}\n`);
    else process.stderr.write(`slipway: ${failureLines(failure).join('\n')}\n`);
    return exitCodeOf(failure);
  } finally {
    await system.processes.dispose();
  }
}

const HELP = `
Begin:
  slipway init                 writes a slipway.yaml from what is in the repository
  slipway run                  test, build, scan and publish
  slipway run --env dev        and deploy, watch, smoke-test; goes back by itself when it fails

Exit codes: 0 ok; 1 the app failed a test, the gate, the rollout or a smoke check; 2 usage or configuration;
3 a tool, registry or cluster; 130 cancelled.

Environment: SLIPWAY_DIRECTORY, SLIPWAY_CONFIG, SLIPWAY_ENV and SLIPWAY_TAG stand for the options; NO_COLOR and CI are
heeded. Runs, logs and reports are kept in .slipway beside slipway.yaml.`;

async function refuseMissingFolder(system: System, root: string): Promise<void> {
  if ((await system.files.stat(root))?.isFolder === true) return;
  throw new SlipwayError({
    reason: 'usage',
    code: 'cli.no-folder',
    message: `There is no folder ${root}.`,
    fix: 'Correct the path given by -C (or SLIPWAY_DIRECTORY).',
  });
}

/** Commander has told it as text; `--json` gets it as every other error, and a missing --env the names there are. */
async function usageError(error: CommanderError, program: Command, context: () => CliContext): Promise<2> {
  const isEnvironment = error.code === 'commander.missingMandatoryOptionValue' && error.message.includes('--env');
  const names = isEnvironment ? await environmentNames(context()) : [];
  const fix =
    names.length > 0
      ? `Name one with --env: ${names.join(', ')}.`
      : isEnvironment
        ? 'There is no environment here; slipway.yaml names them.'
        : undefined;
  if (program.opts<{ json?: boolean }>().json === true) {
    const message = error.message.replace(/^error: /, '').split('\n')[0] ?? '';
    const failure = { reason: 'usage', code: error.code, message, ...(fix !== undefined && { fix }) };
    process.stdout.write(`${JSON.stringify({ type: 'error', failure })}\n`);
  } else if (fix !== undefined) process.stderr.write(`Fix: ${fix}\n`);
  return 2;
}

async function environmentNames({ engine }: CliContext): Promise<readonly string[]> {
  try {
    return (await engine.project()).environments.map(({ name }) => name);
  } catch {
    // The command line is what is wrong here; a configuration that cannot be read is told by the next try.
    return [];
  }
}

/** The first Ctrl-C cancels in order (a build is told, the journal is closed), the second does not wait for that. */
function listenForSignals(system: System, cancel: AbortController): void {
  const onSignal = (): void => {
    if (cancel.signal.aborted) {
      void system.processes.dispose(0).finally(() => process.exit(130));
      return;
    }
    cancel.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  // A reader that went away (`slipway run | head`) is no reason to leave a deploy half done.
  process.stdout.on('error', () => {});
}

declare const SLIPWAY_VERSION: string | undefined;
const version = (): string => (typeof SLIPWAY_VERSION === 'string' ? SLIPWAY_VERSION : '0.0.0-source');
