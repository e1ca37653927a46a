// The VS Code server of the lab as a child of this process: the same workbench and extension host as the desktop's.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { chromium as labChromium, vscodeServer } from '../lab/vscode.ts';
import { watchServer } from './evidence.ts';

const root = join(import.meta.dirname, '..', '..');

export interface EditorServer {
  readonly url: string;
  readonly authority: string;
  readonly pid: number;
  /** Folder of its data: logs of the extensions are below `data/logs`. */
  readonly data: string;
  /** Everything it printed, for a failing test. */
  readonly output: () => string;
  /** Ends the server with its extension hosts and terminals, and removes its data. */
  readonly stop: () => Promise<void>;
}

export interface ServerOptions {
  /** User settings of every window. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly keybindings?: readonly { readonly key: string; readonly command: string; readonly args?: unknown }[];
  /** Over the environment of this process; the extension host and its children inherit it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /**
   * `inside`: a development host that reports the end of tests in its extension host, and shows no notifications.
   * `outside` (default): an ordinary window in which the extension is installed.
   */
  readonly driver?: 'inside' | 'outside';
  /** Folders of more extensions. */
  readonly extensions?: readonly string[];
}

/** Where the server and Chromium are: of the lab, or named by variables. Throws, saying what to run. */
export function editorTools(): { readonly server: string; readonly chromium: string } {
  const server = process.env.SLIPWAY_LAB_VSCODE_SERVER ?? vscodeServer;
  const chromium = process.env.SLIPWAY_LAB_CHROMIUM ?? labChromium;
  if (!existsSync(server) || !existsSync(chromium)) {
    throw new Error('The VS Code server is not installed. Run: npm run lab -- up vscode');
  }
  return { server, chromium };
}

/** Quiet defaults: no first-run pages, no chat, nothing that asks the network. */
const quiet = {
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.enableExperiments': false,
  'chat.disableAIFeatures': true,
  'chat.commandCenter.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  // A server that somebody else starts on this machine is no news of the window's.
  'remote.autoForwardPorts': false,
  'git.openRepositoryInParentFolders': 'never',
  'files.simpleDialog.enable': true,
  'window.dialogStyle': 'custom',
};

export async function startServer(options: ServerOptions = {}): Promise<EditorServer> {
  const { server } = editorTools();
  const data = mkdtempSync(join(tmpdir(), 'slipway-editor-'));
  const user = join(data, 'data', 'User');
  mkdirSync(user, { recursive: true });
  writeFileSync(join(user, 'settings.json'), JSON.stringify({ ...quiet, ...options.settings }, null, 2));
  if (options.keybindings !== undefined) {
    writeFileSync(join(user, 'keybindings.json'), JSON.stringify(options.keybindings, null, 2));
  }
  const extensions = join(data, 'extensions');
  mkdirSync(extensions);
  if (options.driver !== 'inside') symlinkSync(root, join(extensions, 'slipway.slipway-0.1.0'));
  for (const folder of options.extensions ?? []) symlinkSync(folder, join(extensions, basename(folder)));
  const args = [
    server,
    '--host=127.0.0.1',
    '--port=0',
    '--without-connection-token',
    '--accept-server-license-terms',
    // The environment is the test's: a login shell would set PATH anew.
    '--force-disable-user-env',
    ...(options.driver === 'inside' ? ['--enable-smoke-test-driver'] : []),
    '--telemetry-level=off',
    // A closed window must not keep its extension host for long: the tests count what is left behind. Less than this, and a
    // machine that is busy for a second puts up the dialog that asks to reload.
    '--reconnection-grace-time=15',
    `--server-data-dir=${data}`,
    `--extensions-dir=${extensions}`,
  ];
  const child = spawn(process.execPath, args, {
    // The server finds its own files from where it is.
    cwd: dirname(dirname(server)),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...withoutOurs(process.env), ...options.env },
  });
  let output = '';
  const take = (bytes: Buffer) => {
    output = (output + bytes.toString('utf8')).slice(-100_000);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const kill = killAtExit(child);
  const forget = watchServer({ logs: join(data, 'data', 'logs'), output: () => output });
  const stop = async () => {
    forget();
    await kill();
    rmSync(data, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  try {
    const port = await listening(child, () => output);
    const authority = `127.0.0.1:${port}`;
    return { url: `http://${authority}`, authority, pid: child.pid ?? 0, data, output: () => output, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A VS Code that runs this test must not leak its own variables into the one under test. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(VSCODE_|ELECTRON_|NODE_OPTIONS$|npm_)/.test(name)),
  );
}

function listening(child: ChildProcess, output: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const port = /Extension host agent listening on (\d+)/.exec(output())?.[1];
      if (port !== undefined) {
        clearInterval(timer);
        resolve(Number(port));
      }
    };
    const timer = setInterval(look, 50);
    child.once('exit', (code) => {
      clearInterval(timer);
      reject(new Error(`The VS Code server ended with code ${code}:\n${output()}`));
    });
  });
}

/** Ends the whole group of a detached child; also when this process is stopped or fails. */
function killAtExit(child: ChildProcess): () => Promise<void> {
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const signalGroup = (signal: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // Nobody is left in the group.
    }
  };
  const atExit = () => signalGroup('SIGKILL');
  process.once('exit', atExit);
  return async () => {
    process.removeListener('exit', atExit);
    signalGroup('SIGTERM');
    const force = setTimeout(() => signalGroup('SIGKILL'), 5_000);
    await ended;
    clearTimeout(force);
    // The server itself is gone; extension hosts that ignored the signal go now.
    signalGroup('SIGKILL');
  };
}
