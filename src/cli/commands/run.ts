import { createInterface } from 'node:readline/promises';
import { type Command, Option } from 'commander';
import type { PlanRequest, RunView } from '../../engine/main.ts';
import { exitCodeOf, SlipwayError } from '../../engine/problems/index.ts';
import type { Stage } from '../../engine/project/model.ts';
import type { CliContext } from '../context.ts';
import { createOutput } from '../output.ts';
import { dryRun } from './dryRun.ts';

export const STAGES = ['test', 'build', 'scan', 'publish', 'deploy', 'smoke'] as const satisfies readonly Stage[];

export interface RunFlags {
  readonly env?: string;
  readonly image?: readonly string[];
  readonly only?: readonly Stage[];
  readonly until?: Stage;
  readonly tag?: string;
  readonly force?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** The options that say what to plan, shared by `plan` and `run`. */
export function addPlanOptions(command: Command): Command {
  const collect = (value: string, before: readonly string[] = []) => [...before, ...value.split(',')];
  return command
    .addOption(
      new Option('-e, --env <name>', 'environment to deploy to; without it the run ends with publish').env(
        'SLIPWAY_ENV',
      ),
    )
    .addOption(new Option('-i, --image <name>', 'only this image (may be repeated)').argParser(collect))
    .addOption(
      new Option('--only <stage>', `only this stage (may be repeated): ${STAGES.join(', ')}`).argParser(
        (value: string, before: readonly Stage[] = []) => [...before, ...value.split(',').map(stage)],
      ),
    )
    .addOption(new Option('--until <stage>', 'stop after this stage').choices(STAGES))
    .addOption(new Option('--tag <tag>', 'deploy this existing tag instead of building').env('SLIPWAY_TAG'))
    .option('--force', 'run everything, also what is unchanged');
}

export function toRequest(flags: RunFlags): PlanRequest {
  if (flags.tag !== undefined && flags.env === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'cli.tag-without-environment',
      message: '--tag deploys a tag that exists, but no environment is named.',
      fix: 'Name one with --env.',
    });
  }
  return {
    ...(flags.env !== undefined && { environment: flags.env }),
    ...(flags.image !== undefined && { images: flags.image }),
    ...(flags.only !== undefined && { only: flags.only }),
    ...(flags.until !== undefined && { until: flags.until }),
    ...(flags.tag !== undefined && { tag: flags.tag }),
    ...(flags.force === true && { isForced: true }),
  };
}

const DRY_RUN = 'show what would be deployed, by dry runs of helm and the API server, and change nothing';

async function start(cli: CliContext, request: PlanRequest, flags: RunFlags): Promise<void> {
  if (flags.dryRun === true) return dryRun(cli, request);
  await confirmProtected(cli, request, flags.yes === true);
  const { isJson, isVerbose, system } = cli;
  const output = createOutput({ stdout: process.stdout, isJson, isVerbose, env: system.env });
  const view = await cli.engine.run({
    ...request,
    signal: cli.signal,
    startedBy: startedBy(cli),
    onEvent: (event) => output.event(event),
  });
  finish(cli, output, view);
}

export function addRunCommands(program: Command, context: () => CliContext): void {
  addPlanOptions(
    program
      .command('run')
      .description('Run the pipeline: test, build, scan, publish and, with --env, deploy and verify.'),
  )
    .option('-y, --yes', 'do not ask before changing a protected environment')
    .option('--dry-run', DRY_RUN)
    .action((flags: RunFlags) => start(context(), toRequest(flags), flags));

  program
    .command('deploy')
    .description('Deploy a tag that exists (default: that of this commit), watch it and smoke-test it. Builds nothing.')
    .addOption(new Option('-e, --env <name>', 'environment').env('SLIPWAY_ENV').makeOptionMandatory())
    .addOption(new Option('--tag <tag>', 'the tag').env('SLIPWAY_TAG'))
    .option('-y, --yes', 'do not ask before changing a protected environment')
    .option('--dry-run', DRY_RUN)
    .action((flags: RunFlags) => start(context(), { ...toRequest(flags), only: ['deploy', 'smoke'] }, flags));

  program
    .command('resume')
    .description('Go on with a run that was killed, cancelled or failed (the newest, or the one given).')
    .argument('[run]', 'run id')
    .action(async (run: string | undefined) => {
      const cli = context();
      const output = createOutput({
        stdout: process.stdout,
        isJson: cli.isJson,
        isVerbose: cli.isVerbose,
        env: cli.system.env,
      });
      finish(
        cli,
        output,
        await cli.engine.resume({
          ...(run !== undefined && { run }),
          signal: cli.signal,
          startedBy: startedBy(cli),
          onEvent: (event) => output.event(event),
        }),
      );
    });
}

export function finish(cli: CliContext, output: { end(view: RunView): void }, view: RunView): void {
  output.end(view);
  cli.exitWith(
    view.state === 'succeeded'
      ? 0
      : view.state === 'cancelled'
        ? 130
        : view.failure === undefined
          ? 3
          : exitCodeOf(view.failure),
  );
}

export const startedBy = (cli: CliContext): 'ci' | 'cli' => (cli.system.env.CI ? 'ci' : 'cli');

function stage(value: string): Stage {
  const found = STAGES.find((known) => known === value);
  if (found !== undefined) return found;
  throw new SlipwayError({
    reason: 'usage',
    message: `"${value}" is not a stage.`,
    fix: `Use one of ${STAGES.join(', ')}.`,
  });
}

/** A protected environment is changed only after its name was typed, or with --yes. */
export async function confirmProtected(cli: CliContext, request: PlanRequest, isAgreed: boolean): Promise<void> {
  if (request.environment === undefined || isAgreed) return;
  const project = await cli.engine.project();
  const environment = project.environments.find(({ name }) => name === request.environment);
  if (environment?.isProtected !== true) return;
  if (process.stdin.isTTY !== true || cli.isJson) {
    throw new SlipwayError({
      reason: 'refused',
      code: 'environment.protected',
      message: `Environment ${environment.name} is protected and there is nobody to ask.`,
      fix: 'Pass --yes to agree.',
      place: environment.place,
    });
  }
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await ask.question(`${environment.name} is protected. Type its name to go on: `, {
      signal: cli.signal,
    });
    if (answer.trim() !== environment.name) {
      throw new SlipwayError({
        reason: 'refused',
        code: 'environment.protected',
        message: `Nothing was changed: "${answer.trim()}" is not "${environment.name}".`,
      });
    }
  } finally {
    ask.close();
  }
}
