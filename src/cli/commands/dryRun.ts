import type { DryRun, PlanRequest } from '../../engine/main.ts';
import type { CliContext } from '../context.ts';
import { answerLines, diffLines } from './deployWords.ts';
import { planJson, planLines } from './planWords.ts';

/** `--dry-run` of a run: the plan, and what it would bring into the cluster. Exit code 1 when the deploy would fail. */
export async function dryRun(cli: CliContext, request: PlanRequest): Promise<void> {
  const { project, plan, deploy } = await cli.engine.dryRun(request, cli.signal);
  if (cli.isJson) cli.print(JSON.stringify({ type: 'dry-run', plan: planJson(plan, project), deploy }));
  else {
    for (const line of planLines(plan, project, cli.isVerbose ? 'all' : 'grouped')) cli.print(line);
    if (deploy !== null) for (const line of deployLines(deploy)) cli.print(line);
    cli.print('Dry run: nothing was built, tagged, written or locked.');
  }
  if (deploy?.answers.some(({ certainty }) => certainty === 'wrong') === true) cli.exitWith(1);
}

const states: Readonly<Record<DryRun['images'][number]['state'], string>> = {
  present: '',
  built: '  (the run builds it; its digest comes then)',
  missing: '  (not in the registry)',
  unknown: '  (the registry could not be asked)',
};

function deployLines(deploy: DryRun): readonly string[] {
  const changed = deploy.diffs.filter(({ action }) => action !== 'none').length;
  return [
    '',
    `Would deploy to namespace ${deploy.namespace} of ${deploy.context} (${deploy.deployer}):`,
    ...deploy.images.map(
      ({ name, reference, state, digest }) =>
        `  image ${name}: ${reference}${states[state]}${digest === undefined ? '' : `  (now ${digest.slice(0, 19)})`}`,
    ),
    ...deploy.hooks.map((hook) => `  hook ${hook}`),
    ...deploy.diffs.flatMap(diffLines).map((line) => `  ${line}`),
    `${changed} of ${deploy.diffs.length} objects would change.`,
    ...deploy.warnings.map((text) => `warning: ${text}`),
    ...deploy.answers.flatMap(answerLines),
    ...deploy.unchecked.map((text) => `not checked  ${text}`),
  ];
}
