import { at, type Cluster, fieldsOf, listOf, readPodLog, textOf } from '../cluster/index.ts';
import { formatReference, isHelperTag, parseReference, Registry } from '../images/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { Answer, Question } from './snapshot.ts';

const UNKNOWN: Answer = { value: 'unknown' };
const LOG_LINES = 50;

/** Registries whose nodes log in by an identity we do not have: a refusal to us says nothing about them. */
const NODE_IDENTITY = /(\.amazonaws\.com|\.pkg\.dev|(^|\.)gcr\.io|\.azurecr\.io)$/;

/** Asks the second source that a verdict needs: registry, API server or log. Never throws but for cancellation. */
export class Answerer {
  readonly #system: System;
  readonly #cluster: Cluster;
  readonly #registry: Registry;
  readonly #signal: AbortSignal;

  constructor(options: {
    readonly system: System;
    readonly cluster: Cluster;
    readonly registry: Registry;
    readonly signal: AbortSignal;
  }) {
    this.#system = options.system;
    this.#cluster = options.cluster;
    this.#registry = options.registry;
    this.#signal = options.signal;
  }

  async ask(question: Question): Promise<Answer> {
    try {
      switch (question.kind) {
        case 'registry':
          return await this.#hasImage(question.image);
        case 'pull-access':
          return await this.#canPull(question);
        case 'exists':
          return await this.#exists(question);
        case 'log':
          return await this.#log(question);
        case 'autoscaler':
          return await this.#hasAutoscaler();
        case 'nodes':
          return UNKNOWN;
      }
    } catch (error) {
      // Not being able to look is never proof of anything.
      if (SlipwayError.is(error)) return { value: 'unknown', detail: error.message };
      throw error;
    }
  }

  /** `no` only when the registry itself says that it does not have it; also offers the tags that look alike. */
  async #hasImage(image: string): Promise<Answer> {
    const reference = parseReference(image);
    const digest = await this.#registry.digestOf(
      reference.digest === undefined
        ? reference
        : { registry: reference.registry, repository: reference.repository, digest: reference.digest },
      this.#signal,
    );
    if (digest !== undefined) return { value: 'yes' };
    const tags = await this.#registry
      .tags(reference.registry, reference.repository, this.#signal)
      .catch(() => undefined);
    if (tags === undefined) {
      return {
        value: 'no',
        detail: `The registry has no repository ${reference.registry}/${reference.repository}: check the name, and that something was pushed.`,
      };
    }
    const near = nearest(reference.tag ?? '', tags);
    return {
      value: 'no',
      detail:
        near.length === 0
          ? 'The repository has no tags: was the image pushed?'
          : `Tags that are there: ${near.join(', ')}.`,
    };
  }

  async #canPull(question: Extract<Question, { readonly kind: 'pull-access' }>): Promise<Answer> {
    const reference = parseReference(question.image);
    const account = await this.#cluster.get(
      { apiVersion: 'v1', kind: 'ServiceAccount', name: question.serviceAccount, namespace: question.namespace },
      this.#signal,
    );
    const names = new Set([
      ...question.secrets,
      ...listOf(at(account, 'imagePullSecrets')).flatMap((secret) => textOf(secret.name) ?? []),
    ]);
    if (names.size === 0 && NODE_IDENTITY.test(reference.registry)) return UNKNOWN;
    const missing: string[] = [];
    const configs: string[] = [];
    for (const name of names) {
      const secret = await this.#cluster.get(
        { apiVersion: 'v1', kind: 'Secret', name, namespace: question.namespace },
        this.#signal,
      );
      const data = textOf(at(secret, 'data', '.dockerconfigjson'));
      if (secret === undefined) missing.push(name);
      else if (data !== undefined) configs.push(Buffer.from(data, 'base64').toString('utf8'));
    }
    const outcomes = await Promise.all([...configs, '{}'].map((config) => this.#tryPull(question.image, config)));
    if (outcomes.includes('accepted')) return { value: 'yes' };
    if (outcomes.includes('unknown')) return UNKNOWN;
    if (missing.length > 0)
      return {
        value: 'no',
        detail: `the pull secret ${missing.join(', ')} does not exist in namespace ${question.namespace}`,
      };
    return {
      value: 'no',
      detail:
        names.size === 0
          ? 'no pull secret is named and the registry wants a login'
          : `the registry refuses what ${[...names].join(', ')} holds`,
    };
  }

  /** As the kubelet would: with only what the pull secret says, not with this machine's own login. */
  async #tryPull(image: string, dockerConfig: string): Promise<'accepted' | 'refused' | 'unknown'> {
    const auths = fieldsOf((JSON.parse(dockerConfig) as { readonly auths?: unknown }).auths);
    const env = { HOME: '/nonexistent', DOCKER_AUTH_CONFIG: JSON.stringify({ auths }) };
    const registry = new Registry({ ...this.#system, env });
    try {
      const digest = await registry.digestOf(image, this.#signal);
      return digest === undefined ? 'unknown' : 'accepted';
    } catch (error) {
      return SlipwayError.is(error) && error.code === 'registry.denied' ? 'refused' : 'unknown';
    }
  }

  async #exists(question: Extract<Question, { readonly kind: 'exists' }>): Promise<Answer> {
    const { object, key } = question;
    const found = await this.#cluster.get(object, this.#signal);
    if (found !== undefined) {
      if (key === undefined || at(found, 'data', key) !== undefined || at(found, 'binaryData', key) !== undefined)
        return { value: 'yes' };
      const keys = Object.keys(fieldsOf(found.data));
      return { value: 'no', detail: `${object.kind} ${object.name} has the keys ${keys.join(', ') || '(none)'}.` };
    }
    const others = await this.#cluster
      .list(
        {
          apiVersion: object.apiVersion,
          kind: object.kind,
          ...(object.namespace !== undefined && { namespace: object.namespace }),
          isMetadataOnly: true,
        },
        this.#signal,
      )
      .catch(() => []);
    const near = nearest(
      object.name,
      others.map((other) => other.metadata.name),
      3,
    );
    return {
      value: 'no',
      detail:
        near.length === 0
          ? `Create ${object.kind} ${object.name}.`
          : `Create it, or did you mean ${near.join(' or ')}?`,
    };
  }

  async #log(question: Extract<Question, { readonly kind: 'log' }>): Promise<Answer> {
    const { namespace, pod, container, isPrevious } = question;
    for (let attempt = 1; ; attempt += 1) {
      const text = await readPodLog(
        this.#cluster,
        { namespace, pod, container, isPrevious, tail: LOG_LINES },
        this.#signal,
      );
      const lines = text.split('\n').filter((line) => line.trim() !== '');
      // The runtime may not have handed over the log of a container that ended a moment ago.
      if (lines.length > 0 || attempt >= 3) return { value: 'yes', lines };
      await this.#system.clock.sleep(300, this.#signal);
    }
  }

  /** Cluster Autoscaler keeps a status ConfigMap; Karpenter has kinds of its own. */
  async #hasAutoscaler(): Promise<Answer> {
    const status = await this.#cluster.get(
      { apiVersion: 'v1', kind: 'ConfigMap', name: 'cluster-autoscaler-status', namespace: 'kube-system' },
      this.#signal,
    );
    if (status !== undefined) return { value: 'yes' };
    const karpenter = await this.#cluster.isNamespaced('karpenter.sh/v1', 'NodePool', this.#signal);
    return { value: karpenter === undefined ? 'no' : 'yes' };
  }
}

/** The names most like one, best first: same beginning counts, then few differing letters. */
function nearest(wanted: string, known: readonly string[], most = 5): readonly string[] {
  const score = (name: string): number => {
    let same = 0;
    while (same < Math.min(name.length, wanted.length) && name[same] === wanted[same]) same += 1;
    return same - Math.abs(name.length - wanted.length) / 4;
  };
  return known
    .filter((name) => !isHelperTag(name))
    .toSorted((a, b) => score(b) - score(a) || (a < b ? 1 : -1))
    .slice(0, most);
}

/** The reference as registries compare it, for asking once per image. */
export const normalReference = (image: string): string => formatReference(parseReference(image));
