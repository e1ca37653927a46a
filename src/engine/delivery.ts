import type { KubeObject } from './cluster/index.ts';
import type { ObjectRef } from './events/index.ts';
import type { Secrets } from './events/secrets.ts';
import {
  type Chain,
  chainAround,
  chooseObject,
  type FluxAccess,
  type FluxSnapshot,
  fluxChains,
  isSuspended,
  type Reconciled,
  type Reminder,
  readFlux,
  reconcileAll,
  reminderOf,
  resume,
  suspend,
} from './flux/index.ts';
import { SlipwayError } from './problems/index.ts';
import type { EnvironmentConfig, Project } from './project/model.ts';
import type { System } from './system/index.ts';

export type { Cause as FluxCause, Chain, ChainLink, Reconciled, Reminder } from './flux/index.ts';

export interface FluxActionsOptions {
  readonly system: System;
  readonly secrets: Secrets;
  readonly root: string;
  readonly project: () => Promise<Project>;
}

/** Which cluster is meant: that of an environment, or a context. Neither: the only Flux environment, else kubectl's. */
export interface FluxPlace {
  readonly environment?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
  /** Only these namespaces; default everything that may be read. */
  readonly namespaces?: readonly string[];
}

export interface FluxStatus {
  readonly context: string;
  readonly chains: readonly Chain[];
  /** What is switched off, with the note of who did it and why. */
  readonly suspended: readonly { readonly object: ObjectRef; readonly reminder?: Reminder }[];
}

interface Opened {
  readonly access: FluxAccess & { readonly context: string };
  readonly snapshot: FluxSnapshot;
  readonly environment: EnvironmentConfig | undefined;
}

/** Flux in the cluster, for CLI, editor and agents. Nothing is contacted before a method is called. */
export class FluxActions {
  readonly #o: FluxActionsOptions;

  constructor(options: FluxActionsOptions) {
    this.#o = options;
  }

  /** Every delivery chain in plain words. With `tag`: where that tag is. Reads only. */
  async status(place: FluxPlace & { readonly tag?: string }, signal: AbortSignal): Promise<FluxStatus> {
    const { access, snapshot, environment } = await this.#open(place, signal);
    const now = this.#o.system.clock.now();
    const all = fluxChains(snapshot, { now, ...(place.tag !== undefined && { wanted: place.tag }) });
    return {
      context: access.context,
      chains: all.filter((chain) => isOfEnvironment(chain, place.environment === undefined ? undefined : environment)),
      suspended: snapshot.objects.filter(isSuspended).map((object) => {
        const reminder = reminderOf(object);
        const { apiVersion, kind, metadata } = object;
        const { name, namespace } = metadata;
        const ref = { apiVersion, kind, name, ...(namespace !== undefined && { namespace }) };
        return { object: ref, ...(reminder !== undefined && { reminder }) };
      }),
    };
  }

  /**
   * Reconciles the named objects in the order of the chain, waiting for each; without names everything of the environment's
   * policies. `isWhole` takes in everything before and after the named ones.
   */
  async reconcile(
    place: FluxPlace & {
      readonly names?: readonly string[];
      readonly isWhole?: boolean;
      readonly helm?: 'reset' | 'force';
    },
    options: { readonly signal: AbortSignal; readonly onProgress?: (object: ObjectRef, message: string) => void },
  ): Promise<readonly Reconciled[]> {
    const { access, snapshot, environment } = await this.#open(place, options.signal);
    const names = place.names ?? [];
    const start =
      names.length > 0
        ? names.map((name) => chooseObject(snapshot.objects, name, chainOf(snapshot, environment)))
        : policiesOf(environment).map((policy) => chooseObject(snapshot.objects, policy));
    const isWhole = place.isWhole === true || names.length === 0;
    if (start.length === 0) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'flux.nothing-named',
        message: 'Nothing was named, and no environment with Flux tells what is meant.',
        fix: 'Name objects, for example kustomization/apps, or an environment with --env.',
      });
    }
    const objects = isWhole ? chainAround(snapshot.objects, start) : start;
    return reconcileAll(objects, {
      access,
      clock: this.#o.system.clock,
      signal: options.signal,
      ...(options.onProgress !== undefined && { onProgress: options.onProgress }),
      ...(place.helm !== undefined && { helm: place.helm }),
    });
  }

  /** Suspends one object, with a note on it of who did it and why. */
  async suspend(
    place: FluxPlace & { readonly name: string; readonly why: string },
    signal: AbortSignal,
  ): Promise<{ readonly object: ObjectRef; readonly outcome: 'suspended' | 'already' }> {
    const { access, snapshot, environment } = await this.#open(place, signal);
    const object = refIn(snapshot, place.name, environment);
    const outcome = await suspend(object, { why: place.why, by: this.#who() }, this.#with(access, signal));
    return { object, outcome };
  }

  /** Resumes one object; gives back the note that lay on it. */
  async resume(
    place: FluxPlace & { readonly name: string },
    signal: AbortSignal,
  ): Promise<{ readonly object: ObjectRef; readonly reminder?: Reminder }> {
    const { access, snapshot, environment } = await this.#open(place, signal);
    const object = refIn(snapshot, place.name, environment);
    const reminder = await resume(object, this.#with(access, signal));
    return { object, ...(reminder !== undefined && { reminder }) };
  }

  #with(access: FluxAccess, signal: AbortSignal) {
    return { access, clock: this.#o.system.clock, signal };
  }

  #who(): string {
    const { env, host } = this.#o.system;
    return `${env.USER ?? env.USERNAME ?? env.GITHUB_ACTOR ?? env.GITLAB_USER_LOGIN ?? 'somebody'} at ${host}`;
  }

  async #open(place: FluxPlace, signal: AbortSignal): Promise<Opened> {
    const { system, secrets } = this.#o;
    const environment = await this.#environment(place);
    const [{ openCluster }, { deployAccess }] = await Promise.all([
      import('./cluster/index.ts'),
      import('./run/clusterAccess.ts'),
    ]);
    const kubeconfig = place.kubeconfig ?? environment?.kubeconfig;
    const context = place.context ?? environment?.context;
    const access = deployAccess(
      await openCluster(
        system,
        { ...(kubeconfig !== undefined && { kubeconfig }), ...(context !== undefined && { context }) },
        secrets,
      ),
    );
    const fallback = ['flux-system', ...(environment === undefined ? [] : [environment.namespace])];
    const snapshot = await readFlux(access, {
      signal,
      fallback: [...new Set(fallback)],
      ...(place.namespaces !== undefined && { namespaces: place.namespaces }),
    });
    return { access, snapshot, environment };
  }

  async #environment(place: FluxPlace): Promise<EnvironmentConfig | undefined> {
    const project = await this.#o.project();
    if (place.environment !== undefined) {
      const { environmentOf } = await import('./environments.ts');
      return environmentOf(project, place.environment);
    }
    if (place.context !== undefined || place.kubeconfig !== undefined) return undefined;
    const flux = project.environments.filter(({ deploy }) => deploy.kind === 'flux');
    return flux.length === 1 ? flux[0] : undefined;
  }
}

/** The policies of an environment, in the words of {@link chooseObject}. */
const policiesOf = (environment: EnvironmentConfig | undefined): readonly string[] =>
  environment?.deploy.kind === 'flux' ? environment.deploy.policies.map((policy) => `policy/${policy}`) : [];

/** What an environment's policies feed and are fed by; nothing when one of them cannot be told. */
function chainOf({ objects }: FluxSnapshot, environment: EnvironmentConfig | undefined): readonly KubeObject[] {
  try {
    return chainAround(
      objects,
      policiesOf(environment).map((policy) => chooseObject(objects, policy)),
    );
  } catch (error) {
    if (!SlipwayError.is(error)) throw error;
    return [];
  }
}

function refIn(snapshot: FluxSnapshot, name: string, environment: EnvironmentConfig | undefined): ObjectRef {
  const { apiVersion, kind, metadata } = chooseObject(snapshot.objects, name, chainOf(snapshot, environment));
  return {
    apiVersion,
    kind,
    name: metadata.name,
    ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
  };
}

/** The chains of an environment's policies. */
function isOfEnvironment(chain: Chain, environment: EnvironmentConfig | undefined): boolean {
  if (environment?.deploy.kind !== 'flux') return true;
  return environment.deploy.policies.some((policy) => chain.name === policy || chain.name.endsWith(`/${policy}`));
}
