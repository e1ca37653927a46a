import { type Command, Option } from 'commander';
import type { OperationPlace } from '../../engine/main.ts';
import { SlipwayError } from '../../engine/problems/index.ts';

export interface PlaceFlags {
  readonly env?: string;
  readonly namespace?: string;
}

export const withPlace = (command: Command): Command =>
  command
    .addOption(new Option('-e, --env <name>', 'environment; default: the only one').env('SLIPWAY_ENV'))
    .option('-n, --namespace <name>', "another namespace of the environment's cluster");

export const placeOf = ({ env, namespace }: PlaceFlags): OperationPlace => ({
  ...(env !== undefined && { environment: env }),
  ...(namespace !== undefined && { namespace }),
});

/** Seconds of `90`, `90s`, `10m`, `2h`, `1d`. Throws SlipwayError `usage`. */
export function parseSeconds(text: string): number {
  const found = /^(\d+)([smhd]?)$/.exec(text);
  const unit = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 }[found?.[2] ?? ''];
  if (found !== null && unit !== undefined) return Math.max(1, Number(found[1]) * unit);
  throw new SlipwayError({
    reason: 'usage',
    message: `"${text}" is no length of time.`,
    fix: 'Write 90s, 10m, 2h or 1d.',
  });
}
