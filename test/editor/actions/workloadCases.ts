// What one does with what runs: Scale and its undo, Restart, Unlock.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { eventually, type Report } from '../suite.ts';
import type { Stage } from './stage.ts';

export async function workloadCases(report: Report, stage: Stage): Promise<void> {
  const { window, depot } = stage;
  const replicas = () => depot.kubectl('get', 'deployment', 'web', '-o', 'jsonpath={.spec.replicas}');

  await report.test('Scale… changes the cluster, and the row offers to undo it', async () => {
    await window.section('Workloads').click();
    await window.sectionRow('Workloads', 'dev').click();
    await window.sectionRow('Workloads', 'web').waitFor();
    await window.command('Slipway: Scale…');
    await window.pick('dev');
    // There is one workload: nothing to choose.
    await window.answer('Scale deployment/web', '3');
    await eventually('replicas', replicas, (text) => text === '3');
    const rows = await eventually(
      'rows of Workloads',
      () => window.sectionRows('Workloads'),
      (texts) => texts.some((text) => /web.*3 of 3 available.*scaled from 1/.test(text)),
    );
    assert.ok(rows.length > 0);
    await window.screenshot('actions-scaled');
    await window.rowAction(window.sectionRow('Workloads', 'web'), 'Undo Scale');
    await eventually('replicas', replicas, (text) => text === '1');
    await eventually(
      'rows of Workloads',
      () => window.sectionRows('Workloads'),
      (texts) => texts.some((text) => /web.*1 of 1 available/.test(text) && !/scaled from/.test(text)),
    );
  });

  await report.test('Restart from the row replaces the pods and is watched to its end', async () => {
    const pods = () => depot.kubectl('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].metadata.uid}');
    const before = pods();
    await window.contextMenu(window.sectionRow('Workloads', 'web'), 'Restart');
    await window.page.locator('.statusbar', { hasText: 'deployment/web was restarted and is ready' }).waitFor();
    await eventually('pods', pods, (text) => text !== '' && !text.includes(before));
    await window.section('Workloads').click();
  });

  await report.test(
    'a lock that a killed helm left is explained on the page, taken away there, and the run resumed',
    async () => {
      depot.nextVersion();
      const child = spawn(
        'helm',
        [
          ...['upgrade', 'depot', join(depot.path, 'chart'), '-n', depot.namespace, '--wait'],
          ...['--set', `web.image=${depot.repository}:no-such-tag`],
        ],
        { env: depot.env, stdio: 'ignore' },
      );
      const status = () => depot.kubectl('get', 'secrets', '-l', 'owner=helm,status=pending-upgrade', '-o', 'name');
      await eventually('the lock', status, (text) => text !== '');
      child.kill('SIGKILL');
      const view = await stage.ship();
      assert.equal(view.failure?.code, 'helm.pending', JSON.stringify(view.failure));
      await stage.shows(view.id, 'failed');
      await window.screenshot('actions-locked');
      await stage.clicks('Take the lock away', () => eventually('the lock', status, (text) => text === ''));
      await stage.clicks('Resume', () => stage.resumes(view.id));
      await stage.shows(view.id, 'succeeded');
    },
  );

  await report.test('Unlock Release says so when there is nothing to unlock', async () => {
    await window.command('Notifications: Clear All Notifications');
    await window.command('Slipway: Unlock Release');
    await window.pick('dev');
    await eventually(
      'notification',
      () => window.notifications(),
      (texts) => texts.some((text) => /Nothing of dev is locked/.test(text)),
    );
    await window.command('Notifications: Clear All Notifications');
  });
}
