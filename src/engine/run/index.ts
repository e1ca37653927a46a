// Doing the plan: executor, journal, records, locks, resume; and the one projection of events that every view shows.
export { executeRun, type Rollback, type RunOptions } from './executor.ts';
export { followRuns } from './follow.ts';
export {
  eventsFile,
  folderOf,
  listRuns,
  logFile,
  prepareFolder,
  pruneRuns,
  readEvents,
  readLog,
  runFolder,
} from './journal.ts';
export { isRunLive } from './lock.ts';
export { type EnvironmentMetrics, type Metrics, metricsOf } from './metrics.ts';
export { failedStep, project, type RunView, type StepView } from './projection.ts';
export { readRecords, type StepRecord } from './records.ts';
