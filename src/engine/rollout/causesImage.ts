import type { KubeObject } from '../cluster/object.ts';
import { at, listOf, refOf, textOf } from '../cluster/object.ts';
import { after, type Candidate, never, now } from './causes.ts';
import { type Answer, type ContainerState, keyOf, type Question, type Snapshot } from './snapshot.ts';

/** Waiting reasons that speak of the image. */
const PULL_REASONS = new Set(['ErrImagePull', 'ImagePullBackOff', 'RegistryUnavailable']);

/** What the kubelet (containerd and CRI-O, 1.24 to 1.35) says of an image it cannot use. */
export function imageCandidate(
  pod: KubeObject,
  container: ContainerState,
  pullError: string | undefined,
  snapshot: Snapshot,
): Candidate | undefined {
  const { waiting } = container;
  if (waiting === undefined) return undefined;
  const image = container.image;
  const base = {
    object: refOf(pod),
    container: container.name,
    evidence: evidence(waiting.reason, waiting.message, pullError),
  };
  if (waiting.reason === 'InvalidImageName') {
    return {
      ...base,
      code: 'image.invalid',
      message: `"${image}" is not an image name.`,
      fix: 'Correct the value it is made from: an empty tag, upper-case letters and double colons are the usual mistakes.',
      proof: now,
    };
  }
  if (waiting.reason === 'ErrImageNeverPull') {
    return {
      ...base,
      code: 'image.neverpull',
      message: `${image} is not on the node, and the pull policy is Never.`,
      fix: 'Load the image onto the node (kind load docker-image), or change imagePullPolicy.',
      proof: now,
    };
  }
  if (waiting.reason === 'ImageInspectError') {
    return {
      ...base,
      code: 'image.corrupt',
      message: `The node cannot read its copy of ${image}.`,
      fix: 'Remove the image from the node so that it is pulled again.',
      proof: after(60_000),
    };
  }
  if (waiting.reason === 'SignatureValidationFailed') {
    return {
      ...base,
      code: 'image.policy',
      message: `${image} is not signed as this cluster's policy asks.`,
      fix: 'Sign the image, or correct the policy.',
      proof: after(30_000),
    };
  }
  if (!PULL_REASONS.has(waiting.reason)) return undefined;
  // The back-off message hides the first error before Kubernetes 1.32.
  const text = `${waiting.message} ${pullError ?? ''}`;
  if (text.trim() === '' || /^\s*Back-off pulling image[^:]*\s*$/.test(text)) return undefined;
  if (
    /no match for platform|no image found in (manifest list|image index) for architecture|does not match the specified platform|exec format error/i.test(
      text,
    )
  ) {
    return {
      ...base,
      code: 'image.platform',
      message: `${image} does not exist for the processor of node ${textOf(at(pod, 'spec', 'nodeName')) ?? '?'}.`,
      fix: 'Build it for that platform as well, or choose nodes with nodeSelector kubernetes.io/arch.',
      proof: now,
    };
  }
  if (/no space left on device|disk quota/i.test(text)) {
    return {
      ...base,
      code: 'node.disk',
      message: `Node ${textOf(at(pod, 'spec', 'nodeName')) ?? '?'} has no room for ${image}.`,
      fix: 'Free space on the node, or let the pod go to another one.',
      proof: never,
    };
  }
  if (/429|toomanyrequests|rate limit/i.test(text)) {
    return {
      ...base,
      code: 'image.ratelimit',
      message: `The registry limits pulls of ${image}.`,
      fix: 'Give the pod a pull secret of an account with a higher limit, or use a mirror.',
      proof: never,
    };
  }
  if (/401|403|unauthorized|denied|authorization failed|may require authorization|insufficient_scope/i.test(text))
    return authCandidate(pod, base, image, snapshot);
  if (/not found|manifest unknown|name unknown|NotFound|404/i.test(text))
    return missingCandidate(base, image, snapshot);
  const isTls = /x509: certificate signed by unknown authority|server gave HTTP response to HTTPS client/i.test(text);
  return {
    ...base,
    code: 'image.network',
    message: `The node cannot reach the registry of ${image}.`,
    fix: isTls
      ? 'Give the nodes the CA of the registry, or mark it as insecure in their container runtime.'
      : 'Check DNS, proxy and firewall of the nodes.',
    proof: isTls ? after(60_000) : never,
  };
}

type Base = Pick<Candidate, 'object' | 'container' | 'evidence'>;

function missingCandidate(base: Base, image: string, snapshot: Snapshot): Candidate {
  const question: Question = { kind: 'registry', image };
  const answer = snapshot.answers.get(keyOf(question));
  const candidate = {
    ...base,
    code: 'image.missing',
    message: `${image} is not in the registry.${answer?.value === 'no' ? ' We asked it as well: it is not there.' : ''}`,
    fix: answer?.detail ?? 'Check the tag, and that the image was pushed.',
    ask: [question],
  };
  // The registry that it was pushed to says no as well: nobody but a person can heal that.
  if (answer?.value === 'no') return { ...candidate, proof: now };
  if (answer?.value === 'yes') {
    return {
      ...candidate,
      message: `The node does not find ${image}, though the registry has it.`,
      fix: "A mirror or cache between node and registry may lag behind; check the runtime's mirrors.",
      proof: never,
    };
  }
  return { ...candidate, proof: after(12_000, 2) };
}

function authCandidate(pod: KubeObject, base: Base, image: string, snapshot: Snapshot): Candidate {
  const secrets = listOf(at(pod, 'spec', 'imagePullSecrets')).flatMap((secret) => textOf(secret.name) ?? []);
  const question: Question = {
    kind: 'pull-access',
    image,
    namespace: pod.metadata.namespace ?? 'default',
    secrets,
    serviceAccount: textOf(at(pod, 'spec', 'serviceAccountName')) ?? 'default',
  };
  const answer: Answer | undefined = snapshot.answers.get(keyOf(question));
  const named = secrets.length === 0 ? 'it names no pull secret' : `with ${secrets.join(', ')}`;
  return {
    ...base,
    code: 'image.auth',
    message: `The node may not pull ${image} (${named})${answer?.detail === undefined ? '' : `: ${answer.detail}`}.`,
    fix: `Create the pull secret for ${image.split('/')[0]} in namespace ${question.namespace} and name it in imagePullSecrets.`,
    proof: answer?.value === 'no' ? now : answer?.value === 'yes' ? never : after(45_000, 3),
    ask: [question],
  };
}

function evidence(reason: string, message: string, pullError: string | undefined): readonly string[] {
  // Registries put user names and tokens into rate-limit texts.
  const clean = (text: string): string => text.replace(/(token|password|authorization)[=:]\s*\S+/gi, '$1=***');
  return [
    `${reason}: ${clean(message)}`,
    ...(pullError === undefined || message.includes(pullError) ? [] : [clean(pullError)]),
  ];
}
