// What a controller's words mean and what mends it: one table, by kind, reason and message. The texts are those of
// source-controller 1.8, kustomize-controller 1.7, image-reflector 1.1, image-automation 1.2 and helm-controller 1.4.
import type { KubeObject } from '../cluster/object.ts';
import type { FluxKind } from './kinds.ts';
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

interface Facts {
  readonly name: string;
  readonly namespace: string;
  readonly kind: string;
  readonly match: RegExpExecArray;
}

interface Rule {
  readonly code: string;
  readonly kinds: readonly FluxKind[] | 'any';
  /** Tried on `reason: message`. */
  readonly pattern: RegExp;
  readonly says: (facts: Facts) => readonly [message: string, fix: string];
}

const images = ['ImageRepository'] as const;
const policies = ['ImagePolicy'] as const;
const automations = ['ImageUpdateAutomation'] as const;
const gits = ['GitRepository', 'ImageUpdateAutomation'] as const;
const registries = ['ImageRepository', 'OCIRepository', 'HelmRepository', 'HelmChart', 'ImagePolicy'] as const;
const appliers = ['Kustomization', 'HelmRelease'] as const;
const helms = ['HelmRelease'] as const;

/** The first that matches names the cause. */
const rules: readonly Rule[] = [
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
  {
    code: 'flux.registry-auth',
    kinds: registries,
    pattern: /AuthenticationFailed|UNAUTHORIZED|unauthorized|DENIED|401|403 Forbidden/,
    says: ({ name, namespace }) => [
      'The registry does not let Flux in.',
      `Give ${name} a secretRef to a kubernetes.io/dockerconfigjson Secret in ${namespace} with read access, or set provider.`,
    ],
  },
  {
    code: 'flux.image-unknown',
    kinds: images,
    pattern: /NAME_UNKNOWN|repository name not known|404/,
    says: ({ name }) => ['The registry has no such repository.', `Push a first tag, or correct spec.image of ${name}.`],
  },
  {
    code: 'flux.rate-limit',
    kinds: registries,
    pattern: /TOOMANYREQUESTS|429 Too Many/i,
    says: ({ name }) => [
      'The registry limits how often it may be asked.',
      `Ask less often (spec.interval of ${name}) or with an account (secretRef).`,
    ],
  },
  {
    code: 'flux.image-url',
    kinds: images,
    pattern: /ImageURLInvalid/,
    says: ({ name }) => [
      'spec.image is no image name.',
      `Write it without scheme, tag and digest in ${name}, for example ghcr.io/acme/api.`,
    ],
  },
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
  {
    code: 'flux.no-tag-matches',
    kinds: policies,
    pattern: /version list argument cannot be empty/,
    says: ({ name }) => [
      'No tag passes the filter, so there is nothing to choose from.',
      `Correct spec.filterTags.pattern of ${name}; \`slipway policies --why\` shows each tag.`,
    ],
  },
  {
    code: 'flux.no-tag-in-range',
    kinds: policies,
    pattern: /unable to determine latest version from provided list/,
    says: ({ name }) => [
      'No tag is a version in the range.',
      `Widen spec.policy.semver.range of ${name}, or push a tag of that form; \`slipway policies --why\` shows each tag.`,
    ],
  },
  {
    code: 'flux.tag-not-number',
    kinds: policies,
    pattern: /failed to parse invalid numeric value '([^']*)'/,
    says: ({ match, name }) => [
      `One tag is no number ("${match[1]}"), and that fails the whole numerical policy.`,
      `Keep such tags out with spec.filterTags of ${name}.`,
    ],
  },
  {
    code: 'flux.policy-invalid',
    kinds: policies,
    pattern: /InvalidPolicy|IntervalNotConfigured/,
    says: () => ['The rules of the policy cannot be used.', 'Correct spec.policy or spec.filterTags.'],
  },
  {
    code: 'flux.repository-not-ready',
    kinds: policies,
    pattern: /DependencyNotReady|has not (?:yet )?been scanned|no image found/i,
    says: () => ['Its image repository has not been scanned.', 'Look at the ImageRepository before it in the chain.'],
  },
  {
    code: 'flux.push-refused',
    kinds: automations,
    pattern: /pre-receive hook declined|protected branch|remote rejected|command error on refs\/\S+: ([^\n]+)/i,
    says: ({ match }) => [
      `The git server refuses the push${match[1] === undefined ? '' : `: ${match[1]}`}.`,
      'Let the automation push to this branch, or give it a branch of its own with spec.git.push.branch.',
    ],
  },
  {
    code: 'flux.push-raced',
    kinds: automations,
    pattern: /non-fast-forward/,
    says: () => ['Somebody else pushed at the same time.', 'Nothing to do: the next run starts from the new head.'],
  },
  {
    code: 'flux.git-auth',
    kinds: gits,
    pattern:
      /authentication required|authorization failed|invalid credentials|handshake failed: ssh: unable to authenticate|403|401/i,
    says: ({ kind }) => [
      'The git server does not let Flux in.',
      kind === 'ImageUpdateAutomation'
        ? 'Give the GitRepository a secretRef with the right to write: a read-only deploy key is not enough.'
        : 'Correct the Secret of spec.secretRef: username and password, or identity and known_hosts.',
    ],
  },
  {
    code: 'flux.git-host-key',
    kinds: gits,
    pattern: /knownhosts|host key/i,
    says: () => [
      "The server's ssh key is not the one in known_hosts.",
      'Put the current host key into known_hosts of the Secret.',
    ],
  },
  {
    code: 'flux.git-branch',
    kinds: gits,
    pattern: /couldn't find remote ref|reference not found|unable to resolve ref/i,
    says: () => ['The branch, tag or commit does not exist.', 'Correct spec.ref, or push the branch.'],
  },
  {
    code: 'flux.git-url',
    kinds: gits,
    pattern: /repository not found|404/i,
    says: () => ['There is no such git repository, or Flux may not see it.', 'Correct spec.url or its Secret.'],
  },
  {
    code: 'flux.update-path',
    kinds: automations,
    pattern: /UpdateFailed.*(?:no such file or directory|lstat)/s,
    says: () => ['spec.update.path does not exist in the repository.', 'Correct it, relative to the repository.'],
  },
  {
    code: 'flux.update-failed',
    kinds: automations,
    pattern: /UpdateFailed/,
    says: ({ namespace }) => [
      'The files could not be updated, so no image of this automation is.',
      `One policy of ${namespace} with an invalid image name is enough; the message names it.`,
    ],
  },
  {
    code: 'flux.template-field',
    kinds: automations,
    pattern: /RemovedTemplateField/,
    says: () => [
      'The commit message uses a field that Flux 2.7 removed.',
      'Use .Changed.Changes or .Changed.Objects in messageTemplate.',
    ],
  },
  {
    code: 'flux.automation-spec',
    kinds: automations,
    pattern: /InvalidSourceConfiguration|InvalidPolicySelector|InvalidUpdateStrategy|SourceManagerFailed/,
    says: () => ['Its source, selector or strategy cannot be used.', 'Correct the spec as the message says.'],
  },
  {
    code: 'flux.path',
    kinds: ['Kustomization'],
    pattern: /kustomization path not found|path not found/i,
    says: ({ name }) => [
      'spec.path does not exist in the repository.',
      `Correct spec.path of ${name}, or push the folder.`,
    ],
  },
  {
    code: 'flux.decrypt',
    kinds: ['Kustomization'],
    pattern: /decrypt|sops/i,
    says: () => [
      'A file cannot be decrypted.',
      'Set spec.decryption with the right key Secret, or encrypt the file for that key.',
    ],
  },
  {
    code: 'flux.substitute',
    kinds: ['Kustomization'],
    pattern: /variable substitution failed|envsubst|variable not set/i,
    says: () => [
      'A variable of the files has no value.',
      'Give it one in spec.postBuild.substitute, or escape it as $$ where it is meant literally.',
    ],
  },
  {
    code: 'flux.build',
    kinds: ['Kustomization'],
    pattern: /BuildFailed|kustomize build failed/,
    says: () => [
      'The files cannot be built with Kustomize.',
      'Build the folder here (`kubectl kustomize`), mend what it says, and push.',
    ],
  },
  {
    code: 'flux.kind-missing',
    kinds: appliers,
    pattern: /no matches for kind "([^"]+)"/,
    says: ({ match }) => [
      `The cluster has no kind ${match[1]}.`,
      'Apply its CustomResourceDefinition first: in a Kustomization of its own that this one names in dependsOn.',
    ],
  },
  {
    code: 'flux.namespace-missing',
    kinds: appliers,
    pattern: /namespaces? ["']?([\w.-]+)["']? not found/,
    says: ({ match }) => [`The namespace ${match[1]} does not exist.`, 'Add the Namespace to the files, or create it.'],
  },
  {
    code: 'flux.immutable',
    kinds: appliers,
    pattern: /field is immutable|immutable field|may not be changed/i,
    says: () => [
      'A field that cannot be changed was changed.',
      'Delete the object and let Flux make it again, give it another name, or set spec.force.',
    ],
  },
  {
    code: 'flux.forbidden',
    kinds: appliers,
    pattern: /is forbidden: User "([^"]+)"|\(Forbidden\)/,
    says: ({ match }) => [
      `${match[1] ?? 'Its service account'} may not write what the files hold.`,
      'Bind the rights to spec.serviceAccountName.',
    ],
  },
  {
    code: 'flux.admission',
    kinds: appliers,
    pattern: /admission webhook "([^"]+)" denied/,
    says: ({ match }) => [`The admission webhook ${match[1]} refuses an object.`, 'Change the object as it says.'],
  },
  {
    code: 'flux.invalid-object',
    kinds: ['Kustomization'],
    pattern: /dry-run failed[^:]*: (.+)|is invalid: (.+)/s,
    says: ({ match }) => [
      `The API server refuses an object: ${firstLine(match[1] ?? match[2] ?? '')}`,
      'Correct the object in git.',
    ],
  },
  {
    code: 'flux.health',
    kinds: ['Kustomization'],
    pattern: /HealthCheckFailed|health check (?:failed|canceled)/i,
    says: ({ match: _match }) => [
      'The objects were applied and did not become healthy in time.',
      'Look at the rollout: its cause is at the last step of the chain.',
    ],
  },
  {
    code: 'flux.prune',
    kinds: ['Kustomization'],
    pattern: /PruneFailed/,
    says: () => ['What git no longer holds could not be deleted.', 'Look at the finalizers of the object it names.'],
  },
  {
    code: 'flux.dependency',
    kinds: appliers,
    pattern: /DependencyNotReady.*dependency '([^']+)'|DependencyNotReady/s,
    says: ({ match }) => [
      `It waits for ${match[1] ?? 'an object in dependsOn'}, which is not ready.`,
      'Mend that one first; this one follows within 30 s.',
    ],
  },
  {
    code: 'flux.source-missing',
    kinds: ['Kustomization', 'HelmRelease', 'HelmChart', 'ImageUpdateAutomation'],
    pattern:
      /(?:GitRepository|OCIRepository|Bucket|HelmRepository|HelmChart)\S* ["']?[\w./-]+["']? not found|Source '[^']+' not found|referenced git repository does not exist|latest artifact not found|SourceUnavailable/i,
    says: ({ kind }) => [
      'Its source does not exist.',
      kind === 'HelmRelease' ? 'Correct chartRef or chart.spec.sourceRef.' : 'Correct spec.sourceRef.',
    ],
  },
  {
    code: 'flux.no-artifact',
    kinds: appliers,
    pattern: /ArtifactFailed|artifact not found|is not ready/i,
    says: () => ['Its source has nothing to apply yet.', 'Look at the source before it in the chain.'],
  },
  {
    code: 'flux.chart-version',
    kinds: ['HelmChart', 'HelmRelease'],
    pattern: /no '?([^']*)'? ?chart with version matching '([^']*)' found|no chart version found for ([\w.-]+)/,
    says: () => [
      'The repository has no such version of the chart.',
      'Correct spec.chart.spec.version, or publish the chart.',
    ],
  },
  {
    code: 'flux.helm-pending',
    kinds: helms,
    pattern: /another operation \(install\/upgrade\/rollback\) is in progress/,
    says: () => [
      'A killed helm left a lock on the release.',
      'Force it: slipway flux reconcile --reset on this HelmRelease (it clears the failure count), or roll the release back.',
    ],
  },
  {
    code: 'flux.helm-values',
    kinds: helms,
    pattern:
      /values don't meet the specifications of the schema|could not (?:find|resolve) (?:Secret|ConfigMap|values)|ValuesError/i,
    says: () => ['The values do not fit the chart, or are not there.', 'Correct spec.values or spec.valuesFrom.'],
  },
  {
    code: 'flux.helm-retries',
    kinds: helms,
    pattern: /RetriesExceeded|retries exhausted/i,
    says: () => [
      'It failed too often and is not tried any more.',
      'Mend the cause, then push a change or reconcile with --reset.',
    ],
  },
  {
    code: 'flux.helm-timeout',
    kinds: helms,
    pattern: /timed out waiting for the condition|context deadline exceeded|not ready\. status: /,
    says: () => [
      'The release was written and its pods did not become ready in time.',
      'Look at the rollout: its cause is at the last step of the chain.',
    ],
  },
  {
    code: 'flux.helm',
    kinds: helms,
    pattern: /(Install|Upgrade|Rollback|Uninstall|Test)Failed/,
    says: ({ match }) => [
      `Helm's ${(match[1] ?? '').toLowerCase()} failed.`,
      'Correct the chart or its values as the message says.',
    ],
  },
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

function firstLine(text: string): string {
  const [line = ''] = text.split('\n');
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
