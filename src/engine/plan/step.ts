import type { Emit, Outputs, StepId, StepKindName } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import type {
  CommandConfig,
  EnvironmentConfig,
  ImageConfig,
  Platform,
  RollbackWay,
  SbomFormat,
  ScanConfig,
  TestConfig,
} from '../project/model.ts';
import type { System } from '../system/index.ts';

/** What a step is to do, fully resolved: no templates, no relative paths. */
export type StepSpec =
  | { readonly kind: 'command'; readonly command: CommandConfig }
  | {
      readonly kind: 'test';
      readonly test: TestConfig;
      readonly image?: { readonly name: string; readonly step: StepId };
    }
  /** Builds and pushes by digest, without a tag. Outputs: {@link BuildOutputs}. */
  | {
      readonly kind: 'build';
      readonly image: ImageConfig;
      readonly platforms: readonly Platform[];
      readonly revision?: string;
      /** Commands run before it: what it is built from is looked at after them. */
      readonly isAfterCommands?: true;
    }
  | {
      readonly kind: 'scan';
      readonly image: ImageConfig;
      readonly platform: Platform;
      readonly scan: ScanConfig;
      readonly build: StepId;
    }
  /** Looks for misconfiguration in files that are built from or deployed. */
  | { readonly kind: 'config'; readonly target: ConfigTarget; readonly scan: ScanConfig }
  | { readonly kind: 'sbom'; readonly image: ImageConfig; readonly build: StepId; readonly format: SbomFormat }
  | { readonly kind: 'sign'; readonly image: ImageConfig; readonly build: StepId }
  /** Gives the gated digest its final tags. Outputs: {@link PublishOutputs}. */
  | {
      readonly kind: 'publish';
      readonly image: ImageConfig;
      readonly tags: readonly string[];
      /** Those of `tags` that may move; an existing other tag with another digest is refused. */
      readonly moving: readonly string[];
      readonly build: StepId;
    }
  | { readonly kind: 'check'; readonly environment: EnvironmentConfig; readonly images: readonly DeployedImage[] }
  /** Outputs: {@link DeployOutputs}. */
  | { readonly kind: 'deploy'; readonly environment: EnvironmentConfig; readonly images: readonly DeployedImage[] }
  | {
      readonly kind: 'rollout';
      readonly environment: EnvironmentConfig;
      readonly deploy: StepId;
      /** Restarts that the last verified version of a workload had before it was ready, by target. */
      readonly learnedRestarts: { readonly [target: string]: number };
    }
  | { readonly kind: 'smoke'; readonly environment: EnvironmentConfig; readonly deploy: StepId }
  /** By command: to the revision named, or the last verified one before what is live. */
  | {
      readonly kind: 'rollback';
      readonly environment: EnvironmentConfig;
      readonly to?: string;
      /** Flux: the way the person chose. */
      readonly how?: RollbackWay;
    };

/** A Dockerfile, or a folder or file that an environment deploys. */
export interface ConfigTarget {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Absolute values files of a chart. */
  readonly values: readonly string[];
}

/** An image of the project as an environment deploys it: from a publish step of this run, or an existing tag. */
export interface DeployedImage {
  readonly image: ImageConfig;
  readonly tag: string;
  /** The publish step whose digest is deployed; absent when an existing tag is deployed as it is. */
  readonly publish?: StepId;
}

export interface BuildOutputs extends Outputs {
  /** Digest of the index or manifest that was pushed. */
  readonly digest: string;
  readonly repository: string;
  readonly platforms: { readonly [platform: Platform]: string };
  /** Compressed size of each platform's image in bytes, where the registry told it. */
  readonly sizes?: { readonly [platform: Platform]: number };
  /** Hash of the context that was built, where commands before the build may have changed it. */
  readonly context?: string;
}

export interface PublishOutputs extends Outputs {
  readonly digest: string;
  readonly repository: string;
  readonly tags: readonly string[];
  readonly platforms: { readonly [platform: Platform]: string };
}

export interface DeployOutputs extends Outputs {
  readonly environment: string;
  readonly deployer: string;
  /** Image name → full reference that was deployed. */
  readonly images: { readonly [image: string]: string };
  /** The deployer's own revision that now is live, and the one before it (Helm: release numbers). */
  readonly revision: string | null;
  readonly previous: string | null;
  /** What the rollout watches, as `kind/namespace/name`. */
  readonly targets: readonly string[];
  /** ISO time just before the first write. */
  readonly startedAt: string;
}

/** One named input of a content key: what it is and a hash or short value of it. */
export interface KeyInput {
  readonly name: string;
  readonly value: string;
}

export interface PlannedStep {
  readonly id: StepId;
  readonly kind: StepKindName;
  readonly title: string;
  readonly needs: readonly StepId[];
  readonly spec: StepSpec;
  /** Hash over `inputs` and the keys of `needs`; null = always runs (smoke, rollout). */
  readonly key: string | null;
  readonly inputs: readonly KeyInput[];
  readonly decision: { readonly action: 'run' | 'skip'; readonly why: string };
  /** For a skip: what the earlier run of the same key left. */
  readonly outputs?: Outputs;
  /** A failing optional step does not stop the run. */
  readonly isOptional?: boolean;
}

/** What a running step may use. */
export interface StepContext {
  readonly system: System;
  /** Absolute workspace root. */
  readonly root: string;
  /** Absolute folder of this run in the journal; reports go to `reports/` below it. */
  readonly folder: string;
  readonly step: PlannedStep;
  readonly emit: Emit;
  readonly secrets: Secrets;
  readonly signal: AbortSignal;
  /** What a finished step of this run left; throws SlipwayError `internal` when it has not finished. */
  readonly outputs: <T extends Outputs>(id: StepId) => T;
  /** Hands over work that nothing has to wait for but the end of the run, such as taking containers away; absent, it is waited for. */
  readonly later?: (work: Promise<void>) => void;
  /** Steps that a resumed run does not do again; time has passed since, and others may have been at work. */
  readonly kept?: ReadonlySet<StepId>;
  /** Set on resume: the intent that was journalled without an outcome, if any. */
  readonly unfinished?: { readonly effect: string; readonly subject: string };
}

/**
 * One kind of step. `run` must be idempotent: on resume it looks at the registry or cluster before it repeats an effect.
 * It throws SlipwayError when the step fails and CancelledError when the signal aborts.
 */
export interface StepKind<K extends StepKindName = StepKindName> {
  readonly kind: K;
  run(spec: Extract<StepSpec, { readonly kind: K }>, context: StepContext): Promise<Outputs>;
  /**
   * Called once at the start of a run for the first step of this kind that will run and has to wait for others: to ask a
   * tool for its version, to start what the step needs. What it throws is left to `run` to say; what it returns is called
   * at the end of the run, whether the step was reached or not.
   */
  prepare?(
    spec: Extract<StepSpec, { readonly kind: K }>,
    context: Pick<StepContext, 'system' | 'signal' | 'folder' | 'secrets'>,
  ): Promise<(() => Promise<void>) | undefined>;
  /**
   * Whether what an earlier run of the same key left still exists (the digest in the registry, say). Asked before a
   * planned skip; false runs the step. Absent = always holds.
   */
  holds?(spec: Extract<StepSpec, { readonly kind: K }>, outputs: Outputs, context: StepContext): Promise<boolean>;
}

/** The whole of what a run is going to do, in an order in which each step comes after those it needs. */
export interface Plan {
  readonly root: string;
  readonly environment: EnvironmentConfig | null;
  readonly steps: readonly PlannedStep[];
  readonly commit?: string;
  readonly branch?: string;
  readonly isDirty: boolean;
  /** Expanded tags, the deployed one first. */
  readonly tags: readonly string[];
}
