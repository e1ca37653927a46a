// What a controller's words mean and what mends it: one table, by kind, reason and message.
import type { KubeObject } from '../cluster/object.ts';
import { type CauseRule, firstLine } from './causeRule.ts';
import { applierRules } from './causesOfAppliers.ts';
import { imageRules } from './causesOfImages.ts';
import { sourceRules } from './causesOfSources.ts';
import { namespaceOf } from './kinds.ts';
import type { Standing } from './standing.ts';

export interface Cause {
  /** `flux.` and the class, for example `flux.registry-auth`. */
  readonly code: string;
  /** One sentence: what is wrong. */
  readonly message: string;
  readonly fix: string;
  readonly evidence: readonly string[];
}

const registries = ['ImageRepository', 'OCIRepository', 'HelmRepository', 'HelmChart', 'ImagePolicy'] as const;

/** The first that matches names the cause: what is certain before what a word suggests. */
const rules: readonly CauseRule[] = [
  {
    code: 'flux.secret-missing',
    kinds: 'any',
    pattern: /secrets? ['"]?(?:[\w.-]+\/)?([\w.-]+)['"]? not found/i,
    says: ({ match, kind, name, namespace }) => [
      `The Secret ${match[1]} that ${kind} ${name} refers to does not exist.`,
      `Create it in the namespace ${namespace}, or correct the secretRef.`,
    ],
  },
  {
    code: 'flux.https',
    kinds: registries,
    pattern: /server gave HTTP response to HTTPS client/,
    says: ({ name }) => ['The registry speaks plain http.', `Set spec.insecure: true on ${name}.`],
  },
  {
    code: 'flux.certificate',
    kinds: 'any',
    pattern: /x509: (certificate signed by unknown authority|[^:]+)/,
    says: ({ match, name }) => [
      `The server's certificate is not trusted: ${match[1]}.`,
      `Give ${name} the authority with certSecretRef (key ca.crt), or mend the server's certificate.`,
    ],
  },
  ...sourceRules,
  ...imageRules,
  {
    code: 'flux.access',
    kinds: 'any',
    pattern:
      /AccessDenied|access denied|cross-namespace references? (?:is|are|have been) (?:not allowed|blocked|disabled)/i,
    says: ({ namespace }) => [
      `What it refers to is in another namespace and not open to ${namespace}.`,
      'Allow it there with spec.accessFrom, or move both into one namespace.',
    ],
  },
  ...applierRules,
  {
    code: 'flux.verification',
    kinds: 'any',
    pattern: /VerificationError|signature|no matching signatures/i,
    says: () => ['The signature could not be verified.', 'Sign it with the key in spec.verify, or correct the key.'],
  },
  {
    code: 'flux.network',
    kinds: 'any',
    pattern: /no such host|connection refused|i\/o timeout|network is unreachable|EOF|context deadline exceeded/,
    says: () => ['The server cannot be reached from the cluster.', 'Look at the address, DNS and network policies.'],
  },
  {
    code: 'flux.feature-gate',
    kinds: 'any',
    pattern: /FeatureGateDisabled/,
    says: () => ['It uses a feature that the controller has switched off.', 'Enable the gate that the message names.'],
  },
];

/** Names the cause of a failed object; what is in no rule keeps the controller's words. */
export function causeOf(object: KubeObject, standing: Standing): Cause {
  const text = `${standing.reason}: ${standing.message}`;
  const facts = { name: object.metadata.name, namespace: namespaceOf(object), kind: object.kind };
  for (const { code, kinds, pattern, says } of rules) {
    if (kinds !== 'any' && !kinds.some((kind) => kind === object.kind)) continue;
    const match = pattern.exec(text);
    if (match === null) continue;
    const [message, fix] = says({ ...facts, match });
    return { code, message, fix, evidence: [text] };
  }
  return {
    code: 'flux.other',
    message: firstLine(standing.message) || `The controller reports ${standing.reason || 'a failure'}.`,
    fix:
      standing.failure === 'stalled'
        ? 'Change the spec: the controller waits for that.'
        : 'Mend what the message says; Flux tries again by itself.',
    evidence: [text],
  };
}
