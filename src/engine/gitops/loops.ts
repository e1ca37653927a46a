/**
 * "Will this commit start CI, which pushes an image, which makes a commit": the loop between an image bot and a workflow,
 * and the smallest edits that break it.
 */
import type { TextEdit } from './edit.ts';
import type { Node } from './goyaml/nodes.ts';
import {
  type Answer,
  type CiHost,
  type GitLabRule,
  gitlabJobRuns,
  type Patterns,
  type PushTrigger,
  pushStartsWorkflow,
  skipMarker,
} from './pushFilters.ts';
import { nodeAt, readYamlObjects, setValue, textAt, textsAt, type YamlObject } from './yaml.ts';

/** What a bot commits when it has found a new image. */
export interface BotCommit {
  /** For messages: `the automation flux-system/apps`. */
  readonly bot: string;
  /** The branch it pushes to; undefined when it is a template. */
  readonly branch: string | undefined;
  /** All files of one commit, from the repository's root. */
  readonly files: readonly string[];
  /** The commit message or its template. */
  readonly message: string;
  readonly pushOptions?: Readonly<Record<string, string>>;
  /** The host's own job token never starts workflows; deploy keys and personal tokens do. */
  readonly credentials: 'key-or-token' | 'job-token';
}

/** What is known of a workflow or pipeline. */
export interface WorkflowFacts {
  readonly name: string;
  readonly host: CiHost;
  /** GitHub and Gitea. Undefined: it does not start on pushes. `invalid`: the filters contradict each other. */
  readonly push?: PushTrigger;
  /** GitLab: the rules of each job that publishes an image. */
  readonly jobs?: readonly (readonly GitLabRule[] | undefined)[];
  readonly publishes: 'yes' | 'no' | 'unknown';
  /** `new`: every run makes a new tag (commit, run number, time). `stable`: it moves the same one. */
  readonly tag: 'new' | 'stable' | 'unknown';
  /** Whether the policy would choose the tag that it pushes. */
  readonly isChosen: 'yes' | 'no' | 'unknown';
  /** `if` expressions of the publishing jobs. */
  readonly conditions: readonly string[];
}

export interface LoopVerdict {
  readonly verdict: 'loop' | 'noise' | 'guarded' | 'safe' | 'unknown';
  /** One sentence without a full stop. */
  readonly reason: string;
}

/** Judges one bot commit against one workflow. */
export function judgeLoop(commit: BotCommit, workflow: WorkflowFacts): LoopVerdict {
  const say = (verdict: LoopVerdict['verdict'], reason: string): LoopVerdict => ({ verdict, reason });
  const start = startAnswer(commit, workflow);
  if (start.runs === 'no') return say('safe', `${commit.bot} does not start ${workflow.name}: ${start.reason}`);
  if (commit.credentials === 'job-token')
    return say('guarded', `commits made with the token of a job start no ${workflow.host} pipeline`);
  const marker = skipMarker(commit.message, workflow.host);
  if (marker !== undefined) return say('guarded', `the commit message carries ${marker}`);
  if (workflow.host === 'gitlab' && commit.pushOptions !== undefined && 'ci.skip' in commit.pushOptions) {
    return say('guarded', 'the push option ci.skip is set');
  }
  const guard = workflow.conditions.find((text) =>
    /github\.actor\s*!=|gitea\.actor\s*!=|!\s*contains\(\s*(?:github|gitea)\.event\.head_commit\.message/.test(text),
  );
  if (guard !== undefined) return say('guarded', `a job asks ${guard}`);
  if (start.runs === 'unknown')
    return say('unknown', `whether ${commit.bot} starts ${workflow.name} is not known: ${start.reason}`);
  if (workflow.publishes === 'no')
    return say('noise', `${commit.bot} starts ${workflow.name}, which publishes no image`);
  if (workflow.tag === 'stable')
    return say('noise', `${commit.bot} starts ${workflow.name}, which pushes the same tag again`);
  if (workflow.isChosen === 'no')
    return say('noise', `${commit.bot} starts ${workflow.name}, whose tag the policy does not choose`);
  const open = (['publishes', 'tag', 'isChosen'] as const).filter((fact) => workflow[fact] === 'unknown');
  if (open.length > 0)
    return say(
      'unknown',
      `${commit.bot} starts ${workflow.name}, but ${open.map((fact) => unknownFacts[fact]).join(' and ')} is not known`,
    );
  return say(
    'loop',
    `${commit.bot} starts ${workflow.name}, which pushes a new tag that the policy chooses, which makes the next commit`,
  );
}

const unknownFacts = {
  publishes: 'whether it publishes an image',
  tag: 'which tag it pushes',
  isChosen: 'whether the policy chooses that tag',
} as const;

function startAnswer({ branch, files }: BotCommit, { host, push, jobs }: WorkflowFacts): Answer {
  if (host === 'gitlab') {
    const answers = (jobs ?? [undefined]).map((rules) => gitlabJobRuns(rules, { files, hasDiff: true }));
    return (
      answers.find(({ runs }) => runs === 'yes') ??
      answers.find(({ runs }) => runs === 'unknown') ??
      answers[0] ?? { runs: 'no', reason: 'it has no jobs' }
    );
  }
  if (push === undefined) return { runs: 'no', reason: 'it does not start on pushes' };
  if (branch === undefined)
    return { runs: 'unknown', reason: 'its branch is a template, or the default branch, which is not known here' };
  return pushStartsWorkflow(push, { ref: { branch }, files }, host);
}

/** The push trigger of a GitHub or Gitea workflow; undefined when it does not start on pushes. */
export function readPushTrigger(text: string, file: string): PushTrigger | undefined {
  const [object] = readYamlObjects(text, file);
  const on = nodeAt(object?.root, ['on']);
  if (on === undefined) return undefined;
  if (on.kind === 'scalar') return on.value === 'push' ? {} : undefined;
  if (on.kind === 'sequence')
    return on.items.some((item) => item.kind === 'scalar' && item.value === 'push') ? {} : undefined;
  const push = nodeAt(on, ['push']);
  if (push === undefined) return undefined;
  const lists = {
    branches: listAt(push, 'branches'),
    branchesIgnore: listAt(push, 'branches-ignore'),
    tags: listAt(push, 'tags'),
    tagsIgnore: listAt(push, 'tags-ignore'),
    paths: listAt(push, 'paths'),
    pathsIgnore: listAt(push, 'paths-ignore'),
  };
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined));
}

/** A list, or a single text in the place of one. */
function listAt(node: Node, key: string): Patterns | undefined {
  const single = textAt(node, [key]);
  return single === undefined ? textsAt(node, [key]) : [single];
}

/** `if` expressions of the jobs of a GitHub or Gitea workflow. */
export function readJobConditions(text: string, file: string): readonly string[] {
  const [object] = readYamlObjects(text, file);
  const jobs = nodeAt(object?.root, ['jobs']);
  return jobs?.kind === 'mapping' ? jobs.entries.flatMap(({ value }) => textAt(value, ['if']) ?? []) : [];
}

export interface LoopFix {
  readonly title: string;
  readonly edits: readonly TextEdit[];
  readonly warning?: string;
}

/**
 * Takes the bot's folder out of a workflow's path filter: a trailing `!folder/**` in `paths`, one more entry of
 * `paths-ignore`, or a new `paths-ignore` where there was no filter. Undefined when the trigger is written so that
 * it has no place for a filter (`on: push`).
 */
export function ignoreFolderFix(text: string, file: string, folder: string): LoopFix | undefined {
  const [object] = readYamlObjects(text, file);
  if (object === undefined) return undefined;
  const push = nodeAt(object.root, ['on', 'push']);
  if (push === undefined) return undefined;
  const pattern = `${folder}/**`;
  const paths = listAt(push, 'paths');
  if (paths !== undefined) return filterFix(text, object, 'paths', [...paths, `!${pattern}`]);
  const ignored = listAt(push, 'paths-ignore');
  const fix = filterFix(text, object, 'paths-ignore', [...(ignored ?? []), pattern]);
  if (fix === undefined || ignored !== undefined) return fix;
  return {
    ...fix,
    warning:
      'With a path filter, pushes without matching files start no run, and a required check of such a pull request stays "expected".',
  };
}

function filterFix(text: string, object: YamlObject, key: string, list: Patterns): LoopFix | undefined {
  const edits = setValue(text, object, ['on', 'push', key], { list });
  return edits === undefined ? undefined : { title: `Add ${list.at(-1)} to ${key}`, edits };
}

/** Puts `[skip ci]` at the end of an automation's commit message, or the push option `ci.skip` for GitLab. */
export function skipCiFix(text: string, automation: YamlObject, host: CiHost): LoopFix | undefined {
  if (host === 'gitlab') {
    const edits = setValue(text, automation, ['spec', 'git', 'push', 'options', 'ci.skip'], { bare: '""' });
    return edits === undefined ? undefined : { title: 'Push with the option ci.skip', edits };
  }
  const message =
    textAt(automation.root, ['spec', 'git', 'commit', 'messageTemplate']) ?? 'Update from image update automation';
  if (message.trimEnd().includes('\n')) return undefined;
  const edits = setValue(text, automation, ['spec', 'git', 'commit', 'messageTemplate'], {
    text: `${message.trimEnd()} [skip ci]`,
  });
  if (edits === undefined) return undefined;
  return {
    title: 'Add [skip ci] to the commit message',
    edits,
    warning: 'It also skips the required checks of a pull request with this commit.',
  };
}
