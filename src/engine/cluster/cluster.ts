import type { KubeConfig } from '@kubernetes/client-node';
import type { ObjectRef } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { Api, ApiError } from './api.ts';
import { kubeconfigForTool } from './execCredential.ts';
import { type ClusterTarget, readKubeconfig } from './kubeconfig.ts';
import { at, fieldsOf, type KubeObject, listOf, textOf } from './object.ts';

/** Our name in `metadata.managedFields`. */
export const FIELD_MANAGER = 'slipway';

export interface ListQuery {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent = all namespaces, or a cluster-scoped kind. */
  readonly namespace?: string;
  readonly labels?: string;
  readonly fields?: string;
  /** Only apiVersion, kind and metadata: for kinds whose content is large or secret. */
  readonly isMetadataOnly?: boolean;
}

export interface WriteOptions {
  readonly signal: AbortSignal;
  /** The server answers with what it would have stored, and stores nothing. */
  readonly isDryRun?: boolean;
}

export interface PatchOperation {
  readonly op: 'add' | 'replace' | 'test' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

interface Resource {
  readonly plural: string;
  readonly isNamespaced: boolean;
}

/**
 * Opens the cluster of a kubeconfig context. Asks nothing of it yet. Throws SlipwayError `untrusted` in Restricted Mode
 * (a kubeconfig may start programs) and `cluster` for a kubeconfig that cannot be used.
 */
export async function openCluster(system: System, target: ClusterTarget, secrets?: Secrets): Promise<Cluster> {
  if (!system.isTrusted()) {
    throw new SlipwayError({
      reason: 'untrusted',
      message: 'The cluster was not contacted: this workspace is not trusted.',
      fix: 'Trust the workspace, then try again.',
    });
  }
  const { config, content } = await readKubeconfig(system, target, secrets);
  return new Cluster(config, target.kubeconfig, content);
}

/**
 * One API server with one identity. Every method throws SlipwayError `cluster` (`code` is `api.<reason>` in the API
 * server's words, `cluster.unreachable`, `cluster.tls`) and CancelledError.
 */
export class Cluster {
  readonly config: KubeConfig;
  readonly api: Api;
  readonly context: string;
  /** Path of the kubeconfig file when one was named; tools that are started get it as well. */
  readonly kubeconfig?: string;
  readonly #content: string | undefined;
  readonly #resources = new Map<string, Promise<ReadonlyMap<string, Resource>>>();

  constructor(config: KubeConfig, kubeconfig?: string, content?: string) {
    this.config = config;
    this.api = new Api(config);
    this.context = config.getCurrentContext();
    if (kubeconfig !== undefined) this.kubeconfig = kubeconfig;
    this.#content = content;
  }

  /**
   * The kubeconfig as text, for a tool that is started now and runs for up to `forMs`: where it came from a variable, or where
   * an exec plugin has given credentials, which the tool need not ask for again. Undefined where the files do.
   */
  async kubeconfigForTool(forMs: number): Promise<string | undefined> {
    return (await kubeconfigForTool(this.config, forMs)) ?? this.#content;
  }

  /** The namespace of the context, `default` when it names none. */
  get namespace(): string {
    return this.config.getContextObject(this.context)?.namespace ?? 'default';
  }

  /** Undefined when the object, its namespace or its kind does not exist. */
  async get(ref: ObjectRef, signal: AbortSignal): Promise<KubeObject | undefined> {
    const path = await this.path(ref, signal);
    if (path === undefined) return undefined;
    try {
      return await this.api.json<KubeObject>({ method: 'GET', path, signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Empty when the kind does not exist. Reads page by page. */
  async list(query: ListQuery, signal: AbortSignal): Promise<readonly KubeObject[]> {
    return (await this.listWithVersion(query, signal)).items;
  }

  /** The list and the resourceVersion from which a watch goes on. */
  async listWithVersion(
    query: ListQuery,
    signal: AbortSignal,
  ): Promise<{ readonly items: readonly KubeObject[]; readonly resourceVersion: string }> {
    const base = await this.collection(query.apiVersion, query.kind, query.namespace, signal);
    if (base === undefined) return { items: [], resourceVersion: '' };
    const items: KubeObject[] = [];
    let next = '';
    let resourceVersion = '';
    do {
      const parameters = new URLSearchParams({ limit: '500' });
      if (query.labels !== undefined) parameters.set('labelSelector', query.labels);
      if (query.fields !== undefined) parameters.set('fieldSelector', query.fields);
      if (next !== '') parameters.set('continue', next);
      const page = await this.api.json<unknown>({
        method: 'GET',
        path: `${base}?${parameters}`,
        signal,
        ...(query.isMetadataOnly === true && { accept: METADATA_LIST }),
      });
      for (const item of listOf(at(page, 'items'))) {
        // Items of a list carry neither apiVersion nor kind.
        items.push({ ...item, apiVersion: query.apiVersion, kind: query.kind } as unknown as KubeObject);
      }
      resourceVersion = textOf(at(page, 'metadata', 'resourceVersion')) ?? '';
      next = textOf(at(page, 'metadata', 'continue')) ?? '';
    } while (next !== '');
    return { items, resourceVersion };
  }

  /** Server-side apply as {@link FIELD_MANAGER}; a conflict is an ApiError with status 409 unless `isForced`. */
  async apply(object: KubeObject, options: WriteOptions & { readonly isForced?: boolean }): Promise<KubeObject> {
    const parameters = new URLSearchParams({ fieldManager: FIELD_MANAGER });
    if (options.isForced === true) parameters.set('force', 'true');
    if (options.isDryRun === true) parameters.set('dryRun', 'All');
    return this.api.json<KubeObject>({
      method: 'PATCH',
      path: `${await this.#mustPath(object, options.signal)}?${parameters}`,
      body: object,
      contentType: 'application/apply-patch+yaml',
      signal: options.signal,
    });
  }

  async create(object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const base = await this.collection(object.apiVersion, object.kind, object.metadata.namespace, options.signal);
    if (base === undefined) throw unknownKind(object);
    return this.api.json<KubeObject>({
      method: 'POST',
      path: `${base}${writeQuery(options)}`,
      body: object,
      signal: options.signal,
    });
  }

  /** JSON merge patch. `metadata.resourceVersion` in the patch makes it conditional. */
  async merge(ref: ObjectRef, patch: object, options: WriteOptions): Promise<KubeObject> {
    return this.api.json<KubeObject>({
      method: 'PATCH',
      path: `${await this.#mustPath(ref, options.signal)}${writeQuery(options)}`,
      body: patch,
      contentType: 'application/merge-patch+json',
      signal: options.signal,
    });
  }

  /** JSON patch: for values that must be replaced as a whole, which a merge would mix with what is there. */
  async patch(ref: ObjectRef, operations: readonly PatchOperation[], options: WriteOptions): Promise<KubeObject> {
    return this.api.json<KubeObject>({
      method: 'PATCH',
      path: `${await this.#mustPath(ref, options.signal)}${writeQuery(options)}`,
      body: operations,
      contentType: 'application/json-patch+json',
      signal: options.signal,
    });
  }

  /** False when it was not there. Dependents go in the background. */
  async remove(ref: ObjectRef, options: WriteOptions & { readonly graceSeconds?: number }): Promise<boolean> {
    const path = await this.path(ref, options.signal);
    if (path === undefined) return false;
    try {
      await this.api.text({
        method: 'DELETE',
        path: `${path}${options.isDryRun === true ? '?dryRun=All' : ''}`,
        body: {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          propagationPolicy: 'Background',
          ...(options.graceSeconds !== undefined && { gracePeriodSeconds: options.graceSeconds }),
        },
        signal: options.signal,
      });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  }

  /** Whether a kind has namespaces; undefined when the cluster has no such kind. */
  async isNamespaced(apiVersion: string, kind: string, signal: AbortSignal): Promise<boolean | undefined> {
    return (await this.#resource(apiVersion, kind, signal))?.isNamespaced;
  }

  /** Path of an object; undefined when the cluster has no such kind. */
  async path(ref: ObjectRef | KubeObject, signal: AbortSignal): Promise<string | undefined> {
    const { name, namespace } = 'metadata' in ref ? (ref as KubeObject).metadata : (ref as ObjectRef);
    const base = await this.collection(ref.apiVersion, ref.kind, namespace, signal);
    return base === undefined ? undefined : `${base}/${encodeURIComponent(name)}`;
  }

  /** Path of a kind's collection, in one namespace or all; undefined when the cluster has no such kind. */
  async collection(
    apiVersion: string,
    kind: string,
    namespace: string | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const resource = await this.#resource(apiVersion, kind, signal);
    if (resource === undefined) return undefined;
    const inside =
      resource.isNamespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
    return `${groupPath(apiVersion)}${inside}/${resource.plural}`;
  }

  async #mustPath(ref: ObjectRef | KubeObject, signal: AbortSignal): Promise<string> {
    const path = await this.path(ref, signal);
    if (path === undefined) throw unknownKind(ref);
    return path;
  }

  async #resource(apiVersion: string, kind: string, signal: AbortSignal): Promise<Resource | undefined> {
    const builtIn = BUILT_IN[`${apiVersion}/${kind}`];
    if (builtIn !== undefined) return builtIn;
    const known = this.#resources.get(apiVersion);
    if (known !== undefined) {
      const found = (await known).get(kind);
      if (found !== undefined) return found;
    }
    // Unknown so far: a CRD may have been added since, so a miss is never kept.
    const asked = this.#discover(apiVersion, signal);
    this.#resources.set(apiVersion, asked);
    asked.catch(() => this.#resources.delete(apiVersion));
    return (await asked).get(kind);
  }

  async #discover(apiVersion: string, signal: AbortSignal): Promise<ReadonlyMap<string, Resource>> {
    try {
      const answer = await this.api.json<unknown>({ method: 'GET', path: groupPath(apiVersion), signal });
      return new Map(
        listOf(at(answer, 'resources'))
          .map(fieldsOf)
          .filter((resource) => !(textOf(resource.name) ?? '/').includes('/'))
          .map((resource) => [
            textOf(resource.kind) ?? '',
            { plural: textOf(resource.name) ?? '', isNamespaced: resource.namespaced === true },
          ]),
      );
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return new Map();
      throw error;
    }
  }
}

const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** Kinds that every cluster has, so that the commonest calls need no discovery first. */
const BUILT_IN: Readonly<Record<string, Resource>> = Object.fromEntries(
  (
    [
      ['v1/Pod', 'pods'],
      ['v1/Service', 'services'],
      ['v1/ConfigMap', 'configmaps'],
      ['v1/Secret', 'secrets'],
      ['v1/Event', 'events'],
      ['v1/Endpoints', 'endpoints'],
      ['v1/ServiceAccount', 'serviceaccounts'],
      ['v1/PersistentVolumeClaim', 'persistentvolumeclaims'],
      ['v1/ResourceQuota', 'resourcequotas'],
      ['v1/LimitRange', 'limitranges'],
      ['v1/Namespace', 'namespaces', 'cluster'],
      ['v1/Node', 'nodes', 'cluster'],
      ['apps/v1/Deployment', 'deployments'],
      ['apps/v1/ReplicaSet', 'replicasets'],
      ['apps/v1/StatefulSet', 'statefulsets'],
      ['apps/v1/DaemonSet', 'daemonsets'],
      ['apps/v1/ControllerRevision', 'controllerrevisions'],
      ['batch/v1/Job', 'jobs'],
      ['batch/v1/CronJob', 'cronjobs'],
    ] as const
  ).map(([key, plural, scope]) => [key, { plural, isNamespaced: scope !== 'cluster' }]),
);

function groupPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

function writeQuery(options: WriteOptions): string {
  const parameters = new URLSearchParams({ fieldManager: FIELD_MANAGER });
  if (options.isDryRun === true) parameters.set('dryRun', 'All');
  return `?${parameters}`;
}

function unknownKind(ref: { readonly apiVersion: string; readonly kind: string }): SlipwayError {
  return new SlipwayError({
    reason: 'cluster',
    code: 'api.NoKind',
    message: `The cluster has no kind ${ref.kind} in ${ref.apiVersion}.`,
    fix: 'Install its CustomResourceDefinition first, or correct apiVersion.',
  });
}
