// Reconcile, Suspend Delivery… and Resume Delivery… on real controllers of Flux.
import assert from 'node:assert/strict';
import { eventually, type Report } from '../suite.ts';
import type { Stage } from './stage.ts';

export async function deliveryCases(report: Report, stage: Stage): Promise<void> {
  const { window, depot } = stage;
  const repository = (path: string) => depot.kubectl('get', 'imagerepository', 'depot', '-o', `jsonpath={${path}}`);
  const said = (words: RegExp) => window.page.locator('.statusbar', { hasText: words }).waitFor();

  await report.test('Reconcile lets Flux look again, and waits for its answer', async () => {
    const before = repository('.status.lastHandledReconcileAt');
    await window.command('Slipway: Reconcile');
    // Only one environment is delivered by Flux: nothing to choose.
    await said(/home: \d of \d objects of Flux have looked again/);
    assert.notEqual(repository('.status.lastHandledReconcileAt'), before);
  });

  await report.test('Suspend Delivery… leaves a note, and Resume Delivery… shows it', async () => {
    await window.command('Slipway: Suspend Delivery…');
    await window.pick('ImageRepository depot');
    await window.answer('Suspend imagerepository', 'the registry moves');
    await eventually(
      'spec.suspend',
      () => repository('.spec.suspend'),
      (text) => text === 'true',
    );
    assert.match(repository('.metadata.annotations'), /the registry moves/);
    await said(/is suspended/);
    await window.section('Workloads').click();
    await window.contextMenu(window.sectionRow('Workloads', 'home'), 'Resume Delivery…');
    await window.page.locator('.quick-input-list .monaco-list-row', { hasText: 'the registry moves' }).first().click();
    await eventually(
      'spec.suspend',
      () => repository('.spec.suspend'),
      (text) => text !== 'true',
    );
    await said(/goes on; it was suspended because: the registry moves/);
    await window.section('Workloads').click();
  });
}
