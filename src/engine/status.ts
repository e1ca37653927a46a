import type { RunId } from './events/index.ts';
import type { Project } from './project/model.ts';
import { isRunLive, type RunView } from './run/index.ts';
import type { System } from './system/index.ts';

/** A run in a line. */
export interface ShortRun {
  readonly run: RunId;
  /** `interrupted`: it has no end and its process is gone. */
  readonly state: RunView['state'] | 'interrupted';
  readonly environment: string | null;
  readonly tag?: string;
  /** ISO time. */
  readonly startedAt: string;
  readonly durationMs?: number;
  readonly rolledBack: boolean;
  readonly startedBy: RunView['startedBy'];
  readonly cause?: string;
}

export interface EnvironmentStatus {
  readonly name: string;
  /** The newest verified deploy that the journal has. */
  readonly live?: { readonly tag?: string; readonly run: RunId; readonly verifiedAt: string };
  readonly newest?: ShortRun;
}

export interface WorkspaceStatus {
  readonly environments: readonly EnvironmentStatus[];
  readonly running: readonly ShortRun[];
}

/** What {@link statusOf} asks; the engine's facade has it. */
interface Journal {
  project(): Promise<Project>;
  runs(): Promise<readonly RunId[]>;
  view(run: RunId): Promise<RunView | undefined>;
}

/** Runs that are looked through for the newest of each environment. */
const NEWEST = 60;

type IsLive = (view: RunView) => Promise<boolean>;

/** Where each environment stands by the journal. Files only. */
export async function statusOf(
  system: System,
  journal: Journal,
  isLive: IsLive = (view) => isRunLive(system, view),
): Promise<WorkspaceStatus> {
  const [project, runs] = await Promise.all([journal.project(), journal.runs()]);
  const views = (await Promise.all(runs.slice(0, NEWEST).map((run) => journal.view(run)))).filter(
    (view) => view !== undefined,
  );
  const short = new Map<RunId, ShortRun>();
  for (const view of views) short.set(view.id, await shortRun(view, isLive));
  return {
    environments: project.environments.map(({ name }): EnvironmentStatus => {
      const own = views.filter(({ environment }) => environment === name);
      const live = own.find(({ state, deployed }) => state === 'succeeded' && deployed !== undefined);
      const newest = own[0] === undefined ? undefined : short.get(own[0].id);
      return {
        name,
        ...(live !== undefined && {
          live: {
            ...(live.tag !== undefined && { tag: live.tag }),
            run: live.id,
            verifiedAt: live.finishedAt ?? live.startedAt,
          },
        }),
        ...(newest !== undefined && { newest }),
      };
    }),
    running: [...short.values()].filter(({ state }) => state === 'running'),
  };
}

export async function shortRun(view: RunView, isLive: IsLive): Promise<ShortRun> {
  const isGone = view.state === 'running' && !(await isLive(view));
  return {
    run: view.id,
    state: isGone ? 'interrupted' : view.state,
    environment: view.environment,
    ...(view.tag !== undefined && { tag: view.tag }),
    startedAt: view.startedAt,
    ...(view.durationMs !== undefined && { durationMs: view.durationMs }),
    rolledBack: view.rolledBack,
    startedBy: view.startedBy,
    ...(view.failure !== undefined && { cause: view.failure.message }),
  };
}
