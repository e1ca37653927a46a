import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { placeText } from '../words.ts';
import { addPlanOptions, type RunFlags, toRequest } from './run.ts';

export function addPlanCommand(program: Command, context: () => CliContext): void {
  addPlanOptions(
    program
      .command('plan')
      .description('Show what a run would do, and why each step runs or is skipped. Changes nothing.'),
  ).action(async (flags: RunFlags) => {
    const cli = context();
    const { plan, project } = await cli.engine.plan(toRequest(flags));
    if (cli.isJson) {
      cli.print(
        JSON.stringify({
          type: 'plan',
          environment: plan.environment?.name ?? null,
          tags: plan.tags,
          commit: plan.commit ?? null,
          branch: plan.branch ?? null,
          isDirty: plan.isDirty,
          steps: plan.steps.map(({ id, kind, title, needs, key, inputs, decision }) => ({
            id,
            kind,
            title,
            needs,
            key,
            inputs,
            ...decision,
          })),
          diagnostics: project.diagnostics,
        }),
      );
      return;
    }
    const where = plan.environment === null ? 'no environment (up to publish)' : `environment ${plan.environment.name}`;
    cli.print(
      `${project.name}: ${where}, tags ${plan.tags.join(', ')}${plan.isDirty ? ', with uncommitted changes' : ''}`,
    );
    const width = Math.max(...plan.steps.map((step) => step.title.length), 0);
    for (const step of plan.steps) {
      cli.print(
        `  ${step.decision.action === 'run' ? 'run ' : 'skip'}  ${step.title.padEnd(width)}  ${step.decision.why}`,
      );
    }
    for (const diagnostic of project.diagnostics) {
      cli.print(`${diagnostic.severity}: ${diagnostic.message} (${placeText(diagnostic.place)})`);
    }
  });
}
