import type { Command } from 'commander';
import type { CliContext } from '../context.ts';

/** The Model Context Protocol on stdin and stdout, for AI agents. */
export function addMcpCommand(program: Command, context: () => CliContext, version: string): void {
  program
    .command('mcp')
    .description(
      'Serve plan, run, status, diagnose and the like to AI agents: the Model Context Protocol on stdin and stdout.',
    )
    .option('--allow-changes', 'do not ask before changes, except to protected environments')
    .addHelpText(
      'after',
      `
Configuration of a client:
  { "mcpServers": { "slipway": { "command": "slipway", "args": ["-C", "/path/of/project", "mcp"] } } }

Tools that read are free. A change is confirmed by the person: asked by the client when it can (elicitation), else by a
token that the client shows first. Protected environments always ask a person.`,
    )
    .action(async ({ allowChanges }: { readonly allowChanges?: boolean }) => {
      const cli = context();
      const { serveMcp } = await import('../../agents/mcp.ts');
      await serveMcp({
        system: cli.system,
        engine: cli.engine,
        version,
        changes: allowChanges === true ? 'allow' : 'ask',
        signal: cli.signal,
      });
    });
}
