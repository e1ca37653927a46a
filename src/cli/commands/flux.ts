import { type Command, Option } from 'commander';
import type { Chain, ChainLink, FluxPlace, FluxStatus, Reminder } from '../../engine/main.ts';
import type { CliContext } from '../context.ts';
import { duration } from '../words.ts';
import { confirmProtected } from './run.ts';

interface PlaceFlags {
  readonly env?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly namespace?: readonly string[];
}

/** Flux in the cluster: where a version is, "look again now", suspend with a note, resume. */
export function addFluxCommands(program: Command, context: () => CliContext): void {
  const flux = program
    .command('flux')
    .description('Flux in the cluster: where a version is on its way, and what keeps it.');

  withPlace(
    flux
      .command('status')
      .description('Each delivery chain from scanned tag to running pods, where it is stuck, why, and what mends it.'),
  )
    .option('--tag <tag>', 'where is this tag?')
    .action(async (flags: PlaceFlags & { readonly tag?: string }) => {
      const cli = context();
      const actions = await cli.engine.flux();
      const status = await actions.status(
        { ...placeOf(flags), ...(flags.tag !== undefined && { tag: flags.tag }) },
        cli.signal,
      );
      if (cli.isJson) cli.print(JSON.stringify(status));
      else for (const line of statusLines(status)) cli.print(line);
      if (status.chains.some(({ state }) => state === 'stuck')) cli.exitWith(1);
    });

  withPlace(
    flux
      .command('reconcile')
      .description(
        'Let Flux look again now, in the order of the chain, and wait for each answer. Without names: everything of the environment.',
      )
      .argument('[names...]', 'objects such as kustomization/apps, policy/flux-system/api, git/fleet'),
  )
    .option('--whole', 'also everything before and after the named objects')
    .option('--reset', 'HelmReleases: forget the failures so far')
    .option('--force', 'HelmReleases: upgrade although nothing changed')
    .option('-y, --yes', 'do not ask before changing a protected environment')
    .action(
      async (
        names: readonly string[],
        flags: PlaceFlags & {
          readonly whole?: boolean;
          readonly reset?: boolean;
          readonly force?: boolean;
          readonly yes?: boolean;
        },
      ) => {
        const cli = context();
        await confirm(cli, flags);
        const actions = await cli.engine.flux();
        const results = await actions.reconcile(
          {
            ...placeOf(flags),
            names,
            isWhole: flags.whole === true,
            ...(flags.reset === true ? { helm: 'reset' } : flags.force === true ? { helm: 'force' } : {}),
          },
          {
            signal: cli.signal,
            onProgress: (object, message) => {
              if (cli.isVerbose && !cli.isJson) cli.print(`  ${object.kind} ${object.name}: ${message}`);
            },
          },
        );
        const marks = { done: '✓', failed: '✗', timeout: '✗', suspended: '‖', unsupported: '·' } as const;
        for (const result of results) {
          const { object, outcome, message, cause, elapsedMs } = result;
          if (cli.isJson) {
            cli.print(JSON.stringify(result));
            continue;
          }
          cli.print(
            `${marks[outcome]} ${object.kind} ${object.namespace ?? ''}/${object.name}: ${outcome}, ${message} (${duration(elapsedMs)})`,
          );
          if (cause !== undefined) for (const line of [cause.message, `Fix: ${cause.fix}`]) cli.print(`    ${line}`);
        }
        if (results.some(({ outcome }) => outcome === 'failed' || outcome === 'timeout')) cli.exitWith(1);
      },
    );

  withPlace(
    flux
      .command('suspend')
      .description('Switch an object off, with a note on it of who did it and why; status and resume remind of it.')
      .argument('<name>', 'for example update/shop or kustomization/apps'),
  )
    .requiredOption('--why <text>', 'the note')
    .option('-y, --yes', 'do not ask before changing a protected environment')
    .action(async (name: string, flags: PlaceFlags & { readonly why: string; readonly yes?: boolean }) => {
      const cli = context();
      await confirm(cli, flags);
      const actions = await cli.engine.flux();
      const result = await actions.suspend({ ...placeOf(flags), name, why: flags.why }, cli.signal);
      const { kind, name: object } = result.object;
      cli.print(
        cli.isJson
          ? JSON.stringify(result)
          : result.outcome === 'already'
            ? `${kind} ${object} was suspended already.`
            : `${kind} ${object} is suspended. Resume it with: slipway flux resume ${name}`,
      );
    });

  withPlace(
    flux
      .command('resume')
      .description('Switch a suspended object on again, and show the note that lay on it.')
      .argument('<name>', 'for example update/shop or kustomization/apps'),
  )
    .option('-y, --yes', 'do not ask before changing a protected environment')
    .action(async (name: string, flags: PlaceFlags & { readonly yes?: boolean }) => {
      const cli = context();
      await confirm(cli, flags);
      const actions = await cli.engine.flux();
      const result = await actions.resume({ ...placeOf(flags), name }, cli.signal);
      if (cli.isJson) {
        cli.print(JSON.stringify(result));
        return;
      }
      cli.print(`${result.object.kind} ${result.object.name} goes on.`);
      if (result.reminder !== undefined) for (const line of reminderLines(result.reminder)) cli.print(`    ${line}`);
    });
}

function withPlace(command: Command): Command {
  return command
    .addOption(new Option('-e, --env <name>', 'environment').env('SLIPWAY_ENV'))
    .option('--context <name>', 'kubeconfig context instead of the environment')
    .option('--kubeconfig <file>', 'kubeconfig file instead of the environment')
    .addOption(
      new Option('-n, --namespace <name>', 'only this namespace (may be repeated)').argParser(
        (value: string, before: readonly string[] = []) => [...before, value],
      ),
    );
}

const placeOf = ({ env, context, kubeconfig, namespace }: PlaceFlags): FluxPlace => ({
  ...(env !== undefined && { environment: env }),
  ...(context !== undefined && { context }),
  ...(kubeconfig !== undefined && { kubeconfig }),
  ...(namespace !== undefined && { namespaces: namespace }),
});

async function confirm(cli: CliContext, flags: PlaceFlags & { readonly yes?: boolean }): Promise<void> {
  if (flags.env === undefined && (flags.context !== undefined || flags.kubeconfig !== undefined)) return;
  // Without a name the engine takes the only environment that Flux deploys.
  const project = await cli.engine.project();
  const flux = project.environments.filter(({ deploy }) => deploy.kind === 'flux');
  const environment = flags.env ?? (flux.length === 1 ? flux[0]?.name : undefined);
  if (environment !== undefined) await confirmProtected(cli, { environment }, flags.yes === true);
}

const marks: Readonly<Record<ChainLink['state'], string>> = {
  done: '✓',
  working: '●',
  waiting: '·',
  stuck: '✗',
  suspended: '‖',
};

function statusLines({ context, chains, suspended }: FluxStatus): readonly string[] {
  const reminders = suspended.filter(({ reminder }) => reminder !== undefined);
  return [
    ...(chains.length === 0 ? [`Flux delivers nothing here (context ${context}).`] : chains.flatMap(chainLines)),
    ...(reminders.length === 0 ? [] : ['Do not forget:']),
    ...reminders.flatMap(({ object, reminder }) =>
      reminder === undefined
        ? []
        : [
            `  ${object.kind} ${object.namespace ?? ''}/${object.name} is suspended`,
            ...reminderLines(reminder).map((line) => `    ${line}`),
          ],
    ),
  ];
}

function chainLines({ name, image, links, summary }: Chain): readonly string[] {
  return [
    `${name}${image === undefined ? '' : `  ${image}`}`,
    ...links.flatMap(({ step, object, state, message, cause }) => [
      `  ${marks[state]} ${step.padEnd(10)}  ${object.kind} ${object.name}: ${message}`,
      ...(cause === undefined
        ? []
        : [`      Fix: ${cause.fix}`, ...cause.evidence.slice(0, 3).map((line) => `      | ${line}`)]),
    ]),
    `  ${summary}`,
    '',
  ];
}

const reminderLines = ({ why, by, at, before }: Reminder): readonly string[] => [
  `${why} (${by}, ${at.slice(0, 16).replace('T', ' ')})`,
  ...(before === undefined ? [] : [`Before it is resumed: ${before}`]),
];
