// What a Gitea or Forgejo server can do, by the version it says it is.
import type { Ability, CiAction } from './model.ts';

export interface GiteaVersion {
  readonly text: string;
  readonly flavour: 'gitea' | 'forgejo';
  /** Gitea's own numbering, in which 28.0 follows 1.27; Forgejo counts for itself. */
  readonly major: number;
  readonly minor: number;
}

/** `1.27.3`, `28.0.0`, `1.27.3+dev-12-gabc`, `1.26.0~rc1`, `16.0.2+gitea-1.22.0` (Forgejo). Undefined for anything else. */
export function parseGiteaVersion(text: string): GiteaVersion | undefined {
  const found = /^v?(\d+)\.(\d+)/.exec(text.trim());
  if (found === null) return undefined;
  const isForgejo = /\+gitea-/.test(text);
  return {
    text: text.trim(),
    flavour: isForgejo ? 'forgejo' : 'gitea',
    major: Number(found[1]),
    minor: Number(found[2]),
  };
}

const isAtLeast = ({ major, minor }: GiteaVersion, wantedMajor: number, wantedMinor: number): boolean =>
  major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);

/** Since when each can be done by API: [Gitea, Forgejo]; undefined = not at all so far. */
const SINCE: Readonly<
  Record<CiAction | 'runs', readonly [readonly [number, number], readonly [number, number] | undefined]>
> = {
  runs: [
    [1, 25],
    [12, 0],
  ],
  dispatch: [
    [1, 24],
    [7, 0],
  ],
  rerun: [[1, 26], undefined],
  'rerun-failed': [[1, 26], undefined],
  cancel: [
    [28, 0],
    [16, 0],
  ],
};

const WORDS: Readonly<Record<CiAction | 'runs', string>> = {
  runs: 'list runs with their jobs',
  dispatch: 'start a workflow',
  rerun: 'run again',
  'rerun-failed': 'run failed jobs again',
  cancel: 'cancel a run',
};

export function giteaAbility(version: GiteaVersion | undefined, action: CiAction | 'runs'): Ability {
  // An unknown numbering is tried; a 404 then says it.
  if (version === undefined) return { isAble: true };
  const since = SINCE[action][version.flavour === 'gitea' ? 0 : 1];
  if (since !== undefined && isAtLeast(version, ...since)) return { isAble: true };
  const name = version.flavour === 'gitea' ? 'Gitea' : 'Forgejo';
  const words = `${name} ${version.text} cannot ${WORDS[action]} over its API`;
  return {
    isAble: false,
    why: since === undefined ? words : `${words}; ${name} ${since[0]}${since[0] >= 7 ? '' : `.${since[1]}`} can`,
  };
}
