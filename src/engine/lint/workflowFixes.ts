/** Edits that mend mistakes in GitHub and Gitea workflows where one replacement is not enough: whole lines, as written. */
import { posix } from 'node:path';
import type { TextEdit } from '../gitops/index.ts';
import type { Diagnostic } from '../problems/index.ts';
import { publishedImages, type Step, tagTemplates, textOf, type Workflow } from '../workflows/index.ts';
import type { LintFix } from './findings.ts';

/** Fixes of one finding, best first; none where a person has to decide. `text` is the file that the finding is in. */
export function workflowFixes(diagnostic: Diagnostic, workflow: Workflow, text: string): readonly LintFix[] {
  const { file, range } = diagnostic.place;
  if (range === undefined) return [];
  const lines = text.split('\n');
  const made = (title: string, edits: readonly TextEdit[] | undefined, warning?: string): readonly LintFix[] =>
    edits === undefined ? [] : [{ title, file, edits, ...(warning !== undefined && { warning }) }];
  switch (diagnostic.code) {
    case 'ci.permissions':
      return made(
        'Add the permissions of the job',
        permissionsEdit(diagnostic, workflow, lines),
        'With a list of permissions every other one of this job is off.',
      );
    case 'ci.scan-without-gate':
      return made('Let the scan fail the job', inputEdit(diagnostic, workflow, lines, "exit-code: '1'", 'exit-code'));
    case 'ci.sarif-severity':
      return made(
        'Limit the severities of the SARIF report',
        inputEdit(diagnostic, workflow, lines, "limit-severities-for-sarif: 'true'", 'limit-severities-for-sarif'),
      );
    case 'ci.moving-tag-deployed':
      return made('Deploy the tag of the commit', commitTagEdit(diagnostic, workflow, lines));
    case 'ci.gate-after-push':
      return made(
        'Build and scan first, push after the gate',
        gateEdits(diagnostic, workflow, lines),
        'The image is built twice; the second time comes out of the cache of the first.',
      );
    case 'ci.password-argument':
      return made('Give the password on the standard input', passwordEdit(range.start.line, lines));
    default:
      return [];
  }
}

/**
 * `docker login … -p "$TOKEN" …` as a pipe. A builtin of the shell writes it, so that it is in no argument of a process. Only where
 * the command stands alone in its line and the password is a variable.
 */
function passwordEdit(line: number, lines: readonly string[]): readonly TextEdit[] | undefined {
  const text = lines[line]?.replace(/\r$/, '') ?? '';
  const [, before, tool, between, password, after] =
    /^(\s*(?:-\s+)?(?:run:\s+)?)((?:docker|podman|buildah)\s+login)\s+(.*?)(?:-p|--password)[ =]("?\$(?:\w+|\{\w+\}|\{\{[^}"]*\}\})"?)(.*)$/.exec(
      text,
    ) ?? [];
  if (before === undefined || tool === undefined || password === undefined) return undefined;
  const rest = `${between}--password-stdin${after}`;
  if (/[|;&\\#]/.test(rest.replaceAll(/\$\{\{[^}]*\}\}/g, ''))) return undefined;
  const quoted = password.startsWith('"') ? password : `"${password}"`;
  const start = offsetOf(lines, line);
  return [{ start, end: start + text.length, text: `${before}printf '%s' ${quoted} | ${tool} ${rest}` }];
}

const offsetOf = (lines: readonly string[], line: number): number =>
  lines.slice(0, line).reduce((sum, each) => sum + each.length + 1, 0);
const indentOf = (line: string | undefined): number => /^ */.exec(line ?? '')?.[0].length ?? 0;
const endOfLine = (lines: readonly string[]): string => (lines[0]?.endsWith('\r') === true ? '\r\n' : '\n');

/** Puts whole lines before line `at`. */
function insertion(lines: readonly string[], at: number, added: readonly string[]): TextEdit {
  const end = endOfLine(lines);
  const isPastEnd = at >= lines.length;
  const start = isPastEnd ? lines.join('\n').length : offsetOf(lines, at);
  const text = added.map((line) => `${line}${end}`).join('');
  return { start, end: start, text: isPastEnd ? `${end}${text}` : text };
}

/** First line behind the block that begins at `line` with its key or dash at `indent`. Blank lines at its end stay outside. */
function endOfBlock(lines: readonly string[], line: number, indent: number): number {
  let end = line + 1;
  for (let at = line + 1; at < lines.length; at += 1) {
    const text = lines[at] ?? '';
    if (text.trim() === '') continue;
    if (indentOf(text) <= indent) break;
    end = at + 1;
  }
  return end;
}

interface FoundStep {
  readonly step: Step;
  /** Lines from `- ` to the next step. */
  readonly from: number;
  readonly to: number;
  readonly dash: number;
}

/** A step of this file that is written as a block; undefined for flow style, which has no lines of its own. */
function blockOf(step: Step, lines: readonly string[]): FoundStep | undefined {
  const start = step.place.range?.start;
  const first = start === undefined ? undefined : lines[start.line];
  if (start === undefined || first === undefined || !/^\s*-\s+[\w-]+\s*:/.test(first)) return undefined;
  const dash = indentOf(first);
  return { step, from: start.line, to: endOfBlock(lines, start.line, dash), dash };
}

function stepAt(line: number, workflow: Workflow, file: string, lines: readonly string[]): FoundStep | undefined {
  const steps = workflow.jobs.flatMap((job) => job.steps).filter(({ place }) => place.file === file);
  const blocks = steps.flatMap((step) => blockOf(step, lines) ?? []);
  return blocks.find(({ from, to }) => from <= line && line < to);
}

/** Adds an input to the action at the finding, behind the others. */
function inputEdit(
  { place }: Diagnostic,
  workflow: Workflow,
  lines: readonly string[],
  input: string,
  name: string,
): readonly TextEdit[] | undefined {
  const found = stepAt(place.range?.start.line ?? 0, workflow, place.file, lines);
  if (found?.step.uses === undefined) return undefined;
  const given = found.step.with.get(name)?.place.range;
  if (given !== undefined) {
    const start = offsetOf(lines, given.start.line) + given.start.character;
    const end = offsetOf(lines, given.end.line) + given.end.character;
    return [{ start, end, text: input.slice(name.length + 2) }];
  }
  const at = lines.findIndex(
    (line, index) => index >= found.from && index < found.to && /^\s*(-\s+)?with:\s*$/.test(line),
  );
  if (at === -1) return undefined;
  const indent = indentOf(lines[at + 1]);
  return [insertion(lines, endOfBlock(lines, at, indentOf(lines[at])), [`${' '.repeat(indent)}${input}`])];
}

/** A `permissions` block above the job's `steps`. */
function permissionsEdit(
  { message, place }: Diagnostic,
  workflow: Workflow,
  lines: readonly string[],
): readonly TextEdit[] | undefined {
  if (!/sets no permissions/.test(message)) return undefined;
  const line = place.range?.start.line ?? 0;
  const job = workflow.jobs.find(({ steps }) => steps.some((step) => contains(step, line, place.file, lines)));
  const start = job?.place.range?.start;
  if (job === undefined || start === undefined || job.place.file !== place.file) return undefined;
  const steps = lines.findIndex((text, index) => index > start.line && /^\s+steps:\s*$/.test(text));
  if (steps === -1) return undefined;
  // Every scope that the lint misses in this job, so that the second finding is mended by the first fix.
  const facts = workflow.facts.filter((fact) => fact.job === job.id);
  const scopes = new Map([['contents', 'read']]);
  for (const fact of facts) {
    if (fact.kind === 'sign' && fact.isKeyless) scopes.set('id-token', 'write');
    if (fact.kind === 'sign' && fact.tool === 'attest') scopes.set('attestations', 'write');
    if (fact.kind === 'commit' && fact.credentials === 'job') scopes.set('contents', 'write');
    if (fact.kind === 'login' && textOf(fact.registry) === 'ghcr.io') scopes.set('packages', 'write');
  }
  if (job.steps.some(({ uses }) => uses?.action === 'github/codeql-action/upload-sarif'))
    scopes.set('security-events', 'write');
  const indent = ' '.repeat(indentOf(lines[steps]));
  return [
    insertion(lines, steps, [
      `${indent}permissions:`,
      ...[...scopes].map(([scope, value]) => `${indent}  ${scope}: ${value}`),
    ]),
  ];
}

function contains(step: Step, line: number, file: string, lines: readonly string[]): boolean {
  const found = step.place.file === file ? blockOf(step, lines) : undefined;
  return found !== undefined && found.from <= line && line < found.to;
}

/** The moving tag of a deploy, as the tag of the commit that the same workflow pushes. */
function commitTagEdit(
  { message, place }: Diagnostic,
  workflow: Workflow,
  lines: readonly string[],
): readonly TextEdit[] | undefined {
  const moving = /^"([\w.-]+)" is deployed/.exec(message)?.[1];
  const pushed = publishedImages(workflow).filter(({ isPushed }) => isPushed !== 'no');
  const whole = pushed.some((image) => tagTemplates(image).templates.some(({ template }) => template === '{sha:40}'));
  if (moving === undefined || !whole) return undefined;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: an expression of the workflow, not ours
  const commit = workflow.host === 'gitlab' ? '$CI_COMMIT_SHA' : '${{ github.sha }}';
  const from = place.range?.start.line ?? 0;
  for (let line = from; line < Math.min(lines.length, from + 12); line += 1) {
    const found = new RegExp(`(?:[tT]ag=|[\\w/.-]:)(${moving.replaceAll('.', '\\.')})(?![\\w.-])`).exec(
      lines[line] ?? '',
    );
    if (found !== null) {
      const start = offsetOf(lines, line) + found.index + found[0].length - moving.length;
      return [{ start, end: start + moving.length, text: commit }];
    }
    if (!/\\\r?$/.test(lines[line] ?? '')) return undefined;
  }
  return undefined;
}

/**
 * The way Docker's documentation shows for "test before push": the build loads into the daemon, the gate looks at it, and the same
 * build runs once more and pushes. For one platform only, as the daemon holds one.
 */
function gateEdits(
  { place }: Diagnostic,
  workflow: Workflow,
  lines: readonly string[],
): readonly TextEdit[] | undefined {
  const scan = stepAt(place.range?.start.line ?? 0, workflow, place.file, lines);
  const built = workflow.facts
    .filter((fact) => fact.kind === 'build' && fact.place.file === place.file)
    .findLast((fact) => (fact.place.range?.start.line ?? 0) < (scan?.from ?? 0));
  const build = built && stepAt(built.place.range?.start.line ?? 0, workflow, place.file, lines);
  if (scan === undefined || build === undefined || build.from >= scan.from || build.dash !== scan.dash)
    return undefined;
  const push = build.step.with.get('push');
  const platforms = build.step.with.get('platforms')?.text ?? '';
  const range = push?.place.range;
  if (build.step.uses?.action !== 'docker/build-push-action' || range === undefined || /[,\n]/.test(platforms.trim()))
    return undefined;
  if (build.step.with.has('outputs') || build.step.with.has('load')) return undefined;
  const block = lines.slice(build.from, build.to);
  const at = range.start.line;
  const key = lines[at]?.slice(0, range.start.character) ?? '';
  if (!/^\s*push:\s*$/.test(key)) return undefined;
  // The id goes with the build that pushes: its digest is the one that counts.
  const id = lines.findIndex((text, index) => index >= build.from && index < build.to && /^\s+(id):\s/.test(text));
  const start = offsetOf(lines, at) + indentOf(lines[at]);
  const end = offsetOf(lines, range.end.line) + range.end.character;
  return [
    ...(id > build.from ? [{ start: offsetOf(lines, id), end: offsetOf(lines, id + 1), text: '' }] : []),
    { start, end, text: 'load: true' },
    insertion(
      lines,
      scan.to,
      block.map((text) => text.replace(/\r$/, '').replace(/^(\s*-\s+name:\s*[^'"#\s][^#]*?)\s*$/, '$1 (push)')),
    ),
  ].toSorted((a, b) => a.start - b.start);
}

/** `docker/build-push-action@v6` → the address of its repository and what is asked of it. */
export function actionSource(uses: string): { readonly url: string; readonly ref: string } | undefined {
  const [, address, name = '', ref = ''] =
    /^(https?:\/\/[^/]+\/)?([\w.-]+\/[\w.-]+)(?:\/[^@]*)?@(.+)$/.exec(uses) ?? [];
  if (name === '' || /^[0-9a-f]{40}$/.test(ref) || /^\./.test(posix.normalize(name))) return undefined;
  return { url: `${address ?? 'https://github.com/'}${name}.git`, ref };
}

/**
 * The commit that a tag or branch is at, out of `git ls-remote`, and the longest version tag at the same commit. Tags with
 * an object of their own are listed twice; the one with `^{}` is the commit.
 */
export function pinOf(listing: string, ref: string): { readonly sha: string; readonly version: string } | undefined {
  const refs = new Map<string, string>();
  for (const line of listing.split('\n')) {
    const [, sha, name] = /^([0-9a-f]{40})\s+refs\/(.+)$/.exec(line.trim()) ?? [];
    if (sha !== undefined && name !== undefined) refs.set(name, sha);
  }
  const at = (name: string) => refs.get(`${name}^{}`) ?? refs.get(name);
  const sha = at(`tags/${ref}`) ?? at(`heads/${ref}`);
  if (sha === undefined) return undefined;
  const versions = [...refs.keys()]
    .flatMap((name) => /^tags\/(v?\d+(?:\.\d+)*)$/.exec(name)?.[1] ?? [])
    .filter((name) => at(`tags/${name}`) === sha);
  return { sha, version: versions.toSorted((a, b) => b.length - a.length)[0] ?? ref };
}
