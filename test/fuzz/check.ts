// What must hold for every edit of every file, said once for the unit tests and for the long run.
import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isScalar, isSeq, parseAllDocuments, visit } from 'yaml';
import { type AppliedPolicies, applyPolicies } from '../../src/engine/gitops/edit.ts';
import { hasMarkerToken } from '../../src/engine/gitops/file.ts';
import { findMarkers } from '../../src/engine/gitops/markers.ts';
import type { RandomFile } from './documents.ts';

export interface Outcome {
  readonly result: AppliedPolicies;
  /** What went wrong; undefined when everything holds. */
  readonly problem?: string;
}

export function checkEdit({ text, policies }: RandomFile): Outcome {
  const refs = new Map(Object.entries(policies));
  const result = applyPolicies(text, 'manifest.yaml', refs);
  const problem = whatBroke(text, result, refs);
  return { result, ...(problem !== undefined && { problem }) };
}

function whatBroke(
  text: string,
  result: AppliedPolicies,
  refs: Parameters<typeof applyPolicies>[2],
): string | undefined {
  if (result.skipped !== undefined) return result.text === text ? undefined : 'a skipped file was changed';
  // 1. Every byte outside the edits stays: cut the edits out of both texts and compare the rest.
  let before = '';
  let after = '';
  let at = 0;
  let shift = 0;
  for (const edit of result.edits) {
    before += text.slice(at, edit.start);
    after += result.text.slice(at + shift, edit.start + shift);
    shift += edit.text.length - (edit.end - edit.start);
    at = edit.end;
  }
  if (before + text.slice(at) !== after + result.text.slice(at + shift)) return 'bytes outside the edits changed';
  // 2. An edit stays inside the token of a marked value: no comment and no other line is inside it.
  for (const change of result.changes) {
    const inside = text.slice(change.span.start, change.span.end);
    if (!/^[|>"']/.test(inside) && /\s#/.test(inside)) return 'an edit covers a comment';
  }
  // 3. A second run changes nothing.
  const again = applyPolicies(result.text, 'manifest.yaml', refs);
  if (again.text !== result.text || again.changes.length > 0) return 'a second run changes the file again';
  // 4. The markers are the same ones, unless the edit replaced the only text that made Flux look into the file.
  const names = (source: string): readonly string[] =>
    findMarkers(source, 'manifest.yaml').markers.map(({ setter }) => setter.name);
  if (hasMarkerToken(result.text) && !isDeepStrictEqual(names(text), names(result.text))) return 'the markers changed';
  // 5. An independent YAML parser sees the same data but for the new values.
  return result.changes.length === 0 ? undefined : compareWithOtherParser(text, result);
}

function compareWithOtherParser(text: string, result: AppliedPolicies): string | undefined {
  const read = (source: string): readonly Document[] | undefined => {
    const documents = parseAllDocuments(source.replace(/^\ufeff/, ''), {
      version: '1.1',
      strict: false,
      uniqueKeys: false,
      logLevel: 'silent',
    });
    return Array.isArray(documents) && documents.every(({ errors }) => errors.length === 0) ? documents : undefined;
  };
  const before = read(text);
  // That parser refuses some files which Flux reads; about those it says nothing.
  if (before === undefined) return undefined;
  const after = read(result.text);
  // yaml 2.9.1 refuses a flow collection as a key on the line below a value with a comment, which is good YAML.
  if (after === undefined) return /^\s*\[x\]:/m.test(text) ? undefined : 'another YAML parser cannot read the result';
  const old = before.flatMap(scalarsOf);
  const next = after.flatMap(scalarsOf);
  if (old.length !== next.length) return 'another YAML parser sees another structure';
  const changed = old.flatMap((value, index) => (value === next[index] ? [] : [[value, next[index]] as const]));
  const written = new Set(result.changes.map((change) => change.new));
  // A value may also have got quotes, which makes a text of a number that was written the same.
  const isExplained = changed.every(([from, to]) => written.has(textOf(to)) || textOf(from) === textOf(to));
  return isExplained ? undefined : `another YAML parser sees other changes: ${JSON.stringify(changed)}`;
}

const textOf = (value: string | undefined): string => value?.slice(value.indexOf(' ') + 1) ?? '';

function scalarsOf(document: Document): readonly string[] {
  const values: string[] = [];
  visit(document, (_key, node) => {
    if (isScalar(node))
      values.push(
        `${typeof node.value} ${typeof node.value === 'string' ? node.value : (node.source ?? String(node.value))}`,
      );
    else if (isMap(node)) values.push('map of');
    else if (isSeq(node)) values.push('list of');
  });
  return values;
}
