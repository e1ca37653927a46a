// Images that do not come. Reasons are the kubelet's (pkg/kubelet/images, Kubernetes 1.35); texts are those of containerd
// and CRI-O, which hand on what the registry said.

import { at, listOf, textOf } from '../cluster/object.ts';
import { afterWait, asWarning, type ContainerScene, cleanText, type Finding, type Scene } from './causes.ts';

const PULL_REASONS = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'RegistryUnavailable',
  'ImageInspectError',
  'SignatureValidationFailed',
  'InvalidImageName',
  'ErrImageNeverPull',
]);
const MINUTE = 60_000;

type PullClass = 'ratelimit' | 'disk' | 'platform' | 'tls' | 'auth' | 'policy' | 'network' | 'missing' | 'other';

/** What a failed pull failed of, from the runtime's text without the image's own name. */
export function classifyPull(text: string, image: string): PullClass {
  const [path = image] = image.split('@');
  const clean = text
    .replaceAll(image, ' ')
    .replaceAll(path, ' ')
    .replace(/sha256:[0-9a-f]{8,}/g, ' ')
    .toLowerCase();
  if (/toomanyrequests|too many requests|\b429\b|rate limit/.test(clean)) return 'ratelimit';
  if (/no space left on device|disk quota/.test(clean)) return 'disk';
  if (
    /no match for platform|no matching manifest|no image found in (image index|manifest list)|exec format error/.test(
      clean,
    )
  )
    return 'platform';
  if (/x509|certificate signed by unknown|http response to https client|tls: failed to verify/.test(clean))
    return 'tls';
  if (/signature|policy requires|not signed/.test(clean)) return 'policy';
  if (
    /unauthorized|authorization failed|authentication required|\bdenied\b|no basic auth|may require (docker login|authorization)|\b40[13]\b|insufficient_scope|forbidden/.test(
      clean,
    )
  )
    return 'auth';
  if (
    /timeout|timed out|deadline exceeded|connection (refused|reset)|no such host|i\/o|network is unreachable|no route to host|\beof\b|\b5\d\d\b|service unavailable|bad gateway|server misbehaving|context canceled|tls handshake|temporary failure/.test(
      clean,
    )
  )
    return 'network';
  if (/not found|notfound|manifest unknown|name unknown|manifest_unknown|does not exist/.test(clean)) return 'missing';
  return 'other';
}

export function imageFindings(scene: Scene, container: ContainerScene): readonly Finding[] {
  const { waiting, pod, image, name } = container;
  if (waiting === undefined || !PULL_REASONS.has(waiting.reason)) return [];
  const uid = pod.metadata.uid ?? '';
  const key = `pull ${uid}/${name} ${image}`;
  // ImagePullBackOff says "Back-off pulling image" only, before Kubernetes 1.32: the first error is what counts.
  const sighting = scene.draft.see(key, firstText(scene, container, waiting), waiting.reason, 'ErrImagePull');
  const text = betterText(sighting.message, waiting.message);
  const common = {
    scope: 'pod' as const,
    pod: uid,
    ref: container.podRef,
    container: name,
    evidence: [`${waiting.reason}: ${cleanText(text)}`],
  };
  const node = textOf(at(pod, 'spec', 'nodeName')) ?? 'the node';
  switch (waiting.reason) {
    case 'InvalidImageName':
      return [
        {
          ...common,
          scope: 'object',
          code: 'image.invalid',
          strength: 'proven',
          firstSeen: sighting.first,
          message: `"${image}" is not an image reference${whyInvalid(image)}.`,
          fix: 'Correct the value that the image name is made of; an empty tag or upper-case letters are the usual mistakes.',
        },
      ];
    case 'ErrImageNeverPull':
      return [
        {
          ...common,
          code: 'image.neverpull',
          strength: 'proven',
          firstSeen: sighting.first,
          message: `${image} is not on ${node}, and imagePullPolicy is Never.`,
          fix: 'Load the image onto the nodes (kind load docker-image, minikube image load, k3d image import), or set imagePullPolicy: IfNotPresent.',
        },
      ];
    case 'ImageInspectError':
      return [
        {
          ...common,
          code: 'image.corrupt',
          ...afterWait(sighting, MINUTE, scene.now),
          message: `The image store of ${node} is damaged: ${image} cannot be read.`,
          fix: `Remove the image on ${node} so that it is pulled again, or drain the node.`,
        },
      ];
    case 'SignatureValidationFailed':
      return [policy(scene, container, sighting, common)];
    default:
      return pullFinding(scene, container, sighting, text, common, node);
  }
}

type Common = Pick<Finding, 'scope' | 'pod' | 'ref' | 'container' | 'evidence'>;
type Seen = ReturnType<Scene['draft']['see']>;

function pullFinding(
  scene: Scene,
  container: ContainerScene,
  sighting: Seen,
  text: string,
  common: Common,
  node: string,
): readonly Finding[] {
  const { image } = container;
  switch (classifyPull(text, image)) {
    case 'missing':
      return [missing(scene, container, sighting, common)];
    case 'auth':
      return [auth(scene, container, sighting, common, node)];
    case 'platform':
      return [
        {
          ...common,
          code: 'image.platform',
          strength: 'proven',
          firstSeen: sighting.first,
          message: `${image} has no build for the platform of ${node}${platformOf(scene, node)}.`,
          fix: 'Build for that platform too (platforms in slipway.yaml), or choose nodes by nodeSelector kubernetes.io/arch.',
        },
      ];
    case 'ratelimit':
      return [
        {
          ...common,
          code: 'image.ratelimit',
          ...asWarning(sighting),
          message: `The registry of ${image} limits pulls from ${node}.`,
          fix: 'Give the pod a pull secret, use a mirror, or copy the image to your own registry.',
        },
      ];
    case 'disk':
      return [
        {
          ...common,
          code: 'node.disk',
          ...asWarning(sighting),
          message: `The disk of ${node} is full: ${image} cannot be stored.`,
          fix: `Free space on ${node}; the kubelet also removes unused images by itself.`,
        },
      ];
    case 'policy':
      return [policy(scene, container, sighting, common)];
    case 'tls':
      return [
        {
          ...common,
          code: 'image.network',
          ...afterWait(sighting, MINUTE, scene.now),
          warnAt: sighting.first,
          message: `${node} does not trust the registry of ${image}: ${tlsWords(text)}.`,
          fix: "Give the nodes the registry's CA, or mark it as insecure in the runtime's configuration.",
        },
      ];
    default:
      return [
        {
          ...common,
          code: 'image.network',
          ...asWarning(sighting),
          message: `${node} could not pull ${image}; it tries again.`,
          fix: 'Look at DNS, proxy and firewall between the node and the registry if this goes on.',
        },
      ];
  }
}

function missing(scene: Scene, container: ContainerScene, sighting: Seen, common: Common): Finding {
  const { image } = container;
  const answer = scene.ask({ kind: 'registry-has', ref: image }, 5 * MINUTE);
  const what = {
    ...common,
    code: 'image.missing',
    fix: nearestFix(answer?.nearest),
  };
  if (answer?.state === 'absent') {
    return {
      ...what,
      scope: 'object',
      strength: 'proven',
      firstSeen: sighting.first,
      message: `${image} is not in the registry (404, checked from here too).`,
    };
  }
  if (answer?.state === 'present') {
    return {
      ...what,
      ...asWarning(sighting),
      message: `The node does not find ${image}, though the registry has it: a mirror or replica may be behind.`,
      fix: 'Wait; if it goes on, look at the mirror that the nodes pull through.',
    };
  }
  const message = `${image} was not found by the node.`;
  if (answer === undefined)
    return { ...what, strength: 'pending', firstSeen: sighting.first, dueAt: scene.now + 1000, message };
  // We cannot see that registry, so the node's word has to be heard twice. Attempts may be missed, hence the longer wait.
  const waitMs = sighting.attempts >= 2 ? 10_000 : 30_000;
  return {
    ...what,
    ...afterWait(sighting, waitMs, scene.now),
    warnAt: sighting.first,
    message: `${message} It said so in ${Math.max(2, sighting.attempts)} attempts.`,
  };
}

function auth(scene: Scene, container: ContainerScene, sighting: Seen, common: Common, node: string): Finding {
  const { image, pod } = container;
  const secrets = listOf(at(pod, 'spec', 'imagePullSecrets')).flatMap((item) => textOf(item.name) ?? []);
  const answer = scene.ask(
    {
      kind: 'pull-secret-works',
      ref: image,
      namespace: pod.metadata.namespace ?? '',
      serviceAccount: textOf(at(pod, 'spec', 'serviceAccountName')) ?? 'default',
      secrets,
    },
    10_000,
  );
  const named = secrets.length === 0 ? 'no pull secret' : `pull secret ${secrets.join(', ')}`;
  const what = {
    ...common,
    code: 'image.auth',
    firstSeen: sighting.first,
    evidence: [...common.evidence, ...(answer === undefined || answer.detail === '' ? [] : [answer.detail])],
    fix:
      secrets.length === 0
        ? 'Create a docker-registry secret for this registry and name it in imagePullSecrets of the pod or its service account.'
        : `Correct the secret ${secrets.join(', ')} in namespace ${pod.metadata.namespace ?? ''}: it must hold a login for this registry.`,
    message: `${node} may not pull ${image}: the registry refuses it (the pod has ${named}).`,
  };
  switch (answer?.state) {
    case 'missing':
      // Absent objects may still come with this deploy or from a maker; the pod then pulls by itself.
      return scene.isJobRunning
        ? {
            ...what,
            ...afterWait(sighting, 3 * MINUTE, scene.now),
            warnAt: sighting.first,
            message: `${what.message} ${answer.detail}`,
          }
        : { ...what, strength: 'proven', message: `${node} may not pull ${image}: ${answer.detail}` };
    case 'refused':
      return sighting.attempts >= 2 || scene.now - sighting.first >= 8000
        ? { ...what, strength: 'proven' }
        : { ...what, strength: 'pending', dueAt: sighting.first + 8000, warnAt: sighting.first };
    case 'none':
      // A node may have an identity of its own (cloud registries, a login in the runtime): hear it twice.
      return sighting.attempts >= 2 || scene.now - sighting.first >= 30_000
        ? { ...what, strength: 'proven' }
        : { ...what, strength: 'pending', dueAt: sighting.first + 30_000, warnAt: sighting.first };
    case 'works':
      return {
        ...what,
        strength: 'warning',
        message: `${node} was refused ${image}, though the pod's pull secret works from here.`,
        fix: 'Wait for the next attempt; the secret may just have been corrected.',
      };
    default: {
      const isProven = answer !== undefined && sighting.attempts >= 3 && scene.now - sighting.first >= 45_000;
      return isProven
        ? { ...what, strength: 'proven' }
        : {
            ...what,
            strength: 'pending',
            dueAt: scene.now + (answer === undefined ? 1000 : 5000),
            warnAt: sighting.first,
          };
    }
  }
}

function policy(scene: Scene, container: ContainerScene, sighting: Seen, common: Common): Finding {
  return {
    ...common,
    code: 'image.policy',
    ...afterWait(sighting, 30_000, scene.now),
    warnAt: sighting.first,
    message: `${container.image} does not meet the node's signature policy.`,
    fix: 'Sign the image with the key that the policy asks for, or correct the policy.',
  };
}

/** Text of a failed pull: the status's own, or the event's when the status only says that it backs off. */
function firstText(scene: Scene, container: ContainerScene, waiting: { readonly message: string }): string {
  if (!isBackOff(waiting.message)) return waiting.message;
  const events = scene.index.events.get(container.pod.metadata.uid ?? '') ?? [];
  const failed = events.find(
    (event) => event.reason === 'Failed' && event.message.includes(container.image) && !isBackOff(event.message),
  );
  return failed?.message ?? waiting.message;
}

const isBackOff = (text: string): boolean => /^back-?off pulling image "[^"]*"$/i.test(text.trim());
const betterText = (first: string, now: string): string => (isBackOff(first) && !isBackOff(now) ? now : first);

function whyInvalid(image: string): string {
  if (image === '' || image.endsWith(':') || image.endsWith('@')) return ': its tag is empty';
  if (/[A-Z]/.test(image.split(/[:@]/)[0] ?? '')) return ': it has upper-case letters';
  if (/::/.test(image)) return ': it has two colons';
  if (/\s/.test(image)) return ': it has a space';
  return '';
}

function nearestFix(nearest: readonly string[] | undefined): string {
  const hint = nearest === undefined || nearest.length === 0 ? '' : ` Nearest tags: ${nearest.join(', ')}.`;
  return `Push the image, or correct the tag.${hint}`;
}

function tlsWords(text: string): string {
  if (/http response to https client/i.test(text)) return 'it speaks plain HTTP';
  return /x509: ([^"]+)$/.exec(text)?.[1]?.trim() ?? 'its certificate is not accepted';
}

function platformOf(scene: Scene, node: string): string {
  const found = scene.snapshot.nodes.find((one) => one.metadata.name === node);
  const info = at(found, 'status', 'nodeInfo');
  const os = textOf(at(info, 'operatingSystem'));
  const arch = textOf(at(info, 'architecture'));
  return os === undefined || arch === undefined ? '' : ` (${os}/${arch})`;
}
