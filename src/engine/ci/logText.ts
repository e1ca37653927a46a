// The text of a job's log as each host writes it: times, groups, sections and remarks about files. Pure.
import type { CiAnnotation } from './model.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal sequences begin with the escape character
const ANSI = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** Text for an editor: no colours, no cursor movements, only what a rewritten line ended as. */
export function plainLog(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .split('\n')
    .map((line) => {
      const shown = line.replace(SECTION, (_all, kind: string, _time: string, _name: string, title: string) =>
        kind === 'start' && title !== '' ? title : '',
      );
      const clean = shown.replace(ANSI, '');
      // A progress bar rewrites its line: what stood there last counts.
      const parts = clean.split('\r').filter((part) => part !== '');
      return (parts.at(-1) ?? '').replace(TIMESTAMP, '').replace(GROUP, '▸ $1');
    })
    .filter((line) => line !== '##[endgroup]' && line !== '::endgroup::')
    .join('\n')
    .replace(/\n{3,}/g, '\n\n');
}

/** GitHub and Gitea begin every line with the time; a byte order mark may stand before the first. */
const TIMESTAMP = /^\uFEFF?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) ?/;
const GROUP = /^(?:##\[group\]|::group::)(.*)$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: GitLab marks sections with terminal sequences
const SECTION = /(?:\u001b\[0K)?section_(start|end):(\d+):([^\r\n[]+)(?:\[[^\]]*\])?\r?(?:\u001b\[0K)?([^\r\n]*)/g;

export interface Section {
  readonly name: string;
  readonly title: string;
  readonly startedAt: string;
  readonly finishedAt?: string;
}

/** The top sections of a GitLab log, in order. */
export function gitlabSections(text: string): readonly Section[] {
  const found: (Section & { finishedAt?: string })[] = [];
  const open: { readonly name: string; readonly index: number | undefined }[] = [];
  for (const [, kind, seconds, rawName = '', rest = ''] of text.matchAll(SECTION)) {
    const name = rawName.trim();
    const at = new Date(Number(seconds) * 1000).toISOString();
    if (kind === 'start') {
      const title = rest.replace(ANSI, '').trim();
      open.push({ name, index: open.length === 0 ? found.length : undefined });
      if (open.length === 1)
        found.push({ name, title: title === '' ? name.replaceAll('_', ' ') : title, startedAt: at });
      continue;
    }
    const position = open.findLastIndex((section) => section.name === name);
    if (position === -1) continue;
    const index = open[position]?.index;
    open.length = position;
    const section = index === undefined ? undefined : found[index];
    if (index !== undefined && section !== undefined) found[index] = { ...section, finishedAt: at };
  }
  return found;
}

/** The part of a GitHub or Gitea log that was written during a step, by the times of both. Undefined without times. */
export function logOfStep(
  text: string,
  step: { readonly startedAt?: string; readonly finishedAt?: string },
): string | undefined {
  if (step.startedAt === undefined) return undefined;
  // Steps have whole seconds, lines have fractions of them.
  const from = Math.floor(Date.parse(step.startedAt) / 1000) * 1000;
  const until = step.finishedAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(step.finishedAt) + 999;
  let isInside = false;
  const lines = text.split('\n').filter((line) => {
    const time = TIMESTAMP.exec(line)?.[0];
    // A line without a time belongs to the one before it.
    if (time !== undefined) {
      const at = Date.parse(time.replace('\uFEFF', '').trim());
      isInside = at >= from && at <= until;
    }
    return isInside;
  });
  return lines.length === 0 ? undefined : lines.join('\n');
}

/** The first line that says why: where a log is opened at. Counted from 0; undefined when no line does. */
export function firstErrorLine(lines: readonly string[]): number | undefined {
  const marked = lines.findIndex((line) =>
    /(^|\s)(##\[error\]|::error\b|ERROR: |Error: |error: |fatal: |FAIL\b)/.test(line),
  );
  return marked === -1 ? undefined : marked;
}

/** Remarks written as workflow commands: `::error file=src/a.ts,line=3,col=5,title=Lint::message`. */
export function logAnnotations(text: string, job: string): readonly CiAnnotation[] {
  const found: CiAnnotation[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.replace(/\r$/, '').replace(TIMESTAMP, '').replace(ANSI, '');
    const [, level, properties = '', message = ''] = /^::(error|warning|notice)(?:\s+(.*?))?::(.*)$/.exec(line) ?? [];
    if (level === undefined) continue;
    const values = new Map(
      properties.split(',').flatMap((part) => {
        const [, key, value] = /^\s*(\w+)=(.*)$/.exec(part) ?? [];
        return key === undefined || value === undefined ? [] : [[key, decode(value)] as const];
      }),
    );
    const path = values.get('file');
    if (path === undefined || path === '') continue;
    const at = Number(values.get('line') ?? 1) || 1;
    const end = Number(values.get('endLine') ?? at) || at;
    const column = Number(values.get('col') ?? 0);
    const title = values.get('title');
    found.push({
      path: path.replace(/^\.\//, ''),
      line: at,
      ...(end > at && { endLine: end }),
      ...(column > 0 && { column }),
      severity: level === 'error' ? 'error' : level === 'warning' ? 'warning' : 'info',
      ...(title !== undefined && title !== '' && { title }),
      message: decode(message),
      job,
    });
  }
  return found;
}

const decode = (text: string): string =>
  text
    .replaceAll('%0A', '\n')
    .replaceAll('%0D', '\r')
    .replaceAll('%3A', ':')
    .replaceAll('%2C', ',')
    .replaceAll('%25', '%');
