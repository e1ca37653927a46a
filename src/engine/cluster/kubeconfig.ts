import { delimiter, dirname, isAbsolute, join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { takeOverExec } from './execCredential.ts';

export interface ClusterTarget {
  /** Absolute path of a kubeconfig file; absent = as kubectl finds it. */
  readonly kubeconfig?: string;
  /** Absent = the current context of the kubeconfig. */
  readonly context?: string;
}

/** Variables in which CI set-ups keep a whole kubeconfig, plain or base64. */
const CONTENT_VARIABLES = [
  'KUBECONFIG_BASE64',
  'KUBECONFIG_B64',
  'KUBE_CONFIG',
  'KUBE_CONFIG_DATA',
  'KUBECONFIG_DATA',
] as const;

/**
 * Loads the kubeconfig as kubectl does: the named file, else the list in KUBECONFIG (earlier files win), else content in
 * one of {@link CONTENT_VARIABLES}, else ~/.kube/config, else the pod's service account. Credentials become secrets to
 * mask. Throws SlipwayError `cluster` saying which file or context is missing.
 */
export async function loadKubeconfig(system: System, target: ClusterTarget, secrets?: Secrets): Promise<KubeConfig> {
  return (await readKubeconfig(system, target, secrets)).config;
}

/** The same with its text when it came from a variable: programs that are started need a file then. */
export async function readKubeconfig(
  system: System,
  target: ClusterTarget,
  secrets?: Secrets,
): Promise<{ readonly config: KubeConfig; readonly content?: string }> {
  const found = await read(system, target);
  choose(found.config, system, target, secrets);
  return found;
}

function choose(config: KubeConfig, system: System, target: ClusterTarget, secrets: Secrets | undefined): void {
  // kubectl talks plain http to a server that is named so (kubectl proxy, for example); the library wants this said.
  config.clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith('http://') ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  for (const user of config.users) {
    secrets?.add(user.token);
    secrets?.add(user.password);
    if (user.keyData !== undefined) secrets?.add(Buffer.from(user.keyData, 'base64').toString('utf8'));
  }
  const wanted = target.context;
  if (wanted !== undefined) {
    if (config.getContextObject(wanted) === null) {
      const known = config.contexts.map((context) => context.name);
      throw new SlipwayError({
        reason: 'cluster',
        code: 'kubeconfig.context',
        message: `The kubeconfig has no context "${wanted}".`,
        fix: known.length === 0 ? 'It has no contexts at all.' : `Use one of ${known.join(', ')}.`,
        ...(target.kubeconfig !== undefined && { place: { file: target.kubeconfig } }),
      });
    }
    config.setCurrentContext(wanted);
  }
  const context = config.getContextObject(config.getCurrentContext());
  if (context === null || config.getCluster(context.cluster) === null) {
    throw new SlipwayError({
      reason: 'cluster',
      code: 'kubeconfig.none',
      message: config.getCurrentContext()
        ? `The context "${config.getCurrentContext()}" names a cluster that the kubeconfig does not define.`
        : 'No kubeconfig context is chosen.',
      fix: 'Set "context" for the environment in slipway.yaml, or run: kubectl config use-context NAME.',
    });
  }
  takeOverExec(config, system, secrets);
}

interface Found {
  readonly config: KubeConfig;
  readonly content?: string;
}

async function read(system: System, target: ClusterTarget): Promise<Found> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const { env } = system;
  if (target.kubeconfig !== undefined) return { config: await fromFiles(system, KubeConfig, [target.kubeconfig]) };
  if (env.KUBECONFIG) {
    // A CI secret named KUBECONFIG often holds the file's content and not its path.
    if (contentOf(env.KUBECONFIG) !== undefined) return fromContent(KubeConfig, 'KUBECONFIG', env.KUBECONFIG);
    const files = env.KUBECONFIG.split(delimiter).filter((file) => file !== '');
    // kubectl ignores files of the list that do not exist, and so may all of them.
    const present = await Promise.all(files.map(async (file) => (await system.files.stat(file)) !== undefined));
    const found = files.filter((_file, index) => present[index]);
    if (found.length > 0) return { config: await fromFiles(system, KubeConfig, found) };
    throw new SlipwayError({
      reason: 'cluster',
      code: 'kubeconfig.missing',
      message: `KUBECONFIG names ${files.join(', ')}, which does not exist.`,
      fix: 'Correct the variable KUBECONFIG.',
    });
  }
  for (const name of CONTENT_VARIABLES) {
    const content = env[name];
    if (content !== undefined && content.trim() !== '') return fromContent(KubeConfig, name, content);
  }
  const home = env.HOME ?? env.USERPROFILE;
  const usual = home === undefined ? undefined : join(home, '.kube', 'config');
  if (usual !== undefined && (await system.files.stat(usual)) !== undefined)
    return { config: await fromFiles(system, KubeConfig, [usual]) };
  if (env.KUBERNETES_SERVICE_HOST !== undefined) {
    const config = new KubeConfig();
    config.loadFromCluster();
    return { config };
  }
  throw new SlipwayError({
    reason: 'cluster',
    code: 'kubeconfig.missing',
    message: `There is no kubeconfig: KUBECONFIG is not set and ${usual ?? '~/.kube/config'} does not exist.`,
    fix: 'Set KUBECONFIG, or "kubeconfig" for the environment in slipway.yaml.',
  });
}

async function fromFiles(system: System, Type: typeof KubeConfig, files: readonly string[]): Promise<KubeConfig> {
  let merged: KubeConfig | undefined;
  for (const file of files) {
    if ((await system.files.stat(file)) === undefined) {
      throw new SlipwayError({
        reason: 'cluster',
        code: 'kubeconfig.missing',
        message: `The kubeconfig ${file} does not exist.`,
        fix: 'Correct "kubeconfig" of the environment.',
        place: { file },
      });
    }
    const config = new Type();
    try {
      config.loadFromFile(file);
    } catch (error) {
      throw new SlipwayError(
        {
          reason: 'cluster',
          code: 'kubeconfig.broken',
          message: `The kubeconfig ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
          fix: 'Mend the file; kubectl config view shows the same error.',
          place: { file },
        },
        { cause: error },
      );
    }
    // A program named with a path is meant from the file's folder, as kubectl has it.
    for (const user of config.users) {
      const command: unknown = user.exec?.command;
      if (typeof command === 'string' && /[/\\]/.test(command) && !isAbsolute(command)) {
        user.exec.command = join(dirname(file), command);
      }
    }
    if (merged === undefined) merged = config;
    else mergeInto(merged, config);
  }
  return merged ?? new Type();
}

/** As kubectl merges: of two entries with one name the first counts, and so does the first current context. */
function mergeInto(first: KubeConfig, second: KubeConfig): void {
  const add = <T extends { readonly name: string }>(mine: readonly T[], theirs: readonly T[]): T[] => [
    ...mine,
    ...theirs.filter(({ name }) => !mine.some((other) => other.name === name)),
  ];
  first.clusters = add(first.clusters, second.clusters);
  first.users = add(first.users, second.users);
  first.contexts = add(first.contexts, second.contexts);
  if (!first.getCurrentContext()) first.setCurrentContext(second.getCurrentContext());
}

const KUBECONFIG_KEY = /^\s*(apiVersion|kind|clusters|contexts|users|current-context)\s*:/m;

/** The kubeconfig that a text is, plain or base64; undefined when it is something else, such as a path. */
function contentOf(text: string): string | undefined {
  const isPlain = (plain: string): boolean => KUBECONFIG_KEY.test(plain) || plain.trimStart().startsWith('{');
  if (isPlain(text)) return text;
  const decoded = Buffer.from(text, 'base64').toString('utf8');
  return isPlain(decoded) ? decoded : undefined;
}

function fromContent(Type: typeof KubeConfig, name: string, content: string): Found {
  const text = contentOf(content) ?? Buffer.from(content, 'base64').toString('utf8');
  const config = new Type();
  try {
    config.loadFromString(text);
    if (config.clusters.length === 0) throw new Error('it defines no cluster');
    return { config, content: text };
  } catch (error) {
    throw new SlipwayError({
      reason: 'cluster',
      code: 'kubeconfig.broken',
      message: `The variable ${name} does not hold a kubeconfig, neither plain nor base64: ${error instanceof Error ? error.message : String(error)}`,
      fix: `Set it with: ${name}=$(base64 -w0 < kubeconfig).`,
    });
  }
}
