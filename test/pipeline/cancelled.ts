// Runs that are cancelled again and again, at different moments: nothing of them is left.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { edit } from '../lab/examples.ts';
import { openShop } from './support/shop.ts';
import { run, test } from './support/suite.ts';

const shop = openShop('cancelled');

/** Every process that has to do with this run, by the folder in its arguments or environment. */
function processesOfWork(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return text.includes(shop.folder) || text.includes(shop.prefix) ? [`${pid} ${text}`] : [];
      } catch {
        // It ended while we looked.
        return [];
      }
    });
}

/** Containers of our runs; those of other tests may be there. */
const containers = (): readonly string[] => {
  const args = ['ps', '-a', '--filter', 'label=dev.slipway.run', '--format', '{{.Label "dev.slipway.run"}} {{.Names}}'];
  const result = spawnSync('docker', args, { encoding: 'utf8', env: shop.env });
  assert.equal(result.status, 0, result.stderr);
  const ours = new Set(shop.runs());
  return result.stdout.split('\n').filter((line) => ours.has(line.split(' ')[0] ?? ''));
};

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once('close', (code) => resolve(code)));

test('20 cancelled runs leave no process, no container and an honest journal', async () => {
  for (let round = 0; round < 20; round += 1) {
    edit(shop.folder, 'orders/work.py', (text) => `${text}# ${round}\n`);
    const child = spawn(process.execPath, [shop.cli, '-C', shop.folder, 'run', '--until', 'publish'], {
      env: shop.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let seen = '';
    let isStopped = false;
    const at = ['Build api: started', 'Build worker: done', 'Scan api', 'Test app: started'][round % 4] ?? '';
    child.stdout.on('data', (bytes) => {
      seen += bytes;
      if (!isStopped && seen.includes(at)) {
        isStopped = true;
        child.kill(round % 2 === 0 ? 'SIGINT' : 'SIGTERM');
      }
    });
    const code = await ended(child);
    assert.equal(code, 130, `round ${round} (${at}): ${seen}`);
    const last = shop.events(shop.newestRun()).at(-1);
    assert.ok(last?.type === 'run.finished' && last.outcome === 'cancelled', JSON.stringify(last));
  }
  assert.deepEqual(processesOfWork(), []);
  assert.deepEqual(containers(), []);
});

test('a run that is cancelled between the making and the start of its test container ends', async () => {
  let onAttach = (_docker: Socket): void => {};
  const front = createServer((client) => {
    const docker = connect((shop.env.DOCKER_HOST ?? '').replace('unix://', ''));
    client.on('data', (bytes) => {
      if (/^POST \S*\/attach\?/m.test(bytes.toString('latin1'))) onAttach(docker);
      docker.write(bytes);
    });
    docker.on('data', (bytes) => client.write(bytes));
    client.on('close', () => docker.destroy()).on('error', () => docker.destroy());
    docker.on('close', () => client.destroy()).on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  const { port } = front.address() as AddressInfo;
  edit(shop.folder, 'orders/work.py', (text) => `${text}# attached\n`);
  const child = spawn(process.execPath, [shop.cli, '-C', shop.folder, 'run', '--until', 'publish'], {
    env: { ...shop.env, DOCKER_HOST: `tcp://127.0.0.1:${port}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let seen = '';
  let release = (): void => {};
  // Docker's answer waits until the run has heard that it is cancelled: a scan beside the test says so, if there is one.
  onAttach = (docker) => {
    docker.pause();
    release = () => docker.resume();
    setTimeout(release, 10_000).unref();
    child.kill('SIGINT');
  };
  child.stdout.on('data', (bytes) => {
    seen += bytes;
    if (seen.includes('cancelled')) release();
  });
  assert.equal(await ended(child), 130, seen);
  front.close();
  assert.deepEqual(containers(), []);
});

await run('cancelled', async () => shop.remove());
process.exit();
