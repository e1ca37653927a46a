// The lines between rooms, held by reading the imports: arrows point down, pure rooms do no I/O, `vscode` stays in the
// extension. docs/architecture.md draws the same picture.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';

/** Rooms from the ground up. A room may import rooms of a lower floor, and itself. */
const floors: readonly (readonly string[])[] = [
  ['engine/problems'],
  ['engine/yaml'],
  ['engine/events'],
  ['engine/system'],
  ['engine/gitops'],
  ['engine/workflows'],
  ['engine/project'],
  ['engine/plan'],
  ['engine/cluster', 'engine/images'],
  ['engine/rollout', 'engine/argocd', 'engine/flux'],
  ['engine/deploy', 'engine/smoke', 'engine/ci', 'engine/tests', 'engine/lint'],
  ['engine/run', 'engine/operations'],
  ['engine/markers'],
  ['engine'],
  ['agents'],
  ['cli', 'extension'],
];

/** Rooms and files that compute only: no Node I/O modules, no package that does I/O, no value from `system`. */
const pure: readonly RegExp[] = [
  /^engine\/(problems|yaml|events|gitops|workflows|plan)\//,
  /^engine\/project\/language\/(candidates|complete|cursor|outline|shapes)\.ts$/,
  /^engine\/argocd\/(application|judge|operations)/,
  /^engine\/flux\/(causes|chain|choose|kinds|link|links|reminder|standing|workloads)\.ts$/,
  /^engine\/markers\/(states|words)/,
  /^engine\/rollout\/(verdict|causes|snapshot|attribution|readiness|memory|fits|crashText|cleanText)/,
];
const inputOutput =
  /^(node:(fs|child_process|net|http|https|tls|dns|os|worker_threads|readline|timers)(\/.*)?|undici|dockerode|simple-git|@kubernetes\/.*)$/;

const root = join(import.meta.dirname, '..');
const source = join(root, 'src');
const problems: string[] = [];

function floorOf(path: string): number {
  const room = path.split('/').slice(0, -1);
  for (let length = room.length; length > 0; length -= 1) {
    const name = room.slice(0, length).join('/');
    const floor = floors.findIndex((rooms) => rooms.includes(name));
    if (floor !== -1) return floor;
  }
  return -1;
}

const roomOf = (path: string): string =>
  path
    .split('/')
    .slice(0, path.startsWith('engine/') && path.split('/').length > 2 ? 2 : 1)
    .join('/');

for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.tsx?$/.test(entry.name) || entry.name.endsWith('.test.ts')) continue;
  const file = relative(source, join(entry.parentPath, entry.name)).split(sep).join('/');
  const text = readFileSync(join(source, file), 'utf8');
  if (floorOf(file) === -1) problems.push(`src/${file}: not in any room of test/boundaries.ts`);
  // `import type` brings no code, but a type from above is still an arrow upwards.
  for (const match of text.matchAll(
    /^\s*(?:import|export)\s(type\s)?[^'";]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)/gm,
  )) {
    const isType = match[1] !== undefined;
    const target = match[2] ?? match[3] ?? '';
    const line = text.slice(0, match.index).split('\n').length;
    const at = `src/${file}:${line}`;
    if (target === 'vscode' && !file.startsWith('extension/'))
      problems.push(`${at}: only src/extension may import vscode`);
    if (pure.some((room) => room.test(file)) && !isType && inputOutput.test(target)) {
      problems.push(`${at}: a pure room must not import ${target}`);
    }
    if (!target.startsWith('.')) continue;
    const resolved = normalize(join(dirname(file), target))
      .split(sep)
      .join('/');
    if (resolved.startsWith('..')) {
      if (!/^\.\.\/(package\.json|schemas\/)/.test(resolved)) problems.push(`${at}: leaves src (${target})`);
      continue;
    }
    if (pure.some((room) => room.test(file)) && !isType && resolved.startsWith('engine/system/')) {
      problems.push(`${at}: a pure room must not use system`);
    }
    const from = floorOf(file);
    const to = floorOf(resolved);
    if (roomOf(file) !== roomOf(resolved) && to >= from)
      problems.push(`${at}: ${roomOf(file)} must not import ${roomOf(resolved)} (arrows point down)`);
  }
}

for (const problem of problems) console.log(problem);
console.log(problems.length === 0 ? 'boundaries hold' : `${problems.length} broken boundaries`);
process.exitCode = problems.length === 0 ? 0 : 1;
