import type { Diagnostic, Place } from '../../problems/index.ts';
import type { Workflow } from '../../workflows/index.ts';

/** Paths in findings are relative to the root, with `/`; the root itself is `.`. */
export type RelativePath = string;

export interface DockerfileFinding {
  readonly path: RelativePath;
  readonly place: Place;
  /** Named stages and the last one, in order. */
  readonly stages: readonly { readonly name?: string; readonly base: string; readonly place: Place }[];
  readonly ports: readonly number[];
  readonly hasHealthcheck: boolean;
  readonly user?: string;
  /** `--platform=` of a FROM that is a fixed platform, a hint that the image is for that one only. */
  readonly platforms: readonly string[];
  /** Sources of COPY and ADD from the context, first parts of the path: tell what the context must hold. */
  readonly copied: readonly string[];
}

/** A build that some file asks for: compose, Skaffold, bake or CI. */
export interface BuildFinding {
  readonly origin: 'compose' | 'skaffold' | 'bake' | 'goreleaser' | 'ci';
  /** Compose service, bake target or CI job: a name that a person chose. */
  readonly name: string;
  readonly context: RelativePath;
  readonly dockerfile: RelativePath;
  readonly target?: string;
  /** The Dockerfile's text, where it stands in the bake file; `dockerfile` is then a path that no file has. */
  readonly inline?: string;
  /** Set where only bake itself can build it: its file says what slipway.yaml has no words for. */
  readonly bake?: { readonly target: string; readonly file?: RelativePath };
  /** Registry and path without tag. Absent when it cannot be told. */
  readonly repository?: string;
  /** Everywhere it is pushed, with `repository` among them. Absent: there only. */
  readonly repositories?: readonly string[];
  readonly platforms: readonly string[];
  readonly args: Readonly<Record<string, string>>;
  /** Arguments whose value the surroundings give. */
  readonly openArgs?: readonly string[];
  /** Set when it is no part of what runs by default: a profile, a file for developing. In words. */
  readonly aside?: string;
  readonly cacheFrom: readonly string[];
  readonly cacheTo: readonly string[];
  /** Tag templates in slipway.yaml's words that it is pushed under. */
  readonly tags: readonly { readonly template: string; readonly place: Place }[];
  readonly place: Place;
}

/** A container that an app or its tests lean on: Postgres, Redis. */
export interface ServiceFinding {
  readonly name: string;
  readonly image: string;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
  readonly health?: readonly string[];
  readonly place: Place;
}

/** An image that a compose file runs without building it there. */
export interface ComposeImage {
  readonly service: string;
  readonly repository: string;
  readonly path: RelativePath;
  readonly place: Place;
}

export interface ChartFinding {
  readonly folder: RelativePath;
  readonly name: string;
  readonly isLibrary: boolean;
  readonly place: Place;
  /** Where images are in values.yaml. */
  readonly images: readonly ValuesImage[];
  /** Images of templates that no value carries, or none that could be told. */
  readonly unmapped: readonly { readonly written: string; readonly why: string; readonly place: Place }[];
  /** Values files by environment; those in the chart's folder or beside it. */
  readonly values: readonly { readonly environment: string; readonly path: RelativePath; readonly place: Place }[];
}

export interface ValuesImage {
  /** Dotted key, for example `api.image`. */
  readonly key: string;
  readonly repository: string;
  readonly tag?: string;
  /** `composed`: the key is several, as the templates put them together; see `imageKeys`. */
  readonly shape: 'map' | 'text' | 'composed';
  readonly place: Place;
}

export interface ObjectFinding {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly path: RelativePath;
  readonly place: Place;
  /** Image references of its containers. */
  readonly images: readonly { readonly reference: string; readonly place: Place }[];
  /** Flux and Argo CD: what it refers to. */
  readonly refers: ObjectReferences;
  /** Pod labels of a workload or the selector of a Service. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name?: string; readonly port: number; readonly target?: string }[];
  readonly readiness?: { readonly path: string; readonly port: string };
}

export interface ObjectReferences {
  /** ImageRepository: the image; Argo CD: the source path; Flux Kustomization: spec.path; HelmRelease: the chart. */
  readonly image?: string;
  readonly path?: string;
  /** ImagePolicy → ImageRepository, `[namespace/]name`. */
  readonly repository?: string;
  readonly namespace?: string;
  readonly values?: readonly string[];
}

export interface KustomizationFinding {
  readonly folder: RelativePath;
  readonly place: Place;
  readonly namespace?: string;
  /** Folders and files it takes in, relative to the root. */
  readonly resources: readonly RelativePath[];
  readonly images: readonly { readonly name: string; readonly newName?: string; readonly place: Place }[];
}

export interface TestFinding {
  readonly name: string;
  readonly folder: RelativePath;
  readonly run: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly services: readonly ServiceFinding[];
  /** JUnit reports that it writes, from the root; globs. */
  readonly junit?: readonly string[];
  readonly place: Place;
  /** In words: `package.json has a test script`. */
  readonly why: string;
  readonly certainty: 'read' | 'guess';
}

export interface DeployFinding {
  readonly tool: 'helm' | 'kubectl' | 'kustomize';
  readonly environment?: string;
  readonly namespace?: string;
  /** Chart, manifest path or kustomization folder. */
  readonly path: RelativePath;
  readonly release?: string;
  readonly values: readonly RelativePath[];
  /** Single values that are known before the run. */
  readonly set: readonly (readonly [key: string, value: string])[];
  /** `5m`. */
  readonly timeout?: string;
  readonly place: Place;
}

/** What the CI workflows say, in the words of this room. */
export interface PipelineFinding {
  readonly path: RelativePath;
  readonly workflow: Workflow;
  readonly builds: readonly BuildFinding[];
  readonly scan?: {
    readonly severity?: readonly string[];
    readonly ignoreUnfixed?: boolean;
    readonly place: Place;
  };
  readonly deploys: readonly DeployFinding[];
  readonly tests: readonly TestFinding[];
  /** Tests of a matrix beyond those that are taken. */
  readonly cut: PipelineFinding['left'];
  /** What slipway.yaml has no words for, and why. */
  readonly left: readonly { readonly what: string; readonly why: string; readonly place: Place }[];
}

export interface Findings {
  readonly root: string;
  readonly name: string;
  /** All files that were seen. */
  readonly paths: readonly RelativePath[];
  /** From `.git/config`, without credentials. */
  readonly remoteUrl?: string;
  readonly dockerfiles: readonly DockerfileFinding[];
  readonly builds: readonly BuildFinding[];
  readonly services: readonly ServiceFinding[];
  readonly composeImages: readonly ComposeImage[];
  readonly charts: readonly ChartFinding[];
  readonly objects: readonly ObjectFinding[];
  readonly kustomizations: readonly KustomizationFinding[];
  readonly tests: readonly TestFinding[];
  readonly pipelines: readonly PipelineFinding[];
  /** Only environments that one of these paths (charts, kustomizations, manifests) deploys; absent = all. */
  readonly onlyDeployed?: ReadonlySet<RelativePath>;
  /** Files that were found but could not be read in full, and limits that were met. */
  readonly diagnostics: readonly Diagnostic[];
}
