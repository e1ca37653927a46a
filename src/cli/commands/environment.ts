import { relative } from 'node:path';
import { type Command, Option } from 'commander';
import type { RevisionView } from '../../engine/main.ts';
import type { CliContext } from '../context.ts';
import { createOutput } from '../output.ts';
import { answerLines, diffLines, loopLines } from './deployWords.ts';
import { chooseWay, ROLLBACK_WAYS, type RollbackFlags } from './rollbackWays.ts';
import { confirmProtected, finish, startedBy } from './run.ts';

interface EnvironmentFlags {
  readonly env: string;
  readonly tag?: string;
  readonly yes?: boolean;
}

const environmentOption = () => new Option('-e, --env <name>', 'environment').env('SLIPWAY_ENV').makeOptionMandatory();

/** What is asked of an environment outside of a run: check, diff, rollback, unlock, diagnose. */
export function addEnvironmentCommands(program: Command, context: () => CliContext): void {
  program
    .command('check')
    .description('Find what would make a deploy fail: images, references, admission, ports, quota. Writes nothing.')
    .addOption(environmentOption())
    .option('--tag <tag>', 'as if this existing tag were deployed')
    .action(async (flags: EnvironmentFlags) => {
      const cli = context();
      const { answers, unchecked, loops } = await cli.engine.check(requestOf(flags), cli.signal);
      if (cli.isJson) cli.print(JSON.stringify({ answers, unchecked, loops }));
      else {
        for (const line of answers.flatMap(answerLines)) cli.print(line);
        for (const line of loops.flatMap(loopLines)) cli.print(line);
        for (const text of unchecked) cli.print(`not checked  ${text}`);
        if (answers.length === 0) cli.print(`Nothing stands in the way of a deploy to ${flags.env}.`);
      }
      if (answers.some(({ certainty }) => certainty === 'wrong')) cli.exitWith(1);
    });

  program
    .command('diff')
    .description('Show what a deploy would change in the cluster; values of Secrets are not shown. Writes nothing.')
    .addOption(environmentOption())
    .option('--tag <tag>', 'as if this existing tag were deployed')
    .action(async (flags: EnvironmentFlags) => {
      const cli = context();
      const diffs = await cli.engine.diff(requestOf(flags), cli.signal);
      if (cli.isJson) for (const diff of diffs) cli.print(JSON.stringify(diff));
      else {
        for (const line of diffs.flatMap(diffLines)) cli.print(line);
        const same = diffs.filter(({ action }) => action === 'none').length;
        cli.print(`${diffs.length - same} of ${diffs.length} objects would change.`);
      }
    });

  program
    .command('rollback')
    .description('Go back to the last verified version of an environment, or to the revision given.')
    .addOption(environmentOption())
    .option('--to <revision>', 'a revision of --list')
    .option('--list', 'show what there is to go back to, and do nothing')
    .addOption(
      new Option('--how <way>', 'Flux: the way back that stays; without it you are asked').choices(ROLLBACK_WAYS),
    )
    .option('--ways', 'Flux: show the ways back and what each controller would do next, and do nothing')
    .option('-y, --yes', 'do not ask before changing a protected environment')
    .action(async (flags: RollbackFlags) => {
      const cli = context();
      if (flags.list === true) {
        const revisions = await cli.engine.revisions(flags.env, cli.signal);
        if (cli.isJson) for (const revision of revisions) cli.print(JSON.stringify(revision));
        else if (revisions.length === 0) cli.print(`Nothing was deployed to ${flags.env} yet.`);
        else for (const revision of revisions) cli.print(revisionLine(revision));
        return;
      }
      const how = await chooseWay(cli, flags);
      if (how === 'only-shown') return;
      await confirmProtected(cli, { environment: flags.env }, flags.yes === true);
      const { isJson, isVerbose, system } = cli;
      const output = createOutput({ stdout: process.stdout, isJson, isVerbose, env: system.env });
      finish(
        cli,
        output,
        await cli.engine.rollBack({
          environment: flags.env,
          ...(flags.to !== undefined && { to: flags.to }),
          ...(how !== undefined && { how }),
          signal: cli.signal,
          startedBy: startedBy(cli),
          onEvent: (event) => output.event(event),
        }),
      );
    });

  program
    .command('unlock')
    .description('Take away the lock that a killed helm left on a release. Changes nothing that runs.')
    .addOption(environmentOption())
    .option('-y, --yes', 'do not ask before changing a protected environment')
    .action(async (flags: EnvironmentFlags) => {
      const cli = context();
      await confirmProtected(cli, { environment: flags.env }, flags.yes === true);
      const done = await cli.engine.unlock(flags.env, cli.signal);
      cli.print(
        cli.isJson ? JSON.stringify({ unlocked: done ?? null }) : (done ?? `Nothing of ${flags.env} is locked.`),
      );
    });

  program
    .command('diagnose')
    .description('Collect pods, events, logs, history and nodes of an environment into a report.')
    .addOption(environmentOption())
    .action(async (flags: EnvironmentFlags) => {
      const cli = context();
      const { report, folder, files, missing, troubles } = await cli.engine.diagnose(flags.env, cli.signal);
      if (cli.isJson) cli.print(JSON.stringify({ folder, files, missing, troubles, report }));
      else {
        cli.print(report);
        cli.print(`Kept in ${relative(process.cwd(), folder) || '.'}: ${files.join(', ')}`);
      }
    });
}

function requestOf(flags: EnvironmentFlags) {
  return { environment: flags.env, ...(flags.tag !== undefined && { tag: flags.tag }) };
}

function revisionLine({ revision, at, isLive, isVerified, status, description }: RevisionView): string {
  const marks = [isLive ? 'live' : '', isVerified ? 'verified' : '', status ?? ''].filter((mark) => mark !== '');
  return `${revision}  ${at?.slice(0, 19).replace('T', ' ') ?? ''}  ${marks.join(', ')}  ${description}`;
}
