import { at, type Fields, fieldsOf, type KubeObject, listOf, nameOf, refOf, textOf } from '../cluster/index.ts';
import type { ClusterAccess } from './access.ts';
import type { Answer } from './answers.ts';
import { type ImageToDeploy, normalRepository, splitReference } from './images.ts';
import { containersOf, type PlacedObject, podTemplateOf } from './objects.ts';

/** What a registry says of a reference, asked with this machine's own credentials. */
export type LookUp =
  | { readonly state: 'present'; readonly digest: string; readonly platforms: readonly string[] }
  /** The registry itself answered that there is no such manifest. */
  | { readonly state: 'absent'; readonly nearestTags: readonly string[] }
  /** No runtime can parse it. */
  | { readonly state: 'invalid'; readonly why: string }
  /** Not reached, not allowed, or an answer that proves nothing. */
  | { readonly state: 'unknown'; readonly why: string };

export interface Registry {
  lookUp(reference: string, signal: AbortSignal): Promise<LookUp>;
}

interface Use {
  readonly reference: string;
  readonly policy: string;
  readonly container: string;
  readonly placed: PlacedObject;
  readonly spec: Fields;
}

/** Images that the registry does not have, or not for the nodes they would run on. */
export async function checkImages(
  objects: readonly PlacedObject[],
  own: readonly ImageToDeploy[],
  registry: Registry,
  access: ClusterAccess,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const uses = objects.flatMap(usesOf);
  const references = [...new Set(uses.map(({ reference }) => reference))];
  const nodesAsked = access.list({ apiVersion: 'v1', kind: 'Node' }, signal).catch((error: unknown) => {
    if (signal.aborted) throw error;
    return [];
  });
  const looked = new Map(
    await Promise.all(
      references.map(async (reference) => [reference, await registry.lookUp(reference, signal)] as const),
    ),
  );
  const nodes = await nodesAsked;
  const answers: Answer[] = [];
  const said = new Set<string>();
  for (const use of uses) {
    if (said.has(use.reference)) continue;
    const result = looked.get(use.reference);
    const found = judge(use, result, own, nodes);
    if (found === undefined) continue;
    said.add(use.reference);
    answers.push(found);
  }
  return answers;
}

function judge(
  use: Use,
  result: LookUp | undefined,
  own: readonly ImageToDeploy[],
  nodes: readonly KubeObject[],
): Answer | undefined {
  switch (result?.state) {
    case 'absent':
      return absent(use, result.nearestTags, own, nodes);
    case 'present':
      return wrongPlatform(use, result.platforms, nodes);
    case 'invalid':
      return {
        certainty: 'wrong',
        code: 'image.invalid',
        object: refOf(use.placed.object),
        container: use.container,
        message: `Container ${use.container} of ${nameOf(refOf(use.placed.object))}: ${result.why}`,
        fix: 'Correct the value that rendered it: an empty tag, upper case letters and a double colon are the common ones.',
        ...(use.placed.place !== undefined && { place: use.placed.place }),
      };
    default:
      return undefined;
  }
}

function usesOf(placed: PlacedObject): readonly Use[] {
  const template = podTemplateOf(placed.object);
  if (template === undefined) return [];
  return containersOf(template).flatMap(({ container }) => {
    const reference = textOf(container.image);
    if (reference === undefined || reference === '') return [];
    const policy = textOf(container.imagePullPolicy) ?? '';
    return [{ reference, policy, container: textOf(container.name) ?? '', placed, spec: template.spec }];
  });
}

/**
 * The registry we push to and see saying "no" is proof. For other images it is not: nodes may have mirrors or
 * rewrites. An image that lies on a node already is not pulled unless the policy says Always.
 */
function absent(
  use: Use,
  nearestTags: readonly string[],
  own: readonly ImageToDeploy[],
  nodes: readonly KubeObject[],
): Answer | undefined {
  const { repository, tag, digest } = splitReference(use.reference);
  const isOwn = own.some((image) => normalRepository(image.repository) === normalRepository(repository));
  const isOnNodes = nodes.length > 0 && nodes.every((node) => holds(node, use.reference));
  if (use.policy === 'Never' || (isOnNodes && use.policy !== 'Always')) return undefined;
  const name = nameOf(refOf(use.placed.object));
  const near = nearestTags.length === 0 ? '' : ` Nearest tags: ${nearestTags.join(', ')}.`;
  return {
    certainty: isOwn ? 'wrong' : 'suspicious',
    code: 'image.missing',
    object: refOf(use.placed.object),
    container: use.container,
    message: `${use.reference} is not in the registry (asked just now). Container ${use.container} of ${name} would not start.${near}`,
    fix:
      nearestTags.length > 0
        ? `Deploy a tag that exists (${nearestTags[0]}), or push ${tag ?? digest ?? 'it'} first.`
        : `Push ${repository}${tag === undefined ? '' : `:${tag}`} first; is the repository spelt right?`,
    evidence: [`registry: no manifest for ${use.reference}`, ...nearestTags.map((other) => `tag ${other}`)],
    ...(use.placed.place !== undefined && { place: use.placed.place }),
  };
}

/** The kubelet reports at most 50 images of a node, so a no is not a no. */
function holds(node: KubeObject, reference: string): boolean {
  return listOf(at(node, 'status', 'images')).some(
    (image) => Array.isArray(image.names) && image.names.includes(reference),
  );
}

function wrongPlatform(use: Use, platforms: readonly string[], nodes: readonly KubeObject[]): Answer | undefined {
  if (platforms.length === 0) return undefined;
  const candidates = nodes.filter((node) => mayRun(node, use.spec));
  const offered = new Set(platforms.map((platform) => platform.split('/').slice(0, 2).join('/')));
  const byPlatform = Map.groupBy(candidates, platformOf);
  byPlatform.delete(undefined);
  const lacking = [...byPlatform.keys()].filter((platform) => platform !== undefined && !offered.has(platform));
  const [first] = lacking;
  if (first === undefined) return undefined;
  const isProven = lacking.length === byPlatform.size;
  const names = lacking.flatMap((platform) => (byPlatform.get(platform) ?? []).map((node) => node.metadata.name));
  const name = nameOf(refOf(use.placed.object));
  return {
    certainty: isProven ? 'wrong' : 'suspicious',
    code: 'image.platform',
    object: refOf(use.placed.object),
    container: use.container,
    message:
      `${use.reference} is for ${platforms.join(', ')}; ${isProven ? 'every' : 'some'} node that ` +
      `${name} may run on is ${lacking.join(' or ')} (${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}).`,
    fix: `Build it for ${lacking.join(' and ')} as well${isProven ? '' : ', or keep its pods off those nodes with a nodeSelector on kubernetes.io/arch'}.`,
    ...(use.placed.place !== undefined && { place: use.placed.place }),
  };
}

/** By node selector and taints; affinity and a full node decide later which of these it will be. */
function mayRun(node: KubeObject, spec: Fields): boolean {
  if (at(node, 'spec', 'unschedulable') === true) return false;
  // Taints of the node's condition come and go; those of a person keep pods away.
  const taints = listOf(at(node, 'spec', 'taints')).filter(
    ({ key, effect }) => effect !== 'PreferNoSchedule' && !String(key).startsWith('node.kubernetes.io/'),
  );
  if (!taints.every((taint) => listOf(spec.tolerations).some((toleration) => tolerates(toleration, taint))))
    return false;
  const labels = node.metadata.labels ?? {};
  const isNamed = spec.nodeName === undefined || spec.nodeName === node.metadata.name;
  return isNamed && Object.entries(fieldsOf(spec.nodeSelector)).every(([key, value]) => labels[key] === value);
}

function tolerates(toleration: Fields, taint: Fields): boolean {
  if (toleration.effect !== undefined && toleration.effect !== '' && toleration.effect !== taint.effect) return false;
  if (toleration.operator === 'Exists') return toleration.key === undefined || toleration.key === taint.key;
  return toleration.key === taint.key && (toleration.value ?? '') === (taint.value ?? '');
}

function platformOf(node: KubeObject): string | undefined {
  const info = fieldsOf(at(node, 'status', 'nodeInfo'));
  const os = textOf(info.operatingSystem);
  const architecture = textOf(info.architecture);
  return os === undefined || architecture === undefined ? undefined : `${os}/${architecture}`;
}

/** Pull secrets that are not there, or have no login for the host they are to be used with. */
export async function checkPullSecrets(
  objects: readonly PlacedObject[],
  access: ClusterAccess,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const said = new Set<string>();
  const own = new Map(objects.map(({ object }) => [`${object.kind}/${object.metadata.name}`, object]));
  for (const placed of objects) {
    const uses = usesOf(placed);
    const [use] = uses;
    if (use === undefined) continue;
    const where = placed.object.metadata.namespace ?? namespace;
    const account = textOf(use.spec.serviceAccountName) ?? 'default';
    const accountRef = { apiVersion: 'v1', kind: 'ServiceAccount', name: account, namespace: where };
    const holder = own.get(`ServiceAccount/${account}`) ?? (await access.get(accountRef, signal));
    // A pod that names secrets of its own does not get its account's.
    const named = listOf(use.spec.imagePullSecrets);
    const names = (named.length > 0 ? named : listOf(holder?.imagePullSecrets)).flatMap(
      (ref) => textOf(ref.name) ?? [],
    );
    const covered: string[] = [];
    let isKnown = true;
    for (const name of names) {
      const secret =
        own.get(`Secret/${name}`) ??
        (await access.get({ apiVersion: 'v1', kind: 'Secret', name, namespace: where }, signal));
      if (secret !== undefined) {
        const hosts = hostsOf(secret);
        if (hosts === undefined) isKnown = false;
        else covered.push(...hosts);
      } else if (!said.has(name)) {
        said.add(name);
        answers.push({
          certainty: 'suspicious',
          code: 'image.auth',
          object: refOf(placed.object),
          message: `The pull secret ${name} of ${nameOf(refOf(placed.object))} does not exist in ${where}: nodes will pull without logging in.`,
          fix: `Create it: kubectl -n ${where} create secret docker-registry ${name} --docker-server=… (or take it out of imagePullSecrets).`,
          ...(placed.place !== undefined && { place: placed.place }),
        });
      }
    }
    if (names.length === 0 || !isKnown || covered.length === 0) continue;
    const hosts = new Set(uses.map(({ reference }) => hostOf(reference)));
    for (const host of hosts) {
      if (covered.some((pattern) => covers(pattern, host)) || said.has(host)) continue;
      // Most set-ups mix a private registry with public images, so only hosts that look private are spoken of.
      if (host === 'docker.io' || host === 'registry.k8s.io' || host === 'quay.io' || host === 'ghcr.io') continue;
      said.add(host);
      answers.push({
        certainty: 'suspicious',
        code: 'image.auth',
        object: refOf(placed.object),
        message: `No pull secret of ${nameOf(refOf(placed.object))} has a login for ${host}; ${names.join(', ')} is for ${covered.join(', ')}.`,
        fix: `Add a login for ${host} to the pull secret, if that registry asks for one.`,
        ...(placed.place !== undefined && { place: placed.place }),
      });
    }
  }
  return answers;
}

const hostOf = (reference: string): string =>
  normalRepository(splitReference(reference).repository).split('/')[0] ?? '';

/** Hosts a pull secret has a login for; undefined when it cannot be told. */
function hostsOf(secret: KubeObject): readonly string[] | undefined {
  const text =
    textOf(at(secret, 'stringData', '.dockerconfigjson')) ??
    decoded(at(secret, 'data', '.dockerconfigjson')) ??
    decoded(at(secret, 'data', '.dockercfg'));
  if (text === undefined) return undefined;
  try {
    const config: unknown = JSON.parse(text);
    const entries = Object.keys(fieldsOf(at(config, 'auths') ?? config));
    return entries.map((entry) => entry.replace(/^https?:\/\//, '').replace(/\/(v[12]\/?)?$/, ''));
  } catch {
    return [];
  }
}

function decoded(value: unknown): string | undefined {
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : undefined;
}

/** As the kubelet matches: `*` for parts of the host, and Docker Hub under its old name. */
function covers(pattern: string, host: string): boolean {
  const name = (pattern.split('/')[0] ?? '').replace(/^(index|registry-1)\.docker\.io$/, 'docker.io');
  const parts = name.split('.');
  const wanted = host.split('.');
  return parts.length === wanted.length && parts.every((part, index) => part === '*' || part === wanted[index]);
}
