import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { CiClient, CiRun, DispatchRequest } from './model.ts';

const TRIES = 8;
const PAUSE_MS = 1_000;
/** The host's clock and ours differ a little. */
const CLOCK_SLACK_MS = 30_000;

/**
 * The run that a dispatch started, where the host does not say it: the newest of that workflow, event and ref that was made
 * since. Undefined when it does not show up in time; a dispatch is never sent again because of that.
 */
export async function findStarted(
  client: Pick<CiClient, 'runs'>,
  system: System,
  request: DispatchRequest,
  since: number,
  signal: AbortSignal,
): Promise<CiRun | undefined> {
  const ref = request.ref.replace(/^refs\/(heads|tags)\//, '');
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const runs = await client.runs({ workflow: request.workflow, most: 10 }, signal);
    const found = runs.find(
      (run) =>
        run.event === 'workflow_dispatch' && run.ref === ref && Date.parse(run.createdAt) >= since - CLOCK_SLACK_MS,
    );
    if (found !== undefined) return found;
    await system.clock.sleep(PAUSE_MS, signal);
  }
  return undefined;
}

export function inputCountRefused(request: DispatchRequest, most: number): void {
  const count = Object.keys(request.inputs).length;
  if (count <= most) return;
  throw new SlipwayError({
    reason: 'usage',
    code: 'ci.inputs',
    message: `${request.workflow} was given ${count} inputs; the host takes at most ${most}.`,
    fix: 'Give fewer inputs.',
  });
}
