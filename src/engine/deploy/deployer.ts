import type { ObjectRef } from '../events/index.ts';
import type { EnvironmentConfig } from '../project/model.ts';
import type { Answer } from './answers.ts';
import type { ObjectDiff } from './diff.ts';
import type { ReleaseHook } from './helmRecords.ts';
import type { ImageToDeploy } from './images.ts';
import type { PlacedObject } from './objects.ts';
import type { Owner } from './ownership.ts';

/** What a deploy is of: an environment and the versions of the project's images that go there. */
export interface DeployRequest {
  readonly environment: EnvironmentConfig;
  readonly images: readonly ImageToDeploy[];
}

/** The objects as they are going to be, with images set and namespaces filled in. */
export interface Rendered {
  readonly objects: readonly PlacedObject[];
  /** Objects that the deployer runs around the others and that are not part of the set (Helm hooks). */
  readonly hooks: readonly ReleaseHook[];
  /** Image name → reference that the objects hold. */
  readonly images: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

export interface ApplyOptions {
  /** Marks what is written: run id, for people and for `status`. */
  readonly run: string;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Applied {
  readonly objects: readonly ObjectRef[];
  /** What the rollout watches, where it is only known after the write: GitOps made the objects. */
  readonly targets?: readonly ObjectRef[];
  /** The deployer's own revision that is live now, and the one that was live before. */
  readonly revision: string | null;
  readonly previous: string | null;
  readonly warnings: readonly string[];
}

/** A revision in the deployer's history, for choosing one. */
export interface RevisionView {
  /** What `wanted` of {@link WayBackOptions} takes. */
  readonly revision: string;
  /** ISO time. */
  readonly at?: string;
  readonly isLive: boolean;
  readonly isVerified: boolean;
  /** `deployed`, `failed` and the like where the deployer keeps it. */
  readonly status?: string;
  readonly description: string;
}

/** What an environment can go back to. */
export type WayBack =
  | {
      readonly kind: 'revision';
      /** As the deployer names it: a Helm revision number; for plain objects a word for people. */
      readonly revision: string;
      /** `verified`: our record says that this version was rolled out and smoke-tested. `served`: it was live and healthy before. */
      readonly trust: 'verified' | 'served';
      /** References it runs, for asking the registry whether they still exist. */
      readonly images: readonly string[];
      /** Workloads that it brings back. */
      readonly targets: readonly ObjectRef[];
      /** `whole`: every object of the set goes back, not only pod templates. Absent = the deployer's usual way. */
      readonly extent?: 'whole' | 'templates';
    }
  | { readonly kind: 'none'; readonly why: string };

export interface WayBackOptions {
  /** The revision to leave, from the outputs of the deploy; null = what is live. */
  readonly from: string | null;
  /** What was live before it. */
  readonly previous: string | null;
  /** A revision the person chose; absent = by our record. */
  readonly wanted?: string;
  /** A person asks to leave what is live, although it may be verified. */
  readonly isAsked?: boolean;
  readonly signal: AbortSignal;
}

/**
 * One way of bringing objects into a cluster. Made for one request; `render` is done once. Every method throws
 * SlipwayError, and CancelledError when its signal aborts.
 */
export interface Deployer {
  readonly kind: EnvironmentConfig['deploy']['kind'];
  render(signal: AbortSignal): Promise<Rendered>;
  /** What `apply` would change, against the live objects. Nothing is written; values of Secrets are not shown. */
  diff(signal: AbortSignal): Promise<readonly ObjectDiff[]>;
  /** Idempotent: applying the same request again changes nothing in the cluster that pods can see. */
  apply(options: ApplyOptions): Promise<Applied>;
  /**
   * On resume: what this very run has applied already, when the kill came between the write and our note of it. Absent
   * where applying again leaves no second revision.
   */
  applied?(run: string, signal: AbortSignal): Promise<Applied | undefined>;
  /**
   * After a failed `apply`: the revisions to go back between when something had been written, else undefined. Helm
   * leaves a failed revision; objects applied one by one leave those before the refused one.
   */
  halfWritten(signal: AbortSignal): Promise<Pick<Applied, 'revision' | 'previous'> | undefined>;
  /** What the rollout watches. */
  targets(rendered: Rendered): readonly ObjectRef[];
  /** The same of what is deployed now, without rendering anything new. */
  liveTargets(signal: AbortSignal): Promise<readonly ObjectRef[]>;
  /** What is wrong already on the way that the change has to take; absent where there is no such way. Looks only. */
  concerns?(signal: AbortSignal): Promise<readonly Answer[]>;
  /** Others who write these objects, live. A write is refused by `apply` as well; this is for asking first. */
  owners(signal: AbortSignal): Promise<readonly { readonly object: ObjectRef; readonly owner: Owner }[]>;
  /** What "previous" means here. Looks only. */
  wayBack(options: WayBackOptions): Promise<WayBack>;
  /**
   * Takes away what a killed tool left that would refuse the next write (Helm's pending records). One sentence on what
   * was done; undefined when there was nothing. Throws SlipwayError `locked` while a tool on this machine is at it.
   */
  unlock(signal: AbortSignal): Promise<string | undefined>;
  /** Newest first. */
  history(signal: AbortSignal): Promise<readonly RevisionView[]>;
  /** Goes there without waiting for pods; the caller judges the result. Returns the revision that is live then. */
  undo(way: Extract<WayBack, { readonly kind: 'revision' }>, options: ApplyOptions): Promise<string | null>;
  /**
   * After `undo` and when the old version serves: proof that nothing brings the other one back, in a sentence. Absent
   * where nobody else writes. Throws SlipwayError `rollout` when it was brought back.
   */
  stays?(way: Extract<WayBack, { readonly kind: 'revision' }>, options: ApplyOptions): Promise<string>;
  /** Records that this revision was rolled out and tested. Best effort is not enough: it throws when it could not. */
  markVerified(revision: string | null, targets: readonly ObjectRef[], signal: AbortSignal): Promise<void>;
}
