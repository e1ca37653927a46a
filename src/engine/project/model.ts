import type { Diagnostic, Place } from '../problems/index.ts';

/** `os/arch[/variant]`, for example `linux/arm64` or `linux/arm/v7`. */
export type Platform = string;

export interface ImageConfig {
  readonly name: string;
  /** Absolute folder of the build context, or a git URL. */
  readonly context: string;
  /** Absolute path of the Dockerfile. */
  readonly dockerfile: string;
  readonly target?: string;
  /** Registry host and path without tag, for example `ghcr.io/acme/shop-api`. */
  readonly repository: string;
  /** Empty means: the builder's own platform. */
  readonly platforms: readonly Platform[];
  readonly args: Readonly<Record<string, string>>;
  /** id → where the value comes from; never the value. */
  readonly secrets: Readonly<Record<string, { readonly env: string } | { readonly file: string }>>;
  readonly ssh: readonly string[];
  /** Named build contexts; folders are absolute. */
  readonly contexts?: Readonly<Record<string, string>>;
  readonly cacheFrom: readonly string[];
  readonly cacheTo: readonly string[];
  readonly builder?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly provenance?: 'none' | 'min' | 'max';
  /** `buildkit`: BuildKit's own, inside the index; else made by Trivy and attached to the digest. */
  readonly sbom?: SbomFormat | 'buildkit';
  readonly sign?: SignConfig;
  readonly bake?: BakeTarget;
  readonly place: Place;
}

/** The target of a bake or compose file that describes the build. What it says is filled in before a plan is made. */
export interface BakeTarget {
  /** As it is given to bake, relative to the root; absent = as bake finds it. */
  readonly file?: string;
  readonly target: string;
  /** Other targets it is built on, with absolute paths. */
  readonly linked?: readonly { readonly context: string; readonly dockerfile: string }[];
  /** Hash of the targets with all variables worked out. */
  readonly definition?: string;
}

export type SbomFormat = 'cyclonedx' | 'spdx';

export interface SignConfig {
  /** A cosign key reference: file, KMS URI or `k8s://ns/secret`. */
  readonly key: string;
  readonly publicKey?: string;
}

export interface ServiceConfig {
  readonly name: string;
  readonly image: string;
  readonly env: Readonly<Record<string, string>>;
  /** Overrides the image's command. */
  readonly command?: readonly string[];
  /** Health command run inside the container; without it, the image's HEALTHCHECK, else the first exposed port answering. */
  readonly health?: readonly string[];
  readonly ports: readonly number[];
}

export interface TestConfig {
  readonly name: string;
  readonly run: readonly [string, ...string[]];
  /** Absolute. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly envFile?: string;
  readonly services: readonly ServiceConfig[];
  /** Run in this image instead of on this machine, with the workspace mounted. `image:<name>` is the image built here. */
  readonly container?: string;
  /** Absolute paths or globs of JUnit XML reports to read afterwards. */
  readonly junit: readonly string[];
  readonly timeoutMs?: number;
  /** What the result depends on: picomatch globs relative to the root; empty means the whole repository. */
  readonly inputs: readonly string[];
  readonly place: Place;
}

/** A command before or after a stage: lint, Snyk, Sonar. */
export interface CommandConfig {
  readonly name: string;
  readonly run: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly envFile?: string;
  readonly before?: Stage;
  readonly after?: Stage;
  /** Absolute paths or globs of files to keep with the run; SARIF and JUnit are read. */
  readonly reports: readonly string[];
  /** A failing optional command is a warning. */
  readonly isOptional: boolean;
  readonly timeoutMs?: number;
  readonly place: Place;
}

export type Stage = 'test' | 'build' | 'scan' | 'publish' | 'deploy' | 'smoke';

export interface ScanConfig {
  readonly engine: 'trivy' | 'grype';
  readonly severity: readonly ('CRITICAL' | 'HIGH' | 'MEDIUM' | 'LOW' | 'UNKNOWN')[];
  readonly ignoreUnfixed: boolean;
  /** Absolute. */
  readonly ignoreFile?: string;
  /** The gate answers `stale-database` when the database is older. 0 = never. */
  readonly databaseMaxAgeDays: number;
  readonly isEnabled: boolean;
  /** Misconfiguration of Dockerfiles, charts and manifests: not looked for, told, or counted by the gate. */
  readonly config: 'off' | 'report' | 'gate';
  readonly timeoutMs: number;
  readonly place: Place;
}

export interface HelmDeploy {
  readonly kind: 'helm';
  /** Absolute folder, or a chart reference such as `oci://…`. */
  readonly chart: string;
  readonly release: string;
  /** Absolute paths, later ones win. */
  readonly values: readonly string[];
  readonly set: Readonly<Record<string, string>>;
  /** Image name → values key, for example `api: api.image` (a map with repository, tag, digest; or one string). */
  readonly images: Readonly<Record<string, string>>;
  readonly historyMax: number;
}

export interface ManifestsDeploy {
  readonly kind: 'manifests';
  /** Absolute files or folders (folders: *.yaml, *.yml, *.json, not recursive). */
  readonly paths: readonly string[];
  /** Image names of this project that the manifests use, found by repository. */
  readonly images: readonly string[];
  readonly prune: boolean;
}

export interface KustomizeDeploy {
  readonly kind: 'kustomize';
  /** Absolute folder with a kustomization file. */
  readonly path: string;
  readonly images: readonly string[];
  readonly prune: boolean;
}

export interface FluxDeploy {
  readonly kind: 'flux';
  /** `[namespace/]name` of the ImagePolicies this environment follows. */
  readonly policies: readonly string[];
  readonly automation?: string;
  readonly write: 'auto' | 'git' | 'automation';
  /** Absolute folder of a checkout of the repository that Flux reads. Only its remote is written, never its files. */
  readonly repository: string;
  readonly remote: string;
  /** Absent = that of the GitRepository. */
  readonly branch?: string;
  /** How a failed run is taken back; absent = as fits who writes. */
  readonly rollback?: RollbackWay | 'none';
}

/**
 * Ways back under Flux. `exclude`: the policy leaves the bad version out. `pin`: it takes only the good one. `suspend`: the
 * automation stops. `revert`: the old tag is written, which stays only where no automation writes another.
 */
export type RollbackWay = 'exclude' | 'pin' | 'suspend' | 'revert';

export interface ArgoCdDeploy {
  readonly kind: 'argocd';
  /** `[namespace/]name` of the Application. */
  readonly application: string;
  /** Who writes the tag to git: this run, or Image Updater. `auto`: the run, unless Image Updater writes into the live Application. */
  readonly write: 'auto' | 'git' | 'updater';
  /** Absolute folder of a checkout of the repository that Argo CD reads. Only its remote is written, never its files. */
  readonly repository: string;
  readonly remote: string;
  /** What keeps Image Updater from writing the bad version again. */
  readonly rollback: 'ignore' | 'pin' | 'revert';
}

export type DeployConfig = HelmDeploy | ManifestsDeploy | KustomizeDeploy | FluxDeploy | ArgoCdDeploy;

export interface RolloutConfig {
  /** Absolute limit in ms; absent = only the no-progress deadline of the workload counts. */
  readonly timeoutMs?: number;
  readonly rollback: boolean;
  /** How long the new version must stay healthy before the verdict `ready`. Default 0 when smoke checks follow, else 10 s. */
  readonly stabilityMs?: number;
  /** Limit without progress in ms; absent = that of the workload, else 10 min. */
  readonly noProgressMs?: number;
  /** Exits of a container that prove a crash loop; absent = by how alike they are. */
  readonly crashExits?: number | 'never';
}

/** Where a check goes: `service/<name>:<port name or number>`, `ingress/<host>`, `nodeport/<service>:<port>` or a URL. */
export interface SmokeTarget {
  readonly kind: 'service' | 'nodeport' | 'ingress' | 'url' | 'pod';
  readonly name: string;
  readonly port?: string;
}

export type SmokeConfig = {
  readonly name: string;
  /** Total time for all attempts, ms. */
  readonly deadlineMs: number;
  readonly place: Place;
} & (
  | {
      readonly kind: 'http';
      readonly method: string;
      readonly target: SmokeTarget;
      readonly path: string;
      readonly tls: boolean;
      readonly headers: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly expect: HttpExpectation;
    }
  | { readonly kind: 'tcp'; readonly target: SmokeTarget }
  | {
      readonly kind: 'exec';
      /** `deploy/<name>`, `statefulset/<name>` or `pod/<name>`. */
      readonly workload: string;
      readonly container?: string;
      readonly command: readonly string[];
      readonly contains?: string;
    }
  | {
      readonly kind: 'command';
      readonly run: readonly [string, ...string[]];
      readonly cwd: string;
      readonly env: Readonly<Record<string, string>>;
    }
);

export interface HttpExpectation {
  readonly status: readonly number[];
  readonly contains?: string;
  readonly matches?: string;
  /** Dotted path with `[n]` → expected value. */
  readonly json: Readonly<Record<string, string | number | boolean | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly latencyMs?: number;
}

export interface EnvironmentConfig {
  readonly name: string;
  /** kubeconfig context; absent = the kubeconfig's current one, named in the plan. */
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly isProtected: boolean;
  /** Index into `Project.tags` or a template of its own. */
  readonly tags?: readonly string[];
  readonly deploy: DeployConfig;
  readonly rollout: RolloutConfig;
  readonly smoke: readonly SmokeConfig[];
  readonly place: Place;
}

/** Which finished runs stay in the journal. */
export interface HistoryConfig {
  readonly keep: number;
  /** Absent = age does not count. */
  readonly days?: number;
}

/** What is here: read from slipway.yaml, or discovered. Mistakes are diagnostics, so there is always a project. */
export interface Project {
  /** Absolute. */
  readonly root: string;
  readonly name: string;
  readonly source: 'config' | 'discovery';
  readonly configFile?: string;
  readonly images: readonly ImageConfig[];
  /** Templates; the first is the deployed one. */
  readonly tags: readonly string[];
  /** Tags that may move (`latest`, `dev`, branch names); all others are immutable once published. */
  readonly movingTags: readonly string[];
  readonly tests: readonly TestConfig[];
  readonly commands: readonly CommandConfig[];
  readonly scan: ScanConfig;
  readonly environments: readonly EnvironmentConfig[];
  readonly history: HistoryConfig;
  readonly diagnostics: readonly Diagnostic[];
}
