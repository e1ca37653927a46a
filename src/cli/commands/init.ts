import { relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Place } from '../../engine/problems/index.ts';
import {
  type CiKind,
  type DeliveryKind,
  type InitProposal,
  lineDiff,
  type MigrationReport,
  migrateWorkflow,
  proposeCi,
  proposeConfig,
  proposeDelivery,
  proposedDiff,
  writeDelivery,
  writeProposal,
} from '../../engine/project/index.ts';
import type { CliContext } from '../context.ts';
import { placeText } from '../words.ts';

interface InitFlags {
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly bake?: boolean;
  readonly fromWorkflow?: string;
  readonly ci?: CiKind;
  readonly package?: string;
  readonly pin?: boolean;
  readonly flux?: boolean;
  readonly argocd?: boolean;
  readonly app?: string;
  readonly folder?: string;
  readonly env?: string;
  readonly branch?: string;
}

export function addInitCommand(program: Command, context: () => CliContext): void {
  program
    .command('init')
    .description('Write a commented slipway.yaml from what lies in the workspace.')
    .option('--dry-run', 'show what would be written, write nothing')
    .option('--force', 'replace an existing file')
    .option('--bake', 'fail when "docker buildx bake --print" cannot say what reading bake files leaves open')
    .option('--no-bake', 'read bake files only; do not ask docker')
    .option('--from-workflow <file>', 'take over what one CI workflow does, and report what could not be taken over')
    .addOption(
      new Option('--ci <host>', 'write a workflow that runs the same pipeline there').choices([
        'github',
        'gitlab',
        'gitea',
      ]),
    )
    .option('--flux', 'add delivery by Flux: image policies, markers, automation, and a path filter for CI')
    .option('--argocd', 'add delivery by Argo CD: Application and Image Updater objects, and a path filter for CI')
    .option('--app <name>', 'with --flux or --argocd: name of the objects. Default: the project')
    .option('--folder <path>', 'with --flux or --argocd: folder for the objects')
    .option('--env <name>', 'with --flux or --argocd: environment whose namespace and tags count')
    .option('--branch <name>', 'with --flux or --argocd: branch that is written and applied')
    .option('--package <spec>', 'with --ci: npm package, tarball URL or path that CI installs Slipway from')
    .option('--pin', 'with --ci gitlab: ask the registries for the digests of the images it names')
    .action(async (flags: InitFlags) => {
      const cli = context();
      if (flags.flux === true || flags.argocd === true)
        return deliver(cli, flags.flux === true ? 'flux' : 'argocd', flags);
      if (flags.ci !== undefined) return writeCi(cli, flags.ci, flags);
      const { proposal, report } = await propose(cli, flags);
      const isUnchanged = proposal.existing === proposal.text;
      const isDryRun = flags.dryRun === true;
      if (!isDryRun && !isUnchanged) {
        await writeProposal(cli.system, proposal, flags.force === true ? 'replace' : 'keep');
      }
      show(cli, proposal, report, isDryRun, isUnchanged);
    });
}

async function propose(
  cli: CliContext,
  flags: InitFlags,
): Promise<{ readonly proposal: InitProposal; readonly report?: MigrationReport }> {
  if (flags.fromWorkflow !== undefined) {
    return migrateWorkflow(cli.system, cli.root, resolve(flags.fromWorkflow));
  }
  const bake = flags.bake === undefined ? 'may' : flags.bake ? 'must' : 'never';
  return { proposal: await proposeConfig(cli.system, cli.root, { signal: cli.signal, bake }) };
}

function show(
  cli: CliContext,
  proposal: InitProposal,
  report: MigrationReport | undefined,
  isDryRun: boolean,
  isUnchanged: boolean,
): void {
  const { file, text, existing, project } = proposal;
  if (cli.isJson) {
    const isWritten = !isDryRun && !isUnchanged;
    cli.print(
      JSON.stringify({
        type: 'init',
        file,
        text,
        isWritten,
        diagnostics: project.diagnostics,
        ...(report !== undefined && { report }),
      }),
    );
    return;
  }
  if (isDryRun) {
    cli.print(existing === undefined ? text.trimEnd() : lineDiff(existing, text).join('\n'));
    cli.print('');
  }
  const count = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`;
  cli.print(
    `${isUnchanged ? 'Unchanged' : isDryRun ? 'Would write' : 'Wrote'} ${file}: ${count(project.images.length, 'image')}, ${count(project.tests.length, 'test')}, ${count(project.environments.length, 'environment')}.`,
  );
  if (report !== undefined) showReport(cli, report);
  for (const diagnostic of project.diagnostics) {
    cli.print(`check: ${diagnostic.message} (${placeText(diagnostic.place)})`);
    if (diagnostic.fix !== undefined) cli.print(`       ${diagnostic.fix}`);
  }
}

/** The workflow for a CI host, from slipway.yaml or from what is discovered. */
async function pinned(cli: CliContext, text: string): Promise<string> {
  const { pinImages } = await import('../../engine/pinImages.ts');
  return pinImages(cli.system, text, cli.signal);
}

async function writeCi(cli: CliContext, host: CiKind, flags: InitFlags): Promise<void> {
  const project = await cli.engine.project();
  const proposed = await proposeCi(cli.system, project, host, {
    ...(flags.package !== undefined && { package: flags.package }),
  });
  const proposal = flags.pin === true ? { ...proposed, text: await pinned(cli, proposed.text) } : proposed;
  const isUnchanged = proposal.existing === proposal.text;
  const isDryRun = flags.dryRun === true;
  if (!isDryRun && !isUnchanged) await writeProposal(cli.system, proposal, flags.force === true ? 'replace' : 'keep');
  if (cli.isJson) {
    cli.print(
      JSON.stringify({ type: 'init', file: proposal.file, text: proposal.text, isWritten: !isDryRun && !isUnchanged }),
    );
    return;
  }
  if (isDryRun) {
    const { existing, text } = proposal;
    cli.print(existing === undefined ? text.trimEnd() : lineDiff(existing, text).join('\n'));
    cli.print('');
  }
  cli.print(`${isUnchanged ? 'Unchanged' : isDryRun ? 'Would write' : 'Wrote'} ${proposal.file}.`);
  if (project.source === 'discovery') {
    cli.print(
      'There is no slipway.yaml: CI will discover the project as you do. Write it with "slipway init" to fix what it does.',
    );
  }
}

/** Objects, markers and workflow of a delivery, shown as a diff first. */
async function deliver(cli: CliContext, kind: DeliveryKind, flags: InitFlags): Promise<void> {
  const { app, folder, env, branch } = flags;
  const proposal = await proposeDelivery(cli.system, await cli.engine.project(), kind, {
    ...(app !== undefined && { app }),
    ...(folder !== undefined && { folder }),
    ...(env !== undefined && { environment: env }),
    ...(branch !== undefined && { branch }),
  });
  const isDryRun = flags.dryRun === true;
  if (!cli.isJson) for (const file of proposal.files) cli.print([...proposedDiff(file), ''].join('\n'));
  if (!isDryRun) await writeDelivery(cli.system, cli.root, proposal, flags.force === true ? 'replace' : 'keep');
  if (cli.isJson) {
    cli.print(JSON.stringify({ type: 'delivery', ...proposal, isWritten: !isDryRun }));
    return;
  }
  cli.print(
    `${isDryRun ? 'Would write' : 'Wrote'} ${proposal.files.map(({ path }) => path).join(', ')}.${isDryRun ? ' Nothing was written (--dry-run).' : ''}`,
  );
  for (const note of proposal.notes) cli.print(`- ${note}`);
}

function showReport(cli: CliContext, report: MigrationReport): void {
  // Most places lie in the one workflow that the heading names.
  const at = (place: Place) => placeText({ ...place, file: relative(cli.root, place.file) });
  cli.print(`\nTaken over from ${report.workflow}:`);
  for (const { what, place } of report.taken) cli.print(`  ${what} (${at(place)})`);
  cli.print('\nNot taken over:');
  for (const { what, why, place } of report.left) cli.print(`  ${what}: ${why} (${at(place)})`);
  if (report.left.length === 0) cli.print('  nothing; all of it has its place.');
  if (report.mistakes.length > 0) cli.print('\nIn the workflow as it is:');
  for (const { severity, message, place, fix } of report.mistakes) {
    cli.print(`  ${severity}: ${message} (${at(place)})${fix === undefined ? '' : ` ${fix}`}`);
  }
  cli.print('');
}
