// Gitea: git over http, its API with Actions, and its container registry. No front end is built, so its pages are bare.
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, run } from './command.ts';
import { pidOf, startDaemon, stopDaemon } from './daemon.ts';
import { answers } from './docker.ts';
import { build, fetchModules, type GoProgram, isBuilt, moduleFolder } from './gobuild.ts';
import type { Part } from './part.ts';
import { paths } from './paths.ts';
import { LabError } from './problem.ts';

const version = '1.26.0';
const module = 'code.gitea.io/gitea';
const gitea: GoProgram = {
  name: 'gitea',
  module: 'gitea',
  target: module,
  variables: { 'main.Version': version },
  env: { CGO_ENABLED: '1' },
  tags: 'sqlite,sqlite_unlock_notify',
};

/** Not secrets: the server listens on loopback only and holds test data. */
export const giteaAccount = { url: 'http://localhost:3000', user: 'slipway', password: 'slipway-lab' } as const;

const folder = join(paths.state, 'gitea');
const config = join(folder, 'app.ini');
/** Templates and options that Gitea reads at run time, copied so that cleaning Go's cache breaks nothing. */
const assets = join(paths.cache, `gitea-${version}`);

const settings = `APP_NAME = Slipway lab
RUN_USER = root
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
RUN_MODE = prod
WORK_PATH = ${folder}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = 3000
ROOT_URL = ${giteaAccount.url}/
STATIC_ROOT_PATH = ${assets}
OFFLINE_MODE = true
DISABLE_SSH = true
LFS_START_SERVER = false
[database]
DB_TYPE = sqlite3
PATH = ${join(folder, 'gitea.db')}
[security]
INSTALL_LOCK = true
SECRET_KEY = lab
INTERNAL_TOKEN = lab
[oauth2]
ENABLED = false
[service]
DISABLE_REGISTRATION = true
[actions]
ENABLED = true
[cron]
ENABLED = false
[log]
MODE = console
LEVEL = Warn
`;

const command = (...args: readonly string[]) => [...args, '--config', config];
const programPath = join(paths.bin, 'gitea');
const environment = { GITEA_WORK_DIR: folder, HOME: folder };

async function createAccount(): Promise<void> {
  const { user, password } = giteaAccount;
  const args = ['--username', user, '--password', password, '--email', `${user}@localhost.localdomain`, '--admin'];
  const result = await attempt(
    programPath,
    command('admin', 'user', 'create', ...args, '--must-change-password=false'),
    {
      env: environment,
    },
  );
  if (result.code !== 0 && !`${result.stdout}${result.stderr}`.includes('already exists'))
    throw new LabError(`gitea could not create its account: ${result.stderr || result.stdout}`);
}

export const giteaPart: Part = {
  name: 'gitea',
  what: `git server with Actions API and container registry, ${giteaAccount.url}`,
  version,
  group: 'gitea',
  needs: [],
  isPrepared: () => isBuilt(gitea) && existsSync(join(assets, 'options')),
  fetch: () => fetchModules(gitea),
  prepare: async (report) => {
    await build(gitea, report);
    const source = await moduleFolder('gitea', module);
    const fresh = `${assets}.new`;
    rmSync(fresh, { recursive: true, force: true });
    for (const name of ['options', 'templates', 'public']) {
      if (existsSync(join(source, name))) cpSync(join(source, name), join(fresh, name), { recursive: true });
    }
    // Go's module cache is read-only, and copies keep that.
    await run('chmod', ['-R', 'u+w', fresh]);
    rmSync(assets, { recursive: true, force: true });
    await run('mv', [fresh, assets]);
  },
  service: {
    isReady: async () => pidOf('gitea') !== undefined && (await answers(`${giteaAccount.url}/api/v1/version`)),
    pid: () => pidOf('gitea'),
    start: async () => {
      mkdirSync(folder, { recursive: true });
      writeFileSync(config, settings);
      const isFirst = !existsSync(join(folder, 'gitea.db'));
      if (isFirst) await run(programPath, command('migrate'), { env: environment, log: 'gitea-migrate' });
      await createAccount();
      await startDaemon({
        name: 'gitea',
        argv: [programPath, ...command('web')],
        env: environment,
        cwd: folder,
        isReady: () => answers(`${giteaAccount.url}/api/v1/version`),
      });
    },
    stop: async () => {
      await stopDaemon('gitea', 5_000);
    },
    wipe: async () => rmSync(folder, { recursive: true, force: true }),
  },
};
