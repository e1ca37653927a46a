import type { FluxActions } from './delivery.ts';
import type { Diagnosis, ObjectDiff, RevisionView } from './deploy/index.ts';
import type { Drift } from './drift.ts';
import type { DryRun } from './dryRun.ts';
import {
  type CheckResult,
  checkEnvironment,
  diagnoseEnvironment,
  diagnosisFolder,
  diffEnvironment,
  environmentOf,
  type RollbackWays,
  revisionsOf,
  rollbackPlan,
  unlockEnvironment,
  watchEnvironment,
  waysOf,
} from './environments.ts';
import type { RunEvent, RunId, StepSummary } from './events/index.ts';
import { Secrets } from './events/secrets.ts';
import { gatherFacts } from './facts.ts';
import type { TagView } from './images/tags.ts';
import type { LintFinding } from './lint/index.ts';
import type { Operations } from './operate.ts';
import { makePlan, type PlanFacts, type PlanRequest } from './plan/index.ts';
import type { Plan } from './plan/step.ts';
import { SlipwayError } from './problems/index.ts';
import {
  bakePrinter,
  type GitFacts,
  type InitProposal,
  loadProject,
  proposeConfig,
  resolveBakes,
} from './project/index.ts';
import type { Project, RollbackWay } from './project/model.ts';
import { refuseErrors } from './refuseErrors.ts';
import type { LiveState } from './rollout/index.ts';
import {
  executeRun,
  followRuns,
  isRunLive,
  listRuns,
  type Metrics,
  metricsOf,
  project as projectRun,
  pruneRuns,
  type RunView,
  readEvents,
  readRecords,
  type StepRecord,
} from './run/index.ts';
import { diagnose, lease, recordVerified, rollback, stepKinds } from './run/stepKinds.ts';
import type { System } from './system/index.ts';

export type * from './delivery.ts';
export type { Answer, Diagnosis, ObjectDiff, RevisionView } from './deploy/index.ts';
export type { Drift } from './drift.ts';
export type { DryRun, DryRunImage } from './dryRun.ts';
export type { CheckResult, RollbackWays } from './environments.ts';
export type { RunEvent, RunId } from './events/index.ts';
export type { TagView } from './images/tags.ts';
export type { LintFinding, LintFix } from './lint/index.ts';
export type * from './operate.ts';
export type { PlanRequest } from './plan/index.ts';
export type { Plan, PlannedStep } from './plan/step.ts';
export { type DeliveryKind, proposeDelivery, proposedDiff, writeDelivery } from './project/index.ts';
export type { Project, RollbackWay } from './project/model.ts';
export type { LiveState, LiveWorkloadView } from './rollout/index.ts';
export type { EnvironmentMetrics, Metrics, RunView, StepView } from './run/index.ts';
/** Completion, hovers and links of slipway.yaml; loaded when a file is first looked at. */
export const configLanguage = () => import('./configLanguage.ts');
export { createSystem, type System } from './system/index.ts';

export interface EngineOptions {
  readonly system: System;
  /** Absolute workspace root. */
  readonly root: string;
  /** Absolute path of the configuration instead of slipway.yaml in the root. */
  readonly configFile?: string;
  /** Finished runs kept in the journal, instead of what the configuration says. */
  readonly keepRuns?: number;
}

export interface RunRequest extends PlanRequest {
  readonly signal: AbortSignal;
  readonly startedBy: 'cli' | 'editor' | 'agent' | 'ci' | 'test';
  readonly onEvent?: (event: RunEvent) => void;
}

/** The engine for one workspace root: what CLI, extension and agents call. Holds no state between calls. */
export class Engine {
  readonly root: string;
  readonly #system: System;
  readonly #configFile: string | undefined;
  readonly #keepRuns: number | undefined;

  constructor(options: EngineOptions) {
    this.root = options.root;
    this.#system = options.system;
    this.#configFile = options.configFile;
    this.#keepRuns = options.keepRuns;
  }

  /** Reads the workspace only: no process, no network. */
  project(): Promise<Project> {
    return loadProject(this.#system, this.root, this.#configFile);
  }

  /**
   * The steps a run for the environment (null: none, up to publish) would have, by the configuration alone: no process,
   * no hashing, nothing decided. For views that show a pipeline before it has run.
   */
  outline(project: Project, environment: string | null): readonly StepSummary[] {
    const plan = makePlan(project, outlineFacts, environment === null ? {} : { environment });
    return plan.steps.map(({ id, kind, title, needs }) => ({ id, kind, title, needs }));
  }

  /** The slipway.yaml that the workspace suggests; see {@link proposeConfig}. Writes nothing. */
  propose(): Promise<InitProposal> {
    return proposeConfig(this.#system, this.root);
  }

  /**
   * Mistakes in workflows and GitOps files and the feedback loops between them, each with the edits that mend it. Reads
   * files only. Offsets of edits are in the text as it is on disk.
   */
  async lint(): Promise<readonly LintFinding[]> {
    const { lintWorkspace } = await import('./lint/index.ts');
    return lintWorkspace(this.#system, this.root);
  }

  /** Asks git, and docker for bake targets, and plans. Throws SlipwayError `config` when the configuration has errors. */
  async plan(
    request: PlanRequest,
  ): Promise<{ readonly project: Project; readonly plan: Plan; readonly git: GitFacts }> {
    // A plan may ask tools; without slipway.yaml buildx says what reading bake files leaves open.
    const printBake = bakePrinter(this.#system, this.root);
    const configured = await loadProject(this.#system, this.root, this.#configFile, { printBake });
    refuseErrors(configured);
    const project = await resolveBakes(this.#system, configured);
    const { git, facts } = await gatherFacts(this.#system, project);
    return { project, plan: makePlan(project, facts, request), git };
  }

  /**
   * Plans and runs to the end. A failed app is a view with state `failed`, not an exception; throws SlipwayError for
   * configuration, `locked`, or an internal fault.
   */
  async run(request: RunRequest): Promise<RunView> {
    const { plan } = await this.plan(request);
    // A green run that did nothing would pass for a test, a gate and a deploy.
    if (plan.steps.length === 0) {
      throw new SlipwayError({
        reason: 'config',
        code: 'plan.nothing',
        message: 'There is nothing to run: this project has no images, tests or commands for what was asked.',
        fix: 'slipway plan shows what was found; open the folder that holds the app, or describe it in slipway.yaml (slipway init).',
      });
    }
    return this.#execute(plan, request);
  }

  /**
   * Goes on with a run that was killed, cancelled or failed: its finished steps are kept, the rest is looked at and
   * done. Without an id, the newest run. Throws SlipwayError `usage` when there is nothing to resume.
   */
  async resume(request: Omit<RunRequest, keyof PlanRequest> & { readonly run?: RunId }): Promise<RunView> {
    const run = request.run ?? (await listRuns(this.#system.files, this.root))[0];
    const events = run === undefined ? [] : await readEvents(this.#system.files, this.root, run);
    const view = projectRun(events);
    if (run === undefined || view === undefined) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'resume.none',
        message: 'There is no run to resume.',
        fix: 'Start one: slipway run.',
      });
    }
    if (view.state === 'succeeded') {
      throw new SlipwayError({
        reason: 'usage',
        code: 'resume.done',
        message: `Run ${run} has succeeded; nothing is left to do.`,
        fix: 'Start a new one: slipway run.',
      });
    }
    if (await isRunLive(this.#system, view)) {
      throw new SlipwayError({
        reason: 'locked',
        code: 'resume.live',
        message: `Run ${run} still goes on (process ${view.pid}).`,
        fix: 'Wait for it, or cancel it.',
      });
    }
    const ids = new Set(view.steps.map((step) => step.id));
    const { plan } = await this.plan({
      ...(view.environment !== null && { environment: view.environment }),
      ...(!view.steps.some((step) => step.kind === 'publish') && view.tag !== undefined && { tag: view.tag }),
    });
    const steps = plan.steps.filter((step) => ids.has(step.id));
    const changed = view.commit !== undefined && plan.commit !== view.commit;
    if (changed || steps.length < [...ids].filter((id) => !id.startsWith('rollback:')).length) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'resume.changed',
        message: `Run ${run} was for another state of the workspace (${view.commit?.slice(0, 7) ?? 'no commit'}, now ${plan.commit?.slice(0, 7) ?? 'none'}).`,
        fix: 'Check out that commit to resume it, or start a new run: what is unchanged is skipped.',
      });
    }
    return this.#execute({ ...plan, steps }, request, { run, events });
  }

  runs(): Promise<readonly RunId[]> {
    return listRuns(this.#system.files, this.root);
  }

  /** The run as the views show it; undefined when there is none of that id. */
  async view(run: RunId): Promise<RunView | undefined> {
    return projectRun(await readEvents(this.#system.files, this.root, run));
  }

  /** What the runs kept in the journal add up to; see {@link metricsOf}. */
  async metrics(options: { readonly days?: number; readonly environment?: string } = {}): Promise<Metrics> {
    const views = await Promise.all((await this.runs()).map((run) => this.view(run)));
    const now = this.#system.clock.now();
    return metricsOf(
      views.flatMap((view) =>
        view === undefined || (options.environment !== undefined && view.environment !== options.environment)
          ? []
          : [view],
      ),
      { now, ...(options.days !== undefined && { from: now - options.days * 86_400_000 }) },
    );
  }

  records(): Promise<ReadonlyMap<string, StepRecord>> {
    return readRecords(this.#system.files, this.root);
  }

  /** See {@link followRuns}. */
  follow(
    onEvents: (run: RunId, events: readonly RunEvent[]) => void,
    options: { readonly signal: AbortSignal; readonly newest?: number; readonly isReadOnly?: boolean },
  ): Promise<void> {
    return followRuns(this.#system.files, this.root, onEvents, options);
  }

  /** The newest tags of an image of the project, asked of its registry; see {@link listTags}. */
  async tags(image: string, most: number, signal: AbortSignal): Promise<readonly TagView[]> {
    const { listTags } = await import('./images/tags.ts');
    const repository = (await this.project()).images.find(({ name }) => name === image)?.repository ?? image;
    return listTags(this.#system, repository, { most, signal, secrets: secretsOf(this.#system) });
  }

  /** What would make a deploy fail, without a run and without a write. */
  async check(
    request: PlanRequest,
    signal: AbortSignal,
  ): Promise<CheckResult & { readonly loops: readonly LintFinding[] }> {
    const [result, findings] = await Promise.all([
      this.plan(request).then(({ plan }) => checkEnvironment(plan, this.#asking(signal))),
      this.lint(),
    ]);
    return { ...result, loops: findings.filter(({ code }) => code === 'ci.feedback-loop') };
  }

  /** What a deploy would change in the cluster, secrets masked. */
  async diff(request: PlanRequest, signal: AbortSignal): Promise<readonly ObjectDiff[]> {
    return diffEnvironment((await this.plan(request)).plan, this.#asking(signal));
  }

  /** What a run would bring into the cluster, by dry runs of helm and the API server; see {@link dryRunOf}. */
  async dryRun(
    request: PlanRequest,
    signal: AbortSignal,
  ): Promise<{ readonly project: Project; readonly plan: Plan; readonly deploy: DryRun | null }> {
    const { project, plan } = await this.plan(request);
    if (!plan.steps.some(({ kind }) => kind === 'deploy')) return { project, plan, deploy: null };
    const { dryRunOf } = await import('./dryRun.ts');
    return { project, plan, deploy: await dryRunOf(plan, this.#asking(signal)) };
  }

  /** The deployer's own history of an environment, newest first. */
  async revisions(environment: string, signal: AbortSignal): Promise<readonly RevisionView[]> {
    return revisionsOf(environmentOf(await this.project(), environment), this.#asking(signal));
  }

  /** Rolls back by command, as a run with a journal; without `to`, to the last other verified version. */
  async rollBack(
    request: Omit<RunRequest, keyof PlanRequest> & {
      readonly environment: string;
      readonly to?: string;
      /** Flux: which way; see {@link Engine.rollbackWays}. */
      readonly how?: RollbackWay;
    },
  ): Promise<RunView> {
    const environment = environmentOf(await this.project(), request.environment);
    return this.#execute(rollbackPlan(this.root, environment, request.to, request.how), request);
  }

  /** Under Flux: the ways back to choose from, best first, with what each controller would do next. Writes nothing. */
  async rollbackWays(
    environment: string,
    to: string | undefined,
    signal: AbortSignal,
  ): Promise<RollbackWays | undefined> {
    return waysOf(environmentOf(await this.project(), environment), to, this.#asking(signal));
  }

  /** Takes away a lock that a killed helm left. One sentence on it; undefined when there was none. */
  async unlock(environment: string, signal: AbortSignal): Promise<string | undefined> {
    return unlockEnvironment(environmentOf(await this.project(), environment), this.#asking(signal));
  }

  /** Collects what there is to see of an environment now; the report is in `folder`. */
  async diagnose(environment: string, signal: AbortSignal): Promise<Diagnosis & { readonly folder: string }> {
    const folder = diagnosisFolder(this.root, environment);
    const found = environmentOf(await this.project(), environment);
    return { ...(await diagnoseEnvironment(found, folder, this.#asking(signal))), folder };
  }

  /** Follows what runs of an environment until the signal aborts; see {@link watchEnvironment}. */
  async watch(environment: string, onChange: (state: LiveState) => void, signal: AbortSignal): Promise<void> {
    return watchEnvironment(environmentOf(await this.project(), environment), onChange, this.#asking(signal));
  }

  /** Where what runs differs from the files, with the versions that the journal says are live; see {@link Drift}. */
  async drift(environment: string, signal: AbortSignal): Promise<readonly Drift[]> {
    const project = await this.project();
    const found = environmentOf(project, environment);
    const views: RunView[] = [];
    for (const run of await this.runs()) {
      const view = await this.view(run);
      if (view?.environment !== environment) continue;
      views.push(view);
      if (view.state === 'succeeded' && view.deployed !== undefined) break;
    }
    const { deployedBy, driftOf } = await import('./drift.ts');
    return driftOf({ project, environment: found, deployed: deployedBy(views, environment) }, this.#asking(signal));
  }

  /** Flux in the cluster: status, reconcile, suspend, resume, rollback. Contacts nothing before a method is called. */
  async flux(): Promise<FluxActions> {
    const { FluxActions } = await import('./delivery.ts');
    const system = this.#system;
    return new FluxActions({ system, secrets: secretsOf(system), root: this.root, project: () => this.project() });
  }

  /** Everyday work on what runs: status, logs, exec, describe, port-forward, restart, scale, smoke. Contacts nothing yet. */
  async operations(): Promise<Operations> {
    const { Operations } = await import('./operate.ts');
    const system = this.#system;
    return new Operations({ system, secrets: secretsOf(system), root: this.root, project: () => this.project() });
  }

  #asking(signal: AbortSignal) {
    return { system: this.#system, secrets: secretsOf(this.#system), signal };
  }

  async #execute(
    plan: Plan,
    request: Omit<RunRequest, keyof PlanRequest>,
    resume?: { readonly run: RunId; readonly events: readonly RunEvent[] },
  ): Promise<RunView> {
    const system = this.#system;
    const records = await readRecords(system.files, this.root);
    const view = await executeRun({
      system,
      plan,
      kinds: stepKinds(),
      secrets: secretsOf(system),
      startedBy: request.startedBy,
      signal: request.signal,
      records,
      rollback,
      recordVerified,
      diagnose,
      lease,
      ...(request.onEvent !== undefined && { onEvent: request.onEvent }),
      ...(resume !== undefined && { resume }),
    });
    const retention = this.#keepRuns === undefined ? (await this.project()).history : { keep: this.#keepRuns };
    await pruneRuns(
      system.files,
      this.root,
      {
        keep: retention.keep,
        ...('days' in retention && retention.days !== undefined && { maxAgeMs: retention.days * 86_400_000 }),
      },
      system.clock.now(),
      (events) => projectRun(events)?.state === 'running',
    );
    return view;
  }
}

/** Stand-ins that let every tag template be filled: an outline has no tags, only steps. */
const outlineFacts: PlanFacts = {
  commit: '0'.repeat(40),
  branch: 'branch',
  tags: ['v0.0.0'],
  commitCount: 0,
  isDirty: false,
  now: 0,
  contexts: new Map(),
  testInputs: new Map(),
  records: new Map(),
  toolVersions: {},
};

/** Environment variables that by their name hold a secret are masked from the first event on. */
export function secretsOf(system: System): Secrets {
  const secrets = new Secrets();
  for (const [name, value] of Object.entries(system.env)) {
    if (
      /(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|PRIVATE_?KEY|CREDENTIALS?|AUTH_CONFIG)$/i.test(name) &&
      (value?.length ?? 0) >= 8
    ) {
      secrets.add(value);
    }
  }
  return secrets;
}

/** Markers, policies and tags, loaded when somebody first looks at one: nothing else of the engine needs them. */
export const loadMarkers = () => import('./markers/index.ts');

/** Mistakes of workflows and feedback loops, for files that are open. */
export const loadLint = () => import('./lint/index.ts');

/** Workflows in the editor. */
export const loadWorkflowEditor = () => import('./workflowEditor.ts');

export const loadCi = () => import('./ciHost.ts');

/** Argo CD's Applications outside of a run. */
export const loadApplications = () => import('./applications.ts');
