/** How each marker stands against the tags known so far. Pure; asks nobody. */
import {
  CompiledPolicy,
  type ImagePolicyObject,
  type LinkedMarker,
  type Marker,
  type MarkerIndex,
  type PolicyError,
  type Selection,
  valueFor,
} from '../gitops/index.ts';
import type { TagList } from './tagStore.ts';

export type TagsOf = (image: string) => TagList | undefined;

/** What a policy selects from the tags known so far. */
export type PolicyState =
  | { readonly kind: 'selected'; readonly image: string; readonly tag: string; readonly tags: TagList }
  /** The tags are known, and Flux would report the policy as not ready. */
  | { readonly kind: 'none'; readonly image: string; readonly problem: string; readonly tags: TagList }
  | { readonly kind: 'not-fetched'; readonly image: string }
  | { readonly kind: 'no-repository' }
  /** Flux would report it as stalled, whatever the tags. */
  | { readonly kind: 'invalid'; readonly problem: string };

export type MarkerState =
  | { readonly kind: 'current'; readonly policy: Extract<PolicyState, { kind: 'selected' }> }
  /** Flux would write `next` in the place of the value. */
  | {
      readonly kind: 'behind';
      readonly policy: Extract<PolicyState, { kind: 'selected' }>;
      /** Undefined while the digest that the policy reflects is not known. */
      readonly next: string | undefined;
    }
  | { readonly kind: 'no-policy' }
  | Exclude<PolicyState, { kind: 'selected' }>;

const remembered = new WeakMap<CompiledPolicy, { readonly tags: TagList; readonly selection: Selection }>();

function select(compiled: CompiledPolicy, tags: TagList): Selection {
  const known = remembered.get(compiled);
  if (known?.tags === tags) return known.selection;
  const selection = compiled.select(tags.tags);
  remembered.set(compiled, { tags, selection });
  return selection;
}

export function policyState(index: MarkerIndex, policy: ImagePolicyObject, tagsOf: TagsOf): PolicyState {
  const compiled: CompiledPolicy | PolicyError = index.compiledOf(policy);
  if (!(compiled instanceof CompiledPolicy)) return { kind: 'invalid', problem: compiled.message };
  const image = index.repositoryOf(policy)?.image;
  if (image === undefined) return { kind: 'no-repository' };
  const tags = tagsOf(image);
  if (tags === undefined) return { kind: 'not-fetched', image };
  const { latest, error } = select(compiled, tags);
  if (latest === undefined) return { kind: 'none', image, problem: error?.message ?? 'no tag is left', tags };
  return { kind: 'selected', image, tag: latest, tags };
}

export function markerState(index: MarkerIndex, { marker, policy }: LinkedMarker, tagsOf: TagsOf): MarkerState {
  if (policy === undefined) return { kind: 'no-policy' };
  const state = policyState(index, policy, tagsOf);
  if (state.kind !== 'selected') return state;
  const reflects = policy.digestReflection !== 'Never';
  const digest = reflects ? state.tags.details[state.tag]?.digest : undefined;
  const isDigestMissing = reflects && digest === undefined;
  const { part } = marker.setter;
  if (isDigestMissing && (part === 'digest' || part === 'reference')) {
    // The tag alone can already say that it is behind; equal tags are taken for the same content until a fetch.
    const isSame = part === 'digest' ? marker.current !== '' : tagOf(marker) === state.tag;
    return isSame ? { kind: 'current', policy: state } : { kind: 'behind', policy: state, next: undefined };
  }
  const next = valueFor(marker.setter, { name: state.image, tag: state.tag, ...(digest !== undefined && { digest }) });
  return next === marker.current ? { kind: 'current', policy: state } : { kind: 'behind', policy: state, next };
}

/** The tag a marker's value carries; undefined for a name or a digest alone. */
export const tagOf = ({ parts }: Marker): string | undefined => (parts.tag === '' ? undefined : parts.tag);

/** The value in few characters: the tag where there is one, a short digest, else the text. */
export function shortValue({ parts, current, setter }: Pick<Marker, 'parts' | 'current' | 'setter'>): string {
  if (setter.part === 'name') return current;
  if (setter.part === 'digest') return shortDigest(current) || '(empty)';
  return parts.tag ?? (parts.digest === undefined ? '(no tag)' : shortDigest(parts.digest));
}

export const shortDigest = (digest: string): string => digest.replace(/^sha256:/, '').slice(0, 12);

/** What a marker's state would write, as short as {@link shortValue}. */
export function shortNext({ setter }: Pick<Marker, 'setter'>, state: Extract<MarkerState, { kind: 'behind' }>): string {
  if (setter.part === 'name') return state.policy.image;
  if (setter.part === 'digest')
    return state.next === undefined ? `digest of ${state.policy.tag}` : shortDigest(state.next) || '(empty)';
  return state.policy.tag;
}
