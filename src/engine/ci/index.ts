// Pipelines on GitHub, GitLab, Gitea and Forgejo: found by the git remote, seen and steered through one contract.

export { type SavedArtifact, saveArtifact } from './artifacts.ts';
export { hostKey, type KnownHost, type KnownHosts, probeHost, repositoryOf } from './detect.ts';
export { type DispatchInput, readInputs } from './dispatchInputs.ts';
export {
  type Attention,
  followLog,
  followRun,
  followRunList,
  type LogPiece,
  type Look,
  Nudge,
  type RunWithJobs,
} from './follow.ts';
export { type CommitStory, type JournalRun, joinCommits, type RegistryTag } from './join.ts';
export { firstErrorLine, logOfStep, plainLog } from './logText.ts';
export {
  type Ability,
  type CiAction,
  type CiAnnotation,
  type CiArtifact,
  type CiClient,
  type CiJob,
  type CiKind,
  type CiLog,
  type CiRepository,
  type CiRun,
  type CiState,
  type CiStep,
  type CiWorkflow,
  type DispatchRequest,
  isBad,
  isFinished,
  type RunFilter,
} from './model.ts';
export { connectCi, type FoundRepository, findRepository, openCi } from './open.ts';
export { pickJob, pickRun } from './pick.ts';
export type { CiToken } from './token.ts';
