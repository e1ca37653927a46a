/** What is wrong between markers, policies, repositories and automations. */
import type { Diagnostic, Place } from '../problems/index.ts';
import { takesApplication } from './imageUpdater.ts';
import type { Marker } from './marker.ts';
import type { FileMarkers } from './markers.ts';
import type {
  AutomationObject,
  GitOpsObject,
  ImagePolicyObject,
  ImageRepositoryObject,
  ImageUpdaterObject,
} from './objects.ts';
import { CompiledPolicy } from './policy.ts';
import { formatReference, whyInvalidReference } from './reference.ts';
import type { PolicyError } from './selection.ts';

/** A marker with what it leads to. */
export interface LinkedMarker {
  /** Path of the file as it was given to {@link MarkerIndex.update}. */
  readonly file: string;
  readonly marker: Marker;
  /** Where the comment is. */
  readonly place: Place;
  readonly policy: ImagePolicyObject | undefined;
  readonly repository: ImageRepositoryObject | undefined;
  /** Automations that write this marker. */
  readonly automations: readonly AutomationObject[];
  /** Whether the policy would let the current value's tag through; undefined when there is no tag or no policy. */
  readonly verdict: { readonly isAllowed: boolean; readonly reason: string } | undefined;
}

/** A repository's markers and objects, as far as a judgement needs them. */
export interface LinkedMarkers {
  markersOf(file: string): FileMarkers;
  linked(file: string): readonly LinkedMarker[];
  objectsIn(file: string): readonly GitOpsObject[];
  objectsOf<Kind extends GitOpsObject['kind']>(kind: Kind): readonly Extract<GitOpsObject, { kind: Kind }>[];
  automationsFor(policy: ImagePolicyObject): readonly AutomationObject[];
  repositoryOf(policy: ImagePolicyObject): ImageRepositoryObject | undefined;
  compiledOf(policy: ImagePolicyObject): CompiledPolicy | PolicyError;
  placeOf(file: string, start: number, end: number): Place;
  /** Policies that a marker somewhere names, as `namespace:name`. */
  readonly usedPolicies: ReadonlySet<string>;
}

/** What is wrong with the markers of one file and with the policies, repositories and automations in it. */
export function diagnosticsOf(index: LinkedMarkers, file: string): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  const markers = index.markersOf(file);
  for (const { code, comment, reason, fix } of markers.dead) {
    const place = index.placeOf(file, comment.start, comment.end);
    found.push({
      severity: 'warning',
      code: `gitops.marker-${code}`,
      message: `Flux ignores this marker: ${reason}.`,
      place,
      fix,
    });
  }
  for (const linked of index.linked(file)) found.push(...markerDiagnostics(index, linked));
  const [first] = markers.markers;
  if (markers.shape === 'list' && first !== undefined) {
    found.push({
      severity: 'warning',
      code: 'gitops.list',
      message:
        'Flux takes the items of a `kind: List` out: it writes changed ones to new files and leaves this file as it is.',
      place: index.placeOf(file, first.comment.start, first.comment.end),
      fix: 'Write the objects as documents separated by "---".',
    });
  }
  for (const object of index.objectsIn(file)) {
    if (object.kind === 'ImagePolicy') found.push(...policyDiagnostics(index, object));
    if (object.kind === 'ImageRepository') found.push(...repositoryDiagnostics(object));
    if (object.kind === 'ImageUpdater') found.push(...updaterDiagnostics(index, object));
    if (object.kind === 'ImageUpdateAutomation') found.push(...automationDiagnostics(index, object));
  }
  return found;
}

function markerDiagnostics(
  index: LinkedMarkers,
  { file, marker, place, policy, automations, verdict }: LinkedMarker,
): readonly Diagnostic[] {
  const { setter } = marker;
  const label = `${setter.namespace}:${setter.policy}`;
  if (policy === undefined) {
    const elsewhere = index.objectsOf('ImagePolicy').filter((one) => one.name === setter.policy);
    const [other] = elsewhere;
    if (other?.namespace !== undefined) {
      const { setterSpan } = marker;
      const range = setterSpan && index.placeOf(file, setterSpan.start, setterSpan.end);
      return [
        {
          severity: 'warning',
          code: 'gitops.wrong-namespace',
          message: `There is no ImagePolicy ${label}; ${other.name} is in the namespace ${other.namespace}.`,
          place: range ?? place,
          fix: `Write "${other.namespace}:${setter.policy}".`,
          ...(range !== undefined &&
            elsewhere.length === 1 && { replacement: setter.name.replace(setter.namespace, other.namespace) }),
        },
      ];
    }
    const fix = 'Correct the name, or add the ImagePolicy; ignore this when the policy lives in another repository.';
    return [
      {
        // A repository without any policy is fed from another one.
        severity: index.objectsOf('ImagePolicy').length === 0 ? 'info' : 'warning',
        code: 'gitops.no-policy',
        message: `There is no ImagePolicy ${label} in this repository.`,
        place,
        fix,
      },
    ];
  }
  const found: Diagnostic[] = [];
  if (verdict?.isAllowed === false) {
    const start = index.placeOf(file, marker.value.start, marker.value.end);
    found.push({
      severity: 'warning',
      code: 'gitops.value-not-allowed',
      message: `The policy ${label} would never choose "${marker.current}": ${verdict.reason}.`,
      place: start,
      fix: 'Choose a tag that the policy allows, or change the policy; Flux replaces this value at its next run.',
    });
  }
  if (automations.length === 0) {
    const inNamespace = index.automationsFor(policy);
    const paths = inNamespace.map(({ path }) => `./${path}`).join(', ');
    const isOutside = inNamespace.length > 0;
    found.push({
      severity: isOutside || index.objectsOf('ImageUpdateAutomation').length > 0 ? 'warning' : 'info',
      code: isOutside ? 'gitops.outside-path' : 'gitops.no-automation',
      message: isOutside
        ? `No automation writes this file: the update paths for ${label} are ${paths}.`
        : `No ImageUpdateAutomation acts on the policy ${label}; one must be in the same namespace and select it.`,
      place,
      fix: isOutside
        ? 'Move the file below the path, or widen spec.update.path.'
        : `Add an ImageUpdateAutomation in the namespace ${setter.namespace}.`,
    });
  }
  return found;
}

function policyDiagnostics(index: LinkedMarkers, policy: ImagePolicyObject): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  const repository = index.repositoryOf(policy);
  const compiled = index.compiledOf(policy);
  if (!(compiled instanceof CompiledPolicy)) found.push(invalidPolicy(policy, compiled));
  if (policy.repository === undefined || repository === undefined) {
    const message =
      policy.repository === undefined
        ? 'The policy names no image repository (spec.imageRepositoryRef.name).'
        : `There is no ImageRepository ${policy.repository.name} in this repository.`;
    found.push({
      severity: 'warning',
      code: 'gitops.no-repository',
      message,
      place: policy.place,
      fix: 'Add the ImageRepository, or correct the name.',
    });
  }
  const used = index.usedPolicies;
  const isUsed =
    policy.namespace === undefined
      ? [...used].some((name) => name.endsWith(`:${policy.name}`))
      : used.has(`${policy.namespace}:${policy.name}`);
  if (!isUsed) {
    found.push({
      severity: 'info',
      code: 'gitops.policy-unused',
      message: `No marker names the policy ${policy.namespace ?? '<namespace>'}:${policy.name}, so Flux writes its tag nowhere in this repository.`,
      place: policy.place,
      fix: `Put # {"$imagepolicy": "${policy.namespace ?? '<namespace>'}:${policy.name}"} behind an image.`,
    });
  }
  return found;
}

/** Two ImageUpdaters that take the same Application write against each other. */
function updaterDiagnostics(index: LinkedMarkers, updater: ImageUpdaterObject): readonly Diagnostic[] {
  const others = index.objectsOf('ImageUpdater').filter((one) => one !== updater);
  return index.objectsOf('Application').flatMap((app) => {
    const other = takesApplication(updater, app) ? others.find((one) => takesApplication(one, app)) : undefined;
    if (other === undefined) return [];
    return {
      severity: 'warning',
      code: 'gitops.updaters-overlap',
      message: `${updater.name} and ${other.name} both look after the Application ${app.name} and write against each other.`,
      place: updater.place,
      fix: 'Narrow namePattern or labelSelectors of one of them.',
    } satisfies Diagnostic;
  });
}

function automationDiagnostics(index: LinkedMarkers, automation: AutomationObject): readonly Diagnostic[] {
  const repository = index
    .objectsOf('GitRepository')
    .find(
      ({ name, namespace }) =>
        name === automation.repository?.name &&
        (namespace === undefined || namespace === automation.repository.namespace),
    );
  const hasBranch = (automation.pushBranch ?? automation.checkoutBranch ?? repository?.branch) !== undefined;
  const found: Diagnostic[] = [];
  if (repository !== undefined && !hasBranch && automation.pushRefspec === undefined) {
    found.push({
      severity: 'error',
      code: 'gitops.no-branch',
      message: `The automation ${automation.name} has no branch to push to: neither itself nor ${repository.name} names one.`,
      place: automation.place,
      fix: 'Set spec.git.push.branch, or spec.ref.branch of the GitRepository.',
    });
  }
  if (/\.Updated\b|\.Changed\.ImageResult\b/.test(automation.messageTemplate ?? '')) {
    found.push({
      severity: 'error',
      code: 'gitops.removed-template-field',
      message:
        'The commit message uses .Updated or .Changed.ImageResult, which Flux 2.7 removed; the automation then stalls.',
      place: automation.place,
      fix: 'Use .Changed.Changes or .Changed.Objects.',
    });
  }
  return found;
}

function invalidPolicy(policy: ImagePolicyObject, error: PolicyError): Diagnostic {
  return {
    severity: 'error',
    code: `gitops.${error.code}`,
    message: `Flux cannot use this policy and reports it as stalled: ${error.message}.`,
    place: policy.rulesPlace,
    fix: 'Correct the rule.',
  };
}

function repositoryDiagnostics(repository: ImageRepositoryObject): readonly Diagnostic[] {
  if (repository.image === undefined) return [];
  const problem = whyInvalidReference(formatReference({ name: repository.image, tag: 'x' }));
  if (problem === undefined) return [];
  return [
    {
      severity: 'error',
      code: 'gitops.invalid-image',
      message: `${repository.image} is not an image name: ${problem}. One such policy fails every automation of its namespace.`,
      place: repository.place,
      fix: 'Write the name without scheme and tag, in lower case.',
    },
  ];
}
