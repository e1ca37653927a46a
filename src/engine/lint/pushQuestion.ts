/** "Would this push start it, and why not": asked of every workflow of a workspace. */
import { gitlabJobRuns, type Push, pushStartsWorkflow, readPushTrigger, skipMarker } from '../gitops/index.ts';
import type { System } from '../system/index.ts';
import { branchVariables, tagVariables, toGitLabRules } from './workflowFacts.ts';
import { readWorkspace, type WorkspaceFiles } from './workspaceFiles.ts';

export interface PushQuestion {
  /** Changed paths from the root with `/`. */
  readonly files: readonly string[];
  readonly ref: { readonly branch: string } | { readonly tag: string };
  /** Of the last commit. */
  readonly message?: string;
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
  const files = await readWorkspace(system, root);
  return files.findings.pipelines.map((pipeline) => answer(files, pipeline, question));
}

function answer(
  { texts, defaultBranch }: WorkspaceFiles,
  { path, workflow }: WorkspaceFiles['findings']['pipelines'][number],
  { files, ref, message }: PushQuestion,
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
    const push: Push = { ref, files };
    const { runs, reason } = pushStartsWorkflow(trigger, push, host);
    return { ...base, runs, reason: sentence(reason) };
  }
  const variables =
    'tag' in ref
      ? tagVariables(ref.tag)
      : branchVariables(ref.branch, { ...(message !== undefined && { message }), defaultBranch });
  const push = { files, hasDiff: !('tag' in ref) };
  const outer = toGitLabRules(workflow.rules, variables);
  if (outer !== undefined) {
    const { runs, reason } = gitlabJobRuns(outer, push);
    if (runs === 'no') return { ...base, runs, reason: `workflow:rules: ${reason}.` };
  }
  const jobs = workflow.jobs.map((job) => {
    const rules = toGitLabRules(job.rules, variables);
    const { runs, reason } = gitlabJobRuns(rules, push);
    return { name: job.id, runs, reason: sentence(reason) };
  });
  const yes = jobs.filter(({ runs }) => runs === 'yes').map(({ name }) => name);
  const open = jobs.filter(({ runs }) => runs === 'unknown').map(({ name }) => name);
  const reason =
    yes.length > 0
      ? `It runs ${yes.join(', ')}.`
      : open.length > 0
        ? `Whether ${open.join(', ')} run depends on variables that are not in the file.`
        : 'No job is left after the rules.';
  return { ...base, runs: yes.length > 0 ? 'yes' : open.length > 0 ? 'unknown' : 'no', reason, jobs };
}

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
