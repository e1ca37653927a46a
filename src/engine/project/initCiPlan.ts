// What the generated workflows of all CI hosts are written from, and the words they share.
import type { EnvironmentConfig } from './model.ts';

export type CiKind = 'github' | 'gitlab' | 'gitea';

/** What a generated workflow depends on, worked out from the project. */
export interface CiPlan {
  readonly branch: string;
  /** Tags of the project need version tags: pushes of those start the pipeline, too. */
  readonly hasVersionTags: boolean;
  readonly package?: string;
  /** Registries that images are pushed to, without those of the machine itself. */
  readonly registries: readonly string[];
  /** Some image goes to a registry that only this machine has. */
  readonly hasLocalRegistry: boolean;
  /** Some image is built for a processor that the runner does not have. */
  readonly needsEmulation: boolean;
  readonly needsHelm: boolean;
  readonly engine: 'trivy' | 'grype' | 'none';
  readonly hasTests: boolean;
  /** Tests run on the runner itself, with its tools. */
  readonly hasBareTests: boolean;
  /** Some image gets an SBOM in CycloneDX, which GitLab reads. */
  readonly hasCycloneDx: boolean;
  readonly services: readonly string[];
  readonly environments: readonly CiEnvironment[];
}

export interface CiEnvironment {
  readonly name: string;
  readonly isProtected: boolean;
  readonly kind: EnvironmentConfig['deploy']['kind'];
  /** Name of the kind cluster that is made for the job; undefined for a cluster that is there. */
  readonly kindCluster?: string;
}

/** What each kind of deploy needs of the cluster, for the comment above its job. */
export function clusterNote(environment: CiEnvironment): string {
  switch (environment.kind) {
    case 'flux':
      return 'Flux deploys. Slipway writes the version to git unless an ImageUpdateAutomation does, and watches: read access is enough.';
    case 'argocd':
      return 'Argo CD deploys its Application. Slipway writes the version to git and watches: read access is enough.';
    case 'helm':
      return 'Helm release: the account needs write access to its namespace.';
    default:
      return 'The objects are applied from here: the account needs write access to its namespace.';
  }
}

/** The deploy is a commit, which the job has to be allowed to push. */
export const writesGit = ({ kind }: CiEnvironment): boolean => kind === 'flux' || kind === 'argocd';

/** What a run leaves to be read: test reports, findings of the scanners, SBOMs, and the diagnosis of a rollout that failed. */
export const REPORTS = '.slipway/runs/*/reports';

/** A name for variables: `ghcr.io` → `GHCR_IO`. */
export const variableName = (text: string): string => text.toUpperCase().replace(/[^A-Z0-9]+/g, '_');

export const localNote = (plan: CiPlan): readonly string[] =>
  plan.hasLocalRegistry
    ? ['# CHANGE THIS FIRST: images go to a registry on this machine (localhost), which CI has not. See "repository".']
    : [];

export const shellQuote = (text: string): string =>
  /^[\w@./:+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
