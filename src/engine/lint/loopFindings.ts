/** Feedback loops between the image bots and the workflows of one repository, each with the edits that break it. */
import { posix } from 'node:path';
import {
  applyEdits,
  ignoreFolderFix,
  judgeLoop,
  type LoopVerdict,
  readYamlObjects,
  skipCiFix,
} from '../gitops/index.ts';
import type { Place } from '../problems/index.ts';
import type { PipelineFinding } from '../project/index.ts';
import { botCommits, type KnownBot } from './botCommits.ts';
import type { LintFinding, LintFix } from './findings.ts';
import { workflowFacts } from './workflowFacts.ts';
import type { WorkspaceFiles } from './workspaceFiles.ts';

/** One bot against one workflow. */
export interface LoopAnswer extends LoopVerdict {
  readonly bot: string;
  /** Path from the root. */
  readonly workflow: string;
  readonly files: readonly string[];
  readonly branch?: string;
}

interface Pair {
  readonly bot: KnownBot;
  readonly pipeline: PipelineFinding;
  readonly text: string;
  readonly verdict: LoopVerdict;
}

function pairs(files: WorkspaceFiles): readonly Pair[] {
  const bots = botCommits(files);
  return files.findings.pipelines.flatMap((pipeline) => {
    const text = files.texts.get(pipeline.workflow.file);
    if (text === undefined) return [];
    return bots.map((bot) => ({ bot, pipeline, text, verdict: verdictOf(files, pipeline, text, bot) }));
  });
}

const verdictOf = (files: WorkspaceFiles, pipeline: PipelineFinding, text: string, bot: KnownBot): LoopVerdict =>
  judgeLoop(bot.commit, workflowFacts(pipeline, text, bot, files.defaultBranch));

/** Every pair of bot and workflow, the harmless ones as well. */
export function loopAnswers(files: WorkspaceFiles): readonly LoopAnswer[] {
  return pairs(files).map(({ bot, pipeline, verdict }) => ({
    ...verdict,
    bot: bot.commit.bot,
    workflow: pipeline.path,
    files: bot.commit.files,
    ...(bot.commit.branch !== undefined && { branch: bot.commit.branch }),
  }));
}

const SEVERITIES = { loop: 'error', noise: 'info', unknown: 'info' } as const;

/** Findings for loops (errors), and for runs that are for nothing or not known (infos). */
export function loopFindings(files: WorkspaceFiles): readonly LintFinding[] {
  return pairs(files).flatMap((pair): readonly LintFinding[] => {
    const { verdict, bot, pipeline } = pair;
    if (verdict.verdict === 'safe' || verdict.verdict === 'guarded') return [];
    const fixes = verdict.verdict === 'unknown' ? [] : fixesOf(files, pair);
    const first = fixes[0];
    return [
      {
        severity: SEVERITIES[verdict.verdict],
        code: `ci.feedback-${verdict.verdict}`,
        message: `${upper(verdict.reason)}.`,
        place: triggerPlace(pipeline),
        fix:
          first === undefined
            ? `Keep ${bot.commit.files.join(', ')} out of the workflow's path filter, or let the bot write to another branch or repository.`
            : `${first.title}.`,
        fixes,
        related: { place: bot.place, message: `${upper(bot.commit.bot)} commits` },
      },
    ];
  });
}

const upper = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

function triggerPlace({ workflow }: PipelineFinding): Place {
  return workflow.triggers.find(({ event }) => event === 'push' || event === 'pipeline')?.place ?? workflow.place;
}

/** Only edits after which the bot's commit starts nothing any more, smallest first. */
function fixesOf(files: WorkspaceFiles, { bot, pipeline, text }: Pair): readonly LintFix[] {
  const { workflow } = pipeline;
  const fixes: LintFix[] = [];
  const folder = commonFolder(bot.commit.files);
  if (workflow.host !== 'gitlab' && folder !== undefined) {
    const fix = ignoreFolderFix(text, workflow.file, folder);
    if (fix !== undefined) {
      const after = verdictOf(files, pipeline, applyEdits(text, fix.edits), bot);
      if (after.verdict === 'safe') {
        fixes.push({
          title: `${fix.title} of ${pipeline.path}`,
          file: workflow.file,
          edits: fix.edits,
          ...(fix.warning !== undefined && { warning: fix.warning }),
        });
      }
    }
  }
  const { automation } = bot;
  const source = automation === undefined ? undefined : files.texts.get(automation.source.file);
  if (automation !== undefined && source !== undefined) {
    const fix = skipCiFix(source, automation.source, workflow.host);
    if (fix !== undefined && isReadBack(applyEdits(source, fix.edits), automation.source.file)) {
      fixes.push({
        title: fix.title,
        file: automation.source.file,
        edits: fix.edits,
        ...(fix.warning !== undefined && { warning: fix.warning }),
      });
    }
  }
  return fixes;
}

const isReadBack = (text: string, file: string): boolean => readYamlObjects(text, file).length > 0;

/** The folder that all files are in; undefined when that is the root, where the app's own files lie, too. */
function commonFolder(files: readonly string[]): string | undefined {
  const [first, ...rest] = files.map((file) => posix.dirname(file).split('/'));
  if (first === undefined) return undefined;
  let length = first.length;
  for (const parts of rest) {
    let same = 0;
    while (same < length && parts[same] === first[same]) same += 1;
    length = same;
  }
  const folder = first.slice(0, length).join('/');
  return folder === '' || folder === '.' ? undefined : folder;
}
