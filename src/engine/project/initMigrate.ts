import { isAbsolute, relative, sep } from 'node:path';
import { type Diagnostic, type Place, type Position, SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { type Job, lintWorkflow, type Step, type Workflow } from '../workflows/index.ts';
import { makeDraft } from './discovery/draft.ts';
import type { Findings, PipelineFinding } from './discovery/findings.ts';
import { findEverything } from './discovery.ts';
import { type InitProposal, propose } from './init.ts';

/** What became of each part of a workflow. */
export interface MigrationReport {
  /** Relative path of the workflow. */
  readonly workflow: string;
  readonly taken: readonly { readonly what: string; readonly place: Place }[];
  readonly left: readonly { readonly what: string; readonly why: string; readonly place: Place }[];
  /** Mistakes in the workflow as it is today. */
  readonly mistakes: readonly Diagnostic[];
}

/**
 * A slipway.yaml that does what one workflow does, and what of it was taken over and what not. `file` is absolute or
 * relative to the root. Reads files only. Throws SlipwayError `usage` when there is no such workflow.
 */
export async function migrateWorkflow(
  system: System,
  root: string,
  file: string,
): Promise<{ readonly proposal: InitProposal; readonly report: MigrationReport }> {
  const path = (isAbsolute(file) ? relative(root, file) : file).split(sep).join('/').replace(/^\.\//, '');
  const findings = await findEverything(system, root, { workflow: path });
  const pipeline = findings.pipelines.find((each) => each.path === path);
  if (pipeline === undefined) {
    const known = findings.pipelines.map((each) => each.path);
    throw new SlipwayError({
      reason: 'usage',
      code: 'init.no-workflow',
      message: `There is no workflow ${path} in ${root}.`,
      fix: known.length === 0 ? 'Give the path of a workflow file.' : `Use one of ${known.join(', ')}.`,
    });
  }
  const own = restricted(findings, pipeline);
  const draft = makeDraft(own);
  const proposal = await propose(system, own, draft);
  const left = [...pipeline.left, ...draft.left, ...leftSteps(pipeline.workflow)];
  return {
    proposal,
    report: {
      workflow: path,
      taken: draft.notes
        .filter((note) => note.certainty === 'read')
        .map((note) => ({ what: `${note.path.join('.')}: ${note.text}`, place: note.place })),
      left: left.toSorted((a, b) => (a.place.range?.start.line ?? 0) - (b.place.range?.start.line ?? 0)),
      mistakes: lintWorkflow(pipeline.workflow).filter((each) => each.code.startsWith('ci.')),
    },
  };
}

/** Only what the one workflow builds, tests and deploys. */
function restricted(findings: Findings, pipeline: PipelineFinding): Findings {
  const used = new Set(pipeline.builds.map((build) => build.dockerfile));
  const usesBake = pipeline.workflow.facts.some((fact) => fact.kind === 'build' && fact.tool === 'bake');
  const usesCompose = pipeline.workflow.facts.some((fact) => fact.kind === 'build' && fact.tool === 'compose');
  const builds = findings.builds.filter(
    ({ origin }) => (origin === 'bake' && usesBake) || (origin === 'compose' && usesCompose),
  );
  for (const build of builds) used.add(build.dockerfile);
  return {
    ...findings,
    pipelines: [pipeline],
    dockerfiles: findings.dockerfiles.filter(({ path }) => used.has(path)),
    builds,
    tests: [],
    onlyDeployed: new Set(pipeline.deploys.map((deploy) => deploy.path)),
  };
}

/** Steps and jobs that no fact came from, with the reason in words. */
function leftSteps(workflow: Workflow): MigrationReport['left'] {
  return workflow.jobs.flatMap((job) => {
    if (workflow.host === 'gitlab') return leftJob(job, workflow);
    return job.steps.flatMap((step) => {
      const why = workflow.facts.some((fact) => isInside(fact.place, step.place))
        ? reasonOfFacts(workflow, step)
        : reasonOf(step);
      return why === undefined ? [] : [{ what: `Step "${titleOf(step)}" of job "${job.id}"`, why, place: step.place }];
    });
  });
}

function leftJob(job: Job, workflow: Workflow): MigrationReport['left'] {
  if (workflow.facts.some((fact) => fact.job === job.id && fact.kind !== 'login')) return [];
  return [{ what: `Job "${job.id}"`, why: OWN_COMMAND, place: job.place }];
}

const isInside = (inner: Place, outer: Place): boolean => {
  if (inner.file !== outer.file || inner.range === undefined || outer.range === undefined) return false;
  const isOrdered = (a: Position, b: Position) => a.line < b.line || (a.line === b.line && a.character <= b.character);
  // A block of YAML ends where the next one begins.
  return isOrdered(outer.range.start, inner.range.start) && !isOrdered(outer.range.end, inner.range.start);
};

const titleOf = (step: Step): string => step.name ?? step.uses?.text ?? step.run ?? 'step';

const OWN_COMMAND = 'Slipway has no step of this kind; run it under "commands", before or after a stage';

/** Facts that are read and have no place in slipway.yaml. */
function reasonOfFacts(workflow: Workflow, step: Step): string | undefined {
  for (const fact of workflow.facts) {
    if (!isInside(fact.place, step.place)) continue;
    if (fact.kind === 'login') return 'Slipway uses the logins of docker on the machine it runs on';
    if (fact.kind === 'sign') return 'say under "sign" of the image which key signs it';
    if (fact.kind === 'commit')
      return 'Slipway does not commit; an environment with flux or argocd follows what is in git';
    if (fact.kind === 'scan' && fact.target !== 'image') return 'Slipway scans images; run this one under "commands"';
  }
  return undefined;
}

function reasonOf(step: Step): string | undefined {
  const action = step.uses?.action;
  if (action === undefined) return OWN_COMMAND;
  if (/^actions\/checkout$/.test(action)) return 'Slipway works in the workspace it is called in';
  if (
    /^(actions\/(setup-|cache)|docker\/setup-|helm\/|azure\/setup-|aquasecurity\/setup-|astral-sh\/setup-|pnpm\/action-setup|sigstore\/cosign-installer)/.test(
      action,
    )
  )
    return 'tools come from the machine or the CI job that calls Slipway';
  if (/^actions\/(upload|download)-artifact$/.test(action)) return 'reports are kept in .slipway/';
  if (step.uses?.text.startsWith('./')) return undefined;
  return OWN_COMMAND;
}
