import type { Command } from 'commander';
import type { LogLine } from '../../engine/main.ts';
import { SlipwayError } from '../../engine/problems/index.ts';
import { readLog } from '../../engine/run/index.ts';
import type { CliContext } from '../context.ts';
import { type PlaceFlags, parseSeconds, placeOf, withPlace } from './place.ts';

interface LogFlags extends PlaceFlags {
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly container?: string;
  readonly tail?: string;
  readonly since?: string;
  readonly timestamps?: boolean;
}

/** One word for both kinds of logs: a step id has a colon, which no workload can have. */
export function addLogsCommand(program: Command, context: () => CliContext): void {
  withPlace(
    program
      .command('logs')
      .description(
        'The logs of a workload (deploy/web, or a bare name): all pods and containers; or of a step of a run (build:api).',
      )
      .argument('<what>', 'workload, or step id')
      .argument('[run]', 'of a step: run id; default: the newest'),
  )
    .option('-f, --follow', 'go on, across restarts and new pods, until Ctrl-C')
    .option('-p, --previous', 'of the containers before their last restart')
    .option('--container <name>', 'only this container')
    .option('--tail <lines>', 'lines of each container, from the end', '200')
    .option('--since <time>', 'only newer lines: 90s, 10m, 2h')
    .option('-t, --timestamps', 'with the time of each line')
    .action(async (what: string, run: string | undefined, flags: LogFlags) => {
      const cli = context();
      if (what.includes(':')) await stepLog(cli, what, run);
      else await workloadLog(cli, what, flags);
    });
}

async function workloadLog(cli: CliContext, workload: string, flags: LogFlags): Promise<void> {
  if (!/^\d+$/.test(flags.tail ?? '')) {
    throw new SlipwayError({
      reason: 'usage',
      message: `"${flags.tail ?? ''}" is no number of lines.`,
      fix: 'Write --tail 50.',
    });
  }
  const operations = await cli.engine.operations();
  const request = {
    workload,
    tail: Number(flags.tail),
    ...(flags.container !== undefined && { container: flags.container }),
    ...(flags.previous === true && { isPrevious: true }),
    ...(flags.since !== undefined && { sinceSeconds: parseSeconds(flags.since) }),
  };
  const print = (line: LogLine): void => {
    if (cli.isJson) {
      cli.print(JSON.stringify(line));
      return;
    }
    const time = flags.timestamps === true && line.time !== undefined ? `${line.time} ` : '';
    cli.print(`${line.pod}/${line.container} │ ${time}${line.text}`);
  };
  if (flags.follow === true) {
    await operations.followLogs(placeOf(flags), request, {
      signal: cli.signal,
      onLine: print,
      onNote: ({ kind, message, pod, container }) => {
        if (cli.isJson) cli.print(JSON.stringify({ note: kind, pod, container, message }));
        else if (kind !== 'follows' || cli.isVerbose) process.stderr.write(`-- ${message}\n`);
      },
    });
    return;
  }
  const lines = await operations.logs(placeOf(flags), request, cli.signal);
  for (const line of lines) print(line);
  if (lines.length === 0 && !cli.isJson) process.stderr.write('No log lines.\n');
}

async function stepLog(cli: CliContext, step: string, id: string | undefined): Promise<void> {
  const run = id ?? (await cli.engine.runs())[0];
  const view = run === undefined ? undefined : await cli.engine.view(run);
  if (run === undefined || view === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      message: id === undefined ? 'Nothing was run in this workspace yet.' : `There is no run ${id}.`,
      fix: 'slipway history lists them; logs of a workload: slipway logs deploy/NAME.',
    });
  }
  if (!view.steps.some((other) => other.id === step)) {
    throw new SlipwayError({
      reason: 'usage',
      message: `Run ${run} has no step ${step}.`,
      fix: `It has: ${view.steps.map((other) => other.id).join(', ')}.`,
    });
  }
  const events = await readLog(cli.system.files, cli.root, run, step);
  if (events.length === 0 && !cli.isJson) process.stderr.write(`${step} of run ${run} wrote nothing.\n`);
  for (const event of events) {
    if (cli.isJson) cli.print(JSON.stringify(event));
    else if (event.type === 'log') cli.print(event.text.replace(/\n$/, ''));
  }
}
