// Why no tag is chosen or written (image-reflector 1.1, image-automation 1.2).
import type { CauseRule } from './causeRule.ts';

const policies = ['ImagePolicy'] as const;
const automations = ['ImageUpdateAutomation'] as const;

export const imageRules: readonly CauseRule[] = [
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
];
