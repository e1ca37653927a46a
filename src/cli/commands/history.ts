import type { Command } from 'commander';
import type { Metrics, RunView } from '../../engine/main.ts';
import { wholeNumber } from '../arguments.ts';
import type { CliContext } from '../context.ts';
import { duration } from '../words.ts';

interface HistoryFlags {
  readonly count: number;
  readonly env?: string;
  readonly metrics?: boolean;
  readonly days?: number;
}

export function addHistoryCommands(program: Command, context: () => CliContext): void {
  program
    .command('history')
    .description('The runs of this workspace, newest first; or what they add up to.')
    .option('-n, --count <number>', 'how many runs', wholeNumber, 20)
    .option('-e, --env <name>', 'only runs for this environment')
    .option(
      '-m, --metrics',
      'success rate, durations, deployment frequency, change failure rate, time to restore and causes of rollbacks',
    )
    .option('--days <number>', 'with --metrics: only the last days', wholeNumber)
    .action(async (flags: HistoryFlags) => {
      const cli = context();
      if (flags.metrics === true) return printMetrics(cli, flags);
      const views = await Promise.all((await cli.engine.runs()).map((run) => cli.engine.view(run)));
      const chosen = views
        .flatMap((view) => (view === undefined ? [] : [view]))
        .filter((view) => flags.env === undefined || view.environment === flags.env)
        .slice(0, flags.count);
      if (chosen.length === 0 && !cli.isJson) {
        const where = flags.env === undefined ? 'in this workspace' : `for ${flags.env}`;
        cli.print(`Nothing was run ${where} yet; slipway run starts a run.`);
      }
      const width = (of: (view: RunView) => string) => Math.max(...chosen.map((view) => of(view).length));
      const widths = { environment: width(environmentOf), tag: width(({ tag }) => tag ?? '') };
      for (const view of chosen) cli.print(cli.isJson ? json(view) : line(view, widths));
    });
}

function json(view: RunView): string {
  const { id, state, environment, commit, branch, tag, startedAt, durationMs, failure, rolledBack } = view;
  return JSON.stringify({ id, state, environment, commit, branch, tag, startedAt, durationMs, failure, rolledBack });
}

const environmentOf = (view: RunView): string => view.environment ?? '-';

function line(view: RunView, widths: { readonly environment: number; readonly tag: number }): string {
  const time = view.durationMs === undefined ? '' : duration(view.durationMs);
  const cause =
    view.failure === undefined ? '' : `  ${view.failure.code ?? view.failure.reason}: ${view.failure.message}`;
  return `${view.id}  ${view.state.padEnd(9)}  ${environmentOf(view).padEnd(widths.environment)}  ${(view.tag ?? '').padEnd(widths.tag)}  ${time}${view.rolledBack ? '  rolled back' : ''}${cause}`;
}

async function printMetrics(cli: CliContext, flags: HistoryFlags): Promise<void> {
  const metrics = await cli.engine.metrics({
    ...(flags.days !== undefined && { days: flags.days }),
    ...(flags.env !== undefined && { environment: flags.env }),
  });
  if (cli.isJson) cli.print(JSON.stringify({ type: 'metrics', ...metrics }));
  else for (const text of metricsLines(metrics)) cli.print(text);
}

const percent = (value: number | undefined): string =>
  value === undefined ? 'none yet' : `${Math.round(value * 100)} %`;
const time = (ms: number | undefined): string => (ms === undefined ? 'none yet' : duration(ms));

function metricsLines({ from, until, runs, steps, environments }: Metrics): readonly string[] {
  return [
    `${from.slice(0, 10)} to ${until.slice(0, 10)}: ${runs.total} runs, ${runs.succeeded} succeeded, ${runs.failed} failed, ${runs.cancelled} cancelled`,
    `  success rate         ${percent(runs.successRate)}`,
    `  duration             ${time(runs.medianMs)} (median), ${time(runs.slowestMs)} (slowest)`,
    ...Object.entries(steps).map(
      ([kind, { count, medianMs }]) => `    ${kind.padEnd(18)} ${duration(medianMs)} (${count})`,
    ),
    ...environments.flatMap((each) => [
      each.environment,
      `  deployments          ${each.deployments}${each.perDay === undefined ? '' : ` (${each.perDay} a day)`}`,
      `  change failure rate  ${percent(each.changeFailureRate)}${each.failed === 0 ? '' : ` (${each.failed} of ${each.deployments})`}`,
      `  time to restore      ${time(each.timeToRestore.medianMs)}${each.timeToRestore.open === 0 ? '' : `, ${each.timeToRestore.open} not restored yet`}`,
      ...each.causes.map(({ code, count, latest }) => `    ${String(count).padStart(3)} × ${code} (latest ${latest})`),
    ]),
  ];
}
