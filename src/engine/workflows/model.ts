import type { Diagnostic, Place } from '../problems/index.ts';
import type { JobRule } from './gitlabRules.ts';
import type { Value } from './values.ts';

export type CiHost = 'github' | 'gitea' | 'gitlab';

/** Reads another file of the repository by its path from the root: local actions, reusable workflows, includes. */
export type ReadLocal = (path: string) => string | undefined;

/** A workflow file as far as images and deploys go. */
export interface Workflow {
  readonly host: CiHost;
  /** Absolute. */
  readonly file: string;
  readonly name: string;
  readonly place: Place;
  readonly triggers: readonly Trigger[];
  /** GitLab: `workflow:rules`; absent = every push of a branch or tag. */
  readonly rules?: readonly JobRule[];
  /** GitLab: includes that were not read and may change any job. */
  readonly unread?: readonly string[];
  readonly jobs: readonly Job[];
  readonly facts: readonly Fact[];
  /** Syntax errors and parts that could not be followed. */
  readonly diagnostics: readonly Diagnostic[];
}

export interface Trigger {
  /** `push`, `pull_request`, `schedule`, `workflow_dispatch`; GitLab: `pipeline`. */
  readonly event: string;
  readonly branches: readonly string[];
  readonly branchesIgnore: readonly string[];
  readonly tags: readonly string[];
  readonly tagsIgnore: readonly string[];
  readonly paths: readonly string[];
  readonly pathsIgnore: readonly string[];
  readonly place: Place;
}

/** A trigger that no branch, tag or path narrows. */
export const unfilteredTrigger = (event: string, place: Place): Trigger => ({
  event,
  branches: [],
  branchesIgnore: [],
  tags: [],
  tagsIgnore: [],
  paths: [],
  pathsIgnore: [],
  place,
});

export interface Job {
  readonly id: string;
  readonly place: Place;
  readonly needs: readonly string[];
  readonly condition?: string;
  /** GitLab: `rules`, or `only` and `except` in their words; absent = on branches and tags. */
  readonly rules?: readonly JobRule[];
  /** GitLab: the job's own `when`, for rules that have none. */
  readonly when?: string;
  /** GitLab: the `rules` of the includes it comes by; each list must say yes, or the job is not there. */
  readonly includedBy?: readonly (readonly JobRule[])[];
  /** GitLab: the job whose child pipeline it is in, and that pipeline's `workflow:rules`. */
  readonly parent?: string;
  readonly pipelineRules?: readonly JobRule[];
  /** GitLab: variables of the file and the job as written. */
  readonly variables?: ReadonlyMap<string, string>;
  readonly environment?: { readonly name: Value; readonly place: Place };
  /** Effective permissions: the job's own, else the workflow's; undefined = the host's default. */
  readonly permissions?: Permissions;
  /** Image the job runs in. */
  readonly container?: { readonly image: string; readonly place: Place };
  readonly services: readonly JobService[];
  /** Paths and globs of the JUnit reports that the host shows. */
  readonly junit?: readonly string[];
  readonly steps: readonly Step[];
  /** Every combination of the matrix; one empty one without a matrix. */
  readonly matrix: readonly ReadonlyMap<string, unknown>[];
}

export interface Permissions {
  /** `write-all`, `read-all`, `{}` or the listed ones. */
  readonly level: 'write-all' | 'read-all' | 'listed';
  readonly scopes: ReadonlyMap<string, { readonly value: string; readonly place: Place }>;
  readonly place: Place;
  /** The last scope of a block map and its indentation: behind it another one can be written. */
  readonly last?: { readonly value: string; readonly place: Place; readonly indent: number };
}

export interface JobService {
  readonly name: string;
  readonly image: Value;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
  readonly health?: readonly string[];
  readonly place: Place;
}

export interface Step {
  readonly id?: string;
  readonly name?: string;
  readonly condition?: string;
  readonly place: Place;
  readonly uses?: ActionUse;
  /** First line of the script. */
  readonly run?: string;
  /** Inputs as written. */
  readonly with: ReadonlyMap<string, { readonly text: string; readonly place: Place }>;
}

export interface ActionUse {
  /** `docker/build-push-action`, lower case, without host and ref. */
  readonly action: string;
  /** What follows `@`; empty for local actions. */
  readonly ref: string;
  readonly text: string;
  readonly place: Place;
  /** The comment behind it on the line: `v6.18.0` where a sha is pinned. */
  readonly comment?: string;
}

interface FactBase {
  readonly job: string;
  /** Order within the workflow's steps: facts of one job are compared by it. */
  readonly order: number;
  readonly place: Place;
  /** `if:` of the step. */
  readonly condition?: string;
}

export interface BuildFact extends FactBase {
  readonly kind: 'build';
  readonly tool: 'build-push-action' | 'bake' | 'docker' | 'buildah' | 'kaniko' | 'compose';
  /** Full references as tags are written, `repo:tag`. */
  readonly references: readonly Value[];
  /** metadata-action steps whose tags it takes. */
  readonly metadata: readonly MetadataFact[];
  readonly context: Value;
  /** Undefined: Dockerfile in the context. */
  readonly dockerfile?: Value;
  readonly target?: Value;
  readonly platforms: readonly Value[];
  readonly args: readonly (readonly [name: string, value: Value])[];
  readonly cacheFrom: readonly Value[];
  readonly cacheTo: readonly Value[];
  readonly isPushed: 'yes' | 'no' | 'unknown';
  readonly push: Value;
  /** Bake: files and targets. */
  readonly files?: readonly Value[];
  /** Context is a checkout of git by the builder, not the workspace. */
  readonly isGitContext: boolean;
  /** Pushed without tags; a later job joins the platforms and tags them. */
  readonly isByDigest: boolean;
  /** Build secrets by id; never their values. */
  readonly secrets: readonly string[];
  /** The combination of the matrix it is built in, for joining platforms in a later job. */
  readonly matrix?: ReadonlyMap<string, unknown>;
}

export interface MetadataFact extends FactBase {
  readonly kind: 'metadata';
  readonly id?: string;
  readonly images: readonly Value[];
  /** Inputs as texts with what is not known written as `${?…}`. */
  readonly tags: Value;
  readonly flavor: Value;
  readonly tagsPlace: Place;
  readonly matrix?: ReadonlyMap<string, unknown>;
}

export interface PushFact extends FactBase {
  readonly kind: 'push';
  readonly reference: Value;
}

/** `docker tag`: another name for what was built. */
export interface AliasFact extends FactBase {
  readonly kind: 'alias';
  readonly from: Value;
  readonly to: Value;
}

export interface LoginFact extends FactBase {
  readonly kind: 'login';
  /** Empty: Docker Hub. */
  readonly registry: Value;
  readonly username?: Value;
  readonly password?: Value;
  readonly isOnCommandLine?: boolean;
}

export interface ScanFact extends FactBase {
  readonly kind: 'scan';
  readonly tool: 'trivy-action' | 'trivy' | 'grype' | 'anchore' | 'snyk' | 'gitlab-container-scanning';
  readonly target: 'image' | 'config' | 'filesystem' | 'unknown';
  readonly image?: Value;
  readonly severity: readonly string[];
  readonly ignoreUnfixed: 'yes' | 'no' | 'unknown';
  /** Whether findings fail the job. */
  readonly gate: 'fails' | 'reports' | 'unknown';
  /** Image the scanner itself runs in, when it is started by `docker run`. */
  readonly runsIn?: string;
  readonly ignoreFile?: string;
  readonly format?: string;
}

export interface DeployFact extends FactBase {
  readonly kind: 'deploy';
  readonly tool:
    | 'helm'
    | 'kubectl'
    | 'kubectl-set-image'
    | 'kustomize'
    | 'kustomize-set-image'
    | 'argocd'
    | 'flux'
    | 'k8s-deploy';
  /** Chart, manifest, folder or application. */
  readonly path?: Value;
  readonly release?: Value;
  readonly namespace?: Value;
  readonly values: readonly Value[];
  readonly set: readonly (readonly [key: string, value: Value])[];
  readonly images: readonly Value[];
  readonly timeout?: Value;
  readonly flags: readonly string[];
}

export interface SignFact extends FactBase {
  readonly kind: 'sign';
  readonly tool: 'cosign' | 'attest';
  /** Signed with the identity of the job instead of a key. */
  readonly isKeyless: boolean;
}

export interface CommitFact extends FactBase {
  readonly kind: 'commit';
  /** `job`: pushed to where the checkout came from, with the credentials it left; `other`: somewhere else or with a token of its own. */
  readonly credentials: 'job' | 'other';
}

export interface TestFact extends FactBase {
  readonly kind: 'test';
  readonly run: readonly string[];
  /** From the root; undefined when it cannot be told. */
  readonly folder?: string;
  readonly env: Readonly<Record<string, string>>;
  /** The combination of the matrix it runs in, and the job's services as they are there. */
  readonly matrix?: ReadonlyMap<string, unknown>;
  readonly services?: readonly JobService[];
}

export type Fact =
  | BuildFact
  | MetadataFact
  | PushFact
  | AliasFact
  | LoginFact
  | ScanFact
  | DeployFact
  | SignFact
  | CommitFact
  | TestFact;
