import type { Place } from '../../problems/index.ts';
import type { Config } from '../schema.ts';
import type { BuildFinding } from './findings.ts';

/** Why a value of a draft is what it is. */
export interface Note {
  /** Where in the configuration: `['images', 'api', 'repository']`. */
  readonly path: readonly (string | number)[];
  readonly text: string;
  readonly place: Place;
  /** `read`: a file says so. `guess`: a convention does, and a person should look. */
  readonly certainty: 'read' | 'guess';
  /** What to do when the guess is wrong. */
  readonly fix?: string;
}

/** The configuration that the findings add up to, with the reason of each part. */
export interface Draft {
  readonly config: Config;
  readonly notes: readonly Note[];
  /** What was seen and not taken over, and why. */
  readonly left: readonly { readonly what: string; readonly why: string; readonly place: Place }[];
}

/** An image to build, before it is configuration. */
export interface DraftImage {
  readonly name: string;
  readonly repository: string;
  readonly build: Omit<BuildFinding, 'origin' | 'name' | 'repository' | 'tags' | 'place'>;
  readonly ports: readonly number[];
  /** Tags that the best source pushes it under. */
  readonly tags: BuildFinding['tags'];
  readonly place: Place;
}
