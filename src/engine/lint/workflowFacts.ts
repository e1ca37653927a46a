/** A workflow in the words of the loop detector: what starts it, and whether its tags are new in every run. */
import { type GitLabRule, readJobConditions, readPushTrigger, type WorkflowFacts } from '../gitops/index.ts';
import type { PipelineFinding } from '../project/index.ts';
import {
  type Job,
  type PublishedImage,
  publishedImages,
  splitReference,
  tagTemplates,
  textOf,
  type Value,
  type Workflow,
} from '../workflows/index.ts';
import type { KnownBot } from './botCommits.ts';
import { branchVariables, jobVariables, toGitLabRules } from './gitlabPush.ts';

/** The facts of one workflow against one bot; `text` is the workflow's own. */
export function workflowFacts(
  pipeline: PipelineFinding,
  text: string,
  bot: KnownBot,
  defaultBranch: string | undefined,
): WorkflowFacts {
  const { workflow } = pipeline;
  const images: readonly Published[] = [
    ...publishedImages(workflow).filter(({ isPushed }) => isPushed !== 'no'),
    ...onlyPushed(workflow),
  ];
  const judged = images.map((image) => judgeImage(image, bot));
  const first = (['chosen', 'unknown', 'other', 'stable'] as const).find((kind) => judged.includes(kind));
  const publishing = new Set([
    ...publishedImages(workflow).flatMap(({ build, isPushed }) => (isPushed === 'no' ? [] : [build.job])),
    ...workflow.facts.flatMap((fact) => (fact.kind === 'push' ? [fact.job] : [])),
  ]);
  const push = workflow.host === 'gitlab' ? undefined : readPushTrigger(text, workflow.file);
  return {
    name: pipeline.path,
    host: workflow.host,
    ...(push !== undefined && { push }),
    ...(workflow.host === 'gitlab' && { jobs: gitlabJobs(workflow, publishing, bot, defaultBranch) }),
    publishes: images.some(({ isPushed }) => isPushed === 'yes') ? 'yes' : images.length > 0 ? 'unknown' : 'no',
    tag: first === 'stable' ? 'stable' : first === 'unknown' ? 'unknown' : 'new',
    isChosen: first === 'chosen' ? 'yes' : first === 'unknown' ? 'unknown' : 'no',
    conditions: workflow.host === 'gitlab' ? [] : readJobConditions(text, workflow.file),
  };
}

type Published = Pick<PublishedImage, 'repositories' | 'tags' | 'metadata' | 'isPushed'>;

/** What is pushed though no step of the file is seen to build it: `make image` and the like did. */
function onlyPushed(workflow: Workflow): readonly Published[] {
  const built = new Set(publishedImages(workflow).flatMap(({ repositories }) => repositories.map(textOf)));
  return workflow.facts.flatMap((fact) => {
    if (fact.kind !== 'push') return [];
    const { repository, tag } = splitReference(fact.reference);
    if (built.has(textOf(repository).toLowerCase())) return [];
    const tags = tag === undefined ? [] : [{ value: tag, place: fact.place }];
    return [{ repositories: [repository], tags, metadata: [], isPushed: 'yes' as const }];
  });
}

/** `workflow:rules` that say no leave no job; rules that may say no make every job's answer uncertain. */
function gitlabJobs(
  { jobs, rules }: Workflow,
  publishing: ReadonlySet<string>,
  { commit }: KnownBot,
  defaultBranch: string | undefined,
): NonNullable<WorkflowFacts['jobs']> {
  // Without a branch the rules cannot be judged: each of them is open.
  const variables =
    commit.branch === undefined
      ? new Map()
      : branchVariables(commit.branch, { message: commit.message, defaultBranch });
  const outer = toGitLabRules(rules, variables);
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const rulesOf = (job: Job): readonly GitLabRule[] | undefined => {
    const parent = job.parent === undefined ? undefined : byId.get(job.parent);
    const known = jobVariables(job, variables);
    const written = job.rules ?? (job.when === undefined ? undefined : [{ place: job.place }]);
    const own = (job.includedBy ?? []).reduceRight<readonly GitLabRule[] | undefined>(
      (below, rules) => combined(toGitLabRules(rules, known) ?? [], below),
      // What waits for a person ends every loop.
      toGitLabRules(written, known, { when: job.when })?.map((rule) =>
        rule.when === 'manual' ? { ...rule, when: 'never' } : rule,
      ),
    );
    const inner = job.pipelineRules === undefined ? own : combined(toGitLabRules(job.pipelineRules, known) ?? [], own);
    const above = parent === undefined ? undefined : rulesOf(parent);
    return above === undefined ? inner : combined(above, inner);
  };
  const wanted = jobs.filter(({ id }) => publishing.size === 0 || publishing.has(id));
  return wanted.map((job) => (outer === undefined ? rulesOf(job) : combined(outer, rulesOf(job))));
}

/** Both lists must say yes: the outer rules that say never come first, and without any yes nothing is left. */
function combined(outer: readonly GitLabRule[], own: readonly GitLabRule[] | undefined): readonly GitLabRule[] {
  const first = outer.findIndex((rule) => rule.condition !== 'false');
  const deciding = outer[first];
  if (deciding === undefined) return [];
  if (deciding.when === 'never')
    return deciding.condition === 'true' || deciding.condition === undefined ? [] : [deciding];
  const isSure = deciding.condition !== 'unknown' && deciding.changes === undefined;
  const inner = own ?? [{}];
  return isSure
    ? inner
    : inner.map((rule) => ({ ...deciding, ...rule, condition: weaker(deciding.condition, rule.condition) }));
}

const weaker = (a: GitLabRule['condition'], b: GitLabRule['condition']): NonNullable<GitLabRule['condition']> =>
  a === 'false' || b === 'false' ? 'false' : a === 'unknown' || b === 'unknown' ? 'unknown' : 'true';

/** A run's values, for asking a policy whether it would take such a tag. */
const SAMPLES: Readonly<Record<string, string>> = {
  'run-number': '1234',
  'run-id': '9876543210',
  'run-attempt': '1',
  'commit-count': '1234',
  date: '20261121',
  actor: 'someone',
  event: 'push',
  'pull-request': '12',
};
const SHA = '0a1b2c3d4e5f60718293a4b5c6d7e8f901234567';

/**
 * `chosen`: it pushes a new tag that the bot takes. `other`: new tags, none of them taken. `stable`: it moves the same
 * tags. Tags that only a git tag makes do not occur on a branch push.
 */
function judgeImage(image: Published, bot: KnownBot): 'chosen' | 'other' | 'stable' | 'unknown' {
  const { commit, follows, followsDigests } = bot;
  const repositories = image.repositories.map(textOf);
  const branch = commit.branch ?? 'main';
  const made =
    image.metadata.length > 0 ? templateTags(image, branch) : image.tags.map(({ value }) => sampleOf(value, branch));
  const isUnknownRepository = repositories.some((repository) => repository.includes('${?'));
  if (repositories.some((repository) => followsDigests(repository))) return 'chosen';
  const fresh = made.filter((tag) => tag.kind === 'new');
  const taken = fresh.some(({ text }) => repositories.some((repository) => follows(repository, text) === 'yes'));
  if (taken) return 'chosen';
  if (made.some(({ kind }) => kind === 'unknown') || (fresh.length > 0 && isUnknownRepository)) return 'unknown';
  return fresh.length > 0 ? 'other' : 'stable';
}

interface SampleTag {
  readonly kind: 'new' | 'stable' | 'unknown' | 'absent';
  readonly text: string;
}

function sampleOf(value: Value, branch: string): SampleTag {
  let text = '';
  let kind: SampleTag['kind'] = 'stable';
  for (const part of value) {
    if (typeof part === 'string') text += part;
    else if ('unknown' in part) return { kind: 'unknown', text: '' };
    else if (part.variable === 'tag' || part.variable === 'version') return { kind: 'absent', text: '' };
    else if (part.variable === 'branch' || part.variable === 'ref-name' || part.variable === 'ref')
      text += branch.replaceAll('/', '-');
    else {
      kind = 'new';
      const sample = part.variable === 'sha' ? SHA : (SAMPLES[part.variable] ?? '');
      text += part.length === undefined ? sample : sample.slice(0, part.length);
    }
  }
  return { kind, text };
}

/** metadata-action's rules, which are templates of slipway.yaml by now. */
function templateTags(image: Published, branch: string): readonly SampleTag[] {
  const { templates, left } = tagTemplates(image);
  const known = templates.map(({ template }): SampleTag => {
    if (/\{(semver|tag|major|minor)\}/.test(template)) return { kind: 'absent', text: '' };
    const text = template
      .replaceAll('{branch}', branch.replaceAll('/', '-'))
      .replaceAll('{sha}', SHA.slice(0, 7))
      .replaceAll(/\{sha:(\d+)\}/g, (_whole, length: string) => SHA.slice(0, Number(length)))
      .replaceAll('{commits}', SAMPLES['commit-count'] ?? '')
      .replaceAll('{date}', SAMPLES.date ?? '');
    return { kind: /\{(sha(:\d+)?|commits|date)\}/.test(template) ? 'new' : 'stable', text };
  });
  const open = left
    .filter(({ why }) => /made by the run|counterpart/.test(why))
    .map((): SampleTag => ({ kind: 'unknown', text: '' }));
  return [...known, ...open];
}
