/** Image references as Flux holds them in `status.latestRef`, and what it refuses to write. */

/** An ImagePolicy's `status.latestRef`. */
export interface ImageRef {
  /** `spec.image` of the ImageRepository, verbatim. */
  readonly name: string;
  readonly tag: string;
  /** `sha256:…`; absent unless the policy reflects digests. */
  readonly digest?: string;
}

/** `name[:tag][@digest]` in its parts. A `:` before the last `/` is a port, not a tag. */
export function splitReference(text: string): {
  readonly name: string;
  readonly tag?: string;
  readonly digest?: string;
} {
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  const rest = at === -1 ? text : text.slice(0, at);
  const colon = rest.lastIndexOf(':');
  const isTag = colon > rest.lastIndexOf('/');
  return {
    name: isTag ? rest.slice(0, colon) : rest,
    ...(isTag && { tag: rest.slice(colon + 1) }),
    ...(digest !== undefined && { digest }),
  };
}

export function formatReference({ name, tag, digest }: ImageRef): string {
  return `${name}:${tag}${digest === undefined || digest === '' ? '' : `@${digest}`}`;
}

/**
 * Why go-containerregistry (weak validation) refuses the reference; undefined when it accepts it. One refused policy in
 * the automation's namespace fails its whole run.
 */
export function whyInvalidReference(text: string): string | undefined {
  const at = text.indexOf('@');
  if (at === -1) return whyInvalidTagged(text);
  const digest = text.slice(at + 1);
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) return `"${digest}" is not a sha256 digest`;
  return whyInvalidTagged(text.slice(0, at));
}

function whyInvalidTagged(text: string): string | undefined {
  const { name, tag } = splitReference(text);
  if (tag !== undefined && !/^[0-9A-Za-z_.-]{1,128}$/.test(tag)) return `"${tag}" is not a tag`;
  const slash = name.indexOf('/');
  const host = slash === -1 ? '' : name.slice(0, slash);
  const hasRegistry = host !== '' && /[.:]/.test(host);
  const repository = hasRegistry ? name.slice(slash + 1) : name;
  if (
    hasRegistry &&
    !(/^[0-9A-Za-z._~!$&'()*+,;=:"<>\u0080-\uffff-]*$/.test(host) && /^(?:.*:\d*|[^:]*)$/.test(host)) &&
    !/^\[[0-9a-fA-F:.]+\](?::\d*)?$/.test(host)
  ) {
    return `"${host}" is not a registry host`;
  }
  if (repository.length < 2 || repository.length > 255) return 'the repository must have 2 to 255 characters';
  if (!/^[a-z0-9_./-]+$/.test(repository)) return `the repository "${repository}" may have only a-z, 0-9 and _ . / -`;
  return undefined;
}
