// `node test/conformance/differential.ts [--count N] [--seed N] [constraints|policies|patterns|markers|mutants]`: random cases answered by
// the engine and by Flux's own Go code (the programs in oracle/, built with `go build`), and compared. Needs Go and the
// Go module proxy; everything else of the conformance tests does not.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { parseConstraint, satisfies } from '../../src/engine/gitops/constraint.ts';
import { applyPolicies } from '../../src/engine/gitops/edit.ts';
import { isSkipped, parseFile } from '../../src/engine/gitops/file.ts';
import type { Node } from '../../src/engine/gitops/goyaml/nodes.ts';
import { type PolicyRules, selectTag } from '../../src/engine/gitops/policy.ts';
import { isAmbiguousPlain } from '../../src/engine/gitops/quoting.ts';
import { compilePattern } from '../../src/engine/gitops/regexp.ts';
import { nativePattern } from '../../src/engine/gitops/regexpNative.ts';
import { parseVersion } from '../../src/engine/gitops/version.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import { type RandomFile, randomFile } from '../fuzz/documents.ts';
import { mutant } from '../fuzz/mutants.ts';
import { randomPattern, randomTexts } from '../fuzz/patterns.ts';
import { randomConstraint, randomRules, randomTags, randomVersions } from '../fuzz/policies.ts';
import * as soup from '../fuzz/soup.ts';

const { values, positionals } = parseArgs({
  options: {
    count: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    show: { type: 'string', default: '10' },
  },
  allowPositionals: true,
});
const count = Number(values.count);
const seed = Number(values.seed);
const wanted = positionals.length > 0 ? positionals : ['constraints', 'policies', 'patterns', 'markers', 'mutants'];
const folder = mkdtempSync(join(tmpdir(), 'slipway-oracle-'));

interface Answer {
  readonly error?: string;
  readonly matches?: readonly boolean[];
  readonly output?: string;
  readonly changed?: boolean;
  readonly extra?: Readonly<Record<string, string>>;
  readonly latest?: readonly string[];
  readonly groups?: readonly (readonly number[] | null)[];
}

function ask(program: 'automation' | 'reflector', questions: readonly unknown[]): readonly Answer[] {
  const binary = join(folder, program);
  execFileSync('go', ['build', '-o', binary, '.'], {
    cwd: join(import.meta.dirname, 'oracle', program),
    stdio: 'inherit',
  });
  const answers: Answer[] = [];
  for (let at = 0; at < questions.length; at += 5000) {
    const input = questions.slice(at, at + 5000).map((question) => `${JSON.stringify(question)}\n`);
    const output = execFileSync(binary, { input: input.join(''), encoding: 'utf8', maxBuffer: 2 ** 30 });
    answers.push(
      ...output
        .trim()
        .split('\n')
        .map((line): Answer => JSON.parse(line)),
    );
  }
  return answers;
}

/** Tags as go-yaml writes them again: the short form, without needless escapes; the lone `!` is dropped. */
function tagOf(tag: string | undefined): string | undefined {
  if (tag === undefined || tag === '!') return undefined;
  let plain = tag;
  try {
    plain = decodeURIComponent(tag);
  } catch {}
  return plain.replace(/^!<tag:yaml\.org,2002:(.*)>$/, '!!$1').replace(/^!<(!.*)>$/, '$1');
}

const totals = { same: 0, different: 0 };
const notes = new Map<string, number>();
const note = (what: string): void => void notes.set(what, (notes.get(what) ?? 0) + 1);

function record(isSame: boolean, describe: () => string): void {
  if (isSame) totals.same += 1;
  else {
    totals.different += 1;
    if (totals.different <= Number(values.show)) console.log(`DIFFERENT ${describe()}`);
  }
}

const sample = <T>(arbitrary: fc.Arbitrary<T>): readonly T[] => fc.sample(arbitrary, { numRuns: count, seed });

function constraints(): void {
  const cases = [
    ...sample(fc.record({ constraint: randomConstraint, versions: randomVersions })),
    ...sample(fc.record({ constraint: soup.soupConstraint, versions: soup.soupVersions })),
    ...sample(fc.record({ constraint: randomConstraint, versions: soup.soupVersions })),
  ];
  const answers = ask(
    'automation',
    cases.map((item) => ({ kind: 'constraint', ...item })),
  );
  for (const [index, { constraint: text, versions }] of cases.entries()) {
    const answer = answers[index] ?? {};
    const constraint = parseConstraint(text);
    if ('error' in constraint || answer.error !== undefined) {
      note('rejected constraints');
      record('error' in constraint === (answer.error !== undefined), () =>
        JSON.stringify([text, constraint, answer.error]),
      );
      continue;
    }
    for (const [at, tag] of versions.entries()) {
      const version = parseVersion(tag);
      const ours = version !== undefined && satisfies(constraint, version);
      record(ours === answer.matches?.[at], () => `constraint ${JSON.stringify(text)} version ${tag}: here ${ours}`);
    }
  }
}

function policies(): void {
  const cases = [
    ...sample(fc.record({ rules: randomRules, tags: randomTags })),
    ...sample(fc.record({ rules: soup.soupRules, tags: soup.soupTags })),
  ];
  const questions = cases.map(({ rules, tags }) => ({ ...rules, tags, runs: rules.filterTags === undefined ? 1 : 12 }));
  const answers = ask('reflector', questions);
  for (const [index, { rules, tags }] of cases.entries()) {
    const answer = answers[index] ?? {};
    const selection = selectTag(rules as PolicyRules, tags);
    const theirs = answer.error === undefined ? (answer.latest ?? ['']) : ['error'];
    const ours = selection.error === undefined ? selection.anyOf : ['error'];
    if (ours.length > 1) note('policies whose answer changes from run to run');
    // Twelve runs of Flux need not show all its answers, but show none that is not expected.
    const isSame = theirs.every((tag) => ours.includes(tag)) && (ours.length > 1 || theirs.length === 1);
    record(
      isSame,
      () => `policy ${JSON.stringify({ ...rules, tags })}: here ${ours}, Flux ${theirs} ${answer.error ?? ''}`,
    );
  }
}

/** Every group of every match, and for each pattern that runs as a JavaScript RegExp that it does so. */
function patterns(): void {
  const cases = [
    ...sample(fc.record({ pattern: randomPattern, texts: randomTexts })),
    ...sample(fc.record({ pattern: soup.soupPattern, texts: soup.soupTexts })),
  ];
  const answers = ask('reflector', cases);
  for (const [index, { pattern, texts }] of cases.entries()) {
    const answer = answers[index] ?? {};
    const compiled = compilePattern(pattern);
    if ('error' in compiled || answer.error !== undefined) {
      note('rejected patterns');
      record('error' in compiled === (answer.error !== undefined), () =>
        JSON.stringify([pattern, 'error' in compiled ? compiled.error : '', answer.error]),
      );
      continue;
    }
    note(nativePattern(pattern) === undefined ? 'patterns left to re2js' : 'patterns that run as a RegExp');
    for (const [at, text] of texts.entries()) {
      const spans = answer.groups?.[at] ?? undefined;
      const bytes = Buffer.from(text);
      const theirs = spans?.flatMap((from, place) =>
        place % 2 === 1 ? [] : [from === -1 ? null : bytes.subarray(from, spans[place + 1]).toString()],
      );
      const ours = compiled.groups(text);
      const same = JSON.stringify(ours === undefined ? undefined : [...ours].map((group) => group ?? null));
      record(same === JSON.stringify(theirs) && compiled.test(text) === (theirs !== undefined), () =>
        JSON.stringify([pattern, text, same, theirs]),
      );
    }
  }
}

/** Flux writes these where the old value was no text, and no reader accepts them. */
const brokenTags = /!!(?:int|float|null|bool|timestamp|binary)\b/;

const markers = (): void =>
  compareFiles([...sample(randomFile), ...sample(soup.soupReference), ...sample(soup.soupMarker)]);
const mutants = (): void => compareFiles(sample(mutant));

function compareFiles(files: readonly RandomFile[]): void {
  const answers = ask(
    'automation',
    files.map(({ text, policies: refs }) => ({
      kind: 'marker',
      file: 'manifest.yaml',
      input: text,
      policies: Object.fromEntries(
        Object.entries(refs).map(([key, { name, tag, digest }]) => [key, { name, tag, digest: digest ?? '' }]),
      ),
    })),
  );
  for (const [index, file] of files.entries()) {
    const answer = answers[index] ?? {};
    const show = (what: string): string => `${what}\n${file.text}\n--- Flux: ${answer.error ?? ''}\n${answer.output}`;
    let text: string;
    let shape: string;
    try {
      const result = applyPolicies(file.text, 'manifest.yaml', new Map(Object.entries(file.policies)));
      ({ text, shape } = result);
      if (result.skipped !== undefined) note(`skipped files (${result.skipped.code})`);
    } catch (error) {
      const isExpected = SlipwayError.is(error, 'config') && answer.error !== undefined;
      record(isExpected, () => show(`error here: ${error}`));
      continue;
    }
    // New files for the items of a `kind: List`, or a failure while making them.
    if (Object.keys(answer.extra ?? {}).length > 0 || (shape === 'list' && answer.error !== undefined)) {
      note('files that Flux splits into others');
      continue;
    }
    const isChanged = text !== file.text;
    if (isChanged !== (answer.changed ?? false) || answer.error !== undefined) {
      record(false, () =>
        show(`changed here: ${isChanged}, by Flux: ${answer.changed ?? false}\n${text}\n--- before:`),
      );
    } else if (!isChanged) record(true, () => '');
    else if (brokenTags.test(answer.output ?? '')) note('files that Flux makes unreadable');
    else {
      note('edited files');
      linesByUs += changedLines(file.text, text);
      linesByFlux += changedLines(file.text, answer.output ?? '');
      const [ours, theirs] = [dataOf(text), dataOf(answer.output ?? '')];
      record(ours === theirs, () => show(`data\n${ours}\n${theirs}\n${text}\n--- before:`));
    }
  }
}

let linesByUs = 0;
let linesByFlux = 0;

/** Lines of `before` that `after` does not have, or has fewer of. */
function changedLines(before: string, after: string): number {
  const left = new Map<string, number>();
  for (const line of after.split('\n')) left.set(line, (left.get(line) ?? 0) + 1);
  let changed = 0;
  for (const line of before.split('\n')) {
    const times = left.get(line) ?? 0;
    if (times === 0) changed += 1;
    else left.set(line, times - 1);
  }
  return changed;
}

/** The data of a file as text, without what Flux changes on the way: empty metadata, and the white space of folded texts. */
function dataOf(text: string): string {
  const file = parseFile(text);
  if (isSkipped(file)) return `unreadable: ${file.reason}`;
  const documents = file.documents.map(({ root }) => JSON.stringify(plainOf(root)));
  return documents.filter((document) => document !== '{"mapping":[]}').join('\n');
}

function plainOf(node: Node): unknown {
  switch (node.kind) {
    case 'alias':
      return `*${node.name}`;
    case 'sequence':
      return node.items.map(plainOf);
    case 'mapping':
      return {
        mapping: node.entries
          .map(({ key, value }) => [plainOf(key), plainOf(value)] as const)
          .filter(
            ([key, value]) =>
              !/^(?:text )?(?:annotations|metadata)$/.test(String(key)) ||
              (typeof value === 'object' &&
                JSON.stringify(value) !== '{"mapping":[]}' &&
                JSON.stringify(value) !== '[]'),
          )
          .filter(
            ([key]) => !/^text (?:internal\.)?config\.(?:kubernetes|k8s)\.io\/(?:path|index|id)$/.test(String(key)),
          ),
      };
    case 'scalar': {
      const tag = tagOf(node.tag);
      const isText =
        node.style !== 'plain' || tag === '!!str' || ['', '-'].includes(node.value) || !isAmbiguousPlain(node.value);
      if (tag !== undefined && !tag.startsWith('!!')) return `${tag} ${node.value}`;
      const value = node.value.replaceAll(/\s+/g, ' ').trim();
      return `${isText ? 'text' : 'other'} ${value}${tag === undefined || ['!!str', '!!merge'].includes(tag) ? '' : ` ${tag}`}`;
    }
  }
}

try {
  for (const name of wanted) {
    const before = { ...totals };
    ({ constraints, policies, patterns, markers, mutants })[name as 'constraints']?.();
    console.log(`${name}: ${totals.same - before.same} same, ${totals.different - before.different} different`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const [what, times] of notes) console.log(`  ${times} ${what}`);
if (linesByFlux > 0) console.log(`  lines changed in the edited files: ${linesByUs} here, ${linesByFlux} by Flux`);
console.log(`${totals.same} passed, ${totals.different} failed`);
process.exitCode = totals.different > 0 ? 1 : 0;
