// Gitea (seen with 1.26) writes the state of the job at each of its steps. What the steps really did is in their times and
// in the runner's log.
import type { CiJob, CiState, CiStep } from './model.ts';
import { isFinished } from './model.ts';

/** The job with only what is proven of its steps; `unknown` where the server's word is the job's. */
export function provenSteps(job: CiJob): CiJob {
  const isCopied = job.steps.length > 1 && job.steps.every(({ state }) => state === job.state);
  if (!isCopied) return job;
  return { ...job, steps: job.steps.map((step) => ({ ...step, state: provenState(step, job) })) };
}

function provenState(step: CiStep, job: CiJob): CiState {
  if (step.startedAt === undefined) return isFinished(job.state) ? 'skipped' : 'queued';
  if (job.state === 'succeeded') return 'succeeded';
  if (job.state === 'running' && step.finishedAt === undefined) return 'running';
  // The only step that began is the one that the job failed by.
  if (isFinished(job.state) && job.steps.filter(({ startedAt }) => startedAt !== undefined).length === 1)
    return job.state;
  return 'unknown';
}

/** Fills in what is unknown by the runner's own marks (`✅  Success - Main NAME`, `❌  Failure - Main NAME`). */
export function stepsByLog({ steps, state: ofJob }: CiJob, log: string): readonly CiStep[] {
  const marks = new Map<string, CiState>();
  for (const [, , word, name = ''] of log.matchAll(
    /(\u2705|\u274C)\s+(Success|Failure) - Main (.*?)(?: \[[^\]]*\])?\r?$/gm,
  )) {
    marks.set(name.trim(), word === 'Success' ? 'succeeded' : 'failed');
  }
  // A step that was passed over leaves no mark.
  const unmarked: CiState = marks.size > 0 && isFinished(ofJob) ? 'skipped' : 'unknown';
  return steps.map((step) => (step.state === 'unknown' ? { ...step, state: marks.get(step.name) ?? unmarked } : step));
}
