// Everyday work on what runs: status, logs, exec, describe, port-forward, restart, scale. Everything is found by what a
// person types (`deploy/web`) in a scope: a namespace and what the environment deploys there.
export { type Changed, restart, scale } from './change.ts';
export { type Description, describe } from './describe.ts';
export { type ExecOutcome, type ExecRequest, execute, executeInTerminal, type Terminal } from './execute.ts';
export { findObject, type Named, type Scope, WORKLOAD_KINDS, words, workloadsOf } from './find.ts';
export { followLogs } from './followLogs.ts';
export { type Forward, type ForwardEvents, type ForwardRequest, forward, parsePorts } from './forward.ts';
export { compareTimes, type LogLine, type LogNote, type LogsRequest } from './logLines.ts';
export { readLogs } from './logs.ts';
export {
  type CommitSource,
  type EnvironmentStatus,
  environmentStatus,
  type LiveImage,
  type StatusSources,
  type Version,
} from './status.ts';
