import type { Command } from 'commander';
import type { Stage } from '../../engine/project/model.ts';
import type { CliContext } from '../context.ts';
import { createOutput } from '../output.ts';
import { finish, startedBy } from './run.ts';

interface StageFlags {
  readonly image?: readonly string[];
  readonly force?: boolean;
}

/**
 * Parts of the pipeline by name. Each is the run a person would get from `slipway run`, cut down: what is unchanged is
 * skipped, and nothing is published that has not passed its gates.
 */
const parts: readonly {
  readonly name: string;
  readonly what: string;
  readonly only?: readonly Stage[];
  readonly until?: Stage;
}[] = [
  {
    name: 'test',
    what: "Run the app's tests, with their services; an image they run in is built first.",
    until: 'test',
  },
  { name: 'build', what: 'Build the images and push them by digest; no tag is given.', only: ['build'] },
  { name: 'scan', what: 'Build what has changed, and hold the gate over every platform.', only: ['build', 'scan'] },
  {
    name: 'push',
    what: 'Test, build, scan, and give the images their tags: slipway run without an environment.',
    until: 'publish',
  },
];

export function addStageCommands(program: Command, context: () => CliContext): void {
  const collect = (value: string, before: readonly string[] = []) => [...before, ...value.split(',')];
  for (const { name, what, only, until } of parts) {
    program
      .command(name)
      .description(what)
      .option('-i, --image <name>', 'only this image (may be repeated)', collect)
      .option('--force', 'also what is unchanged')
      .action(async ({ image, force }: StageFlags) => {
        const cli = context();
        const { isJson, isVerbose, system } = cli;
        const output = createOutput({ stdout: process.stdout, isJson, isVerbose, env: system.env });
        const view = await cli.engine.run({
          ...(only !== undefined && { only }),
          ...(until !== undefined && { until }),
          ...(image !== undefined && { images: image }),
          ...(force === true && { isForced: true }),
          signal: cli.signal,
          startedBy: startedBy(cli),
          onEvent: (event) => output.event(event),
        });
        finish(cli, output, view);
      });
  }
}
