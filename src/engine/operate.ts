import { environmentOf } from './environments.ts';
import type { EventBody, ObjectRef } from './events/index.ts';
import type { Secrets } from './events/secrets.ts';
import type {
  Changed,
  Description,
  EnvironmentStatus,
  ExecOutcome,
  ExecRequest,
  Forward,
  ForwardEvents,
  ForwardRequest,
  LogLine,
  LogNote,
  LogsRequest,
  Named,
  Scope,
  Terminal,
} from './operations/index.ts';
import { isCancelled, SlipwayError, toFailure } from './problems/index.ts';
import type { EnvironmentConfig, Project, SmokeConfig } from './project/model.ts';
import type { RolloutResult } from './rollout/index.ts';
import type { System } from './system/index.ts';

export type {
  Changed,
  CommitSource,
  Description,
  EnvironmentStatus,
  ExecOutcome,
  ExecRequest,
  Forward,
  ForwardRequest,
  LiveImage,
  LogLine,
  LogNote,
  LogsRequest,
  Named,
  Terminal,
  Version,
} from './operations/index.ts';

export interface OperationsOptions {
  readonly system: System;
  readonly secrets: Secrets;
  readonly root: string;
  readonly project: () => Promise<Project>;
}

/** Where: an environment; without one the only one there is. `namespace` looks elsewhere in its cluster. */
export interface OperationPlace {
  readonly environment?: string;
  readonly namespace?: string;
}

/** A smoke check outside of a run. */
export interface SmokeOutcome {
  readonly check: string;
  readonly kind: SmokeConfig['kind'];
  readonly isOk: boolean;
  readonly attempts: number;
  readonly durationMs: number;
  readonly message: string;
  readonly url?: string;
}

export interface SmokeReport {
  readonly results: readonly SmokeOutcome[];
  /** URLs of this environment that answer from this machine. */
  readonly endpoints: readonly { readonly title: string; readonly url: string }[];
}

/**
 * Everyday work on what runs, for CLI, editor and agents. Nothing is contacted before a method is called; every method
 * throws SlipwayError and CancelledError, and leaves no process or connection behind when its signal aborts. Asking
 * before a protected environment is changed is the caller's.
 */
export class Operations {
  readonly #o: OperationsOptions;

  constructor(options: OperationsOptions) {
    this.#o = options;
  }

  /** What is live where. An environment that cannot be asked is in the list with its `failure`. */
  async status(
    environments: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<readonly EnvironmentStatus[]> {
    const project = await this.#o.project();
    const wanted = environments?.map((name) => environmentOf(project, name)) ?? project.environments;
    const { system, secrets, root } = this.#o;
    const [{ environmentStatus }, { Registry }, { openGit }] = await Promise.all([
      import('./operations/index.ts'),
      import('./images/index.ts'),
      import('./system/git.ts'),
    ]);
    const git = await openGit(system, root);
    const quiet = async (...args: readonly string[]): Promise<string> =>
      (await git?.raw(...args).catch(() => ''))?.trim() ?? '';
    const [commit, branch] = await Promise.all([
      quiet('rev-parse', '--verify', 'HEAD'),
      quiet('symbolic-ref', '--short', '-q', 'HEAD'),
    ]);
    const head = commit === '' ? undefined : { commit, ...(branch !== '' && { branch }) };
    const sources = { project, registry: new Registry(system, secrets), git, head, isShallow: git?.isShallow === true };
    return Promise.all(
      wanted.map(async (environment): Promise<EnvironmentStatus> => {
        try {
          const opened = await this.#open(environment, signal);
          return await environmentStatus(environment, await opened.scope(), sources, opened.history);
        } catch (error) {
          if (isCancelled(error) || signal.aborted) throw error;
          return {
            environment: environment.name,
            context: environment.context ?? '',
            namespace: environment.namespace,
            isProtected: environment.isProtected,
            deployer: environment.deploy.kind,
            workloads: [],
            images: [],
            missing: [],
            failure: toFailure(error),
          };
        }
      }),
    );
  }

  /** The workloads that a person may name there, for completion and pickers. */
  async workloads(place: OperationPlace, signal: AbortSignal): Promise<readonly ObjectRef[]> {
    const opened = await this.#open(await this.#environment(place), signal, place);
    return (await opened.scope()).targets;
  }

  /** All lines there are now, in the order of their times. */
  async logs(place: OperationPlace, request: LogsRequest, signal: AbortSignal): Promise<readonly LogLine[]> {
    const { readLogs } = await import('./operations/index.ts');
    const lines = await readLogs(request, await this.#scopeFor(place, request.workload, signal));
    return lines.map((line) => this.#masked(line));
  }

  /** Follows until the signal aborts, or a Job or bare pod has ended. Survives restarts, new pods and lost connections. */
  async followLogs(
    place: OperationPlace,
    request: LogsRequest,
    options: {
      readonly signal: AbortSignal;
      readonly onLine: (line: LogLine) => void;
      readonly onNote?: (note: LogNote) => void;
    },
  ): Promise<void> {
    const { followLogs } = await import('./operations/index.ts');
    const { onLine, onNote } = options;
    await followLogs(request, await this.#scopeFor(place, request.workload, options.signal), {
      clock: this.#o.system.clock,
      onLine: (line) => onLine(this.#masked(line)),
      ...(onNote !== undefined && { onNote }),
    });
  }

  /** Runs a command in the newest ready pod and collects what it writes. */
  async exec(place: OperationPlace, request: ExecRequest, signal: AbortSignal): Promise<ExecOutcome> {
    const { execute } = await import('./operations/index.ts');
    return execute(request, await this.#scopeFor(place, request.workload, signal));
  }

  /** The same with the streams of a terminal; gives the exit code. */
  async terminal(
    place: OperationPlace,
    request: ExecRequest,
    terminal: Terminal,
    signal: AbortSignal,
  ): Promise<number> {
    const { executeInTerminal } = await import('./operations/index.ts');
    return executeInTerminal(request, await this.#scopeFor(place, request.workload, signal), terminal);
  }

  async describe(place: OperationPlace, named: Named, signal: AbortSignal): Promise<Description> {
    const { describe } = await import('./operations/index.ts');
    return describe(named, await this.#scopeFor(place, named, signal));
  }

  /** Listens on 127.0.0.1 until the signal aborts or it is closed. */
  async forward(
    place: OperationPlace,
    request: ForwardRequest,
    options: ForwardEvents & { readonly signal: AbortSignal },
  ): Promise<Forward> {
    const { forward } = await import('./operations/index.ts');
    const { signal, ...events } = options;
    return forward(request, await this.#scopeFor(place, request.to, signal), {
      ...events,
      clock: this.#o.system.clock,
    });
  }

  /** Replaces the pods of a workload. With `onEvent` it is watched to its verdict, told in `rollout.*` events. */
  async restart(
    place: OperationPlace,
    named: Named,
    options: { readonly signal: AbortSignal; readonly onEvent?: (event: EventBody) => void },
  ): Promise<Changed & { readonly verdict?: RolloutResult }> {
    const { restart } = await import('./operations/index.ts');
    return this.#changed(place, named, options, (scope) => restart(named, scope, this.#o.system.clock.now()));
  }

  /** Sets replicas. Refused where an autoscaler or git decides them. */
  async scale(
    place: OperationPlace,
    named: Named,
    replicas: number,
    options: { readonly signal: AbortSignal; readonly onEvent?: (event: EventBody) => void },
  ): Promise<Changed & { readonly verdict?: RolloutResult }> {
    const { scale } = await import('./operations/index.ts');
    return this.#changed(place, named, options, (scope) => scale(named, replicas, scope));
  }

  /** Runs the environment's smoke checks against what is live now. */
  async smoke(
    place: OperationPlace,
    options: { readonly signal: AbortSignal; readonly onResult?: (result: SmokeOutcome) => void },
  ): Promise<SmokeReport> {
    const environment = await this.#environment(place);
    if (environment.smoke.length === 0) {
      throw new SlipwayError({
        reason: 'config',
        code: 'smoke.none',
        message: `Environment ${environment.name} has no smoke checks.`,
        fix: 'Add some under `smoke`, for example: - get: service/web:http/healthz.',
        place: environment.place,
      });
    }
    const { system } = this.#o;
    const { signal } = options;
    const opened = await this.#open(environment, signal);
    const [{ runCheck, findEndpoints }, { smokeAccess }, scope] = await Promise.all([
      import('./smoke/index.ts'),
      import('./run/clusterAccess.ts'),
      opened.scope(),
    ]);
    const around = {
      access: smokeAccess(scope.cluster),
      namespace: environment.namespace,
      revision: { workloads: scope.targets },
    };
    const results = await Promise.all(
      environment.smoke.map(async (check): Promise<SmokeOutcome> => {
        const result = await runCheck(check, around, system, signal);
        const outcome = { check: check.name, kind: check.kind, ...result };
        options.onResult?.(outcome);
        return outcome;
      }),
    );
    const isOk = results.every((result) => result.isOk);
    return { results, endpoints: isOk ? await findEndpoints(around, system.clock, signal) : [] };
  }

  async #changed(
    place: OperationPlace,
    named: Named,
    options: { readonly signal: AbortSignal; readonly onEvent?: (event: EventBody) => void },
    change: (scope: Scope) => Promise<Changed>,
  ): Promise<Changed & { readonly verdict?: RolloutResult }> {
    const { signal, onEvent } = options;
    const scope = await this.#scopeFor(place, named, signal);
    const { findObject } = await import('./operations/index.ts');
    const object = await findObject(named, scope);
    const isWatched = onEvent !== undefined && ['Deployment', 'StatefulSet', 'DaemonSet'].includes(object.kind);
    const { refOf } = await import('./cluster/index.ts');
    const { registryAsker, takeBaseline, watchRollout } = await import('./rollout/index.ts');
    const target = refOf(object);
    const baseline = isWatched ? await takeBaseline(scope.cluster, [target], signal) : undefined;
    const done = await change(scope);
    if (baseline === undefined || onEvent === undefined) return done;
    const { system, secrets } = this.#o;
    const verdict = await watchRollout(scope.cluster, [target], baseline, {
      clock: system.clock,
      askRegistry: registryAsker(system, secrets),
      secrets,
      signal,
      emit: onEvent,
      stabilityMs: 0,
    });
    return { ...done, verdict };
  }

  /** What the environment deploys is asked for only where a bare name has to be found. */
  async #scopeFor(place: OperationPlace, named: Named, signal: AbortSignal): Promise<Scope> {
    const opened = await this.#open(await this.#environment(place), signal, place);
    return typeof named === 'string' && !named.includes('/') ? opened.scope() : opened.bare;
  }

  async #environment({ environment }: OperationPlace): Promise<EnvironmentConfig> {
    const project = await this.#o.project();
    if (environment !== undefined) return environmentOf(project, environment);
    const [first, second] = project.environments;
    const mistake = project.diagnostics.find(({ severity }) => severity === 'error');
    if (first === undefined && mistake !== undefined) {
      const { code, message, fix, place: where } = mistake;
      throw new SlipwayError({ reason: 'config', code, message, place: where, ...(fix !== undefined && { fix }) });
    }
    if (first !== undefined && second === undefined) return first;
    throw new SlipwayError({
      reason: 'usage',
      code: 'environment.unnamed',
      message: first === undefined ? 'There is no environment.' : 'There is more than one environment.',
      fix:
        first === undefined
          ? 'Write one into slipway.yaml: slipway init.'
          : `Name one with --env: ${project.environments.map(({ name }) => name).join(', ')}.`,
    });
  }

  async #open(environment: EnvironmentConfig, signal: AbortSignal, place: OperationPlace = {}) {
    const { system, secrets } = this.#o;
    const [{ clusterOf, deployAccess }, { createDeployer }, { workloadsOf }, { refOf }] = await Promise.all([
      import('./run/clusterAccess.ts'),
      import('./deploy/index.ts'),
      import('./operations/index.ts'),
      import('./cluster/index.ts'),
    ]);
    const cluster = await clusterOf(environment, system, secrets);
    const bare: Scope = { cluster, namespace: place.namespace ?? environment.namespace, targets: [], signal };
    const isGit = environment.deploy.kind === 'flux' || environment.deploy.kind === 'argocd';
    const deployer = () =>
      createDeployer({ system, secrets, access: deployAccess(cluster), request: { environment, images: [] } });
    return {
      bare,
      history: async () => (isGit ? [] : deployer().history(signal)),
      scope: async (): Promise<Scope> => {
        const all = async () => ({ ...bare, targets: (await workloadsOf(bare)).map(refOf) });
        if (isGit || bare.namespace !== environment.namespace) return all();
        const targets = await deployer()
          .liveTargets(signal)
          .catch((error: unknown) => {
            // Without kustomize, or with a broken manifest, one still wants to look at what runs.
            if (isCancelled(error) || !SlipwayError.is(error) || error.reason === 'cluster') throw error;
            return [];
          });
        return targets.length === 0 ? all() : { ...bare, targets };
      },
    };
  }

  #masked(line: LogLine): LogLine {
    return { ...line, text: this.#o.secrets.mask(line.text) };
  }
}
