import type { Command } from 'commander';
import { type InitProposal, lineDiff, proposeConfig, writeProposal } from '../../engine/project/index.ts';
import type { CliContext } from '../context.ts';
import { placeText } from '../words.ts';

interface InitFlags {
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly bake?: boolean;
}

export function addInitCommand(program: Command, context: () => CliContext): void {
  program
    .command('init')
    .description('Write a commented slipway.yaml from what lies in the workspace.')
    .option('--dry-run', 'show what would be written, write nothing')
    .option('--force', 'replace an existing file')
    .option('--bake', 'ask "docker buildx bake --print" for the targets of HCL bake files')
    .action(async (flags: InitFlags) => {
      const cli = context();
      const proposal = await proposeConfig(cli.system, cli.root, {
        signal: cli.signal,
        ...(flags.bake === true && { bake: 'print' as const }),
      });
      const isUnchanged = proposal.existing === proposal.text;
      const isDryRun = flags.dryRun === true;
      if (!isDryRun && !isUnchanged) {
        await writeProposal(cli.system, proposal, flags.force === true ? 'replace' : 'keep');
      }
      show(cli, proposal, isDryRun, isUnchanged);
    });
}

function show(cli: CliContext, proposal: InitProposal, isDryRun: boolean, isUnchanged: boolean): void {
  const { file, text, existing, project } = proposal;
  if (cli.isJson) {
    const isWritten = !isDryRun && !isUnchanged;
    cli.print(JSON.stringify({ type: 'init', file, text, isWritten, diagnostics: project.diagnostics }));
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
  for (const diagnostic of project.diagnostics) {
    cli.print(`check: ${diagnostic.message} (${placeText(diagnostic.place)})`);
    if (diagnostic.fix !== undefined) cli.print(`       ${diagnostic.fix}`);
  }
}
