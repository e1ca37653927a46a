/**
 * Whether a tag names an image by itself, as `{image}` in a tag template writes it: `api-1.2`, `1.2-api`, `v1_api_arm64`.
 */
export const isTagOf = (tag: string, image: string): boolean =>
  new RegExp(`(^|[-._])${image.replace(/[.]/g, '\\.')}($|[-._])`).test(tag);

/** The names that a word holds, the longest only: `api-admin-1.2` is of `api-admin`, not of `api`. */
export function namesIn(word: string, names: readonly string[]): readonly string[] {
  const found = names.filter((name) => isTagOf(word, name));
  return found.filter((name) => !found.some((other) => other !== name && isTagOf(other, name)));
}
