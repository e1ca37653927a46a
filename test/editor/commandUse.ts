// Which commands the windows of the suites have really started: the extension logs each at its debug level.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { commandIds } from '../../src/extension/ids.ts';

const folder = join(import.meta.dirname, '..', '..', 'test-results', 'editor', 'commands');
const used = new Set<string>();

/** What our output channel holds, of every window of a server. */
export function logOf(data: string): string {
  const logs = join(data, 'data', 'logs');
  if (!existsSync(logs)) return '';
  return readdirSync(logs, { recursive: true, encoding: 'utf8' })
    .filter((file) => /slipway\.slipway[/\\].*\.log$/.test(file))
    .map((file) => readFileSync(join(logs, file), 'utf8'))
    .join('\n');
}

/** Before a server's data are removed. */
export function noteCommands(data: string): void {
  for (const [, id = ''] of logOf(data).matchAll(/\[debug\] command (slipway\.\S+)/g)) used.add(id);
}

/** At the end of a suite. */
export function writeCommands(suite: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${suite}.txt`), `${[...used].sort().join('\n')}\n`);
  used.clear();
}

/** Every command with the suites that started it when they ran last. */
export function commandTable(): readonly { readonly command: string; readonly suites: readonly string[] }[] {
  const files = existsSync(folder) ? readdirSync(folder).sort() : [];
  const ran = files.map((file) => ({
    suite: basename(file, '.txt'),
    commands: new Set(readFileSync(join(folder, file), 'utf8').split('\n')),
  }));
  return commandIds.map((command) => ({
    command,
    suites: ran.flatMap(({ suite, commands }) => (commands.has(command) ? [suite] : [])),
  }));
}
