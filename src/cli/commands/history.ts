import type { Command } from 'commander';
import { SlipwayError } from '../../engine/problems/index.ts';
import { readLog } from '../../engine/run/index.ts';
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

  program
    .command('logs')
    .description('The log of a step of a run.')
    .argument('<step>', 'step id, for example build:api')
    .argument('[run]', 'run id; default: the newest')
    .action(async (step: string, id: string | undefined) => {
      const cli = context();
      const run = id ?? (await cli.engine.runs())[0];
      const view = run === undefined ? undefined : await cli.engine.view(run);
      if (run === undefined || view === undefined) {
        throw new SlipwayError({
          reason: 'usage',
          message: `There is no run ${id ?? ''}.`,
          fix: 'slipway history lists them.',
        });
      }
      if (!view.steps.some((other) => other.id === step)) {
        throw new SlipwayError({
          reason: 'usage',
          message: `Run ${run} has no step ${step}.`,
          fix: `It has: ${view.steps.map((other) => other.id).join(', ')}.`,
        });
      }
      for (const event of await readLog(cli.system.files, cli.root, run, step)) {
        if (cli.isJson) cli.print(JSON.stringify(event));
        else if (event.type === 'log') cli.print(event.text.replace(/\n$/, ''));
      }
    });
}
