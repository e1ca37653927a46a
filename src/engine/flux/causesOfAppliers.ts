// Why what is fetched does not come into the cluster (kustomize-controller 1.7, helm-controller 1.4).
import { type CauseRule, firstLine } from './causeRule.ts';

const appliers = ['Kustomization', 'HelmRelease'] as const;
const helms = ['HelmRelease'] as const;

export const applierRules: readonly CauseRule[] = [
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
];
