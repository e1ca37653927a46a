import { isMap, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Diagnostic, Place } from '../problems/index.ts';
import type { Finding } from './report.ts';

/** One accepted finding. */
export interface Ignore {
  readonly id: string;
  readonly paths: readonly string[];
  readonly purls: readonly string[];
  /** ISO date; from that day on the finding counts again. */
  readonly until?: string;
  readonly reason?: string;
  readonly place: Place;
}

/** Reads `.trivyignore` (ids, `exp:YYYY-MM-DD`, comments as reasons) or `.trivyignore.yaml`. Never throws. */
export function readIgnores(
  text: string,
  file: string,
  section: 'vulnerabilities' | 'misconfigurations' = 'vulnerabilities',
): { readonly ignores: readonly Ignore[]; readonly diagnostics: readonly Diagnostic[] } {
  return /\.ya?ml$/.test(file) ? readYamlIgnores(text, file, section) : readPlainIgnores(text, file);
}

function readPlainIgnores(
  text: string,
  file: string,
): { readonly ignores: readonly Ignore[]; readonly diagnostics: readonly Diagnostic[] } {
  const ignores: Ignore[] = [];
  const diagnostics: Diagnostic[] = [];
  let comment: string | undefined;
  for (const [line, raw] of text.split(/\r?\n/).entries()) {
    const trimmed = raw.trim();
    if (trimmed === '') {
      comment = undefined;
      continue;
    }
    if (trimmed.startsWith('#')) {
      comment = trimmed.replace(/^#+\s*/, '');
      continue;
    }
    const [entry = '', after] = trimmed.split('#', 2);
    const [id = '', ...options] = entry.trim().split(/\s+/);
    const place: Place = { file, range: { start: { line, character: 0 }, end: { line, character: raw.length } } };
    const until = options.map((option) => /^exp:(.+)$/.exec(option)?.[1]).find((date) => date !== undefined);
    if (until !== undefined && Number.isNaN(Date.parse(until))) {
      diagnostics.push({
        severity: 'error',
        code: 'ignore.date',
        message: `"${until}" is not a date.`,
        place,
        fix: 'Write exp:YYYY-MM-DD.',
      });
      continue;
    }
    const reason = after?.trim() || comment;
    ignores.push({
      id,
      paths: [],
      purls: [],
      place,
      ...(until !== undefined && { until }),
      ...(reason !== undefined && { reason }),
    });
  }
  return { ignores, diagnostics };
}

function readYamlIgnores(
  text: string,
  file: string,
  section: string,
): { readonly ignores: readonly Ignore[]; readonly diagnostics: readonly Diagnostic[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (start: number, end: number): Place => {
    const from = lines.linePos(start);
    const to = lines.linePos(end);
    return {
      file,
      range: {
        start: { line: from.line - 1, character: from.col - 1 },
        end: { line: to.line - 1, character: to.col - 1 },
      },
    };
  };
  const diagnostics = document.errors.map(
    (error): Diagnostic => ({
      severity: 'error',
      code: 'yaml.syntax',
      message: `This is not valid YAML: ${error.message}`,
      place: place(error.pos[0], error.pos[1]),
    }),
  );
  const list = isMap(document.contents) ? document.contents.get(section) : undefined;
  if (!isSeq(list)) return { ignores: [], diagnostics };
  const ignores = list.items.flatMap((item): Ignore[] => {
    if (!isMap(item)) return [];
    const value = item.toJSON() as {
      id?: unknown;
      paths?: unknown;
      purls?: unknown;
      expired_at?: unknown;
      statement?: unknown;
    };
    if (typeof value.id !== 'string') return [];
    const texts = (field: unknown): readonly string[] => (Array.isArray(field) ? field.map(String) : []);
    const until = value.expired_at === undefined ? undefined : String(value.expired_at);
    return [
      {
        id: value.id,
        paths: texts(value.paths),
        purls: texts(value.purls),
        place: place(item.range?.[0] ?? 0, item.range?.[1] ?? 0),
        ...(until !== undefined && { until }),
        ...(typeof value.statement === 'string' && { reason: value.statement }),
      },
    ];
  });
  return { ignores, diagnostics };
}

/** The ignore that covers a finding today; an expired one covers nothing. */
export function ignoreFor(finding: Finding, ignores: readonly Ignore[], now: number): Ignore | undefined {
  return ignores.find(
    (ignore) =>
      (ignore.id === finding.id || finding.aliases.includes(ignore.id)) &&
      !isExpired(ignore, now) &&
      (ignore.paths.length === 0 || ignore.paths.some((path) => matches(path, finding.path ?? finding.target))) &&
      (ignore.purls.length === 0 ||
        ignore.purls.some((purl) => finding.purl === purl || finding.purl?.startsWith(`${purl}@`) === true)),
  );
}

export function isExpired(ignore: Ignore, now: number): boolean {
  return ignore.until !== undefined && Date.parse(ignore.until) <= now;
}

function matches(pattern: string, path: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('**', '\u0000')
    .replaceAll('*', '[^/]*')
    .replaceAll('\u0000', '.*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${source}$`).test(path);
}
