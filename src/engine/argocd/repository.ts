/** Whether two URLs of git mean one repository. Pure. */

/**
 * The host does not count: inside a cluster a git server has another name than on a person's machine. `owner/name` is
 * compared, over ssh or http, with or without `.git` and credentials; local paths by their last two parts.
 */
export function isSameRepository(a: string, b: string): boolean {
  const path = repositoryPath(a);
  return path !== '' && path === repositoryPath(b);
}

function repositoryPath(url: string): string {
  const path = url
    .trim()
    .replace(/^[a-z+]+:\/\/[^/]*\//i, '')
    .replace(/^[^@/:]+@[^:/]+:/, '')
    .replace(/[/\\]+$/, '')
    .replace(/\.git$/, '')
    .replaceAll('\\', '/')
    .toLowerCase();
  return path.split('/').slice(-2).join('/');
}
