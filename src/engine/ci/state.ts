// The hosts' words for how things stand, as ours.
import type { CiState } from './model.ts';

/** GitHub, and the runs and jobs of Gitea and Forgejo: a status and, once it is over, a conclusion. */
export function stateOfPair(status: string | null | undefined, conclusion: string | null | undefined): CiState {
  const word = conclusion === null || conclusion === undefined || conclusion === '' ? (status ?? '') : conclusion;
  return WORDS[word] ?? 'unknown';
}

const WORDS: Readonly<Record<string, CiState>> = {
  // status
  queued: 'queued',
  pending: 'queued',
  requested: 'queued',
  in_progress: 'running',
  running: 'running',
  waiting: 'waiting',
  blocked: 'waiting',
  // conclusion
  success: 'succeeded',
  failure: 'failed',
  neutral: 'succeeded',
  cancelled: 'cancelled',
  cancelling: 'running',
  skipped: 'skipped',
  timed_out: 'timed-out',
  action_required: 'waiting',
  stale: 'cancelled',
  startup_failure: 'failed',
};

/** GitLab's one word for pipelines and jobs. */
export function stateOfGitlab(status: string, isAllowedToFail: boolean): CiState {
  if (status === 'failed' && isAllowedToFail) return 'warning';
  return GITLAB[status] ?? 'unknown';
}

const GITLAB: Readonly<Record<string, CiState>> = {
  created: 'queued',
  waiting_for_resource: 'waiting',
  waiting_for_callback: 'waiting',
  preparing: 'queued',
  pending: 'queued',
  running: 'running',
  success: 'succeeded',
  failed: 'failed',
  canceling: 'running',
  canceled: 'cancelled',
  skipped: 'skipped',
  manual: 'waiting',
  scheduled: 'waiting',
};
