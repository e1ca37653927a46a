import { isAbsolute, relative, sep } from 'node:path';
import type { Command } from 'commander';
import { SlipwayError } from '../../engine/problems/index.ts';
import type { CliContext } from '../context.ts';
import { placeText } from '../words.ts';

interface LintFlags {
  readonly fix?: boolean;
  readonly dryRun?: boolean;
  readonly loops?: boolean;
  readonly push?: readonly string[];
  readonly newBranch?: boolean;
  readonly branch?: string;
  readonly tag?: string;
  readonly message?: string;
}

/** Workflows and GitOps files: their mistakes, loops between them, and what a push would start. Reads files only. */
export function addLintCommand(program: Command, context: () => CliContext): void {
  program
    .command('lint')
    .description('Mistakes in CI workflows and GitOps files, and feedback loops between them. Exit code 1 on errors.')
    .option('--fix', 'apply the first fix of every finding; one token or line each, every other byte stays')
    .option('--dry-run', 'with --fix: show the changes, write nothing')
    .option('--loops', 'every image bot against every workflow, the harmless ones as well')
    .option('--push <file...>', 'would a push that changes these files start CI, and why not')
    .option('--branch <name>', 'with --push: the branch. Default: main')
    .option('--new-branch', 'with --push: the first push of the branch')
    .option('--tag <name>', 'with --push: a tag is pushed instead of a branch')
    .option('--message <text>', 'with --push: message of the last commit')
    .action(async (flags: LintFlags) => {
      const cli = context();
      if (flags.push !== undefined || flags.tag !== undefined) return push(cli, flags);
      if (flags.loops === true) return loops(cli);
      await lint(cli, flags);
    });
}

/** A fix may bring another finding to light; more than this is no end. */
const MOST_ROUNDS = 10;

async function lint(cli: CliContext, flags: LintFlags): Promise<void> {
  const { fixedFiles, lintWorkspace } = await import('../../engine/lint/index.ts');
  const { lineDiff } = await import('../../engine/project/index.ts');
  const isFixing = flags.fix === true;
  let findings = await lintWorkspace(cli.system, cli.root);
  if (isFixing) {
    let count = 0;
    // Fixes of one place are taken one after the other, each on what the last one left.
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const fixed = await fixedFiles(cli.system, findings);
      for (const { file, before, after, titles } of fixed) {
        if (flags.dryRun !== true) await cli.system.files.writeAtomic(file, after);
        if (cli.isJson) {
          cli.print(JSON.stringify({ type: 'fix', file, titles, written: flags.dryRun !== true }));
          continue;
        }
        cli.print(
          `${flags.dryRun === true ? 'Would change' : 'Changed'} ${relative(cli.root, file) || file}: ${titles.join('; ')}`,
        );
        for (const line of lineDiff(before, after)) if (!line.startsWith(' ')) cli.print(`  ${line}`);
      }
      count += fixed.length;
      if (fixed.length === 0 || flags.dryRun === true) break;
      findings = await lintWorkspace(cli.system, cli.root);
    }
    if (count === 0 && !cli.isJson) cli.print('There is nothing that can be fixed without a decision.');
  }
  for (const finding of findings) {
    if (cli.isJson) {
      cli.print(JSON.stringify({ type: 'finding', ...finding }));
      continue;
    }
    const { severity, code, message, place, fix, fixes } = finding;
    cli.print(`${severity.padEnd(7)}  ${placeText(place)}  ${message} (${code})`);
    if (fix !== undefined) cli.print(`         Fix: ${fix}${fixes.length > 0 ? ' (slipway lint --fix)' : ''}`);
    for (const { warning } of fixes.slice(0, 1)) if (warning !== undefined) cli.print(`         Note: ${warning}`);
  }
  const count = (severity: string) => findings.filter((finding) => finding.severity === severity).length;
  if (!cli.isJson) {
    cli.print(
      findings.length === 0
        ? 'No mistakes found.'
        : `${count('error')} errors, ${count('warning')} warnings, ${count('info')} hints.`,
    );
  }
  if (count('error') > 0) cli.exitWith(1);
}

async function loops(cli: CliContext): Promise<void> {
  const { loopAnswers, readWorkspace } = await import('../../engine/lint/index.ts');
  const answers = loopAnswers(await readWorkspace(cli.system, cli.root));
  for (const answer of answers) {
    cli.print(
      cli.isJson
        ? JSON.stringify(answer)
        : `${answer.verdict.padEnd(7)}  ${answer.bot} → ${answer.workflow}: ${answer.reason}. It writes ${answer.files.join(', ')} on ${answer.branch ?? 'a branch that is not known here'}.`,
    );
  }
  if (answers.length === 0 && !cli.isJson) {
    cli.print('No image bot of this repository commits to it, or there is no workflow.');
  }
  if (answers.some(({ verdict }) => verdict === 'loop')) cli.exitWith(1);
}

async function push(cli: CliContext, flags: LintFlags): Promise<void> {
  const { push: files = [], branch, tag, message, newBranch } = flags;
  const { askPush } = await import('../../engine/lint/index.ts');
  const answers = await askPush(cli.system, cli.root, {
    files: files.map((file) => pathIn(cli.root, file)),
    ref: tag === undefined ? { branch: branch ?? 'main' } : { tag },
    ...(message !== undefined && { message }),
    ...(newBranch === true && { isNewBranch: true }),
  });
  for (const { workflow, runs, reason, jobs, host } of answers) {
    if (cli.isJson) {
      cli.print(JSON.stringify({ workflow, host, runs, reason, ...(jobs !== undefined && { jobs }) }));
      continue;
    }
    const word = { yes: 'starts', no: 'does not start', unknown: 'may start' }[runs];
    cli.print(`${workflow} ${word}. ${reason}`);
    for (const job of jobs ?? []) cli.print(`  ${job.runs.padEnd(7)}  ${job.name}: ${job.reason}`);
  }
  if (answers.length === 0 && !cli.isJson) cli.print('This repository has no CI workflow.');
}

/** From the root with `/`; a file outside of it cannot be in a push of it. */
function pathIn(root: string, file: string): string {
  const path = (isAbsolute(file) ? relative(root, file) : file).split(sep).join('/').replace(/^\.\//, '');
  if (!path.startsWith('../')) return path;
  throw new SlipwayError({
    reason: 'usage',
    code: 'lint.outside',
    message: `${file} is not in ${root}.`,
    fix: 'Name paths from the root of the repository.',
  });
}
