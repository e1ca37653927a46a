/** A chart's image put together from several values: `{global.registry}/{api.repository}:{api.tag}@{api.digest}`. */
export interface ImageKeys {
  /** What stands before the tag, in its order: values keys, and texts that the chart itself writes. */
  readonly repository: readonly ({ readonly key: string } | { readonly text: string })[];
  readonly tag?: string;
  readonly digest?: string;
}

/** True for a composition; everything else is one values key. */
export const isImageKeys = (text: string): boolean => text.includes('{');

/** Reads a composition; a text instead says what is wrong with it. */
export function parseImageKeys(text: string): ImageKeys | string {
  const match =
    /^(?<repository>(?:\{[^{}:@]+\}|[^{}:@]|:(?=[^{}/]*\/))+)(?::\{(?<tag>[^{}]+)\})?(?:@\{(?<digest>[^{}]+)\})?$/.exec(
      text,
    );
  const { repository = '', tag, digest } = match?.groups ?? {};
  if (match === null || !repository.includes('{'))
    return `"${text}" is not of the form {registry key}/{repository key}:{tag key}@{digest key}`;
  if (tag === undefined && digest === undefined) return `"${text}" has neither a {tag key} nor a {digest key}`;
  return {
    repository: [...repository.matchAll(/\{([^{}]+)\}|([^{}]+)/g)].map(([, key, literal]) =>
      key === undefined ? { text: literal ?? '' } : { key },
    ),
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}
