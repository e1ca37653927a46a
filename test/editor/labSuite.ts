// The whole way on real parts, as a person goes it: a copy of examples/shop in a window, a run from the command palette to a
// verified rollout, a version that fails its smoke test and is rolled back, and a cancelled run that leaves nothing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commit, edit, materialise } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { type EditorOptions, trusted, withEditor } from './editor.ts';
import { protectedEnvironment } from './protectedEnvironment.ts';
import { eventually, type Report, type Suite } from './suite.ts';
import type { EditorWindow } from './window.ts';

/** A first run builds two images for two platforms, one of them emulated. */
const RUN_MS = 300_000;

export const labSuite: Suite = {
  name: 'lab',
  lab: ['core'],
  run: async (report) => {
    const lab = labEnvironment();
    const env = { ...process.env, ...lab.env };
    const work = mkdtempSync(join(tmpdir(), 'slipway-editor-lab-'));
    const namespace = `editor-${process.pid}`;
    const shop = materialise('shop', join(work, 'shop'));
    const prefix = `${lab.registry}/editor/shop-${process.pid}`;
    const ours = (text: string) => text.replaceAll('localhost:5000/shop', prefix).replaceAll('shop-dev', namespace);
    edit(shop, 'slipway.yaml', ours);
    edit(shop, 'charts/shop/values.yaml', ours);
    commit(shop, 'Names of the test');
    const options: EditorOptions = {
      // Only then is a terminal's text in the document.
      settings: { ...trusted, 'terminal.integrated.gpuAcceleration': 'off' },
      env: lab.env,
      remove: () => {
        spawnSync('kubectl', ['delete', 'namespace', namespace, '--wait=false'], { env });
        rmSync(work, { recursive: true, force: true });
      },
    };
    await withEditor(options, async ({ open }) => {
      const window = await open({
        open: shop,
        size: { width: 1500, height: 950 },
      });
      await window.activity('Slipway');
      const stage = { window, shop, work, namespace, env };
      await behaviour(report, stage);
      await closing(report, stage);
    });
    await protectedEnvironment(report);
  },
};

interface Stage {
  readonly window: EditorWindow;
  readonly shop: string;
  readonly work: string;
  readonly namespace: string;
  readonly env: NodeJS.ProcessEnv;
}

async function behaviour(report: Report, stage: Stage): Promise<void> {
  const { window, shop, env, namespace } = stage;
  const page = window.webview();
  const textOf = async (row: string) => (await window.row(row).textContent()) ?? '';
  const liveImage = () =>
    spawnSync(
      'kubectl',
      ['-n', namespace, 'get', 'deployment', 'shop-api', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'],
      { encoding: 'utf8', env },
    ).stdout;
  const run = async () => {
    await window.command('Slipway: Run Pipeline');
    await window.pick('dev');
  };
  let verified = '';

  await report.test('from the command palette to a verified rollout and a URL that answers', async () => {
    await run();
    await eventually(
      'row of dev',
      () => textOf('dev'),
      (text) => /succeeded|failed|rolled back/.test(text),
      RUN_MS,
    );
    assert.match(await textOf('dev'), /succeeded/);
    await page.getByText('is live on dev').waitFor();
    assert.match(await page.locator('.pill').innerText(), /Succeeded/);
    assert.match(await page.locator('.section.workloads .section-head').innerText(), /ready after/i);
    assert.match(await page.locator('.section.smoke .section-head').innerText(), /3 of 3 passed/);
    const url = await page.locator('.outcome .endpoints .link').first().innerText();
    const answer = await fetch(`${url}/compute/prime?n=100`);
    assert.deepEqual(await answer.json(), { n: 100, count: 25, largest: 97 });
    verified = liveImage();
    assert.match(verified, /@sha256:/);
    await window.screenshot('lab-succeeded');
  });

  await report.test('every step of the run is in the tree with its end', async () => {
    await window.row('Build api').waitFor();
    // Rows below the edge are not in the document.
    for (const view of ['Runs', 'Images & Policies', 'CI']) await window.collapse(view);
    for (const step of ['Test app', 'Build api', 'Publish worker', 'Deploy to dev', 'Roll out on dev']) {
      await window.row(step).scrollIntoViewIfNeeded();
      assert.match((await window.row(step).getAttribute('aria-label')) ?? '', /succeeded/, step);
    }
  });

  await report.test('the icon font of the page is loaded, and nothing breaks its policy', async () => {
    const faces = await eventually(
      'icon font',
      () =>
        page
          .locator('body')
          .evaluate(() =>
            document.fonts.check('16px codicon')
              ? [...document.fonts].map(({ family, status }) => `${family.replaceAll('"', '')} ${status}`)
              : [],
          ),
      (found) => found.includes('codicon loaded'),
    );
    assert.ok(faces.length > 0);
    const broken = window.console.filter(
      (line) => /Content Security Policy/.test(line) && /font|style|script/.test(line),
    );
    assert.deepEqual(
      broken.filter((line) => /codicon|rollout/.test(line)),
      [],
    );
  });

  await report.test('the Workloads view shows what runs, once its environment is expanded', async () => {
    await window.section('Workloads').click();
    await window.sectionRow('Workloads', 'dev').click();
    const rows = await eventually(
      'rows of Workloads',
      () => window.sectionRows('Workloads'),
      (texts) => texts.some((text) => text.includes('shop-api')),
    );
    const api = rows.find((text) => text.includes('Deployment shop-api')) ?? '';
    assert.match(api, /ready, 2 of 2 available, main-[0-9a-f]{7}/);
    assert.ok(
      rows.some((text) => /^dev, 4 workloads, all ready/.test(text)),
      rows.join('\n'),
    );
    await window.sectionRow('Workloads', 'shop-api').click();
    await eventually(
      'pods of shop-api',
      () => window.sectionRows('Workloads'),
      (texts) => texts.filter((text) => /Pod shop-api-.*, ready/.test(text)).length === 2,
    );
    await window.screenshot('lab-workloads');
  });

  await report.test('a workload that changes in the cluster changes in the view', async () => {
    spawnSync('kubectl', ['-n', namespace, 'scale', 'deployment', 'shop-worker', '--replicas=0'], { env });
    await eventually(
      'row of shop-worker',
      () => window.sectionRows('Workloads'),
      (texts) => texts.some((text) => /shop-worker.*scaled to 0/.test(text)),
    );
    spawnSync('kubectl', ['-n', namespace, 'scale', 'deployment', 'shop-worker', '--replicas=1'], { env });
    await eventually(
      'row of shop-worker',
      () => window.sectionRows('Workloads'),
      (texts) => texts.some((text) => /shop-worker.*1 of 1 available/.test(text)),
    );
    await window.section('Workloads').click();
  });

  await operations(report, stage);

  await report.test('a version that fails its smoke test is rolled back, and the page says why', async () => {
    edit(shop, 'docker/api.Dockerfile', (text) =>
      text.replace(
        /^CMD .*$/m,
        `CMD ${JSON.stringify(['sh', '-c', `mkdir -p /tmp/x && cp -r /app/. /tmp/x && cd /tmp/x && sed -i 's/"count": len(primes)/"count": 0/' shop/views.py && exec gunicorn --bind=0.0.0.0:8000 --threads=8 --worker-tmp-dir=/dev/shm shop.wsgi`])}`,
      ),
    );
    commit(shop, 'A version that counts wrong');
    await run();
    await eventually(
      'row of dev',
      () => textOf('dev'),
      (text) => /rolled back/.test(text),
      RUN_MS,
    );
    await page.locator('.pill', { hasText: 'Rolled back' }).waitFor();
    assert.match(await page.locator('.outcome .headline').innerText(), /primes|count/);
    await page.locator('.outcome .rollback', { hasText: 'alone serves again' }).waitFor();
    assert.match(await page.locator('.section.smoke .section-head').innerText(), /2 of 3 passed/);
    assert.equal(liveImage(), verified, 'the version that served before serves again');
    await window.screenshot('lab-rolled-back');
  });

  await report.test('Roll Back… goes to a revision that one picks, as a run with a verdict', async () => {
    await window.command('Slipway: Roll Back…');
    await window.pick('dev');
    await window.pick('Revision 1');
    const text = await eventually(
      'row of dev',
      () => textOf('dev'),
      (row) => /^dev(succeeded|failed)/.test(row),
      RUN_MS,
    );
    assert.match(text, /^devsucceeded/);
    assert.equal(liveImage(), verified);
    await window.screenshot('lab-rolled-back-by-hand');
  });

  await report.test('a cancelled run leaves no process and says so', async () => {
    edit(shop, 'docker/api.Dockerfile', (text) => text.replace(/^CMD .*$/m, 'RUN sleep 600\nCMD ["true"]'));
    commit(shop, 'A version that takes long to build');
    await run();
    await eventually(
      'row of dev',
      () => textOf('dev'),
      (text) => /Build/.test(text),
      RUN_MS,
    );
    await window.command('Slipway: Cancel Run');
    await eventually(
      'row of dev',
      () => textOf('dev'),
      (text) => /cancelled/.test(text),
    );
    await eventually(
      'processes',
      () => processesOf(stage.work),
      (left) => left.length === 0,
    );
    await window.screenshot('lab-cancelled');
  });

  await report.test('nothing was told twice: no notification for what the views show', async () => {
    assert.deepEqual(await window.notifications(), []);
  });
}

/** The window goes away in the middle of a run: what VS Code gives an extension then is a few seconds. */
async function closing(report: Report, { window, shop, work }: Stage): Promise<void> {
  await report.test('a window that is closed during a run leaves no process and an honest journal', async () => {
    await window.command('Slipway: Run Pipeline');
    await window.pick('dev');
    await eventually(
      'processes',
      () => processesOf(work),
      (found) => found.length > 0,
      RUN_MS,
    );
    await window.close();
    await eventually(
      'processes',
      () => processesOf(work),
      (left) => left.length === 0,
    );
    const runs = join(shop, '.slipway', 'runs');
    const newest = readdirSync(runs).sort().at(-1) ?? '';
    const last = await eventually(
      'end of the journal',
      () =>
        readFileSync(join(runs, newest, 'events.jsonl'), 'utf8')
          .trim()
          .split('\n')
          .at(-1) ?? '',
      (line) => line.includes('run.finished'),
    );
    assert.match(last, /"outcome":"cancelled"/);
  });
}

/** What one does with what runs: all from the palette, with the pickers a person sees. */
async function operations(report: Report, { window }: Stage): Promise<void> {
  const terminal = window.page.locator('.terminal-wrapper.active .xterm-rows');
  const on = async (command: string, workload: string) => {
    await window.command(`Slipway: ${command}`);
    await window.pick('dev');
    await window.pick(workload);
  };
  const closeTerminal = () => window.command('Terminal: Kill All Terminals');

  await report.test('Logs follows the pods of a workload in a terminal', async () => {
    await on('Logs', 'shop-api');
    await eventually(
      'terminal',
      () => terminal.innerText(),
      (text) => new Set(text.match(/shop-api-\w+-\w+(?=\/api)/g)).size === 2,
    );
    await window.screenshot('lab-logs');
    await closeTerminal();
  });

  await report.test('Exec opens a shell in a pod', async () => {
    await on('Exec', 'shop-api');
    await terminal.waitFor();
    await eventually(
      'prompt',
      () => terminal.innerText(),
      (text) => /[$#]/.test(text),
    );
    await window.page.keyboard.type('echo answer-$((6*7))\n');
    await eventually(
      'terminal',
      () => terminal.innerText(),
      (text) => text.includes('answer-42'),
    );
    await window.screenshot('lab-exec');
    await closeTerminal();
  });

  await report.test('Port-Forward leads to the app until it is stopped', async () => {
    await on('Port-Forward', 'shop-api');
    const item = window.page.locator('.statusbar-item[id="slipway.slipway.slipway.forwards"]');
    const words = await eventually(
      'status bar',
      async () => ((await item.count()) === 0 ? '' : item.innerText()),
      (text) => /:\d+/.test(text),
    );
    const url = `http://localhost:${/:(\d+)/.exec(words)?.[1]}`;
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    await window.command('Notifications: Clear All Notifications');
    await item.click();
    await window.pick(url);
    await item.waitFor({ state: 'hidden' });
    await assert.rejects(fetch(`${url}/healthz`));
  });

  await report.test('Describe shows an object with what leads to it', async () => {
    await on('Describe', 'shop-api');
    await window.page.locator('.tab', { hasText: 'deployment shop-api on dev' }).waitFor();
    await window.page.locator('.view-lines').getByText('Selector', { exact: false }).first().waitFor();
    await window.screenshot('lab-describe');
    await window.command('View: Close Editor');
  });

  await report.test('Preview Deploy says what a deploy would change', async () => {
    await window.command('Slipway: Preview Deploy');
    await window.pick('dev');
    await window.page.locator('.tab', { hasText: 'deploy to dev.diff' }).waitFor({ timeout: 60_000 });
    await window.page.locator('.view-lines').getByText('would change', { exact: false }).first().waitFor();
    await window.screenshot('lab-preview');
    await window.command('View: Close Editor');
  });

  await report.test('Compare Environments lays what is live side by side', async () => {
    await window.command('Slipway: Compare Environments');
    await window.pick('dev');
    await window.pick('manifests');
    await window.page.locator('.tab', { hasText: 'dev ↔ manifests' }).waitFor({ timeout: 60_000 });
    await window.page.locator('.view-lines').getByText('nothing is deployed', { exact: false }).first().waitFor();
    await window.screenshot('lab-compare');
    await window.command('View: Close Editor');
  });

  await report.test('Diagnose collects what there is, on the page and as a document', async () => {
    await window.command('Slipway: Diagnose');
    await window.pick('dev');
    const page = window.webview();
    await page.getByRole('tab', { name: 'Diagnosis', selected: true }).waitFor({ timeout: 60_000 });
    for (const heading of ['Recognised', 'Logs', 'Pods', 'History', 'Nodes']) {
      await page.getByRole('heading', { name: heading, exact: true }).waitFor();
    }
    await page.locator('.pod', { hasText: 'shop-api-' }).first().waitFor();
    await window.screenshot('lab-diagnose');
    await page.locator('vscode-button', { hasText: 'Open as document' }).click();
    await window.page.locator('.tab', { hasText: 'Preview' }).waitFor({ timeout: 60_000 });
    await window.command('View: Close Editor');
  });

  await report.test('Restart replaces the pods and is watched to its end', async () => {
    await on('Restart', 'shop-worker');
    const done = window.page.locator('.statusbar', { hasText: /shop-worker/ });
    await done.waitFor({ timeout: 120_000 });
  });
}

/** Processes with the folder in their arguments, other than the editor's own. */
function processesOf(folder: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return text.includes(folder) && /docker|buildx|helm|trivy|kubectl/.test(text) ? [`${pid} ${text}`] : [];
      } catch {
        // It ended while we looked.
        return [];
      }
    });
}
