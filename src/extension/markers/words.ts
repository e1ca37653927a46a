// The words of lenses, hovers and rows about markers: pure, so that they are tested without an editor.
import type {
  ImagePolicyObject,
  LinkedMarker,
  MarkerState,
  PolicyState,
  TagDetail,
  TagList,
} from '../../engine/markers/index.ts';
import { age } from '../words.ts';
import type { Markers } from './repository.ts';

/** `tags just fetched`, `tags from 2 h ago`. */
export function tagsAge({ fetchedAt }: Pick<TagList, 'fetchedAt'>, now: number): string {
  const words = age(fetchedAt, now);
  return words === 'just now' ? 'tags just fetched' : `tags from ${words}`;
}

/** The first lens of a marker: what is, and what Flux would make of it. */
export function markerTitle(
  markers: Markers,
  { marker, policy }: LinkedMarker,
  state: MarkerState,
  now: number,
): string {
  const current = markers.shortValue(marker);
  const { namespace, policy: name } = marker.setter;
  switch (state.kind) {
    case 'behind':
      return `${current} → ${markers.shortNext(marker, state)} by ${shortRule(markers, policy)} (${tagsAge(state.policy.tags, now)})`;
    case 'current':
      return `$(check) ${current} is the latest by ${shortRule(markers, policy)} (${tagsAge(state.policy.tags, now)})`;
    case 'none':
      return `$(warning) no tag for ${name}: ${state.problem} (${tagsAge(state.tags, now)})`;
    case 'not-fetched':
      return `$(circle-outline) ${current} by ${shortRule(markers, policy)}, tags not fetched yet`;
    case 'no-repository':
      return `$(warning) the ImageRepository of ${name} is not in this repository`;
    case 'invalid':
      return `$(error) Flux cannot use ${name}: ${state.problem}`;
    case 'no-policy':
      return `$(question) no ImagePolicy ${namespace}:${name} in this repository`;
  }
}

function shortRule(markers: Markers, policy: ImagePolicyObject | undefined): string {
  const words = policy === undefined ? '' : markers.ruleWords(policy);
  return words.length > 48 ? `${words.slice(0, 47)}…` : words;
}

/** What a policy stands at, for a lens or a row. */
export function policyWords(state: PolicyState, now: number): string {
  switch (state.kind) {
    case 'selected':
      return `selects ${state.tag} of ${count(state.tags.tags.length, 'tag')}, fetched ${age(state.tags.fetchedAt, now)}`;
    case 'none':
      return `selects nothing: ${state.problem} (${tagsAge(state.tags, now)})`;
    case 'not-fetched':
      return 'tags not fetched yet';
    case 'no-repository':
      return 'its ImageRepository is not in this repository';
    case 'invalid':
      return `Flux cannot use it: ${state.problem}`;
  }
}

export const count = (number: number, thing: string): string => `${number} ${thing}${number === 1 ? '' : 's'}`;

/** `3 days ago · linux/amd64, linux/arm64 · signed · 0c1f2e3d4a5b`, with what is known of it. */
export function detailWords(markers: Markers, detail: TagDetail | undefined, now: number): string {
  if (detail === undefined) return '';
  return [
    ...(detail.created === undefined ? [] : [age(detail.created, now)]),
    ...(detail.platforms.length === 0 ? [] : [detail.platforms.join(', ')]),
    ...(detail.isSigned ? ['signed'] : []),
    markers.shortDigest(detail.digest),
  ].join(' · ');
}
