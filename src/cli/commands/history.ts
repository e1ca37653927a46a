import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { duration } from '../words.ts';

export function addHistoryCommands(program: Command, context: () => CliContext): void {
  program
    .command('history')
    .description('The runs of this workspace, newest first.')
    .option('-n, --count <number>', 'how many', '20')
    .action(async ({ count }: { readonly count: string }) => {
      const cli = context();
      const views = await Promise.all(
        (await cli.engine.runs()).slice(0, Number(count)).map((run) => cli.engine.view(run)),
      );
      for (const view of views) {
        if (view === undefined) continue;
        if (cli.isJson) {
          const { id, state, environment, commit, branch, tag, startedAt, durationMs, failure, rolledBack } = view;
          cli.print(
            JSON.stringify({ id, state, environment, commit, branch, tag, startedAt, durationMs, failure, rolledBack }),
          );
          continue;
        }
        const time = view.durationMs === undefined ? '' : duration(view.durationMs);
        const cause =
          view.failure === undefined ? '' : `  ${view.failure.code ?? view.failure.reason}: ${view.failure.message}`;
        cli.print(
          `${view.id}  ${view.state.padEnd(9)}  ${(view.environment ?? '-').padEnd(8)}  ${view.tag ?? ''}  ${time}${view.rolledBack ? '  rolled back' : ''}${cause}`,
        );
      }
    });
}
