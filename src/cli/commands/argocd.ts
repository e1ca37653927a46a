import { randomUUID } from 'node:crypto';
import { type Command, Option } from 'commander';
import type { ApplicationRequest, StatusView, WaysView } from '../../engine/applications.ts';
import type { CliContext } from '../context.ts';
import { confirmProtected } from './run.ts';

interface TargetFlags {
  readonly env?: string;
  readonly context?: string;
  readonly yes?: boolean;
}

/** Argo CD's Applications by the Kubernetes API: no argocd program, server or token is needed. */
export function addArgoCdCommands(program: Command, context: () => CliContext): void {
  const argocd = program
    .command('argocd')
    .description("Argo CD's Applications: what they wait for, refresh, sync, history, and going back.");

  target(argocd.command('status').description('Sync and health in plain words, and whether they can be believed.'))
    .option('--all', 'every Application of the cluster')
    .action(async (application: string | undefined, flags: TargetFlags & { readonly all?: boolean }) => {
      const cli = context();
      const engine = await import('../../engine/applications.ts');
      const request = await requestOf(cli, application, flags);
      const views =
        flags.all === true ? await engine.applicationStatuses(request) : [await engine.applicationStatus(request)];
      for (const view of views) {
        if (cli.isJson) cli.print(JSON.stringify(view));
        else if (flags.all === true)
          cli.print(`${view.state.padEnd(11)}  ${view.namespace}/${view.name}  ${view.summary}`);
        else show(cli, view);
      }
      if (views.length === 0 && !cli.isJson) cli.print('This cluster has no Applications.');
      if (views.some(({ state }) => state === 'failed' || state === 'degraded')) cli.exitWith(1);
    });

  changing(argocd.command('refresh').description('Have Argo CD compare with git now, and wait until it has.'))
    .option('--hard', 'drop the cache of rendered manifests as well: for moved tags, plugins and chart dependencies')
    .action(async (application: string | undefined, flags: TargetFlags & { readonly hard?: boolean }) => {
      const cli = context();
      const engine = await import('../../engine/applications.ts');
      const request = await requestOf(cli, application, flags);
      result(cli, await engine.refreshApplication(request, flags.hard === true ? 'hard' : 'normal'));
    });

  changing(argocd.command('sync').description('Sync as "argocd app sync" does, and wait for the end of the operation.'))
    .option('--revision <revision>', 'commit, tag or branch instead of the target revision')
    .option('--prune', 'delete what git no longer holds')
    .option('--no-prune', 'delete nothing, even where automatic sync would')
    .action(
      async (
        application: string | undefined,
        flags: TargetFlags & { readonly revision?: string; readonly prune?: boolean },
      ) => {
        const cli = context();
        const engine = await import('../../engine/applications.ts');
        const request = await requestOf(cli, application, flags);
        await agreed(cli, flags);
        result(
          cli,
          await engine.syncApplication(request, {
            ...marks('asked for on the command line'),
            ...(flags.revision !== undefined && { revision: flags.revision }),
            ...(flags.prune !== undefined && { prune: flags.prune ? 'yes' : 'no' }),
          }),
        );
      },
    );

  target(argocd.command('history').description('What was synced, newest first.')).action(
    async (application: string | undefined, flags: TargetFlags) => {
      const cli = context();
      const engine = await import('../../engine/applications.ts');
      const history = await engine.applicationHistory(await requestOf(cli, application, flags));
      for (const entry of history) {
        if (cli.isJson) cli.print(JSON.stringify(entry));
        else {
          const images = entry.images.length === 0 ? '' : `  ${entry.images.join(', ')}`;
          cli.print(
            `${String(entry.id).padStart(4)}  ${(entry.at ?? '').slice(0, 19).padEnd(19)}  ${entry.revisions.map((each) => each.slice(0, 12)).join(', ')}  ${entry.by}${entry.isLive ? '  live' : ''}${images}`,
          );
        }
      }
      if (history.length === 0 && !cli.isJson) cli.print('Nothing was synced in full yet.');
    },
  );

  changing(
    argocd
      .command('rollback')
      .description(
        'Go back in the cluster only, by the history; git keeps the newer version ("slipway rollback" changes git).',
      ),
  )
    .option('--to <id>', 'entry of the history; default: the newest with another revision')
    .option('--pause', 'switch automatic sync off first, until "slipway argocd resume"')
    .option('--prune', 'delete what the old revision does not hold')
    .action(
      async (
        application: string | undefined,
        flags: TargetFlags & { readonly to?: string; readonly pause?: boolean; readonly prune?: boolean },
      ) => {
        const cli = context();
        const engine = await import('../../engine/applications.ts');
        const request = await requestOf(cli, application, flags);
        await agreed(cli, flags);
        const view = await engine.rollBackApplication(request, {
          ...marks('rollback on the command line'),
          automation: flags.pause === true ? 'pause' : 'refuse',
          ...(flags.to !== undefined && { id: Number(flags.to) }),
          ...(flags.prune === true && { prune: 'yes' as const }),
        });
        result(cli, view);
        if (view.warning !== undefined && !cli.isJson) cli.print(view.warning);
      },
    );

  target(
    argocd
      .command('ways')
      .description('The ways back from what runs, with what Argo CD and Image Updater would do next. Writes nothing.'),
  )
    .option('--to <tag>', 'the version to go back to; default: the last other one of the history')
    .action(async (application: string | undefined, flags: TargetFlags & { readonly to?: string }) => {
      const cli = context();
      const engine = await import('../../engine/applications.ts');
      const ways = await engine.waysBack(await requestOf(cli, application, flags), flags.to);
      if (cli.isJson) for (const way of ways) cli.print(JSON.stringify(way));
      else for (const way of ways) showWays(cli, way);
      if (ways.length === 0 && !cli.isJson) cli.print('No other version is known; name one with --to.');
    });

  changing(
    argocd.command('resume').description('Switch automatic sync on again after a rollback that paused it.'),
  ).action(async (application: string | undefined, flags: TargetFlags) => {
    const cli = context();
    const engine = await import('../../engine/applications.ts');
    const request = await requestOf(cli, application, flags);
    await agreed(cli, flags);
    const isResumed = await engine.resumeApplication(request);
    cli.print(
      cli.isJson
        ? JSON.stringify({ resumed: isResumed })
        : isResumed
          ? 'Automatic sync is on again as it was; Argo CD now goes to what git holds.'
          : 'Slipway has not paused automatic sync here.',
    );
  });

  changing(
    argocd.command('terminate').description('Stop the sync that runs: one that waits for ever blocks newer commits.'),
  ).action(async (application: string | undefined, flags: TargetFlags) => {
    const cli = context();
    const engine = await import('../../engine/applications.ts');
    const request = await requestOf(cli, application, flags);
    await agreed(cli, flags);
    result(cli, await engine.terminateApplication(request));
  });
}

const target = (command: Command): Command =>
  command
    .argument('[application]', '[namespace/]name; default: the one of the environment')
    .addOption(new Option('-e, --env <name>', 'environment that Argo CD deploys').env('SLIPWAY_ENV'))
    .option('--context <name>', 'kubeconfig context, where there is no environment');

const changing = (command: Command): Command =>
  target(command).option('-y, --yes', 'do not ask before changing a protected environment');

async function requestOf(
  cli: CliContext,
  application: string | undefined,
  flags: TargetFlags,
): Promise<ApplicationRequest> {
  return {
    system: cli.system,
    project: await cli.engine.project(),
    signal: cli.signal,
    ...(application !== undefined && { application }),
    ...(flags.env !== undefined && { environment: flags.env }),
    ...(flags.context !== undefined && { context: flags.context }),
    onWait: (text) => {
      if (text !== '' && !cli.isJson) cli.print(`… ${text}`);
    },
  };
}

/** The environment that is meant without --env is asked for as well. */
async function agreed(cli: CliContext, flags: TargetFlags): Promise<void> {
  const project = await cli.engine.project();
  const own = project.environments.filter(({ deploy }) => deploy.kind === 'argocd');
  const environment = flags.env ?? (own.length === 1 ? own[0]?.name : undefined);
  await confirmProtected(cli, environment === undefined ? {} : { environment }, flags.yes === true);
}

const marks = (reason: string) => ({ user: 'slipway', run: randomUUID(), reason });

function result(cli: CliContext, view: StatusView): void {
  if (cli.isJson) cli.print(JSON.stringify(view));
  else show(cli, view);
}

const VERDICTS = { sticks: 'stays', bounces: 'comes back', differs: 'becomes another version' } as const;

function showWays(cli: CliContext, { image, badTag, goodTag, recipes }: WaysView): void {
  cli.print(`${image}: ${badTag} → ${goodTag}`);
  for (const { way, title, next, verdict, warnings } of recipes) {
    cli.print(`  ${way.padEnd(7)} ${VERDICTS[verdict].padEnd(24)} ${title}`);
    for (const { controller, does } of next) cli.print(`            ${controller} ${does}`);
    for (const warning of warnings) cli.print(`            note: ${warning}`);
  }
}

function show(cli: CliContext, view: StatusView): void {
  const { name, namespace, state, summary, sync, health, freshness, operation, waitsFor, problems, images } = view;
  cli.print(`${namespace}/${name}: ${state}`);
  cli.print(summary);
  cli.print('');
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Sync', sync],
    ['Health', health],
    ['Operation', operation],
    ['Waits for', waitsFor],
    ['Seen', freshness.why],
    ['Automation', view.automation],
    ['Written by', view.parent],
    ['Images', images.length === 0 ? undefined : images.join(', ')],
  ];
  for (const [title, text] of rows) if (text !== undefined) cli.print(`${title.padEnd(11)} ${text}`);
  for (const child of view.children ?? [])
    cli.print(`${'Application'.padEnd(11)} ${child.name}: ${child.state}. ${child.summary}`);
  if (view.reminder !== undefined) cli.print(`\n${view.reminder}`);
  for (const { message, fix } of problems) {
    cli.print(`problem: ${message}`);
    if (fix !== undefined) cli.print(`         ${fix}`);
  }
}
