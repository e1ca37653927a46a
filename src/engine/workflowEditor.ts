// Workflows as an editor needs them: mistakes with their edits, and what a push would start. Loaded when one is first opened.
import { posix } from 'node:path';
import {
  actionSource,
  answerPush,
  type LintFinding,
  lintFiles,
  type PushAnswer,
  type PushQuestion,
  pinOf,
  readWorkspace,
} from './lint/index.ts';
import { type Place, SlipwayError } from './problems/index.ts';
import { openGit } from './system/git.ts';
import type { System } from './system/index.ts';

export { applyEdits } from './gitops/index.ts';
export type { LintFinding, PushAnswer, PushQuestion };

export interface WorkflowCheck {
  /** In workflow files and what they include; worst first. */
  readonly findings: readonly LintFinding[];
  readonly answers: readonly WorkflowAnswer[];
}

export interface WorkflowAnswer extends PushAnswer {
  /** Where the workflow says what starts it. */
  readonly place: Place;
}

/** Reads files only, so it also works in Restricted Mode. */
export async function checkWorkflows(
  system: System,
  root: string,
  question: PushQuestion | undefined,
): Promise<WorkflowCheck> {
  const files = await readWorkspace(system, root);
  return {
    findings: lintFiles(files).filter(({ code }) => code.startsWith('ci.')),
    answers:
      question === undefined
        ? []
        : answerPush(files, question).map((answer, index) => {
            const workflow = files.findings.pipelines[index]?.workflow;
            const trigger = workflow?.triggers.find(({ event }) => event === 'push') ?? workflow?.triggers[0];
            return { ...answer, place: trigger?.place ?? { file: workflow?.file ?? root } };
          }),
  };
}

/**
 * What a push from here would bring: commits that the remote lacks and what is not committed yet, against the branch that is followed
 * or has the same name, else against the remote's default branch. Undefined outside of git, and on a commit without a branch.
 */
export async function pendingPush(system: System, root: string): Promise<PushQuestion | undefined> {
  const git = await openGit(system, root);
  const branch = (await git?.raw('symbolic-ref', '--short', '-q', 'HEAD').catch(() => ''))?.trim() ?? '';
  if (git === undefined || branch === '') return undefined;
  const own = await firstOf(['HEAD', '@{upstream}'], ['HEAD', `refs/remotes/origin/${branch}`]);
  const base = own ?? (await firstOf(['HEAD', 'refs/remotes/origin/HEAD'], ['HEAD', 'refs/remotes/origin/main']));
  const changed =
    base === undefined
      ? await git.raw('ls-files', '-z')
      : await git.raw('diff', '--name-only', '--no-renames', '-z', base);
  const added = await git.raw('ls-files', '--others', '--exclude-standard', '--full-name', '-z', git.top);
  const files = `${changed}${added}`.split('\0').filter((file) => file !== '');
  const commits = base === undefined ? undefined : Number(await git.raw('rev-list', '--count', `${base}..HEAD`));
  // The message counts that will be pushed last; what is not committed yet has none.
  const open = await git.raw('status', '--porcelain', '-z');
  const message = open === '' && commits !== 0 ? (await git.raw('log', '-1', '--format=%B')).trimEnd() : '';
  return {
    files: [...new Set(files)],
    ref: { branch },
    ...(message !== '' && { message }),
    ...(commits !== undefined && commits > 0 && { commits }),
    ...(own === undefined && { isNewBranch: true }),
  };

  async function firstOf(...pairs: readonly (readonly [string, string])[]): Promise<string | undefined> {
    for (const pair of pairs) {
      const found = (await git?.raw('merge-base', ...pair).catch(() => ''))?.trim() ?? '';
      if (found !== '') return found;
    }
    return undefined;
  }
}

/**
 * `uses` pinned by its commit, with the version for a comment behind it. Asks the repository of the action by git, so only on
 * the person's word. Throws SlipwayError when it has no such ref.
 */
export async function pinAction(
  system: System,
  root: string,
  uses: string,
): Promise<{ readonly uses: string; readonly version: string }> {
  const source = actionSource(uses);
  const git = await openGit(system, root);
  const listing =
    source === undefined || git === undefined ? '' : await git.raw('ls-remote', '--heads', '--tags', '--', source.url);
  const pin = source === undefined ? undefined : pinOf(listing, source.ref);
  if (source === undefined || pin === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.pin',
      message: `${uses} was not pinned: ${source === undefined ? 'it names no ref of a repository' : `${posix.dirname(source.url)}/${posix.basename(source.url)} has no ${source.ref}`}.`,
      fix: 'Name a tag or branch that exists.',
    });
  }
  return { uses: `${uses.slice(0, uses.lastIndexOf('@'))}@${pin.sha}`, version: pin.version };
}
