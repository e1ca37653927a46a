// `npm run conformance -- FILE|DIR…`: runs case files (JSON arrays; constraints, policies and markers are told apart by
// their fields) against src/engine/gitops. The last line is `N passed, N failed`; any failure makes the exit code 1, and so
// does a file that is no case file. Without arguments all files of `cases` are run.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { check } from './answer.ts';
import { type Case, CaseFileError, type PlacedCase, readCases } from './cases.ts';

const given = process.argv.slice(2);
const option = given.find((argument) => argument.startsWith('-'));
const roots = given.length > 0 ? given : [join(import.meta.dirname, 'cases')];

function filesIn(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(path, name));
}

let passed = 0;
let failed = 0;

function fail(place: string, what: string, text = ''): void {
  failed += 1;
  console.log(`FAIL ${place}: ${what}${text === '' ? '' : `\n${text}`}`);
}

const indent = (text: string): string => text.replaceAll(/^/gm, '    ');

function runCase(place: string, item: Case): void {
  try {
    const mismatch = check(item);
    if (mismatch === undefined) passed += 1;
    else fail(place, item.name, `  expected:\n${indent(mismatch.expected)}\n  actual:\n${indent(mismatch.actual)}`);
  } catch (error) {
    fail(place, item.name, indent(error instanceof Error ? (error.stack ?? error.message) : String(error)));
  }
}

function runFile(file: string): void {
  let cases: readonly PlacedCase[];
  try {
    cases = readCases(file);
  } catch (error) {
    if (!(error instanceof CaseFileError)) throw error;
    fail(file, error.message);
    return;
  }
  for (const { line, found } of cases) {
    const place = `${file}:${line}`;
    if (found.kind === 'fault') fail(place, `${found.name}: ${found.reason}`);
    else runCase(place, found);
  }
  const counts = Map.groupBy(cases, ({ found }) => (found.kind === 'fault' ? 'unreadable' : found.kind));
  console.log(`${file}: ${[...counts].map(([kind, list]) => `${list.length} ${kind} cases`).join(', ')}`);
}

if (option !== undefined) {
  console.error(`Unknown option ${option}. Usage: npm run conformance -- FILE|DIR…`);
  process.exitCode = 2;
} else {
  for (const root of roots) {
    let files: readonly string[] = [];
    try {
      files = filesIn(root);
      if (files.length === 0) fail(root, 'has no .json file');
    } catch (error) {
      fail(root, `cannot be read: ${error instanceof Error ? error.message : error}`);
    }
    for (const file of files) runFile(file);
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}
