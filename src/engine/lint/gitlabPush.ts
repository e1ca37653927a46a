/** Which jobs of a GitLab pipeline a push starts, rule by rule. */
import { type Answer, compileGitLabGlob, type GitLabPush, type GitLabRule, gitlabJobRuns } from '../gitops/index.ts';
import { type Job, type JobRule, judgeRule, type RuleVariables, type Workflow } from '../workflows/index.ts';

/** What a push of a branch sets in GitLab; what is not here is the project's own and not known. */
export function branchVariables(
  branch: string,
  { message, defaultBranch }: { readonly message?: string; readonly defaultBranch?: string | undefined },
): RuleVariables {
  return new Map<string, string | null>([
    ['CI_COMMIT_BRANCH', branch],
    ['CI_COMMIT_TAG', null],
    ...pushVariables(branch, message),
    // Nobody merges the default branch into another one; whether another branch has a merge request is not in the files.
    ...(branch === (defaultBranch ?? 'main') ? ([['CI_OPEN_MERGE_REQUESTS', null]] as const) : []),
    ...(defaultBranch === undefined ? [] : ([['CI_DEFAULT_BRANCH', defaultBranch]] as const)),
  ]);
}

export const tagVariables = (tag: string, { message }: { readonly message?: string } = {}): RuleVariables =>
  new Map<string, string | null>([
    ['CI_COMMIT_BRANCH', null],
    ['CI_COMMIT_TAG', tag],
    // Whatever its name is: it is never the branch of a tag, which has none.
    ['CI_DEFAULT_BRANCH', 'the default branch'],
    ...pushVariables(tag, message),
  ]);

const pushVariables = (ref: string, message: string | undefined): readonly (readonly [string, string | null])[] => [
  ['CI', 'true'],
  ['GITLAB_CI', 'true'],
  ['CI_COMMIT_REF_NAME', ref],
  ['CI_PIPELINE_SOURCE', 'push'],
  ['CI_MERGE_REQUEST_IID', null],
  ['CI_MERGE_REQUEST_ID', null],
  ['CI_MERGE_REQUEST_EVENT_TYPE', null],
  ['CI_MERGE_REQUEST_SOURCE_BRANCH_NAME', null],
  ['CI_MERGE_REQUEST_TARGET_BRANCH_NAME', null],
  ...(message === undefined
    ? []
    : ([
        ['CI_COMMIT_MESSAGE', message],
        ['CI_COMMIT_TITLE', message.split('\n')[0] ?? ''],
      ] as const)),
];

/** Whether a file of the repository matches one of the globs; undefined: the files are not known. */
export type Exists = (globs: readonly string[]) => boolean | undefined;

export const existsIn =
  (paths: readonly string[]): Exists =>
  (globs) => {
    if (globs.some((glob) => glob.includes('$'))) return undefined;
    const compiled = globs.map(compileGitLabGlob);
    if (compiled.some((one) => one instanceof RegExp && paths.some((path) => one.test(path)))) return true;
    return compiled.every((one) => one instanceof RegExp) ? false : undefined;
  };

export function toGitLabRules(
  rules: readonly JobRule[] | undefined,
  variables: RuleVariables,
  { exists, when }: { readonly exists?: Exists; readonly when?: string | undefined } = {},
): readonly GitLabRule[] | undefined {
  return rules?.map((rule): GitLabRule => {
    const conditions = [
      ...(rule.unread === undefined ? [] : ['unknown' as const]),
      ...(rule.if === undefined ? [] : [judgeRule(rule.if, variables)]),
      ...(rule.exists === undefined ? [] : [words[String(exists?.(rule.exists))] ?? 'unknown']),
    ];
    const condition = conditions.find((each) => each === 'false') ?? conditions.find((each) => each === 'unknown');
    const own = rule.when ?? when;
    const unset = [...(rule.if ?? '').matchAll(/\$\{?(\w+)/g)].flatMap(([, name]) => name ?? []);
    const open = [...new Set(unset)].filter((name) => !variables.has(name)).map((name) => `$${name}`);
    const dependsOn = rule.unread ?? (open.length > 0 ? open.join(', ') : undefined);
    return {
      ...(conditions.length > 0 && { condition: condition ?? 'true' }),
      ...(condition === 'unknown' && dependsOn !== undefined && { dependsOn }),
      ...(rule.changes !== undefined && { changes: rule.changes }),
      ...(rule.compareTo !== undefined && { comparesToRef: true as const }),
      ...(own !== undefined && { when: own }),
    };
  });
}

const words: Readonly<Record<string, 'true' | 'false'>> = { true: 'true', false: 'false' };

/**
 * The variables that a job's rules see: those of the push over those that the file and the job set. A project that sets
 * one of them in its settings changes the answer.
 */
export function jobVariables(job: Job, known: RuleVariables): RuleVariables {
  const found = new Map<string, string | null>();
  for (const [name, text] of job.variables ?? []) {
    const whole = /^\$\{?(\w+)\}?$/.exec(text)?.[1];
    if (whole !== undefined) {
      const value = known.get(whole);
      if (value !== undefined) found.set(name, value);
    } else if (!text.includes('$')) found.set(name, text);
  }
  for (const [name, value] of known) found.set(name, value);
  if (job.parent !== undefined) found.set('CI_PIPELINE_SOURCE', 'parent_pipeline');
  return found;
}

export interface JobAnswer extends Answer {
  readonly name: string;
}

/** The answer for the pipeline, and for its jobs when there is one. */
export function askGitlab(
  workflow: Workflow,
  {
    variables,
    push,
    exists,
  }: { readonly variables: RuleVariables; readonly push: GitLabPush; readonly exists: Exists },
): Answer & { readonly jobs?: readonly JobAnswer[] } {
  const outer = decide(workflow.rules, variables, push, exists);
  if (outer.runs === 'no') return { runs: 'no', reason: `by its workflow:rules, ${outer.reason}` };
  const answers = new Map<string, JobAnswer>();
  for (const job of workflow.jobs) answers.set(job.id, { ...answerJob(job, outer, answers), name: job.id });
  const jobs = [...answers.values()];
  return { ...summary(workflow, outer, jobs), jobs };

  function answerJob(job: Job, pipeline: Decision, before: ReadonlyMap<string, Answer>): Answer {
    const known = jobVariables(job, new Map([...variables, ...pipeline.variables]));
    const parent = job.parent === undefined ? undefined : before.get(job.parent);
    if (parent !== undefined && (parent.runs !== 'yes' || parent.isByHand === true))
      return {
        runs: parent.runs === 'yes' ? 'no' : parent.runs,
        reason: `the job that starts its pipeline: ${parent.reason}`,
      };
    for (const rules of [...(job.includedBy ?? []), ...(job.pipelineRules === undefined ? [] : [job.pipelineRules])]) {
      const answer = gitlabJobRuns(toGitLabRules(rules, known, { exists }), push);
      if (answer.runs !== 'yes') return { ...answer, reason: `the rules of its include or pipeline: ${answer.reason}` };
    }
    if (job.rules === undefined && job.when === 'manual')
      return { runs: 'yes', isByHand: true, reason: 'it is to be started by hand' };
    if (job.rules === undefined && job.when === 'never') return { runs: 'no', reason: 'its when says never' };
    return gitlabJobRuns(toGitLabRules(job.rules, known, { exists, when: job.when }), push);
  }
}

interface Decision extends Answer {
  /** What the rule that decided sets. */
  readonly variables: RuleVariables;
}

function decide(
  rules: readonly JobRule[] | undefined,
  variables: RuleVariables,
  push: GitLabPush,
  exists: Exists,
): Decision {
  const answer = gitlabJobRuns(toGitLabRules(rules, variables, { exists }), push);
  const rule = answer.rule === undefined ? undefined : rules?.[answer.rule];
  return { ...answer, variables: rule?.variables ?? new Map() };
}

function summary({ unread = [] }: Workflow, outer: Decision, jobs: readonly JobAnswer[]): Answer {
  const yes = jobs.filter(({ runs, isByHand }) => runs === 'yes' && isByHand === undefined).map(({ name }) => name);
  const byHand = jobs.filter(({ isByHand }) => isByHand === true).map(({ name }) => name);
  const open = jobs.filter(({ runs }) => runs === 'unknown').map(({ name }) => name);
  const waiting = byHand.length === 0 ? '' : `; ${byHand.join(', ')} to be started by hand`;
  const hidden = unread.length === 0 ? '' : `; ${unread.join(', ')} is not read and may add or change jobs`;
  if (outer.runs === 'unknown') return { runs: 'unknown', reason: `in its workflow:rules, ${outer.reason}${hidden}` };
  if (yes.length > 0) return { runs: 'yes', reason: `it runs ${yes.join(', ')}${waiting}${hidden}` };
  if (open.length > 0)
    return {
      runs: 'unknown',
      reason: `whether ${open.join(', ')} run depends on what is not in the file${waiting}${hidden}`,
    };
  if (byHand.length > 0) return { runs: 'yes', isByHand: true, reason: `nothing runs by itself${waiting}${hidden}` };
  return unread.length > 0
    ? { runs: 'unknown', reason: `of what is read no job is left after the rules${hidden}` }
    : { runs: 'no', reason: 'no job is left after the rules' };
}
