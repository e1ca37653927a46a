// Why nothing is fetched: git, registries, chart repositories and buckets (source-controller 1.8, image-reflector 1.1).
import type { CauseRule } from './causeRule.ts';

const images = ['ImageRepository'] as const;
const gits = ['GitRepository', 'ImageUpdateAutomation'] as const;
const registries = ['ImageRepository', 'OCIRepository', 'HelmRepository', 'HelmChart', 'ImagePolicy'] as const;
const buckets = ['Bucket'] as const;

export const sourceRules: readonly CauseRule[] = [
  {
    code: 'flux.bucket-missing',
    kinds: buckets,
    pattern: /bucket '([^']+)' (?:not found|does not exist)|NoSuchBucket/i,
    says: ({ match, name }) => [
      `There is no bucket ${match[1] ?? 'of that name'} at the endpoint.`,
      `Correct spec.bucketName or spec.endpoint of ${name}.`,
    ],
  },
  {
    code: 'flux.bucket-auth',
    kinds: buckets,
    pattern: /Access ?Denied|InvalidAccessKeyId|SignatureDoesNotMatch|403 Forbidden/i,
    says: ({ namespace }) => [
      'The bucket may not be read with these keys.',
      `Put accesskey and secretkey with the right to list and get into the Secret of spec.secretRef in ${namespace}, or set provider.`,
    ],
  },
  {
    code: 'flux.artifact-version',
    kinds: ['OCIRepository'],
    pattern: /no match found for semver: (.+)/,
    says: ({ match, name }) => [
      `No tag of the artifact is a version in the range ${match[1]}.`,
      `Widen spec.ref.semver of ${name}, or push such a version.`,
    ],
  },
  {
    code: 'flux.artifact-missing',
    kinds: ['OCIRepository'],
    pattern: /MANIFEST_UNKNOWN.*\[Tag:([^\]]+)\]|MANIFEST_UNKNOWN|NAME_UNKNOWN|repository name not known|404/s,
    says: ({ match, name }) => [
      match[1] === undefined
        ? 'The registry has no such artifact.'
        : `The artifact has no tag ${match[1]} in the registry.`,
      `Push it, or correct spec.url and spec.ref of ${name}.`,
    ],
  },
  {
    code: 'flux.chart-index',
    kinds: ['HelmRepository'],
    pattern: /404 Not Found/,
    says: ({ name }) => [
      'There is no chart index at the address.',
      `Correct spec.url of ${name}: index.yaml must lie right below it; for a registry set spec.type: oci.`,
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
    code: 'flux.chart-version',
    kinds: ['HelmChart', 'HelmRelease'],
    pattern: /no '([^']*)' chart with version matching '([^']*)' found|no chart version found for ([\w.-]+)/,
    says: ({ match }) => [
      match[2] === undefined
        ? 'The repository has no such version of the chart.'
        : `The repository has no version ${match[2]} of the chart ${match[1]}.`,
      'Correct spec.chart.spec.version, or publish the chart.',
    ],
  },
];
