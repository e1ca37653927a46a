// A real VS Code: the server of npm's code-server package, without code-server around it, and Chromium to look at it with.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './command.ts';
import { installPackages, missingOf, vscodePackages } from './packages.ts';
import type { Part } from './part.ts';
import { paths } from './paths.ts';

/** code-server 4.139.1 carries VS Code 1.139.1. */
const version = '4.139.1';
const folder = join(paths.cache, `vscode-${version}`);
const server = 'node_modules/code-server/lib/vscode';

/** For `node SERVER --host 127.0.0.1 --port … --without-connection-token --accept-server-license-terms …`. */
export const vscodeServer = join(folder, server, 'out', 'server-main.js');
export const chromium = '/usr/bin/chromium';

async function install(report: (text: string) => void): Promise<void> {
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  writeFileSync(join(fresh, 'package.json'), '{ "private": true }\n');
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  const steps: readonly { readonly at: string; readonly args: readonly string[] }[] = [
    // Its own install script wants to do what the two steps after it do, and more.
    { at: '', args: ['--ignore-scripts', '--save-exact', `code-server@${version}`] },
    { at: server, args: ['--omit=dev'] },
    { at: join(server, 'extensions'), args: ['--omit=dev'] },
  ];
  for (const [index, { at, args }] of steps.entries()) {
    report(`npm install, ${index + 1} of ${steps.length}`);
    await run('npm', ['install', ...quiet, ...args], {
      cwd: join(fresh, at),
      // Native modules are built for the Node that will run the server: the one that runs this.
      env: { PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`, npm_config_prefix: undefined },
      log: `vscode-install-${index + 1}`,
      timeoutMs: 1_200_000,
    });
  }
  rmSync(folder, { recursive: true, force: true });
  await run('mv', [fresh, folder]);
}

export const vscodePart: Part = {
  name: 'vscode',
  what: 'the VS Code server 1.139.1 (node …/server-main.js) and Chromium',
  version,
  group: 'vscode',
  needs: [],
  isPrepared: () => existsSync(vscodeServer) && missingOf(vscodePackages).length === 0,
  prepare: async (report) => {
    await installPackages(vscodePackages, report);
    if (!existsSync(vscodeServer)) await install(report);
  },
};
