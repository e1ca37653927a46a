// What the objects of both delivery tools are written from, and what comes of it.
import type { CiHost, ImagePlace } from '../gitops/index.ts';
import type { Findings } from './discovery/findings.ts';
import type { EnvironmentConfig, ImageConfig, Project } from './model.ts';

/** One file of a proposal. `new`: it is written whole; `edit`: a few bytes of a file that is there change. */
export interface ProposedFile {
  /** Relative to the root. */
  readonly path: string;
  readonly change: 'new' | 'edit';
  readonly text: string;
  readonly existing?: string;
}

export interface DeliveryProposal {
  readonly files: readonly ProposedFile[];
  /** What a person has to do or to know. */
  readonly notes: readonly string[];
}

/** A proposal before the workflow is looked at. */
export interface DeliveryDraft extends DeliveryProposal {
  /** Files that the bot is going to write, relative to the root. */
  readonly botFiles: readonly string[];
}

/** What both tools build on. */
export interface DeliveryPlan {
  readonly app: string;
  readonly root: string;
  readonly findings: Findings;
  readonly project: Project;
  readonly environment: EnvironmentConfig | undefined;
  readonly namespace: string;
  readonly branch: string;
  readonly folder: string | undefined;
  readonly images: readonly DeliveredImage[];
  readonly host: CiHost;
  readonly read: (path: string) => Promise<string | undefined>;
}

export interface DeliveredImage {
  readonly image: ImageConfig;
  readonly places: readonly ImagePlace[];
  /** Tag template that is deployed. */
  readonly template: string;
}

/** The folder that holds all of the files; the empty text is the root. */
export function commonFolder(files: readonly string[]): string {
  const [first = [], ...rest] = files.map((file) => file.split('/').slice(0, -1));
  let length = first.length;
  for (const parts of rest) {
    let same = 0;
    while (same < length && parts[same] === first[same]) same += 1;
    length = same;
  }
  return first.slice(0, length).join('/');
}
