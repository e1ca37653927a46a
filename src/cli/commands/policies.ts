import { join } from 'node:path';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { placeText } from '../words.ts';

/** Flux's image policies in the files of this repository: what they would choose, why, and the same edit at once. */
export function addPolicyCommands(program: Command, context: () => CliContext): void {
  program
    .command('policies')
    .description('The $imagepolicy markers of this repository and what Flux would write there.')
    .option('--why <policy>', 'explain a policy (namespace:name): why each tag is in or out')
    .action(async ({ why }: { readonly why?: string }) => {
      const cli = context();
      const { explainPolicy, viewPolicies } = await import('../../engine/policies.ts');
      if (why !== undefined) {
        for (const reason of await explainPolicy(cli.system, cli.root, why, { signal: cli.signal })) {
          cli.print(
            cli.isJson
              ? JSON.stringify(reason)
              : `${reason.status === 'selected' ? '→' : ' '} ${reason.tag}  ${reason.status}  ${reason.reason}`,
          );
        }
        return;
      }
      const { markers, diagnostics } = await viewPolicies(cli.system, cli.root, { signal: cli.signal });
      if (cli.isJson) {
        cli.print(JSON.stringify({ markers, diagnostics }));
        return;
      }
      if (markers.length === 0) cli.print('No $imagepolicy markers in this repository.');
      for (const { file, line, setter, current, latest, problem } of markers) {
        const state =
          latest === undefined
            ? `no choice: ${problem ?? ''}`
            : current.includes(latest)
              ? 'up to date'
              : `→ ${latest}`;
        cli.print(`${file}:${line + 1}  ${setter}  ${current}  ${state}`);
      }
      for (const { severity, message, place } of diagnostics)
        cli.print(`${severity}: ${message} (${placeText(place)})`);
    });

  program
    .command('bump')
    .description(
      'Write the tag that Flux would choose (or --to) behind the markers of a policy; one token a marker changes.',
    )
    .argument('[policy]', 'namespace:name; default: every policy')
    .option('--to <tag>', 'this tag instead of the one the policy chooses')
    .option('--dry-run', 'show what would change')
    .action(async (policy: string | undefined, flags: { readonly to?: string; readonly dryRun?: boolean }) => {
      const cli = context();
      const { previewBump } = await import('../../engine/policies.ts');
      const bumps = await previewBump(
        cli.system,
        cli.root,
        { ...(policy !== undefined && { policy }), ...(flags.to !== undefined && { to: flags.to }) },
        { signal: cli.signal },
      );
      for (const { file, changes, after } of bumps) {
        if (flags.dryRun !== true) await cli.system.files.writeAtomic(join(cli.root, file), after);
        for (const change of changes) {
          cli.print(
            cli.isJson
              ? JSON.stringify({
                  file,
                  setter: change.setter,
                  old: change.old,
                  new: change.new,
                  written: flags.dryRun !== true,
                })
              : `${file}  ${change.setter}  ${change.old} → ${change.new}`,
          );
        }
      }
      if (!cli.isJson)
        cli.print(
          bumps.length === 0
            ? 'Nothing to change.'
            : flags.dryRun === true
              ? 'Nothing was written (--dry-run).'
              : `${bumps.length} ${bumps.length === 1 ? 'file' : 'files'} written.`,
        );
    });
}
