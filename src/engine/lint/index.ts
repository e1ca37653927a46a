// Mistakes in workflows and GitOps files, feedback loops between them, and whether a push starts CI: reading only.
export type { LintFinding, LintFix } from './findings.ts';
export { fixedFiles, lintFiles, lintWorkflows, lintWorkspace } from './lintWorkspace.ts';
export { type LoopAnswer, loopAnswers } from './loopFindings.ts';
export { answerPush, askPush, type PushAnswer, type PushQuestion } from './pushQuestion.ts';
export { actionSource, pinOf } from './workflowFixes.ts';
export { readIndexed, readWorkspace } from './workspaceFiles.ts';
