/**
 * Which files of a context the builder gets, by the rules of moby/patternmatcher: patterns are cleaned paths from the
 * context's root, `*` stays within a part, `**` crosses parts, `!` takes back, the last match wins, and a match of a
 * parent folder counts for what is below it.
 */
export function dockerIgnore(text: string): (path: string) => 'sent' | 'ignored' {
  const rules = ignoreRules(text);
  return (path) => {
    const parts = path.split('/');
    return judge(
      rules,
      parts.map((_part, index) => parts.slice(0, index + 1).join('/')),
    );
  };
}

/** As {@link dockerIgnore}, for a walk that does not enter ignored folders: parents need no second look. */
export function dockerIgnoreEntry(text: string): (path: string) => 'sent' | 'ignored' {
  const rules = ignoreRules(text);
  return (path) => judge(rules, [path]);
}

interface Rule {
  readonly isException: boolean;
  readonly regex: RegExp;
}

function judge(rules: readonly Rule[], paths: readonly string[]): 'sent' | 'ignored' {
  let isIgnored = false;
  for (const { isException, regex } of rules) {
    if (isIgnored === !isException) continue;
    if (paths.some((path) => regex.test(path))) isIgnored = !isException;
  }
  return isIgnored ? 'ignored' : 'sent';
}

function ignoreRules(text: string): readonly Rule[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== '!')
    .map((line) => {
      const isException = line.startsWith('!');
      const pattern = clean(isException ? line.slice(1).trim() : line);
      return { isException, pattern, regex: translate(pattern) };
    })
    .filter((rule) => rule.pattern !== '' && rule.pattern !== '.');
}

/** As Go's filepath.Clean, with the leading slash taken off. */
function clean(pattern: string): string {
  const parts: string[] = [];
  for (const part of pattern.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '..') parts.push(part);
  }
  return parts.join('/');
}

function translate(pattern: string): RegExp {
  let source = '^';
  for (let index = 0; index < pattern.length; index += 1) {
    const char = pattern[index] ?? '';
    if (char === '*') {
      if (pattern[index + 1] === '*') {
        index += 1;
        // `**/` also matches nothing, so that `**/x` finds x in the root.
        if (pattern[index + 1] === '/') index += 1;
        source += index + 1 >= pattern.length ? '.*' : '(.*/)?';
      } else source += '[^/]*';
    } else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const end = pattern.indexOf(']', index + 2);
      if (end === -1) source += '\\[';
      else {
        source += pattern.slice(index, end + 1).replace(/^\[!/, '[^');
        index = end;
      }
    } else if (char === '\\' && index + 1 < pattern.length) {
      index += 1;
      source += quote(pattern[index] ?? '');
    } else source += quote(char);
  }
  return new RegExp(`${source}$`);
}

const quote = (char: string): string => char.replace(/[.+(){}^$|[\]\\*?]/g, '\\$&');
