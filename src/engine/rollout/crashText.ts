// What programs say when they end: which words prove a fault of their own and which speak of something they wait for.

/** Cannot change by trying again: the same image with the same settings says it for ever. */
export const SAYS_FINAL =
  /ModuleNotFoundError|No module named|Cannot find (module|package)|ERR_MODULE_NOT_FOUND|ClassNotFoundException|NoClassDefFoundError|error while loading shared libraries|exec format error|(unknown|unrecognized|undefined) (flag|option|argument|command)|flag provided but not defined|unknown shorthand flag|SyntaxError|ImproperlyConfigured|environment variable .{0,80}(not set|is required|required|missing|must be set|undefined)|(missing|required) environment variable|KeyError: '[A-Z][A-Z0-9_]+'|command not found|no such file or directory: '?\/?(app|usr|srv|bin|opt)/i;

/** Something else is not there (yet): the program may well live once it is. */
export const SAYS_DEPENDENCY =
  /connection (refused|reset|timed out|closed)|\b(ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)\b|no such host|name or service not known|temporary failure in name resolution|could not translate host name|could not connect|cannot connect|can't connect|failed to connect|unable to connect|connect(ion)? (error|failed)|timed? ?out|timeout|deadline exceeded|waiting for|not (yet )?ready|starting up|unavailable|no route to host|network is unreachable|server closed the connection|metadata (server|service)|identity (server|service)|migration.{0,40}lock|lock.{0,40}migration|leader election|too many (clients|connections)/i;

/** The last lines that say something, oldest first. */
export function lastWords(log: string): readonly string[] {
  return log
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== '')
    .slice(-30);
}

/** The last line without times, ids and numbers, so that two ends of the same kind are equal. */
export function logSignature(log: string): string {
  const line = lastWords(log).at(-1) ?? '';
  return line
    .replace(/\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?/g, '<time>')
    .replace(/\b\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?\b/g, '<time>')
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<id>')
    .replace(/\b0x[0-9a-f]+\b/gi, '<id>')
    .replace(/\b[0-9a-f]{12,}\b/gi, '<id>')
    .replace(/-[a-z0-9]{8,10}-[a-z0-9]{5}\b/g, '-<pod>')
    .replace(/\d+(?:\.\d+)?/g, '<n>')
    .trim();
}

/** An exit code in words; above 128 it is a signal's number. */
export function exitMeaning(code: number): string {
  const meaning = MEANINGS[code];
  return meaning === undefined ? `exit code ${code}` : `exit code ${code} (${meaning})`;
}

const MEANINGS: Readonly<Record<number, string>> = {
  126: 'the command cannot be executed',
  127: 'the command was not found',
  132: 'illegal instruction: built for another processor',
  134: 'aborted',
  135: 'bus error',
  137: 'killed',
  139: 'segmentation fault',
  143: 'ended by SIGTERM',
};

/** How runc and crun begin what they say when the program itself could not be started. */
export const FAILED_START =
  /failed to create containerd task|failed to start container|runc create failed|OCI runtime (create|exec) failed|unable to start container process|crun:/i;
