import { basename, dirname } from 'node:path';
import { findMarkers, type Marker } from '../gitops/index.ts';
import { openGit } from '../system/git.ts';
import type { System } from '../system/index.ts';
import { findAddressed, type MarkerAddress } from './edits.ts';

/** A value that stood behind a marker before. */
export interface EarlierValue {
  readonly value: string;
  readonly parts: Marker['parts'];
  /** The commit that wrote it. */
  readonly commit: string;
  readonly subject: string;
  readonly author: string;
  /** ISO time of that commit. */
  readonly date: string;
}

/** Commits of the file that are looked at, at most; each is one call of git. */
const MOST_COMMITS = 30;

/**
 * What stood behind a marker in the file's history, newest first, without the current value. Each commit is read as Flux
 * reads it, so a moved or re-indented line is still found. Empty without git; throws SlipwayError `untrusted`.
 */
export async function earlierValues(
  system: System,
  file: string,
  address: MarkerAddress,
  current: string,
  most = 5,
): Promise<readonly EarlierValue[]> {
  const git = await openGit(system, dirname(file));
  if (git === undefined) return [];
  const name = basename(file);
  const log = await git
    .raw('log', `--max-count=${MOST_COMMITS}`, '--format=%H%x1f%cI%x1f%an%x1f%s', '--', name)
    .catch(() => '');
  const found: EarlierValue[] = [];
  for (const line of log.split('\n')) {
    const [commit, date = '', author = '', subject = ''] = line.split('\x1f');
    if (commit === undefined || commit === '') continue;
    const text = await git.raw('show', `${commit}:./${name}`).catch(() => undefined);
    const marker = text === undefined ? undefined : findAddressed(findMarkers(text, name), address);
    if (marker === undefined) continue;
    const entry: EarlierValue = { value: marker.current, parts: marker.parts, commit, date, author, subject };
    const last = found.at(-1);
    // The commit that wrote a value is the oldest one of those that have it.
    if (last?.value === marker.current) found[found.length - 1] = entry;
    else if (found.length > most) break;
    else found.push(entry);
  }
  const seen = new Set([current]);
  return found
    .filter(({ value }) => {
      const isNew = !seen.has(value);
      seen.add(value);
      return isNew;
    })
    .slice(0, most);
}
