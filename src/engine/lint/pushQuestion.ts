/** "Would this push start it, and why not": asked of every workflow of a workspace. */
import { type Push, pushStartsWorkflow, readPushTrigger, skipMarker } from '../gitops/index.ts';
import type { System } from '../system/index.ts';
import { askGitlab, branchVariables, existsIn, tagVariables } from './gitlabPush.ts';
import { readWorkspace, type WorkspaceFiles } from './workspaceFiles.ts';

export interface PushQuestion {
  /** Changed paths from the root with `/`. */
  readonly files: readonly string[];
  readonly ref: { readonly branch: string } | { readonly tag: string };
  /** Of the last commit. */
  readonly message?: string;
  /** Commits in the push; GitHub takes no diff of very many. */
  readonly commits?: number;
  /** The host does not know the branch yet: GitLab has nothing to compare with. */
  readonly isNewBranch?: true;
}

export interface PushAnswer {
  /** Path from the root. */
  readonly workflow: string;
  readonly host: 'github' | 'gitea' | 'gitlab';
  readonly runs: 'yes' | 'no' | 'unknown';
  /** One sentence. */
  readonly reason: string;
  /** GitLab: job by job. */
  readonly jobs?: readonly {
    readonly name: string;
    readonly runs: 'yes' | 'no' | 'unknown';
    readonly reason: string;
  }[];
}

export async function askPush(system: System, root: string, question: PushQuestion): Promise<readonly PushAnswer[]> {
  return answerPush(await readWorkspace(system, root), question);
}

/** In the order of the workspace's pipelines. */
export const answerPush = (files: WorkspaceFiles, question: PushQuestion): readonly PushAnswer[] =>
  files.findings.pipelines.map((pipeline) => {
    const said = answer(files, pipeline, question);
    const other = said.runs === 'no' ? byRequest(files, pipeline.workflow, question) : undefined;
    return other === undefined ? said : { ...said, reason: `${said.reason} ${other}` };
  });

/** A push to the branch of an open pull or merge request is an event of that, too. Whether there is one is in no file. */
function byRequest(
  { defaultBranch }: WorkspaceFiles,
  { host, triggers, rules, jobs }: WorkspaceFiles['findings']['pipelines'][number]['workflow'],
  { ref, message }: PushQuestion,
): string | undefined {
  if ('tag' in ref || ref.branch === (defaultBranch ?? 'main')) return undefined;
  if (message !== undefined && skipMarker(message, host) !== undefined) return undefined;
  if (host === 'gitlab') {
    const conditions = [rules ?? [], ...jobs.map((job) => job.rules ?? [])].flat().map((rule) => rule.if ?? '');
    return conditions.some((text) => /merge_request_event|CI_MERGE_REQUEST/.test(text))
      ? 'With an open merge request of this branch it may start.'
      : undefined;
  }
  return triggers.some(({ event }) => /^pull_request(_target)?$/.test(event))
    ? 'With an open pull request from this branch it may start.'
    : undefined;
}

function answer(
  { texts, defaultBranch, findings }: WorkspaceFiles,
  { path, workflow }: WorkspaceFiles['findings']['pipelines'][number],
  { files, ref, message, commits, isNewBranch }: PushQuestion,
): PushAnswer {
  const { host } = workflow;
  const base = { workflow: path, host };
  const skipped = message === undefined ? undefined : skipMarker(message, host);
  if (skipped !== undefined) return { ...base, runs: 'no', reason: `The commit message carries ${skipped}.` };
  if (host !== 'gitlab') {
    const trigger = readPushTrigger(texts.get(workflow.file) ?? '', workflow.file);
    if (trigger === undefined) {
      const events = [...new Set(workflow.triggers.map(({ event }) => event))].join(', ');
      return { ...base, runs: 'no', reason: `It does not start on pushes, only on ${events || 'nothing'}.` };
    }
    const push: Push = { ref, files, ...(commits !== undefined && { commits }) };
    const { runs, reason } = pushStartsWorkflow(trigger, push, host);
    return { ...base, runs, reason: sentence(reason) };
  }
  const said = message === undefined ? {} : { message };
  const { runs, reason, jobs } = askGitlab(workflow, {
    variables: 'tag' in ref ? tagVariables(ref.tag, said) : branchVariables(ref.branch, { ...said, defaultBranch }),
    push: { files, hasDiff: !('tag' in ref) && isNewBranch === undefined },
    exists: existsIn(findings.paths),
  });
  return {
    ...base,
    runs,
    reason: sentence(reason),
    ...(jobs !== undefined && {
      jobs: jobs.map((job) => ({ name: job.name, runs: job.runs, reason: sentence(job.reason) })),
    }),
  };
}

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
