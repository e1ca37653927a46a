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

/** How the credentials of a kubeconfig's current user are had, and had anew. */
interface Plugin {
  /** Remembered or asked for; one that should last for `forMs`, if the program gives such. */
  readonly credential: (forMs: number) => Promise<Credential>;
  readonly now: () => number;
  /** Forgets what is remembered if it is this. */
  readonly forget: (refused: Pick<Credential, 'token' | 'clientCertificateData'>) => Promise<void>;
}
const plugins = new WeakMap<KubeConfig, Plugin>();

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
  const current = config.getCurrentUser()?.name;
  if (current !== undefined && execs.has(current)) {
    const exec = execs.get(current);
    plugins.set(config, {
      credential: (forMs) => credentialOf(exec, config, system, secrets, forMs),
      now: () => system.clock.now(),
      forget: (refused) => forget(exec, config, system, refused),
    });
  }
  let certificate: string | undefined;
  const authenticator: Parameters<KubeConfig['addAuthenticator']>[0] = {
    isAuthProvider: (user: User) => execs.has(user.name),
    async applyAuthentication(user: User, options: RequestOptions) {
      const credential = await credentialOf(execs.get(user.name), config, system, secrets, EARLY_MS);
      // The library keeps one agent a user, with the certificate that it was made with (client-node 2.0).
      if (certificate !== credential.clientCertificateData) {
        certificate = credential.clientCertificateData;
        const agents = at(config, 'agentCache');
        if (agents instanceof Map) agents.clear();
      }
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

/**
 * The server answered 401 to a request with these options: the program is asked again for the next one, as client-go does.
 * False when the credentials came from no program, so that asking again would change nothing.
 */
export async function refuseCredential(config: KubeConfig, options: RequestOptions): Promise<boolean> {
  const plugin = plugins.get(config);
  if (plugin === undefined) return false;
  const token = /^Bearer (.*)$/.exec(textOf(fieldsOf(options.headers).Authorization) ?? '')?.[1];
  const certificate = (options as { readonly cert?: unknown }).cert;
  await plugin.forget({
    ...(token !== undefined && { token }),
    ...(typeof certificate === 'string' && { clientCertificateData: certificate }),
  });
  return true;
}

/**
 * A kubeconfig for a tool that runs for up to `forMs`: the current context, with what the program gave in the place of the
 * program, so that a person who logs in does so once and not again for each tool. Undefined where the tool does as well with
 * the file itself: no program is named, or its credentials end too soon and the tool must be able to renew them.
 */
export async function kubeconfigForTool(config: KubeConfig, forMs: number): Promise<string | undefined> {
  const plugin = plugins.get(config);
  const cluster = config.getCurrentCluster();
  const context = config.getContextObject(config.getCurrentContext());
  if (plugin === undefined || cluster === null || context === null) return undefined;
  const user = config.getCurrentUser();
  // Groups and extra fields of an impersonation are not among what the library reads.
  if (user?.impersonateUser) return undefined;
  const credential = await plugin.credential(forMs);
  if (endOf(credential) - forMs < plugin.now()) return undefined;
  const base64 = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : Buffer.from(text).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': context.name,
    contexts: [
      { name: context.name, context: { cluster: cluster.name, user: user?.name, namespace: context.namespace } },
    ],
    clusters: [
      {
        name: cluster.name,
        cluster: {
          server: cluster.server,
          'certificate-authority-data': cluster.caData,
          'certificate-authority': cluster.caFile,
          'insecure-skip-tls-verify': cluster.skipTLSVerify,
          'tls-server-name': cluster.tlsServerName,
          'proxy-url': cluster.proxyUrl,
        },
      },
    ],
    users: [
      {
        name: user?.name,
        user: {
          token: credential.token,
          'client-certificate-data': base64(credential.clientCertificateData),
          'client-key-data': base64(credential.clientKeyData),
        },
      },
    ],
  });
}

/** ms since the epoch; never, when the program says nothing. */
const endOf = ({ expirationTimestamp }: Credential): number =>
  expirationTimestamp === undefined ? Number.POSITIVE_INFINITY : Date.parse(expirationTimestamp);

const keyOf = (exec: unknown, config: KubeConfig): string => JSON.stringify([exec, config.getCurrentCluster()?.server]);

async function forget(
  exec: unknown,
  config: KubeConfig,
  system: System,
  refused: Pick<Credential, 'token' | 'clientCertificateData'>,
): Promise<void> {
  const known = credentials.get(system);
  const key = keyOf(exec, config);
  const held = known?.get(key);
  const credential = await held?.catch(() => undefined);
  // Another request may have renewed it already.
  if (
    credential?.token === refused.token &&
    credential?.clientCertificateData === refused.clientCertificateData &&
    known?.get(key) === held
  )
    known?.delete(key);
}

/** What is remembered while it lasts for `forMs` more, else what the program says now. */
async function credentialOf(
  exec: unknown,
  config: KubeConfig,
  system: System,
  secrets: Secrets | undefined,
  forMs: number,
): Promise<Credential> {
  const key = keyOf(exec, config);
  const known = credentials.get(system) ?? new Map<string, Promise<Credential>>();
  credentials.set(system, known);
  const held = known.get(key);
  if (held !== undefined) {
    const credential = await held.catch(() => undefined);
    if (credential !== undefined && endOf(credential) - forMs > system.clock.now()) return credential;
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
  const refuse = (why: string, evidence: readonly string[] = [], fix?: string): never => {
    throw new SlipwayError({
      reason: 'cluster',
      code: 'kubeconfig.exec',
      message: `${command || 'The exec plugin of the kubeconfig'} gave no credentials for ${cluster?.server ?? 'the cluster'}: ${why}`,
      fix: textOf(at(exec, 'installHint')) ?? fix ?? `Run it in a terminal to see what it wants: ${command}.`,
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
  const run = system.processes.run({
    file: command,
    args: Array.isArray(args) ? args.map(String) : [],
    env: {
      ...Object.fromEntries(listOf(at(exec, 'env')).map((entry) => [String(entry.name), String(entry.value)])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
    timeoutMs: 120_000,
  });
  const result = await run.catch((error: unknown) => {
    if (!SlipwayError.is(error) || error.reason !== 'tool-missing') throw error;
    return refuse('it was not found on PATH', [], error.fix);
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
