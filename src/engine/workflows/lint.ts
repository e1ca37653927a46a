import type { Diagnostic, Place, Severity } from '../problems/index.ts';
import type { DeployFact, Fact, Job, ScanFact, Step, Workflow } from './model.ts';
import { publishedImages } from './published.ts';
import { literalOf, splitReference, textOf, type Value } from './values.ts';

/** The mistakes in a workflow that hurt: what is insecure, or lets an unchecked or unchanged image reach a cluster. */
export function lintWorkflow(workflow: Workflow): readonly Diagnostic[] {
  const found: Diagnostic[] = [...workflow.diagnostics];
  for (const job of workflow.jobs) {
    for (const step of job.steps) found.push(...lintAction(step), ...lintCheckout(step, workflow));
    if (job.container !== undefined && isBadTrivyImage(job.container.image)) found.push(badTrivy(job.container.place));
    if (workflow.host !== 'gitlab') found.push(...lintPermissions(job, workflow));
  }
  for (const fact of workflow.facts) {
    if (fact.kind === 'scan') found.push(...lintScan(fact, workflow));
    if (fact.kind === 'deploy') found.push(...lintDeploy(fact));
    if (fact.kind === 'login' && fact.password !== undefined && fact.isOnCommandLine === true) {
      found.push(
        make(
          'warning',
          'ci.password-argument',
          'The password is on the command line, where other processes and verbose logs show it.',
          fact.place,
          'Pipe it: echo "$TOKEN" | docker login --username NAME --password-stdin REGISTRY.',
        ),
      );
    }
  }
  return unique(found);
}

function make(
  severity: Severity,
  code: string,
  message: string,
  place: Place,
  fix?: string,
  replacement?: string,
): Diagnostic {
  return {
    severity,
    code,
    message,
    place,
    ...(fix !== undefined && { fix }),
    ...(replacement !== undefined && { replacement }),
  };
}

const SHA = /^[0-9a-f]{40}([0-9a-f]{24})?$/;
/** The first release after the tags were replaced that is published under a protected name. */
const GOOD_TRIVY_ACTION = 'aquasecurity/trivy-action@v0.36.0';

/**
 * On 2026-03-19 the tags 0.0.1 to 0.34.2 of trivy-action were replaced by malware (CVE-2026-33634,
 * GHSA-69fq-xp46-6x23), Trivy 0.69.4 and its images 0.69.5 and 0.69.6 as well.
 */
function lintAction(step: Step): readonly Diagnostic[] {
  const { uses } = step;
  if (uses === undefined || /^(\.\/|\$\/|docker:\/\/)/.test(uses.text)) {
    const image = /^docker:\/\/(.*)$/.exec(uses?.text ?? '')?.[1];
    return image !== undefined && uses !== undefined && isBadTrivyImage(image) ? [badTrivy(uses.place)] : [];
  }
  if (uses.action === 'aquasecurity/trivy-action') {
    const version = /^v?(\d+)\.(\d+)(?:\.(\d+))?$/.exec(uses.ref);
    const isOld = version !== null && Number(version[1]) === 0 && Number(version[2]) < 35;
    if (isOld || uses.ref === 'master' || uses.ref === 'main') {
      const why = isOld
        ? `trivy-action ${uses.ref} is one of the tags that were replaced by malware in March 2026 (CVE-2026-33634)`
        : `trivy-action@${uses.ref} runs whatever is newest, and this action has been taken over once (CVE-2026-33634)`;
      return [
        make(
          'error',
          'ci.malicious-action',
          `${why}.`,
          uses.place,
          `Use v0.36.0 or newer, best pinned by its commit; if it ran in March 2026, change every secret it could see.`,
          GOOD_TRIVY_ACTION,
        ),
      ];
    }
  }
  const found: Diagnostic[] = [];
  if (/^aquasecurity\/(trivy-action|setup-trivy)$/.test(uses.action)) {
    const version = step.with.get('version');
    if (version !== undefined && /^v?0\.69\.[456]$/.test(version.text)) found.push(badTrivy(version.place));
  }
  const isOwn = /^(actions|github)\//.test(uses.action);
  if (!isOwn && !SHA.test(uses.ref) && uses.action.includes('/')) {
    found.push(
      make(
        'info',
        'ci.unpinned-action',
        `${uses.text} can change under the same name.`,
        uses.place,
        'Pin it by the full commit sha and write the version in a comment behind it.',
      ),
    );
  }
  return found;
}

const isBadTrivyImage = (image: string): boolean =>
  /(^|\/)(aquasec|aquasecurity)\/trivy:v?0\.69\.[456](@|$|-)/.test(image);

const badTrivy = (place: Place): Diagnostic =>
  make(
    'error',
    'ci.malicious-trivy',
    'This release of Trivy was replaced by malware in March 2026 (CVE-2026-33634).',
    place,
    'Use another release, pinned by digest; if it ran, change every secret it could see.',
  );

function lintCheckout(step: Step, workflow: Workflow): readonly Diagnostic[] {
  if (step.uses?.action !== 'actions/checkout') return [];
  const isTarget = workflow.triggers.some((trigger) => trigger.event === 'pull_request_target');
  const ref = step.with.get('ref');
  if (!isTarget || ref === undefined || !/pull_request\.head|github\.head_ref/.test(ref.text)) return [];
  return [
    make(
      'warning',
      'ci.pull-request-target',
      'This runs code of a pull request with the secrets and the write token of this repository.',
      ref.place,
      'Use the event pull_request, or do not check out the head.',
    ),
  ];
}

/** True when `first` is done before `second` in every run that does both. */
function isBefore(first: Fact, second: Fact, jobs: readonly Job[]): boolean {
  if (first.job === second.job)
    return first.order < second.order || (first.order === second.order && lineOf(first) < lineOf(second));
  const needs = new Set<string>();
  const collect = (id: string): void => {
    for (const need of jobs.find((job) => job.id === id)?.needs ?? []) {
      if (needs.has(need)) continue;
      needs.add(need);
      collect(need);
    }
  };
  collect(second.job);
  return needs.has(first.job);
}

const lineOf = (fact: Fact): number => fact.place.range?.start.line ?? 0;

function lintScan(scan: ScanFact, workflow: Workflow): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  if (scan.runsIn !== undefined && isBadTrivyImage(scan.runsIn)) found.push(badTrivy(scan.place));
  if (scan.target !== 'image') return found;
  if (scan.gate === 'reports' && scan.tool !== 'gitlab-container-scanning') {
    found.push(
      make(
        'info',
        'ci.scan-without-gate',
        'This scan reports only: it never fails the job, whatever it finds.',
        scan.place,
        scan.tool === 'trivy-action'
          ? "Set exit-code: '1' and a severity."
          : 'Make it fail: --exit-code 1, or --fail-on for Grype.',
      ),
    );
    return found;
  }
  if (scan.tool === 'trivy-action' && scan.format === 'sarif' && scan.gate === 'fails' && scan.severity.length === 0) {
    found.push(
      make(
        'warning',
        'ci.sarif-severity',
        'With format sarif the severity filter is dropped: this gate fails on any finding.',
        scan.place,
        "Add limit-severities-for-sarif: 'true'.",
      ),
    );
  }
  if (scan.gate === 'reports') return found;
  for (const image of publishedImages(workflow)) {
    if (image.isPushed === 'no' || !sameImage(scan.image, image.repositories)) continue;
    const pushed =
      workflow.facts.find(
        (fact) =>
          fact.kind === 'push' &&
          image.repositories.some((each) => textOf(splitReference(fact.reference).repository) === textOf(each)),
      ) ?? image.build;
    // A scan of what a later step pushes again comes in time.
    if (!isBefore(image.build.isPushed === 'no' ? pushed : image.build, scan, workflow.jobs) || image.build.isByDigest)
      continue;
    found.push(
      make(
        'warning',
        'ci.gate-after-push',
        `The gate comes too late: the image was pushed before it is scanned (line ${lineOf(pushed) + 1}).`,
        scan.place,
        'Scan first (load: true, or push by digest only), and push or tag after the gate.',
      ),
    );
    break;
  }
  return found;
}

/** Whether a scan's reference can mean an image; one that is not known at all may be any. */
function sameImage(scanned: Value | undefined, repositories: readonly Value[]): boolean {
  if (scanned === undefined) return false;
  const name = textOf(splitReference(scanned).repository).toLowerCase();
  if (/^\$\{\?[^}]*\}$/.test(textOf(scanned))) return true;
  return repositories.some((repository) => textOf(repository) === name);
}

const MOVING = /^(latest|main|master|dev|develop|development|edge|nightly|stable|staging|prod|production|test|qa)$/;

/** Whether a tag stays the same from run to run. */
function isMoving(tag: Value): boolean {
  const text = literalOf(tag);
  if (text !== undefined) return MOVING.test(text);
  return (
    tag.length === 1 &&
    tag.every((part) => typeof part === 'object' && 'variable' in part && part.variable === 'branch')
  );
}

const tagsOf = (reference: Value): readonly Value[] => {
  const { tag } = splitReference(reference);
  return tag === undefined ? [] : [tag];
};

function lintDeploy(deploy: DeployFact): readonly Diagnostic[] {
  const tags = [
    ...deploy.set.filter(([key]) => /(^|\.)(tag|imageTag|image_tag)$/i.test(key)).map(([, value]) => value),
    ...deploy.images.flatMap(tagsOf),
    ...deploy.set.filter(([key]) => /(^|\.)image$/i.test(key)).flatMap(([, value]) => tagsOf(value)),
  ];
  const moving = tags.find(isMoving);
  if (moving === undefined) return [];
  return [
    make(
      'warning',
      'ci.moving-tag-deployed',
      `"${textOf(moving)}" is deployed: the objects stay the same from run to run, so Kubernetes starts nothing new, and a rollback leads to the same name.`,
      deploy.place,
      'Deploy a tag that names one commit (its sha or version), or the digest.',
    ),
  ];
}

interface Need {
  readonly scope: string;
  readonly why: string;
  readonly place: Place;
}

/** Scopes of the job's token that its steps need and its permissions lack. */
function lintPermissions(job: Job, workflow: Workflow): readonly Diagnostic[] {
  const facts = workflow.facts.filter((fact) => fact.job === job.id);
  const needs: Need[] = [];
  const login = facts.find(
    (fact) =>
      fact.kind === 'login' &&
      literalOf(fact.registry) === 'ghcr.io' &&
      /secrets\.GITHUB_TOKEN|github\.token/.test(textOf(fact.password ?? [])),
  );
  const pushes = facts.some((fact) => fact.kind === 'push' || (fact.kind === 'build' && fact.isPushed !== 'no'));
  if (login !== undefined && pushes) needs.push({ scope: 'packages', why: 'pushing to ghcr.io', place: login.place });
  for (const fact of facts) {
    if (fact.kind === 'sign' && fact.isKeyless) {
      needs.push({ scope: 'id-token', why: 'signing without a key', place: fact.place });
      if (fact.tool === 'attest')
        needs.push({ scope: 'attestations', why: 'storing the attestation', place: fact.place });
    }
    if (fact.kind === 'commit' && fact.credentials === 'job' && keepsToken(job))
      needs.push({ scope: 'contents', why: 'pushing a commit', place: fact.place });
  }
  for (const step of job.steps) {
    if (step.uses?.action === 'github/codeql-action/upload-sarif')
      needs.push({ scope: 'security-events', why: 'uploading SARIF', place: step.uses.place });
  }
  const { permissions } = job;
  return needs.flatMap((need): Diagnostic[] => {
    if (permissions?.level === 'write-all' || permissions?.scopes.get(need.scope)?.value === 'write') return [];
    const fix = `Add "${need.scope}: write" to the permissions of the job.`;
    if (permissions === undefined) {
      // The default of the repository decides; new ones give read only, and `contents` is the one old ones always had.
      if (need.scope === 'contents') return [];
      return [
        make(
          need.scope === 'id-token' || need.scope === 'attestations' ? 'warning' : 'info',
          'ci.permissions',
          `${upper(need.why)} needs ${need.scope}: write, and this workflow sets no permissions.`,
          need.place,
          fix,
        ),
      ];
    }
    const given = permissions.scopes.get(need.scope);
    const message = `${upper(need.why)} needs ${need.scope}: write, which the permissions do not give.`;
    if (given !== undefined) return [make('error', 'ci.permissions', message, given.place, `Write "write".`, 'write')];
    const { last } = permissions;
    if (last === undefined) return [make('error', 'ci.permissions', message, permissions.place, fix)];
    return [
      make(
        'error',
        'ci.permissions',
        message,
        last.place,
        fix,
        `${last.value}\n${' '.repeat(last.indent)}${need.scope}: write`,
      ),
    ];
  });
}

/** Whether the checkout leaves the job's token for git to push with. */
const keepsToken = (job: Job): boolean =>
  job.steps.some(
    ({ uses, with: given }) =>
      uses?.action === 'actions/checkout' &&
      !given.has('ssh-key') &&
      given.get('persist-credentials')?.text !== 'false' &&
      /^$|GITHUB_TOKEN|github\.token/.test(given.get('token')?.text ?? ''),
  );

const upper = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

function unique(list: readonly Diagnostic[]): readonly Diagnostic[] {
  return [...new Map(list.map((each) => [JSON.stringify([each.code, each.place, each.message]), each])).values()];
}
