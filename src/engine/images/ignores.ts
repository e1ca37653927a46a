import { join } from 'node:path';
import { isMap, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Diagnostic, Place } from '../problems/index.ts';
import type { ScanConfig } from '../project/model.ts';
import type { Finding } from './report.ts';

/** One accepted finding. */
export interface Ignore {
  readonly id: string;
  readonly paths: readonly string[];
  readonly purls: readonly string[];
  /** Of a rule in Grype's words; name and version may be regular expressions there. */
  readonly package?: { readonly name?: string; readonly version?: string; readonly type?: string };
  /** ISO date; from that day on the finding counts again. */
  readonly until?: string;
  readonly reason?: string;
  readonly place: Place;
}

/**
 * Where exceptions are looked for: of each list the first file that exists counts. The configured file; else Trivy's
 * customary names for both scanners (they have a reason and an end), and for Grype the `ignore` rules of its own file too.
 */
export function ignoreFiles(
  root: string,
  scan: Pick<ScanConfig, 'engine' | 'ignoreFile'>,
): readonly (readonly string[])[] {
  if (scan.ignoreFile !== undefined) return [[scan.ignoreFile]];
  const usual = ['.trivyignore.yaml', '.trivyignore.yml', '.trivyignore'].map((name) => join(root, name));
  return scan.engine === 'grype' ? [usual, [join(root, '.grype.yaml'), join(root, '.grype', 'config.yaml')]] : [usual];
}

/** Reads `.trivyignore` (ids, `exp:YYYY-MM-DD`, comments as reasons), `.trivyignore.yaml`, or `ignore` of `.grype.yaml`. Never throws. */
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
      diagnostics.push(noDate(until, place, 'exp:YYYY-MM-DD'));
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

/** An exception whose end is not known is not applied: it would never end. */
const noDate = (until: string, place: Place, form: string): Diagnostic => ({
  severity: 'error',
  code: 'ignore.date',
  message: `"${until}" is not a date, so this exception is not applied.`,
  place,
  fix: `Write ${form}.`,
});

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
  const fromGrype: Ignore[] = [];
  const diagnostics = document.errors.map(
    (error): Diagnostic => ({
      severity: 'error',
      code: 'yaml.syntax',
      message: `This is not valid YAML: ${error.message}`,
      place: place(error.pos[0], error.pos[1]),
    }),
  );
  const rules = isMap(document.contents) && section === 'vulnerabilities' ? document.contents.get('ignore') : undefined;
  if (isSeq(rules)) {
    for (const item of rules.items) {
      if (!isMap(item)) continue;
      const read = readGrypeRule(item.toJSON(), place(item.range?.[0] ?? 0, item.range?.[1] ?? 0));
      if ('code' in read) diagnostics.push(read);
      else fromGrype.push(read);
    }
  }
  const list = isMap(document.contents) ? document.contents.get(section) : undefined;
  if (!isSeq(list)) return { ignores: fromGrype, diagnostics };
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
    const where = place(item.range?.[0] ?? 0, item.range?.[1] ?? 0);
    if (until !== undefined && Number.isNaN(Date.parse(until))) {
      diagnostics.push(noDate(until, where, 'expired_at: YYYY-MM-DD'));
      return [];
    }
    return [
      {
        id: value.id,
        paths: texts(value.paths),
        purls: texts(value.purls),
        place: where,
        ...(until !== undefined && { until }),
        ...(typeof value.statement === 'string' && { reason: value.statement }),
      },
    ];
  });
  return { ignores: [...fromGrype, ...ignores], diagnostics };
}

/**
 * A rule of Grype's `ignore` list. What it narrows by beyond vulnerability and package is not read, and a rule that is not
 * read in whole would accept more than it says: it is told and left out.
 */
function readGrypeRule(value: unknown, place: Place): Ignore | Diagnostic {
  const rule = value as Readonly<Record<string, unknown>>;
  const about = (rule.package ?? {}) as Readonly<Record<string, unknown>>;
  const unread = [
    ...Object.keys(rule).filter((key) => !['vulnerability', 'reason', 'package', 'include-aliases'].includes(key)),
    ...Object.keys(about)
      .filter((key) => !['name', 'version', 'type', 'location'].includes(key))
      .map((key) => `package.${key}`),
  ];
  if (typeof rule.vulnerability !== 'string' || unread.length > 0) {
    return {
      severity: 'warning',
      code: 'ignore.unsupported',
      message:
        unread.length > 0
          ? `This exception is not applied: the gate does not read ${unread.map((key) => `"${key}"`).join(', ')} of a Grype rule.`
          : 'This exception is not applied: it names no vulnerability.',
      place,
      fix: 'Write "vulnerability", and if you like "package" with name, version, type or location; or accept it by id in .trivyignore.yaml.',
    };
  }
  const text = (key: string) => (about[key] === undefined ? {} : { [key]: String(about[key]) });
  return {
    id: rule.vulnerability,
    paths: about.location === undefined ? [] : [String(about.location)],
    purls: [],
    package: { ...text('name'), ...text('version'), ...text('type') },
    place,
    ...(typeof rule.reason === 'string' && { reason: rule.reason }),
  };
}

/** The ignore that covers a finding today; an expired one covers nothing. */
export function ignoreFor(finding: Finding, ignores: readonly Ignore[], now: number): Ignore | undefined {
  return ignores.find(
    (ignore) =>
      (ignore.id === finding.id || finding.aliases.includes(ignore.id)) &&
      !isExpired(ignore, now) &&
      (ignore.paths.length === 0 || ignore.paths.some((path) => isPathOf(path, finding.path ?? finding.target))) &&
      (ignore.purls.length === 0 ||
        ignore.purls.some((purl) => finding.purl === purl || finding.purl?.startsWith(`${purl}@`) === true)) &&
      isPackage(ignore.package, finding),
  );
}

function isPackage(wanted: Ignore['package'], finding: Finding): boolean {
  if (wanted === undefined) return true;
  const fits = (pattern: string | undefined, value: string): boolean => {
    if (pattern === undefined || pattern === value) return true;
    try {
      return new RegExp(`^(?:${pattern})$`).test(value);
    } catch {
      // No regular expression, so it is a name, and another one.
      return false;
    }
  };
  return (
    fits(wanted.name, finding.package) &&
    fits(wanted.version, finding.installed) &&
    (wanted.type === undefined || wanted.type === finding.target)
  );
}

/** The exception has ended, and what it was for is found again. */
export const expiredWarning = (ignore: Ignore): Diagnostic => ({
  severity: 'warning',
  code: 'ignore.expired',
  message: `The exception for ${ignore.id} ended on ${ignore.until ?? ''}: the finding counts again.`,
  place: ignore.place,
  fix: 'Correct what it was for, or give the exception a new date and reason.',
});

export function isExpired(ignore: Ignore, now: number): boolean {
  return ignore.until !== undefined && Date.parse(ignore.until) <= now;
}

/** A path with `*`, `**` and `?` as Trivy's ignore files have them. */
export function isPathOf(pattern: string, path: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('**', '\u0000')
    .replaceAll('*', '[^/]*')
    .replaceAll('\u0000', '.*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${source}$`).test(path);
}
