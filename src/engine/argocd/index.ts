// Argo CD through the Kubernetes API only: what an Application's state means, and syncing, refreshing and rolling it back.
export {
  type Application,
  type ApplicationSource,
  applicationRef,
  type HistoryEntry,
  parseApplication,
  readApplication,
} from './application.ts';
export {
  type ApplicationAccess,
  awaitOperation,
  awaitRevision,
  type FollowOptions,
  getApplication,
  historyEntry,
  listApplications,
  operationFailure,
  refreshApplication,
  resumeAutomation,
  rollBackInCluster,
  startSync,
  terminateOperation,
} from './follow.ts';
export { type ApplicationStatus, freshnessOf, isRunning, judgeApplication } from './judge.ts';
export { pausedReminder, whoRestoresAutomation, whoUndoesRollback } from './operations.ts';
export { isSameRepository } from './repository.ts';
