import { createInterface } from 'node:readline/promises';
import type { RollbackWay, RollbackWays } from '../../engine/main.ts';
import type { CliContext } from '../context.ts';

export interface RollbackFlags {
  readonly env: string;
  readonly to?: string;
  readonly list?: boolean;
  readonly how?: RollbackWay;
  readonly ways?: boolean;
  readonly yes?: boolean;
}

export const ROLLBACK_WAYS: readonly RollbackWay[] = ['exclude', 'pin', 'suspend', 'revert'];

/**
 * Under Flux a person chooses how to go back: shows the ways with what every controller would do next, and asks. Where
 * nobody can be asked, undefined: the engine takes the first that stays. Undefined too for other kinds of deploy.
 */
export async function chooseWay(
  cli: CliContext,
  flags: RollbackFlags,
): Promise<RollbackWay | 'only-shown' | undefined> {
  if (flags.how !== undefined && flags.ways !== true) return flags.how;
  const canAsk = process.stdin.isTTY === true && !cli.isJson;
  if (flags.ways !== true && !canAsk) return undefined;
  const ways = await cli.engine.rollbackWays(flags.env, flags.to, cli.signal);
  if (ways === undefined) {
    if (flags.ways === true) cli.print(`${flags.env} is not deployed by Flux: there is one way back, and it stays.`);
    return flags.ways === true ? 'only-shown' : undefined;
  }
  if (flags.ways === true && cli.isJson) {
    cli.print(JSON.stringify(ways));
    return 'only-shown';
  }
  for (const line of wayLines(ways)) cli.print(line);
  if (flags.ways === true) return 'only-shown';
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  try {
    for (;;) {
      const answer = (await ask.question('Which way? ', { signal: cli.signal })).trim();
      const found = ways.choices[Number(answer) - 1] ?? ways.choices.find(({ how }) => how === answer);
      if (found !== undefined) return found.how;
    }
  } finally {
    ask.close();
  }
}

function wayLines({ to, trust, choices }: RollbackWays): readonly string[] {
  const words = { sticks: 'stays', differs: 'stays, at another version', bounces: 'does NOT stay' } as const;
  return [
    `Back to ${to} (${trust === 'verified' ? 'was verified here' : 'was live before'}):`,
    ...choices.flatMap(({ how, title, verdict, tag, next, warnings, files }, index) => [
      `${index + 1}. ${how}: ${title} — ${words[verdict]}${verdict === 'differs' ? ` (${tag})` : ''}`,
      ...files.flatMap(changedLines),
      ...next.map(({ controller, does }) => `     ${controller} ${does}`),
      ...warnings.map((warning) => `     ! ${warning}`),
    ]),
  ];
}

function changedLines({
  path,
  line,
  removed,
  added,
}: RollbackWays['choices'][number]['files'][number]): readonly string[] {
  const shown = (sign: string, lines: readonly string[]) => lines.slice(0, 12).map((text) => `     ${sign} ${text}`);
  return [`     ${path}:${line}`, ...shown('-', removed), ...shown('+', added)];
}
