import { SlipwayError } from '../problems/index.ts';
import type { CiClient, CiJob, CiRun } from './model.ts';

/** How far back a run is looked for by its number. */
const LOOK_BACK = 100;

/**
 * The run a person names: `#42` or `42` (what the pages show), an id, `latest`, or nothing for the newest of the branch.
 * Throws SlipwayError `usage` when there is none.
 */
export async function pickRun(
  client: CiClient,
  wanted: string | undefined,
  branch: string | undefined,
  signal: AbortSignal,
): Promise<CiRun> {
  if (wanted === undefined || wanted === 'latest') {
    const [newest] = await client.runs({ most: 1, ...(branch !== undefined && { branch }) }, signal);
    if (newest !== undefined) return newest;
    const [any] = branch === undefined ? [] : await client.runs({ most: 1 }, signal);
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.no-run',
      message: `${client.repository.path} has no run${branch === undefined ? '' : ` of ${branch}`}.`,
      fix:
        any === undefined
          ? 'Push a commit, or start one: slipway ci run WORKFLOW.'
          : 'Name another branch with --branch.',
    });
  }
  const number = wanted.replace(/^#/, '');
  if (!/^\d+$/.test(number)) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.run-name',
      message: `"${wanted}" is no run: runs have numbers.`,
      fix: 'slipway ci list shows them.',
    });
  }
  const runs = await client.runs({ most: LOOK_BACK }, signal);
  return (
    runs.find((run) => run.number === number) ??
    runs.find((run) => run.id === number) ??
    (await client.run(number, signal))
  );
}

/** The job of a run by id, name, or a part of the name that only one has. Throws SlipwayError `usage`. */
export function pickJob(jobs: readonly CiJob[], wanted: string, run: CiRun): CiJob {
  const lower = wanted.toLowerCase();
  const found =
    jobs.find(({ id, name }) => id === wanted || name === wanted) ??
    only(jobs.filter(({ name }) => name.toLowerCase() === lower)) ??
    only(jobs.filter(({ name }) => name.toLowerCase().includes(lower)));
  if (found !== undefined) return found;
  throw new SlipwayError({
    reason: 'usage',
    code: 'ci.no-job',
    message: `Run #${run.number} has ${jobs.filter(({ name }) => name.toLowerCase().includes(lower)).length > 1 ? 'several jobs' : 'no job'} "${wanted}".`,
    fix: jobs.length === 0 ? 'It has no jobs yet.' : `It has: ${jobs.map(({ name }) => name).join(', ')}.`,
  });
}

const only = <T>(list: readonly T[]): T | undefined => (list.length === 1 ? list[0] : undefined);
