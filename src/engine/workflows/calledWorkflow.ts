import type { Common } from './flags.ts';
import { factsOfAction } from './githubActions.ts';
import type { BuildFact, Fact } from './model.ts';
import { join, literal, split, textOf, unknown, type Value } from './values.ts';

/** What reusable build workflows call the inputs of build-push-action and metadata-action. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  images: ['images', 'image', 'image-names', 'image-name', 'image_name', 'image_names', 'push_to_images'],
  context: ['context', 'build-context', 'build_context', 'docker-context', 'context-path'],
  file: ['file', 'dockerfile', 'dockerfile-path', 'dockerfile_path', 'file_to_build'],
  target: ['target'],
  platforms: ['platforms', 'platform'],
  tags: ['tag-rules', 'tags'],
  flavor: ['flavor'],
  'build-args': ['build-args', 'build_args'],
};

/**
 * The image that a call of a workflow in another repository speaks of. That workflow is not read; that it builds and
 * publishes is assumed from inputs that name an image and a context or a Dockerfile. Nothing when they do not.
 */
export function factsOfCall(inputs: ReadonlyMap<string, Value>, common: Common): readonly Fact[] {
  const get = (name: string): Value | undefined =>
    NAMES[name]?.map((each) => inputs.get(each)).find((value) => value !== undefined && value.length > 0);
  if (get('images') === undefined || (get('context') ?? get('file')) === undefined) return [];
  const tags = get('tags');
  const rules =
    tags === undefined
      ? unknown('tags of the called workflow')
      : /(^|\n)\s*type=/.test(textOf(tags))
        ? tags
        : join(...split(tags, /[\s,]+/).map((tag) => join(literal('type=raw,value='), tag, literal('\n'))));
  const facts = (action: string, more: Readonly<Record<string, Value | undefined>>) =>
    factsOfAction(
      action,
      { get: (name) => (name in more ? more[name] : get(name)), node: () => undefined },
      common,
      undefined,
      () => [],
    ) ?? [];
  const metadata = facts('docker/metadata-action', { tags: rules }).filter((fact) => fact.kind === 'metadata');
  return facts('docker/build-push-action', {
    tags: undefined,
    push: unknown('push of the called workflow'),
  }).map((fact) => (fact.kind === 'build' ? ({ ...fact, metadata } satisfies BuildFact) : fact));
}
