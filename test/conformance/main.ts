// `npm run conformance -- FILE|DIR…`: runs case files (JSON arrays; constraints, policies and markers are told apart by
// their shape) against src/engine/gitops. The last line is `N passed, N failed`; any failure makes the exit code 1.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { check, kindOf, nameOf } from './answer.ts';

const given = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
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

function fail(file: string, name: string, text: string): void {
  failed += 1;
  console.log(`FAIL ${file}: ${name}\n${text}`);
}

const indent = (text: string): string => text.replaceAll(/^/gm, '    ');

for (const root of roots) {
  let files: readonly string[];
  try {
    files = filesIn(root);
  } catch (error) {
    fail(root, 'cannot be read', indent(String(error)));
    continue;
  }
  if (files.length === 0) fail(root, 'has no .json file', '');
  for (const file of files) {
    let cases: unknown;
    try {
      cases = JSON.parse(readFileSync(file, 'utf8'));
    } catch (error) {
      fail(file, 'is not JSON', indent(String(error)));
      continue;
    }
    const list: readonly unknown[] = Array.isArray(cases) ? cases : [cases];
    const counts = { constraint: 0, policy: 0, marker: 0 };
    for (const item of list) {
      if (typeof item !== 'object' || item === null) {
        fail(file, 'holds something that is no case', indent(JSON.stringify(item)));
        continue;
      }
      const entry = item as Readonly<Record<string, unknown>>;
      const kind = kindOf(entry);
      if (kind !== undefined) counts[kind] += 1;
      try {
        const mismatch = check(entry);
        if (mismatch === undefined) passed += 1;
        else
          fail(file, nameOf(entry), `  expected:\n${indent(mismatch.expected)}\n  actual:\n${indent(mismatch.actual)}`);
      } catch (error) {
        fail(file, nameOf(entry), indent(error instanceof Error ? (error.stack ?? error.message) : String(error)));
      }
    }
    const parts = Object.entries(counts).filter(([, count]) => count > 0);
    console.log(`${file}: ${parts.map(([kind, count]) => `${count} ${kind} cases`).join(', ') || 'no cases'}`);
  }
}

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
