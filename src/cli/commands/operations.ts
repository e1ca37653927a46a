import { type Command, Option } from 'commander';
import type { Changed, EnvironmentStatus, LiveImage, RunEvent } from '../../engine/main.ts';
import type { RolloutResult } from '../../engine/rollout/index.ts';
import type { CliContext } from '../context.ts';
import { duration, eventLine, failureLines, shortDigest } from '../words.ts';
import { descriptionLines } from './describeWords.ts';
import { addLogsCommand } from './logs.ts';
import { type PlaceFlags, placeOf, withPlace } from './place.ts';
import { confirmProtected } from './run.ts';

interface ChangeFlags extends PlaceFlags {
  readonly yes?: boolean;
  readonly wait?: boolean;
}

const changing = (command: Command): Command =>
  withPlace(command)
    .option('--no-wait', 'do not watch the pods until they are ready')
    .option('-y, --yes', 'do not ask before changing a protected environment');

/** Everyday work on what runs. */
export function addOperationCommands(program: Command, context: () => CliContext): void {
  program
    .command('status')
    .description('What is live where: digest, tag, commit and how many commits behind, for each environment.')
    .argument('[environments...]', 'default: all')
    .addOption(new Option('-e, --env <name>', 'only this environment').env('SLIPWAY_ENV'))
    .action(async (names: readonly string[], { env }: PlaceFlags) => {
      const cli = context();
      const wanted = names.length > 0 ? names : env === undefined ? undefined : [env];
      const statuses = await (await cli.engine.operations()).status(wanted, cli.signal);
      for (const status of statuses) {
        if (cli.isJson) cli.print(JSON.stringify(status));
        else for (const line of statusLines(status, cli.isVerbose)) cli.print(line);
      }
      if (statuses.length === 0 && !cli.isJson) cli.print('There is no environment; slipway init writes one.');
      const isBad = statuses.some(({ workloads }) => workloads.some(({ state }) => state === 'failed'));
      if (statuses.some(({ failure }) => failure !== undefined)) cli.exitWith(3);
      else if (isBad) cli.exitWith(1);
    });

  addLogsCommand(program, context);

  withPlace(
    program
      .command('exec')
      .description('Run a command in the newest ready pod of a workload, or a shell when none is named.')
      .argument('<workload>', 'deploy/web, pod/web-0, or a bare name')
      .argument('[command...]', 'after --, for example -- ls -l'),
  )
    .option('--container <name>', "default: the pod's default container")
    .option('-y, --yes', 'do not ask in a protected environment')
    .action(
      async (
        workload: string,
        command: readonly string[],
        flags: PlaceFlags & { readonly container?: string; readonly yes?: boolean },
      ) => {
        const cli = context();
        await agreed(cli, flags);
        const operations = await cli.engine.operations();
        const request = {
          workload,
          command: [...command, ...cli.rest],
          ...(flags.container !== undefined && { container: flags.container }),
        };
        if (cli.isJson) {
          const outcome = await operations.exec(placeOf(flags), request, cli.signal);
          cli.print(JSON.stringify(outcome));
          cli.exitWith(outcome.code);
          return;
        }
        const { stdin, stdout, stderr } = process;
        const isTty = stdin.isTTY === true && stdout.isTTY === true;
        if (isTty) stdin.setRawMode(true);
        try {
          const terminal = { in: stdin, out: stdout, err: stderr, isTty };
          cli.exitWith(await operations.terminal(placeOf(flags), request, terminal, cli.signal));
        } finally {
          if (isTty) stdin.setRawMode(false);
          // Otherwise the program would wait for input that nobody reads. A file has nothing to let go of.
          (stdin as Partial<typeof stdin>).unref?.();
        }
      },
    );

  withPlace(
    program
      .command('describe')
      .description(
        'All there is to see of an object: state, pods, what leads to it, who owns it, events, known troubles.',
      )
      .argument('<object>', 'deploy/web, svc/web, pod/web-0, or a bare name of a workload'),
  )
    .option('--yaml', 'the object itself')
    .action(async (object: string, flags: PlaceFlags & { readonly yaml?: boolean }) => {
      const cli = context();
      const description = await (await cli.engine.operations()).describe(placeOf(flags), object, cli.signal);
      if (cli.isJson) cli.print(JSON.stringify(description));
      else if (flags.yaml === true) cli.print(description.yaml.trimEnd());
      else for (const line of descriptionLines(description)) cli.print(line);
    });

  withPlace(
    program
      .command('port-forward')
      .alias('forward')
      .description('Forward local ports to a service, workload or pod; it survives replaced pods. Ends with Ctrl-C.')
      .argument('<to>', 'svc/web, deploy/web, pod/web-0, or a bare name of a workload')
      .argument('[ports...]', 'LOCAL:REMOTE, :REMOTE for any free port, or REMOTE; default: its first port'),
  ).action(async (to: string, ports: readonly string[], flags: PlaceFlags) => {
    const cli = context();
    const { parsePorts } = await import('../../engine/operations/index.ts');
    const operations = await cli.engine.operations();
    const wanted = ports.length === 0 ? [{}] : ports.map(parsePorts);
    for (const pair of wanted) {
      const forward = await operations.forward(
        placeOf(flags),
        { to, ...pair },
        {
          signal: cli.signal,
          onPod: (pod, port) =>
            cli.print(cli.isJson ? JSON.stringify({ type: 'pod', pod, port }) : `→ ${pod} port ${port}`),
          onProblem: (message) =>
            cli.print(cli.isJson ? JSON.stringify({ type: 'problem', message }) : `problem: ${message}`),
        },
      );
      const { port, url, target } = forward;
      cli.print(cli.isJson ? JSON.stringify({ type: 'listening', port, url, target }) : `${url} → ${target}`);
    }
    await new Promise<void>((resolve) => {
      if (cli.signal.aborted) resolve();
      cli.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  });

  changing(
    program
      .command('restart')
      .description('Replace the pods of a workload by its own update strategy, and watch it to the verdict.')
      .argument('<workload>', 'deploy/web, or a bare name'),
  ).action(async (workload: string, flags: ChangeFlags) => {
    const cli = context();
    await agreed(cli, flags);
    const operations = await cli.engine.operations();
    changed(cli, await operations.restart(placeOf(flags), workload, watching(cli, flags)));
  });

  changing(
    program
      .command('scale')
      .description(
        'Set the number of replicas. Refused where an autoscaler or git decides it, with the way that lasts.',
      )
      .argument('<workload>', 'deploy/web, or a bare name')
      .argument('<replicas>', 'a number'),
  ).action(async (workload: string, replicas: string, flags: ChangeFlags) => {
    const cli = context();
    await agreed(cli, flags);
    const operations = await cli.engine.operations();
    const count = /^\d+$/.test(replicas) ? Number(replicas) : Number.NaN;
    changed(cli, await operations.scale(placeOf(flags), workload, count, watching(cli, flags)));
  });

  program
    .command('smoke')
    .description('Run the smoke checks of an environment against what is live now.')
    .addOption(new Option('-e, --env <name>', 'environment; default: the only one').env('SLIPWAY_ENV'))
    .action(async (flags: PlaceFlags) => {
      const cli = context();
      const operations = await cli.engine.operations();
      const { results, endpoints } = await operations.smoke(placeOf(flags), {
        signal: cli.signal,
        onResult: (result) =>
          cli.print(
            cli.isJson
              ? JSON.stringify(result)
              : `${result.isOk ? '✓ ok    ' : '✗ FAILED'}  ${result.check}  ${result.message} (${duration(result.durationMs)}${result.attempts > 1 ? `, ${result.attempts} attempts` : ''})`,
          ),
      });
      if (!cli.isJson) for (const { title, url } of endpoints) cli.print(`${title}: ${url}`);
      if (results.some(({ isOk }) => !isOk)) cli.exitWith(1);
    });
}

async function agreed(cli: CliContext, flags: ChangeFlags): Promise<void> {
  if (flags.yes === true) return;
  const project = await cli.engine.project();
  const environment = flags.env ?? (project.environments.length === 1 ? project.environments[0]?.name : undefined);
  if (environment !== undefined) await confirmProtected(cli, { environment }, false);
}

function watching(cli: CliContext, flags: ChangeFlags) {
  const onEvent = (event: Parameters<typeof eventLine>[0]): void => {
    if (cli.isJson) {
      cli.print(JSON.stringify(event));
      return;
    }
    const line = event.type === 'rollout.verdict' ? undefined : eventLine(event as RunEvent, () => '');
    if (line !== undefined) cli.print(line.replace(/^: /, ''));
  };
  return { signal: cli.signal, ...(flags.wait !== false && { onEvent }) };
}

function changed(cli: CliContext, result: Changed & { readonly verdict?: RolloutResult }): void {
  const { verdict } = result;
  if (cli.isJson) {
    const { object, message, notes } = result;
    cli.print(JSON.stringify({ type: 'changed', object, message, notes, ...(verdict && { state: verdict.state }) }));
  } else {
    cli.print(result.message);
    for (const note of result.notes) cli.print(`Note: ${note}`);
    if (verdict !== undefined) {
      cli.print(`${verdict.state} after ${duration(verdict.elapsedMs)}: ${verdict.message}`);
      for (const { code, message, fix } of verdict.causes) cli.print(`  ${code}: ${message}\n  Fix: ${fix}`);
    }
  }
  if (verdict !== undefined && verdict.state !== 'ready') cli.exitWith(verdict.state === 'unknown' ? 3 : 1);
}

function statusLines(status: EnvironmentStatus, isVerbose: boolean): readonly string[] {
  const { environment, namespace, context, deployer, revision, head, failure } = status;
  const title = `${environment}  ${namespace}${context === '' ? '' : ` on ${context}`}, ${deployer}${status.isProtected ? ', protected' : ''}`;
  if (failure !== undefined) return [title, ...failureLines(failure).map((line) => `  ${line}`), ''];
  const release =
    revision === undefined
      ? []
      : [
          `  revision ${revision.revision}${revision.status === undefined ? '' : ` ${revision.status}`}${revision.isVerified ? ', verified' : ''}  ${revision.at?.slice(0, 19).replace('T', ' ') ?? ''}`,
        ];
  return [
    title,
    ...release,
    ...status.workloads.flatMap(({ ref, state, message, cause, owners }) => [
      `  ${(state === 'unknown' ? 'not there' : state).padEnd(11)}  ${ref.kind.toLowerCase()}/${ref.name}  ${message}${owners.length === 0 || !isVerbose ? '' : `  [${owners.join(', ')}]`}`,
      ...(cause === undefined || cause === message ? [] : [`      ${cause}`]),
    ]),
    ...status.images
      .filter(({ name }) => name !== undefined || isVerbose)
      .flatMap((image) => imageLines(image, head?.branch ?? 'HEAD')),
    ...(status.workloads.length === 0 ? ['  Nothing runs there.'] : []),
    ...status.missing.map((text) => `  not known: ${text}`),
    '',
  ];
}

function imageLines(image: LiveImage, branch: string): readonly string[] {
  const { version } = image;
  const pods = image.pods === 0 ? 'no pod runs it' : image.pods === 1 ? '1 pod' : `${image.pods} pods`;
  const parts = [
    image.digest === undefined ? 'digest not known' : shortDigest(image.digest),
    image.tag === undefined ? 'no tag' : `tag ${image.tag}`,
    version === undefined ? 'commit not known' : `commit ${version.commit.slice(0, 7)}`,
  ];
  return [
    `  ${image.name ?? image.repository}  ${parts.join(' → ')}  ${distance(image, branch)}(${pods})`,
    ...(version?.subject === undefined ? [] : [`      ${version.committedAt?.slice(0, 10) ?? ''}  ${version.subject}`]),
  ];
}

function distance({ version }: LiveImage, branch: string): string {
  if (version?.behind === undefined) return '';
  const commits = (count: number): string => (count === 1 ? '1 commit' : `${count} commits`);
  if (version.behind === 0 && version.ahead === 0) return `up to date with ${branch} `;
  const behind = version.behind === 0 ? '' : `${commits(version.behind)} behind ${branch} `;
  const ahead = (version.ahead ?? 0) === 0 ? '' : `${commits(version.ahead ?? 0)} that ${branch} does not have `;
  return `${behind}${ahead}`;
}
