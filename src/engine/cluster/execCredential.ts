// Credentials from the program that a kubeconfig names (client.authentication.k8s.io), as kubectl asks for them.
import type { RequestOptions } from 'node:https';
import type { KubeConfig, User } from '@kubernetes/client-node';
import * as v from 'valibot';
import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { at, fieldsOf, listOf, textOf } from './object.ts';

const AnswerSchema = v.object({
  status: v.object({
    token: v.optional(v.string()),
    clientCertificateData: v.optional(v.string()),
    clientKeyData: v.optional(v.string()),
    expirationTimestamp: v.optional(v.string()),
  }),
});
type Credential = v.InferOutput<typeof AnswerSchema>['status'];

/** Asked for once in this process, for all connections that name the same program in the same way. */
const credentials = new WeakMap<System, Map<string, Promise<Credential>>>();
/** Renewed a little before they end: the request that carries them takes its time. */
const EARLY_MS = 10_000;

/**
 * Puts our own way of asking in the place of the library's, which asks once a connection, without telling the program
 * which cluster is meant, and outside of the workspace's trust.
 */
export function takeOverExec(config: KubeConfig, system: System, secrets: Secrets | undefined): void {
  const execs = new Map<string, unknown>();
  config.users = config.users.map((user) => {
    const exec: unknown = user.exec ?? at(user.authProvider, 'config', 'exec');
    if (exec === undefined || exec === null) return user;
    execs.set(user.name, exec);
    const { exec: _exec, authProvider: _provider, ...rest } = user;
    return rest;
  });
  if (execs.size === 0) return;
  const authenticator: Parameters<KubeConfig['addAuthenticator']>[0] = {
    isAuthProvider: (user: User) => execs.has(user.name),
    async applyAuthentication(user: User, options: RequestOptions) {
      const credential = await credentialOf(execs.get(user.name), config, system, secrets);
      if (credential.clientCertificateData !== undefined) options.cert = credential.clientCertificateData;
      if (credential.clientKeyData !== undefined) options.key = credential.clientKeyData;
      if (credential.token !== undefined) {
        options.headers = { ...fieldsOf(options.headers), Authorization: `Bearer ${credential.token}` } as Record<
          string,
          string
        >;
      }
    },
  };
  config.addAuthenticator(authenticator);
}

async function credentialOf(
  exec: unknown,
  config: KubeConfig,
  system: System,
  secrets: Secrets | undefined,
): Promise<Credential> {
  const cluster = config.getCurrentCluster();
  const key = JSON.stringify([exec, cluster?.server]);
  const known = credentials.get(system) ?? new Map<string, Promise<Credential>>();
  credentials.set(system, known);
  const held = known.get(key);
  if (held !== undefined) {
    const credential = await held.catch(() => undefined);
    const end = credential?.expirationTimestamp === undefined ? undefined : Date.parse(credential.expirationTimestamp);
    if (credential !== undefined && (end === undefined || end - EARLY_MS > system.clock.now())) return credential;
    // Another connection may be asking again already.
    if (known.get(key) === held) known.delete(key);
  }
  const asked = known.get(key) ?? ask(exec, config, system);
  known.set(key, asked);
  const credential = await asked;
  secrets?.add(credential.token);
  secrets?.add(credential.clientKeyData);
  return credential;
}

async function ask(exec: unknown, config: KubeConfig, system: System): Promise<Credential> {
  const command = textOf(at(exec, 'command')) ?? '';
  const args = at(exec, 'args');
  const apiVersion = textOf(at(exec, 'apiVersion')) ?? 'client.authentication.k8s.io/v1';
  const cluster = config.getCurrentCluster();
  const refuse = (why: string, evidence: readonly string[] = []): never => {
    throw new SlipwayError({
      reason: 'cluster',
      code: 'kubeconfig.exec',
      message: `${command || 'The exec plugin of the kubeconfig'} gave no credentials for ${cluster?.server ?? 'the cluster'}: ${why}`,
      fix: textOf(at(exec, 'installHint')) ?? `Run it in a terminal to see what it wants: ${command}.`,
      evidence,
    });
  };
  if (command === '') refuse('it names no command');
  if (at(exec, 'interactiveMode') === 'Always') refuse('it wants a terminal (interactiveMode: Always)');
  const isToldCluster = at(exec, 'provideClusterInfo') === true;
  const info = {
    kind: 'ExecCredential',
    apiVersion,
    spec: {
      interactive: false,
      ...(isToldCluster && {
        cluster: {
          server: cluster?.server,
          ...(cluster?.caData !== undefined && { 'certificate-authority-data': cluster.caData }),
          ...(cluster?.tlsServerName !== undefined && { 'tls-server-name': cluster.tlsServerName }),
          ...(cluster?.skipTLSVerify === true && { 'insecure-skip-tls-verify': true }),
          ...(cluster?.proxyUrl !== undefined && { 'proxy-url': cluster.proxyUrl }),
        },
      }),
    },
  };
  const result = await system.processes.run({
    file: command,
    args: Array.isArray(args) ? args.map(String) : [],
    env: {
      ...Object.fromEntries(listOf(at(exec, 'env')).map((entry) => [String(entry.name), String(entry.value)])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
    timeoutMs: 120_000,
  });
  const words = result.stderr.split('\n').filter((line) => line.trim() !== '');
  if (result.code !== 0) refuse(words.at(-1) ?? `it ended with code ${String(result.code)}`, words.slice(-10));
  let answer: unknown;
  try {
    answer = JSON.parse(result.stdout);
  } catch {
    refuse('its answer is not JSON', words.slice(-10));
  }
  const parsed = v.safeParse(AnswerSchema, answer);
  if (!parsed.success) return refuse('its answer is no ExecCredential with a status', words.slice(-10));
  const { status } = parsed.output;
  if (status.token === undefined && status.clientCertificateData === undefined)
    refuse('its answer holds no credentials');
  return status;
}
