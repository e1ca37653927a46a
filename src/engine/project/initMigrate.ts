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
  const taken = draft.notes
    .filter((note) => note.certainty === 'read')
    .map((note) => ({ what: `${note.path.join('.')}: ${note.text}`, place: note.place }));
  const named = [...pipeline.left, ...draft.left, ...leftTriggers(pipeline.workflow), ...leftSteps(pipeline.workflow)];
  const rest = unnamedParts(pipeline.workflow, [...taken, ...named]);
  const left = [...named, ...rest.left];
  return {
    proposal,
    report: {
      workflow: path,
      taken: [...taken, ...rest.taken],
      left: once(left).toSorted((a, b) => (a.place.range?.start.line ?? 0) - (b.place.range?.start.line ?? 0)),
      mistakes: lintWorkflow(pipeline.workflow).filter((each) => each.code.startsWith('ci.')),
    },
  };
}

/** A matrix, or an action that is used twice, comes to the same place again. */
const once = (left: MigrationReport['left']): MigrationReport['left'] => [
  ...new Map(left.map((each) => [JSON.stringify([each.what, each.why, each.place]), each])).values(),
];

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

/** When it runs is no part of what it does. */
function leftTriggers({ triggers, host }: Workflow): MigrationReport['left'] {
  const [first] = triggers;
  if (first === undefined || host === 'gitlab') return [];
  const why = `when it runs is said on the CI host: "slipway init --ci ${host}" writes a workflow that runs what is taken over`;
  return [{ what: `The triggers ${triggers.map(({ event }) => event).join(', ')}`, why, place: first.place }];
}

/** Steps and jobs that no fact came from, with the reason in words. */
function leftSteps(workflow: Workflow): MigrationReport['left'] {
  return workflow.jobs.flatMap((job) => {
    if (workflow.host === 'gitlab') return leftJob(job, workflow);
    return job.steps.flatMap((step) => {
      const isRead =
        isLocalAction(step) &&
        workflow.facts.some(({ job: of, place }) => of === job.id && place.file !== step.place.file);
      const why =
        isRead || workflow.facts.some((fact) => isInside(fact.place, step.place))
          ? reasonOfFacts(workflow, step)
          : reasonOf(step);
      return why === undefined ? [] : [{ what: `Step "${titleOf(step)}" of job "${job.id}"`, why, place: step.place }];
    });
  });
}

function leftJob(job: Job, workflow: Workflow): MigrationReport['left'] {
  if (workflow.facts.some((fact) => fact.job === job.id && fact.kind !== 'login')) return [];
  if (hasOwnJobs(job, workflow)) return [];
  return [{ what: `Job "${job.id}"`, why: OWN_COMMAND, place: job.place }];
}

/** A called workflow or a child pipeline that was read: its jobs are named one by one. */
const hasOwnJobs = ({ id }: Job, { jobs }: Workflow): boolean => jobs.some((other) => other.id.startsWith(`${id} / `));

interface Part {
  readonly what: string;
  readonly place: Place;
  readonly isIn: (place: Place) => boolean;
  readonly isJob: boolean;
  readonly job: string;
}

const isLocalAction = ({ uses }: Step): boolean => /^(\.|\$)\//.test(uses?.text ?? '');

/** Every step, and every job without steps, as a stretch of lines. */
function partsOf(workflow: Workflow): readonly Part[] {
  const { jobs, facts } = workflow;
  const isOf = (place: Place, job: string) => facts.some((fact) => fact.job === job && fact.place === place);
  return jobs.flatMap((job): readonly Part[] => {
    if (hasOwnJobs(job, workflow)) return [];
    if (job.steps.length > 0) {
      return job.steps.map((step) => ({
        what: `Step "${titleOf(step)}" of job "${job.id}"`,
        place: step.place,
        // What a local action does is written in the action's own file.
        isIn: (place) =>
          isInside(place, step.place) || (isLocalAction(step) && place.file !== step.place.file && isOf(place, job.id)),
        isJob: false,
        job: job.id,
      }));
    }
    const { file } = job.place;
    const starts = jobs.filter(({ place }) => place.file === file).map(({ place }) => place.range?.start.line ?? 0);
    const from = job.place.range?.start.line ?? 0;
    const until = Math.min(...starts.filter((line) => line > from), Number.POSITIVE_INFINITY);
    const isIn = (place: Place) => {
      const line = place.range?.start.line ?? -1;
      return place.file === file && line >= from && line < until;
    };
    return [{ what: `Job "${job.id}"`, place: job.place, isIn, isJob: true, job: job.id }];
  });
}

/** The report leaves nothing out: what no value and no reason speaks of is named by what was read in it. */
function unnamedParts(
  workflow: Workflow,
  named: readonly { readonly place: Place }[],
): Pick<MigrationReport, 'taken' | 'left'> {
  const taken: MigrationReport['taken'][number][] = [];
  const left: MigrationReport['left'][number][] = [];
  for (const part of partsOf(workflow)) {
    if (named.some(({ place }) => part.isIn(place))) continue;
    const facts = workflow.facts.filter((fact) => part.isIn(fact.place) || (part.isJob && fact.job === part.job));
    const kinds = new Set(facts.map(({ kind }) => kind));
    const { what, place } = part;
    if (kinds.has('deploy'))
      left.push({ what, why: 'the chart or manifests that it deploys are not in this repository', place });
    else if (kinds.has('build') || kinds.has('push') || kinds.has('metadata') || kinds.has('alias'))
      taken.push({ what: `${what}: part of how the images are built, tagged and published`, place });
    else if (kinds.has('scan')) taken.push({ what: `${what}: the gate`, place });
    else if (kinds.has('test')) taken.push({ what: `${what}: a test`, place });
    else if (part.isJob && workflow.host !== 'gitlab')
      left.push({ what, why: 'it calls a workflow of another repository, which is not read from here', place });
    else left.push({ what, why: OWN_COMMAND, place });
  }
  return { taken, left };
}

const isInside = (inner: Place, outer: Place): boolean => {
  if (inner.file !== outer.file || inner.range === undefined || outer.range === undefined) return false;
  const isOrdered = (a: Position, b: Position) => a.line < b.line || (a.line === b.line && a.character <= b.character);
  // A block of YAML ends where the next one begins.
  return isOrdered(outer.range.start, inner.range.start) && !isOrdered(outer.range.end, inner.range.start);
};

const titleOf = (step: Step): string => step.name ?? step.uses?.text ?? step.run ?? 'step';

const OWN_COMMAND = 'Slipway has no step of this kind; run it under "commands", before or after a stage';

/** What scripts of workflows are for, where Slipway does it in its own way; the first that fits. */
const SCRIPTS: readonly (readonly [pattern: RegExp, why: string])[] = [
  [
    /\bhelm rollback\b|\brollout undo\b|\bargocd app rollback\b/,
    'Slipway rolls back by itself when a rollout or a smoke test fails',
  ],
  [
    /\bkubectl\b[^\n]*\s(rollout status|wait)\b/,
    'Slipway watches each rollout to its verdict; its longest time is "rollout.timeout" of the environment',
  ],
  [
    /\bkubectl\b[^\n]*\s(get|describe|logs?|events|top)\b|\bhelm (status|history|get)\b/,
    'when a rollout fails, Slipway collects pods, events and logs by itself',
  ],
  [
    /\bcurl\b|\bwget\b|\bport-forward\b/,
    'say it under "smoke" of the environment: what is asked and what must come back',
  ],
  [
    /kubeconfig/i,
    'Slipway uses the kubeconfig of the machine ("context" of the environment); the workflow of "slipway init --ci" takes it from a secret',
  ],
  [
    /\b(pip3?|poetry|uv|npm|pnpm|yarn|bundle|composer)\b[^\n]*\s(install|ci|sync)\b|\bapt(-get)? install\b|\bapk add\b/,
    'what tests need is on the machine or in the "container" of the test; else run it under "commands", before "test"',
  ],
  [/>>\s*"?\$\{?GITHUB_(OUTPUT|ENV)\b/, 'it works out values for later steps; tags are templates here ("tags")'],
];

const reasonOfScript = (script: string): string =>
  SCRIPTS.find(([pattern]) => pattern.test(script))?.[1] ?? OWN_COMMAND;

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
  if (action === undefined) return reasonOfScript(`${step.name ?? ''}\n${step.run ?? ''}`);
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
