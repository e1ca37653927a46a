// Finds out what a judgement asks for: registry, secrets, objects that may be made yet, logs. Every question gets an
// answer; what cannot be found out is `unknown`, never an error.
import { at, type Cluster, fieldsOf, findPodLog, type KubeObject, listOf, textOf } from '../cluster/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { isCancelled } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import type { AskRegistry } from './askRegistry.ts';
import { closest } from './closest.ts';
import { linesOfRun, logOf } from './runLogs.ts';
import type { Answer, Question } from './snapshot.ts';

const TAIL_LINES = 60;

/** Registries whose nodes log in by an identity that we do not have: a refusal to us says nothing about them. */
const NODE_IDENTITY = /(\.amazonaws\.com|\.pkg\.dev|(^|\.)gcr\.io|\.azurecr\.io)$/;

export class Answerer {
  readonly #cluster: Cluster;
  readonly #askRegistry: AskRegistry;
  readonly #clock: Clock;
  readonly #secrets: Secrets | undefined;

  constructor(cluster: Cluster, askRegistry: AskRegistry, clock: Clock, secrets?: Secrets) {
    this.#cluster = cluster;
    this.#askRegistry = askRegistry;
    this.#clock = clock;
    this.#secrets = secrets;
  }

  async answer(question: Question, signal: AbortSignal): Promise<Answer> {
    try {
      return await this.#find(question, signal);
    } catch (error) {
      if (signal.aborted && isCancelled(error)) throw error;
      const time = this.#clock.now();
      switch (question.kind) {
        case 'pull-secret-works':
          return { kind: question.kind, state: 'unknown', detail: '', at: time };
        case 'object-exists':
          return { kind: question.kind, state: 'unknown', similar: [], at: time };
        case 'logs':
          return { kind: question.kind, at: time };
        default:
          return { kind: question.kind, state: 'unknown', at: time };
      }
    }
  }

  async #find(question: Question, signal: AbortSignal): Promise<Answer> {
    switch (question.kind) {
      case 'registry-has': {
        const answer = await this.#askRegistry(question.ref, { signal });
        return { kind: question.kind, ...answer, at: this.#clock.now() };
      }
      case 'pull-secret-works': {
        const found = await this.#tryPull(question, signal);
        return { kind: question.kind, ...found, at: this.#clock.now() };
      }
      case 'object-exists': {
        const found = await this.#lookFor(question, signal);
        return { kind: question.kind, ...found, at: this.#clock.now() };
      }
      case 'logs': {
        const text = await this.#log(question, signal);
        return { kind: question.kind, ...(text !== undefined && { text }), at: this.#clock.now() };
      }
      case 'autoscaler':
        return { kind: question.kind, state: await this.#autoscaler(signal), at: this.#clock.now() };
    }
  }

  /** Tries what the kubelet would: each pull secret of pod and service account, and no login at all. */
  async #tryPull(
    question: Extract<Question, { readonly kind: 'pull-secret-works' }>,
    signal: AbortSignal,
  ): Promise<Pick<Extract<Answer, { readonly kind: 'pull-secret-works' }>, 'state' | 'detail'>> {
    const { namespace, ref } = question;
    const account = await this.#cluster.get(
      { apiVersion: 'v1', kind: 'ServiceAccount', name: question.serviceAccount, namespace },
      signal,
    );
    const names = new Set([
      ...question.secrets,
      ...listOf(account?.imagePullSecrets).flatMap((item) => textOf(item.name) ?? []),
    ]);
    if (names.size === 0 && NODE_IDENTITY.test(ref.split('/')[0] ?? '')) return { state: 'unknown', detail: '' };
    const missing: string[] = [];
    const refused: string[] = [];
    for (const name of names) {
      const secret = await this.#cluster.get({ apiVersion: 'v1', kind: 'Secret', name, namespace }, signal);
      if (secret === undefined) {
        missing.push(name);
        continue;
      }
      const login = loginOf(secret);
      if (login === undefined) {
        refused.push(`${name} (type ${textOf(secret.type) ?? 'Opaque'} holds no registry login)`);
        continue;
      }
      this.#secrets?.add(login);
      for (const entry of Object.values(fieldsOf(at(JSON.parse(login), 'auths')))) {
        this.#secrets?.add(textOf(at(entry, 'password')));
        this.#secrets?.add(textOf(at(entry, 'auth')));
      }
      const { state } = await this.#askRegistry(ref, { signal, login });
      if (state === 'present') return { state: 'works', detail: '' };
      if (state === 'denied') refused.push(`${name} (${coverage(login, ref)})`);
      else return { state: 'unknown', detail: '' };
    }
    const { state } = await this.#askRegistry(ref, { signal, login: 'anonymous' });
    if (state === 'present') return { state: 'works', detail: '' };
    if (state !== 'denied') return { state: 'unknown', detail: '' };
    if (refused.length > 0)
      return { state: 'refused', detail: `The registry refuses the pull secret ${refused.join(', ')}.` };
    if (missing.length > 0)
      return {
        state: 'missing',
        detail: `The registry wants a login, and the pull secret ${missing.join(', ')} does not exist in namespace ${namespace}.`,
      };
    return {
      state: 'none',
      detail: 'The registry wants a login, and neither the pod nor its service account names a pull secret.',
    };
  }

  async #lookFor(
    question: Extract<Question, { readonly kind: 'object-exists' }>,
    signal: AbortSignal,
  ): Promise<Omit<Extract<Answer, { readonly kind: 'object-exists' }>, 'kind' | 'at'>> {
    const { object, key } = question;
    const found = await this.#cluster.get(object, signal);
    if (found !== undefined) {
      const keys = [...Object.keys(fieldsOf(found.data)), ...Object.keys(fieldsOf(found.binaryData))];
      if (key === undefined || keys.includes(key)) return { state: 'present', similar: [] };
      return { state: 'no-key', similar: closest(key, keys, 3) };
    }
    const [maker, others] = await Promise.all([
      this.#maker(object.kind, object.name, object.namespace ?? '', signal),
      this.#cluster
        .list(
          {
            apiVersion: object.apiVersion,
            kind: object.kind,
            ...(object.namespace !== undefined && { namespace: object.namespace }),
            isMetadataOnly: true,
          },
          signal,
        )
        .catch(() => [] as readonly KubeObject[]),
    ]);
    const names = others.map((other) => other.metadata.name);
    return {
      state: 'absent',
      similar: closest(object.name, names, 3),
      ...(maker !== undefined && { maker }),
    };
  }

  /** Who in the cluster makes objects of this name: certificates, external and sealed secrets. */
  async #maker(kind: string, name: string, namespace: string, signal: AbortSignal): Promise<string | undefined> {
    if (kind !== 'Secret') return undefined;
    const found = await Promise.all(
      MAKERS.map(async ({ apiVersion, kind: maker, makes }) => {
        const objects = await this.#cluster
          .list({ apiVersion, kind: maker, namespace }, signal)
          .catch(() => [] as readonly KubeObject[]);
        const one = objects.find((object) => makes(object).includes(name));
        return one === undefined ? undefined : `${maker} ${one.metadata.name}`;
      }),
    );
    return found.find((one) => one !== undefined);
  }

  /**
   * The log of that run and of no other: the pod says before and after the reading that the kubelet gives it, and its lines
   * were written while it ran. The runtime may still be writing the last of them, and a previous container's log appears a
   * moment late. Undefined when it is gone.
   */
  async #log(question: Extract<Question, { readonly kind: 'logs' }>, signal: AbortSignal): Promise<string | undefined> {
    const { namespace, pod: name, container, containerId, span } = question;
    const which = async (): Promise<ReturnType<typeof logOf>> => {
      const pod = await this.#cluster.get({ apiVersion: 'v1', kind: 'Pod', name, namespace }, signal);
      return pod === undefined ? undefined : logOf(pod, container, containerId);
    };
    for (let attempt = 1; ; attempt += 1) {
      const before = await which();
      const isPrevious = before === 'previous';
      const query = { namespace, pod: name, container, isPrevious, tail: TAIL_LINES, hasTimestamps: true };
      const text = before === undefined ? undefined : await findPodLog(this.#cluster, query, signal);
      const own = text === undefined ? undefined : linesOfRun(text, span);
      const isCertain = own !== undefined && own !== '' && (await which()) === before;
      if (isCertain || attempt === 3) return isCertain || own === '' ? own : undefined;
      await this.#clock.sleep(300, signal);
    }
  }

  async #autoscaler(signal: AbortSignal): Promise<'present' | 'absent' | 'unknown'> {
    const status = await this.#cluster.get(
      { apiVersion: 'v1', kind: 'ConfigMap', name: 'cluster-autoscaler-status', namespace: 'kube-system' },
      signal,
    );
    if (status !== undefined) return 'present';
    for (const [apiVersion, kind] of NODE_MAKERS) {
      if ((await this.#cluster.collection(apiVersion, kind, undefined, signal)) !== undefined) return 'present';
    }
    return 'absent';
  }
}

const NODE_MAKERS = [
  ['karpenter.sh/v1', 'NodePool'],
  ['karpenter.sh/v1beta1', 'NodePool'],
  ['eks.amazonaws.com/v1', 'NodeClass'],
  ['cluster.x-k8s.io/v1beta1', 'MachineDeployment'],
] as const;

interface Maker {
  readonly apiVersion: string;
  readonly kind: string;
  readonly makes: (object: KubeObject) => readonly (string | undefined)[];
}

const MAKERS: readonly Maker[] = [
  {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    makes: (object) => [textOf(at(object, 'spec', 'secretName'))],
  },
  ...['external-secrets.io/v1', 'external-secrets.io/v1beta1'].map((apiVersion) => ({
    apiVersion,
    kind: 'ExternalSecret',
    makes: (object: KubeObject) => [textOf(at(object, 'spec', 'target', 'name')) ?? object.metadata.name],
  })),
  { apiVersion: 'bitnami.com/v1alpha1', kind: 'SealedSecret', makes: (object) => [object.metadata.name] },
  {
    apiVersion: 'secrets.hashicorp.com/v1beta1',
    kind: 'VaultStaticSecret',
    makes: (object) => [textOf(at(object, 'spec', 'destination', 'name'))],
  },
  {
    apiVersion: 'secrets-store.csi.x-k8s.io/v1',
    kind: 'SecretProviderClass',
    makes: (object) => listOf(at(object, 'spec', 'secretObjects')).map((one) => textOf(one.secretName)),
  },
];

/** `.dockerconfigjson`, or the older `.dockercfg` in its shape. */
function loginOf(secret: KubeObject): string | undefined {
  const data = fieldsOf(secret.data);
  const decode = (value: unknown): string | undefined =>
    typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : undefined;
  const config = decode(data['.dockerconfigjson']);
  const old = decode(data['.dockercfg']);
  try {
    if (config !== undefined) return typeof JSON.parse(config) === 'object' ? config : undefined;
    return old === undefined ? undefined : JSON.stringify({ auths: JSON.parse(old) });
  } catch {
    return undefined;
  }
}

function coverage(login: string, ref: string): string {
  const hosts = Object.keys(fieldsOf(at(JSON.parse(login), 'auths')));
  const host = ref.split('/')[0] ?? '';
  return hosts.some((one) => one.includes(host))
    ? `its login for ${host} is not accepted`
    : `it covers ${hosts.join(', ') || 'no host'}, not ${host}`;
}
