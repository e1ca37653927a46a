import { join } from 'node:path';
import type { Secrets } from './events/secrets.ts';
import {
  applyPolicies,
  CompiledPolicy,
  isScannedName,
  MarkerIndex,
  type PolicyRefs,
  type TagReason,
  type ValueChange,
} from './gitops/index.ts';
import { parseReference, Registry } from './images/index.ts';
import { type Diagnostic, SlipwayError } from './problems/index.ts';
import { readGitFacts } from './project/index.ts';
import type { System } from './system/index.ts';

/** One `$imagepolicy` marker with what its policy would choose. */
export interface PolicyView {
  /** Path from the root with `/`. */
  readonly file: string;
  /** 0-based line of the marker. */
  readonly line: number;
  readonly setter: string;
  readonly current: string;
  /** `namespace:name`. */
  readonly policy: string;
  /** Tag that Flux would select from the tags the registry has now; absent with the reason in `problem`. */
  readonly latest?: string;
  readonly problem?: string;
}

export interface Bump {
  readonly file: string;
  readonly changes: readonly ValueChange[];
  readonly before: string;
  readonly after: string;
}

/** Reads every file that Flux would scan. The index answers offline; tags are asked for only by the functions below. */
export async function indexMarkers(system: System, root: string): Promise<MarkerIndex> {
  const git = await readGitFacts(system, root);
  const index = new MarkerIndex((file) => join(root, file));
  for (const { path } of git.files) {
    if (!isScannedName(path)) continue;
    const text = await system.files.readText(join(root, path));
    if (text !== undefined) index.update(path, text);
  }
  return index;
}

/** All markers with what their policies would choose from the registry's tags, and what is wrong with them. */
export async function viewPolicies(
  system: System,
  root: string,
  options: { readonly signal: AbortSignal; readonly secrets?: Secrets },
): Promise<{ readonly markers: readonly PolicyView[]; readonly diagnostics: readonly Diagnostic[] }> {
  const index = await indexMarkers(system, root);
  const tags = new TagSource(system, options);
  const markers: PolicyView[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const file of index.filesWithMarkers) {
    diagnostics.push(...index.diagnostics(file));
    for (const { marker, place, policy, repository } of index.linked(file)) {
      const { namespace, policy: name } = marker.setter;
      const base = {
        file,
        line: place.range?.start.line ?? 0,
        setter: marker.setter.name,
        current: marker.current,
        policy: `${namespace}:${name}`,
      };
      if (policy === undefined || repository?.image === undefined) {
        markers.push({
          ...base,
          problem:
            policy === undefined ? 'no such ImagePolicy in these files' : 'its ImageRepository is not in these files',
        });
        continue;
      }
      const compiled = index.compiledOf(policy);
      if (!(compiled instanceof CompiledPolicy)) {
        markers.push({ ...base, problem: compiled.message });
        continue;
      }
      const selection = compiled.select(await tags.of(repository.image));
      markers.push({
        ...base,
        ...(selection.latest !== undefined && { latest: selection.latest }),
        ...(selection.error !== undefined && { problem: selection.error.message }),
      });
    }
  }
  return { markers, diagnostics };
}

/** Why each tag of a policy's repository is in or out. Throws SlipwayError `usage` for an unknown policy. */
export async function explainPolicy(
  system: System,
  root: string,
  policy: string,
  options: { readonly signal: AbortSignal; readonly secrets?: Secrets },
): Promise<readonly TagReason[]> {
  const index = await indexMarkers(system, root);
  const [namespace = '', name = ''] = policy.split(/[:/]/);
  const found = index.policy(namespace, name);
  const image = found === undefined ? undefined : index.repositoryOf(found)?.image;
  if (found === undefined || image === undefined) throw unknownPolicy(policy, index);
  const compiled = index.compiledOf(found);
  if (!(compiled instanceof CompiledPolicy)) {
    throw new SlipwayError({
      reason: 'config',
      code: `policy.${compiled.code}`,
      message: compiled.message,
      place: found.rulesPlace,
      fix: 'Correct the policy.',
    });
  }
  return compiled.explain(await new TagSource(system, options).of(image));
}

/**
 * The edits that put the tag a policy would choose (or `to`) behind every marker of it: one token each, not one other byte.
 * Writes nothing. Throws SlipwayError `usage` for an unknown policy or a tag the registry does not have.
 */
export async function previewBump(
  system: System,
  root: string,
  request: { readonly policy?: string; readonly to?: string },
  options: { readonly signal: AbortSignal; readonly secrets?: Secrets },
): Promise<readonly Bump[]> {
  const index = await indexMarkers(system, root);
  const tags = new TagSource(system, options);
  const wanted = request.policy?.replace('/', ':');
  const refs = new Map<string, { readonly name: string; readonly tag: string; readonly digest: string } | undefined>();
  for (const object of index.objects) {
    if (object.kind !== 'ImagePolicy') continue;
    const key = `${object.namespace ?? ''}:${object.name}`;
    if (wanted !== undefined && key !== wanted) continue;
    const policy = index.policy(object.namespace ?? '', object.name);
    const image = policy === undefined ? undefined : index.repositoryOf(policy)?.image;
    if (policy === undefined || image === undefined) continue;
    const known = await tags.of(image);
    const compiled = index.compiledOf(policy);
    const chosen = request.to ?? (compiled instanceof CompiledPolicy ? compiled.select(known).latest : undefined);
    if (request.to !== undefined && !known.includes(request.to)) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'tag.missing',
        message: `${image} has no tag "${request.to}".`,
        fix: `It has ${known.slice(-5).join(', ') || 'none'}.`,
      });
    }
    if (chosen === undefined) continue;
    const reference = parseReference(`${image}:${chosen}`);
    const digest =
      policy.digestReflection === 'Never' ? undefined : await tags.registry.digestOf(reference, options.signal);
    refs.set(key, { name: image, tag: chosen, digest: digest ?? '' });
  }
  if (wanted !== undefined && refs.size === 0) throw unknownPolicy(wanted, index);
  const bumps: Bump[] = [];
  for (const file of index.filesWithMarkers) {
    const before = (await system.files.readText(join(root, file))) ?? '';
    const applied = applyPolicies(before, file, refs as PolicyRefs);
    if (applied.text !== before) bumps.push({ file, changes: applied.changes, before, after: applied.text });
  }
  return bumps;
}

class TagSource {
  readonly registry: Registry;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, Promise<readonly string[]>>();

  constructor(system: System, options: { readonly signal: AbortSignal; readonly secrets?: Secrets }) {
    this.registry = new Registry(system, options.secrets);
    this.#signal = options.signal;
  }

  of(image: string): Promise<readonly string[]> {
    let known = this.#known.get(image);
    if (known === undefined) {
      const { registry, repository } = parseReference(image);
      known = this.registry
        .tags(registry, repository, this.#signal)
        // Those of signatures and caches too: Flux's policies see them as well.
        .then((tags) => tags ?? []);
      this.#known.set(image, known);
    }
    return known;
  }
}

function unknownPolicy(policy: string, index: MarkerIndex): SlipwayError {
  const known = index.objects
    .filter(({ kind }) => kind === 'ImagePolicy')
    .map(({ namespace, name }) => `${namespace ?? ''}:${name}`);
  return new SlipwayError({
    reason: 'usage',
    code: 'policy.unknown',
    message: `There is no ImagePolicy "${policy}" with its ImageRepository in these files.`,
    fix: known.length === 0 ? "Flux's objects must lie in this repository." : `Use one of ${known.join(', ')}.`,
  });
}
