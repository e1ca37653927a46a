import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { planJson, planLines } from './planWords.ts';
import { addPlanOptions, type RunFlags, toRequest } from './run.ts';

export function addPlanCommand(program: Command, context: () => CliContext): void {
  addPlanOptions(
    program
      .command('plan')
      .description('Show what a run would do, and why each step runs or is skipped. Changes nothing.'),
  ).action(async (flags: RunFlags) => {
    const cli = context();
    const { plan, project } = await cli.engine.plan(toRequest(flags));
    if (cli.isJson) cli.print(JSON.stringify({ type: 'plan', ...planJson(plan, project) }));
    else for (const line of planLines(plan, project, cli.isVerbose ? 'all' : 'grouped')) cli.print(line);
  });
}
