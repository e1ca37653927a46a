// The cluster as the deploy room asks for it, over plain HTTPS: one request a call, no cache, so that a test of deployers
// tests them and nothing below them.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';
import { ApplyConflict, type ClusterAccess, conflictsFrom, FIELD_MANAGER } from '../../../src/engine/deploy/access.ts';
import type { KubeObject } from '../../../src/engine/deploy/objects.ts';
import type { ObjectRef } from '../../../src/engine/events/index.ts';
import { SlipwayError } from '../../../src/engine/problems/index.ts';

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export function plainAccess(kubeconfig: string): ClusterAccess {
  const config = parse(readFileSync(kubeconfig, 'utf8'));
  const context = config.contexts.find((entry: { name: string }) => entry.name === config['current-context']);
  const cluster = config.clusters.find((entry: { name: string }) => entry.name === context.context.cluster).cluster;
  const user = config.users.find((entry: { name: string }) => entry.name === context.context.user).user;
  const pem = (holder: Record<string, string>, name: string): string | undefined => {
    const data = holder[`${name}-data`];
    if (data !== undefined) return Buffer.from(data, 'base64').toString();
    const file = holder[name];
    return file === undefined ? undefined : readFileSync(file, 'utf8');
  };
  const agent = new Agent({
    keepAlive: true,
    ca: pem(cluster, 'certificate-authority'),
    cert: pem(user, 'client-certificate'),
    key: pem(user, 'client-key'),
  });
  const kinds = new Map<string, Promise<ReadonlyMap<string, { name: string; namespaced: boolean }>>>();

  function call(method: string, path: string, signal: AbortSignal, body?: object, type = 'application/json') {
    return new Promise<Answer>((resolve, reject) => {
      const url = new URL(path, cluster.server);
      const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const headers = {
        Accept: 'application/json',
        // Node sends no length by itself for DELETE.
        ...(payload !== undefined && { 'Content-Type': type, 'Content-Length': payload.length }),
      };
      const sent = request(url, { method, agent, headers, signal }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({
            status: response.statusCode ?? 0,
            body: text.startsWith('{') ? JSON.parse(text) : { message: text },
          });
        });
      });
      sent.once('error', reject);
      sent.end(payload);
    });
  }

  function checked({ status, body }: Answer): Record<string, unknown> {
    if (status < 400) return body;
    const message = String(body.message ?? `HTTP ${status}`);
    const conflicts = conflictsFrom(body);
    if (conflicts.length > 0) throw new ApplyConflict(message, conflicts);
    throw new SlipwayError({ reason: 'cluster', code: `api.${String(body.reason)}`, message, evidence: [message] });
  }

  async function resourceOf(apiVersion: string, kind: string, signal: AbortSignal) {
    let known = kinds.get(apiVersion);
    if (known === undefined || !(await known).has(kind)) {
      const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
      known = call('GET', root, signal).then(({ body }) => {
        const resources = (body.resources ?? []) as { kind: string; name: string; namespaced: boolean }[];
        return new Map(
          resources.filter(({ name }) => !name.includes('/')).map((resource) => [resource.kind, resource] as const),
        );
      });
      kinds.set(apiVersion, known);
    }
    return (await known).get(kind);
  }

  async function pathOf(ref: Omit<ObjectRef, 'name'> & { name?: string }, signal: AbortSignal) {
    const resource = await resourceOf(ref.apiVersion, ref.kind, signal);
    if (resource === undefined) return undefined;
    const root = ref.apiVersion.includes('/') ? `/apis/${ref.apiVersion}` : `/api/${ref.apiVersion}`;
    const place = ref.namespace === undefined ? '' : `/namespaces/${ref.namespace}`;
    return `${root}${place}/${resource.name}${ref.name === undefined ? '' : `/${ref.name}`}`;
  }

  const need = async (ref: Omit<ObjectRef, 'name'> & { name?: string }, signal: AbortSignal): Promise<string> => {
    const path = await pathOf(ref, signal);
    if (path !== undefined) return path;
    const message = `no matches for kind "${ref.kind}" in version "${ref.apiVersion}"`;
    throw new SlipwayError({ reason: 'cluster', code: 'api.NoKind', message, evidence: [message] });
  };
  const query = (parts: Record<string, string | undefined>): string => {
    const found = Object.entries(parts).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
    return found.length === 0 ? '' : `?${new URLSearchParams(Object.fromEntries(found))}`;
  };
  const dry = (isDryRun: boolean | undefined) => (isDryRun === true ? 'All' : undefined);
  const refOf = ({ apiVersion, kind, metadata }: KubeObject) => ({
    apiVersion,
    kind,
    name: metadata.name,
    ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
  });

  return {
    context: config['current-context'],
    kubeconfig,
    async get(ref, signal) {
      const path = await pathOf(ref, signal);
      if (path === undefined) return undefined;
      const answer = await call('GET', path, signal);
      return answer.status === 404 ? undefined : (checked(answer) as unknown as KubeObject);
    },
    async list({ labels, fields, isMetadataOnly: _, ...where }, signal) {
      const path = await pathOf(where, signal);
      if (path === undefined) return [];
      const suffix = query({ labelSelector: labels, fieldSelector: fields });
      return (checked(await call('GET', path + suffix, signal)).items ?? []) as readonly KubeObject[];
    },
    async apply(object, { signal, isDryRun, isForced }) {
      const path = await need(refOf(object), signal);
      const suffix = query({
        fieldManager: FIELD_MANAGER,
        force: isForced === true ? 'true' : undefined,
        dryRun: dry(isDryRun),
      });
      const answer = await call('PATCH', path + suffix, signal, object, 'application/apply-patch+yaml');
      return checked(answer) as unknown as KubeObject;
    },
    async create(object, { signal, isDryRun }) {
      const { name: _, ...where } = refOf(object);
      const path = (await need(where, signal)) + query({ dryRun: dry(isDryRun) });
      return checked(await call('POST', path, signal, object)) as unknown as KubeObject;
    },
    async merge(ref, patch, { signal, isDryRun }) {
      const path = (await need(ref, signal)) + query({ fieldManager: FIELD_MANAGER, dryRun: dry(isDryRun) });
      const answer = await call('PATCH', path, signal, patch, 'application/merge-patch+json');
      return checked(answer) as unknown as KubeObject;
    },
    async patch(ref, operations, { signal, isDryRun }) {
      const path = (await need(ref, signal)) + query({ fieldManager: FIELD_MANAGER, dryRun: dry(isDryRun) });
      const answer = await call('PATCH', path, signal, operations, 'application/json-patch+json');
      return checked(answer) as unknown as KubeObject;
    },
    async remove(ref, { signal, graceSeconds }) {
      const path = await need(ref, signal);
      const body = {
        propagationPolicy: 'Background',
        ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }),
      };
      const answer = await call('DELETE', path, signal, body);
      if (answer.status === 404) return false;
      checked(answer);
      return true;
    },
    async isNamespaced(apiVersion, kind, signal) {
      return (await resourceOf(apiVersion, kind, signal))?.namespaced;
    },
  };
}
