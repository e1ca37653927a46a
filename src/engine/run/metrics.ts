import type { RunView } from './projection.ts';

/** Numbers over the runs of a workspace; times in ms. Rates are absent where there is nothing to divide by. */
export interface Metrics {
  /** ISO times of the period looked at. */
  readonly from: string;
  readonly until: string;
  readonly runs: {
    readonly total: number;
    readonly succeeded: number;
    readonly failed: number;
    readonly cancelled: number;
    /** Of those that came to an end of their own. */
    readonly successRate?: number;
    readonly medianMs?: number;
    readonly slowestMs?: number;
  };
  /** Kind of step → median of those that ran. */
  readonly steps: Readonly<Record<string, { readonly count: number; readonly medianMs: number }>>;
  readonly environments: readonly EnvironmentMetrics[];
}

/** The four keys of DORA as far as the journal knows them, for one environment. */
export interface EnvironmentMetrics {
  readonly environment: string;
  /** Runs that wrote a new version into the cluster. Rollbacks by command are not deployments. */
  readonly deployments: number;
  /** Deployments of the period divided by its days, from the first of them on. */
  readonly perDay?: number;
  /** Deployments that did not hold: rollout or smoke test failed, or the next thing done there was a rollback by command. */
  readonly failed: number;
  readonly changeFailureRate?: number;
  /** From the first write of a bad version until a good one served again, by rollback or by a later deployment. */
  readonly timeToRestore: { readonly restored: number; readonly open: number; readonly medianMs?: number };
  /** Why versions were taken back, most frequent first. */
  readonly causes: readonly { readonly code: string; readonly count: number; readonly latest: string }[];
}

const DAY_MS = 86_400_000;

/** Pure. `views` in any order; those that began before `from` (ms since the epoch) do not count, nor those that go on. */
export function metricsOf(
  views: readonly RunView[],
  period: { readonly from?: number; readonly now: number },
): Metrics {
  const chosen = views
    .filter(({ state, startedAt }) => state !== 'running' && Date.parse(startedAt) >= (period.from ?? 0))
    .toSorted((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt));
  const first = chosen[0];
  const from = period.from ?? (first === undefined ? period.now : Date.parse(first.startedAt));
  const succeeded = chosen.filter(({ state }) => state === 'succeeded').length;
  const failed = chosen.filter(({ state }) => state === 'failed').length;
  const durations = chosen.flatMap(({ state, durationMs }) =>
    state === 'succeeded' && durationMs !== undefined ? [durationMs] : [],
  );
  const names = [...new Set(chosen.flatMap(({ environment }) => (environment === null ? [] : [environment])))];
  return {
    from: new Date(from).toISOString(),
    until: new Date(period.now).toISOString(),
    runs: {
      total: chosen.length,
      succeeded,
      failed,
      cancelled: chosen.length - succeeded - failed,
      ...rate('successRate', succeeded, succeeded + failed),
      ...(durations.length > 0 && { medianMs: median(durations), slowestMs: Math.max(...durations) }),
    },
    steps: stepTimes(chosen),
    environments: names.sort().map((name) =>
      environmentMetrics(
        name,
        chosen.filter(({ environment }) => environment === name),
        period.now,
      ),
    ),
  };
}

function environmentMetrics(environment: string, runs: readonly RunView[], now: number): EnvironmentMetrics {
  const deployments = runs.filter(isDeployment);
  const bad = deployments.filter((run) => !held(run, runs));
  const firstAt = deployments[0]?.startedAt;
  // A period that has just begun would make one deployment a hundred a day.
  const days = firstAt === undefined ? 0 : Math.max(1, (now - Date.parse(firstAt)) / DAY_MS);
  const restored = bad.flatMap((run) => {
    const ms = restoredAfter(run, runs);
    return ms === undefined ? [] : [ms];
  });
  return {
    environment,
    deployments: deployments.length,
    ...(days > 0 && { perDay: round(deployments.length / days) }),
    failed: bad.length,
    ...rate('changeFailureRate', bad.length, deployments.length),
    timeToRestore: {
      restored: restored.length,
      open: bad.length - restored.length,
      ...(restored.length > 0 && { medianMs: median(restored) }),
    },
    causes: causesOf(bad),
  };
}

const isDeployment = (run: RunView): boolean =>
  run.deployed !== undefined && run.steps.some(({ kind }) => kind === 'deploy');
const isRollback = (run: RunView): boolean =>
  run.steps.length > 0 && run.steps.every(({ kind }) => kind === 'rollback');
const startOf = (run: RunView): number => Date.parse(run.startedAt);

/** A version holds when its run succeeded and nobody took it back by hand afterwards. A cancelled run says nothing bad. */
function held(run: RunView, runs: readonly RunView[]): boolean {
  if (run.state === 'failed') return false;
  const next = runs.find((other) => startOf(other) > startOf(run) && (isDeployment(other) || isRollback(other)));
  return next === undefined || !isRollback(next) || next.state !== 'succeeded';
}

function restoredAfter(run: RunView, runs: readonly RunView[]): number | undefined {
  const written = Date.parse(run.steps.find(({ kind }) => kind === 'deploy')?.startedAt ?? run.startedAt);
  const own = run.rollback?.finished;
  if (own?.outcome === 'restored') {
    if (own.sinceDeployMs !== undefined) return own.sinceDeployMs;
    if (run.finishedAt !== undefined) return Date.parse(run.finishedAt) - written;
  }
  const good = runs.find(
    (other) =>
      startOf(other) > startOf(run) && other.state === 'succeeded' && (isDeployment(other) || isRollback(other)),
  );
  return good?.finishedAt === undefined ? undefined : Date.parse(good.finishedAt) - written;
}

function causesOf(bad: readonly RunView[]): EnvironmentMetrics['causes'] {
  const counts = new Map<string, { count: number; latest: string }>();
  for (const run of bad) {
    const code = run.verdict?.causes[0]?.code ?? run.failure?.code ?? run.failure?.reason ?? 'taken back by hand';
    counts.set(code, { count: (counts.get(code)?.count ?? 0) + 1, latest: run.id });
  }
  return [...counts].map(([code, rest]) => ({ code, ...rest })).sort((a, b) => b.count - a.count);
}

function stepTimes(runs: readonly RunView[]): Metrics['steps'] {
  const times = new Map<string, number[]>();
  for (const { steps } of runs) {
    for (const { kind, state, durationMs } of steps) {
      if (state === 'succeeded' && durationMs !== undefined) times.set(kind, [...(times.get(kind) ?? []), durationMs]);
    }
  }
  return Object.fromEntries([...times].map(([kind, list]) => [kind, { count: list.length, medianMs: median(list) }]));
}

function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : Math.round(((sorted[middle - 1] ?? upper) + upper) / 2);
}

const round = (value: number): number => Math.round(value * 1000) / 1000;
const rate = <K extends string>(name: K, part: number, whole: number): { readonly [key in K]?: number } =>
  whole === 0 ? {} : ({ [name]: round(part / whole) } as { readonly [key in K]?: number });
