// `npm run lab -- up|build|down|status|reset|env|check [part or group …]`
import { stopCommands } from './command.ts';
import { environment } from './lab.ts';
import { down, type PartState, prepareOnly, reset, status, up } from './lifecycle.ts';
import { paths } from './paths.ts';
import { messageOf } from './problem.ts';

const usage = `usage: npm run lab -- COMMAND
  up [GROUP or PART …]   bring up what is named and all it needs (default: core); groups: core flux cosign grype builders gitea vscode
  build [GROUP …]        build and install what is missing, start nothing
  down                   end everything that up started, and put the machine back
  status [--json]        each part: ready, stopped, absent or failing, version, pid
  reset                  empty cluster and registry; built programs and images stay
  env [--json]           the environment that tests and tools use, as shell exports
  check                  try every part for real
Built things are kept in ${paths.cache}, running state and logs in ${paths.state}.`;

const [command, ...rest] = process.argv.slice(2);
const names = rest.filter((argument) => !argument.startsWith('--'));
const isJson = rest.includes('--json');
const say = (line: string) => console.log(line);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    // Daemons that are up stay up: `up` again goes on from here.
    void stopCommands().finally(() => process.exit(130));
  });
}

function table(states: readonly PartState[]): string {
  const rows = states.map(({ name, state, version, pid, what }) => [name, state, version, pid?.toString() ?? '', what]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const quote = (value: string) => `'${value.replaceAll("'", "'\\''")}'`;

async function main(): Promise<number> {
  const started = Date.now();
  switch (command) {
    case 'up':
      await up(names.length > 0 ? names : ['core'], say);
      say(`lab is up (${((Date.now() - started) / 1000).toFixed(1)} s)`);
      return 0;
    case 'build':
      await prepareOnly(names.length > 0 ? names : ['core'], say);
      say(`built (${((Date.now() - started) / 1000).toFixed(1)} s); base images are made by up`);
      return 0;
    case 'down':
      await down(say);
      say(`lab is down (${((Date.now() - started) / 1000).toFixed(1)} s)`);
      return 0;
    case 'reset':
      await reset(say);
      return 0;
    case 'status': {
      const states = await status();
      say(isJson ? JSON.stringify(states, null, 2) : table(states));
      return 0;
    }
    case 'env': {
      const { env, ...other } = environment();
      say(
        isJson
          ? JSON.stringify({ ...other, env }, null, 2)
          : Object.entries(env)
              .map(
                ([name, value]) =>
                  `export ${name}=${name === 'PATH' ? `${quote(value.split(':')[0] ?? '')}:"$PATH"` : quote(value)}`,
              )
              .join('\n'),
      );
      return 0;
    }
    case 'check': {
      const { selfcheck } = await import('./selfcheck.ts');
      return (await selfcheck(say)) ? 0 : 1;
    }
    default:
      console.error(usage);
      return 2;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`lab: ${messageOf(error)}`);
  process.exitCode = 3;
}
