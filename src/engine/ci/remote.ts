// Where a git remote points, from its URL alone.

/** A remote's address without credentials. */
export interface Remote {
  readonly name: string;
  /** As git would use it, without user names and passwords. */
  readonly shown: string;
  /** Host of the web pages: that of ssh-only names is translated (`ssh.github.com` → `github.com`). */
  readonly host: string;
  /** Port of the web pages; undefined for ssh, whose port says nothing about them. */
  readonly port?: string;
  readonly protocol: 'https' | 'http' | 'ssh';
  /** Path segments, without `.git`. */
  readonly segments: readonly string[];
}

/** Names that only ssh uses, for networks that close port 22. */
const SSH_NAMES: Readonly<Record<string, string>> = {
  'ssh.github.com': 'github.com',
  'altssh.gitlab.com': 'gitlab.com',
  'www.github.com': 'github.com',
};

/**
 * Reads `https://…`, `ssh://…`, `git@host:path` and `git+ssh://…`. `sshName` translates aliases of ~/.ssh/config.
 * Undefined for local paths and anything else.
 */
export function parseRemote(
  name: string,
  url: string,
  sshName: (alias: string) => string = (alias) => alias,
): Remote | undefined {
  const text = url.trim();
  const whole = /^(?:git\+)?(https?|ssh|git):\/\/(?:[^@/]*@)?(\[[^\]]+\]|[^:/]+)(?::(\d+))?\/(.*)$/i.exec(text);
  // A drive letter (`C:\…`, `C:/…`) and a relative path look like scp's form and are none.
  const short = whole === null ? /^(?:([^@/\s]+)@)?(\[[^\]]+\]|[^:/\\\s]{2,}):(?!\/\/)(.+)$/.exec(text) : null;
  if (whole === null && short === null) return undefined;
  const scheme = (whole?.[1] ?? 'ssh').toLowerCase();
  const protocol = scheme === 'https' || scheme === 'http' ? scheme : 'ssh';
  const written = (whole?.[2] ?? short?.[2] ?? '').toLowerCase();
  const given = protocol === 'ssh' ? sshName(written).toLowerCase() : written;
  const host = SSH_NAMES[given] ?? given;
  const path = (whole?.[4] ?? short?.[3] ?? '').replace(/[?#].*$/, '').replace(/\/+$/, '');
  const segments = path
    .replace(/\.git$/i, '')
    .split('/')
    .filter((part) => part !== '');
  if (host === '' || segments.length < 2) return undefined;
  const port = protocol === 'ssh' ? undefined : whole?.[3];
  return {
    name,
    host,
    protocol,
    segments,
    shown: `${protocol}://${host}${port === undefined ? '' : `:${port}`}/${path}`,
    ...(port !== undefined && { port }),
  };
}

/** `HostName` of an alias, from the text of an ssh configuration. Patterns with wildcards only match, they name nothing. */
export function sshHostName(config: string, alias: string): string {
  let isOurs = false;
  for (const raw of config.split(/\r?\n/)) {
    const [, key = '', value = ''] = /^\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(raw) ?? [];
    if (/^match$/i.test(key)) isOurs = false;
    if (/^host$/i.test(key))
      isOurs = value.split(/\s+/).some((pattern) => pattern.toLowerCase() === alias.toLowerCase());
    if (isOurs && /^hostname$/i.test(key)) return value.replaceAll('%h', alias).replace(/^"(.*)"$/, '$1');
  }
  return alias;
}
