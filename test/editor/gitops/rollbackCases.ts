// Going back so that it stays: by a value that only the cluster remembers, and by each way that a person can choose.
import assert from 'node:assert/strict';
import { APP, type Fleet, openRules, RULES } from '../samples/fleet.ts';
import { eventually, type Report } from '../suite.ts';
import type { EditorWindow } from '../window.ts';
import { clickLens, lenses, pickRows, saveOpen } from './editor.ts';

/** A run of this app takes seconds; on a machine that does nine other things, more. */
const RUN_MS = 180_000;

export async function rollbackCases(report: Report, window: EditorWindow, fleet: Fleet): Promise<void> {
  const live = (tag: string) => eventually('what runs', fleet.liveTag, (seen) => seen === tag, RUN_MS);
  const staysAt = (tag: string) =>
    fleet.rounds(2, (round) => {
      assert.equal(fleet.liveTag(), tag, `round ${round}`);
      assert.match(fleet.remote(APP), new RegExp(`web:${tag.replaceAll('.', '\\.')} #`));
    });
  const main = window.webview().locator('main[data-run]');
  /** The id of the run on the page, once it is another than before and has ended well; until then, what the page says. */
  const endsWell = async (before: string | null, act: () => Promise<void>) => {
    await act();
    await eventually(
      'a run that has ended',
      async () => ({
        run: await main.getAttribute('data-run', { timeout: 2_000 }).catch(() => null),
        condition: await main.getAttribute('data-condition', { timeout: 2_000 }).catch(() => null),
      }),
      ({ run, condition }) => run !== null && run !== before && condition !== 'running',
      RUN_MS,
    );
    const condition = await main.getAttribute('data-condition');
    if (condition !== 'succeeded') assert.fail(`${condition}: ${await main.innerText()}`);
  };
  const shown = () => main.getAttribute('data-run', { timeout: 1_000 }).catch(() => null);
  /** Deploys a published version, as a person does it in a terminal. */
  const deploy = async (tag: string) => {
    const { code, text } = await fleet.slipway('run', '--env', 'home', '--tag', tag);
    assert.equal(code, 0, text);
    assert.equal(fleet.liveTag(), tag);
  };
  const goForward = async () => {
    // A question that a failed case has left open.
    await window.page.keyboard.press('Escape');
    openRules(fleet);
    fleet.push('Every version may go out');
    fleet.rounds(1, () => {});
    fleet.rounds(1, () => {});
    await live('1.3.0');
  };
  const chooseWay = async (how: string, to: string) => {
    await window.command('Slipway: Roll Back…');
    await pickRows(window, to).first().click();
    await window.page.locator('.quick-input-titlebar', { hasText: `How shall the rollback to ${to} stay?` }).waitFor();
    await pickRows(window, new RegExp(`${how}: `))
      .first()
      .waitFor();
  };
  /** By keyboard: what hovers over one row would take the click of the next. */
  const take = async (how: string) => {
    await window.quickInput.fill(`${how}: `);
    await window.page.locator('.quick-input-list .monaco-list-row.focused', { hasText: `${how}: ` }).waitFor();
    await window.quickInput.press('Enter');
  };
  const rollBack = async (how: string, to: string) => {
    await endsWell(await shown(), async () => {
      await chooseWay(how, to);
      await pickRows(window, new RegExp(`${how}: `))
        .first()
        .click();
    });
    await staysAt(to);
  };

  await report.test('two versions go out through Flux, each verified', async () => {
    fleet.rounds(1, () => {});
    await deploy('1.2.0');
    await goForward();
    await deploy('1.3.0');
  });

  await report.test(
    'Roll back asks the cluster when git knows nothing: what Flux chose before is written',
    async () => {
      const file = 'notes/new.yaml';
      fleet.write(file, `image: ${fleet.repository}:1.3.0 # {"$imagepolicy": "${fleet.namespace}:web"}\n`);
      await window.openFile(file);
      await lenses(window, (found) => found.some((text) => text.includes('1.3.0 by semver 1.x')));
      await clickLens(window, 'Roll back');
      await pickRows(window, 'Ask home what Flux chose before').waitFor();
      assert.equal(await pickRows(window, 'written').count(), 0, 'git has no earlier value of this line');
      await window.screenshot('gitops-ask-cluster');
      await pickRows(window, 'Ask home what Flux chose before').click();
      await lenses(window, (found) => found.some((text) => text.trim().startsWith('1.2.0')));
      await saveOpen(window, 'new.yaml');
      assert.equal(fleet.read(file), `image: ${fleet.repository}:1.2.0 # {"$imagepolicy": "${fleet.namespace}:web"}\n`);
    },
  );

  await report.test('Roll Back… shows the ways and what each controller would do next; exclude stays', async () => {
    await chooseWay('exclude', '1.2.0');
    const rows = (await pickRows(window, ': ').allInnerTexts()).map((text) => text.replaceAll('\n', ' '));
    const row = (how: string) => rows.find((text) => text.includes(`${how}: `)) ?? '';
    for (const how of ['exclude', 'pin', 'suspend']) assert.match(row(how), /stays/, rows.join(' | '));
    assert.match(row('revert'), /does not stay.*image-automation-controller writes 1\.3\.0 again/);
    await window.screenshot('gitops-ways');
    await pickRows(window, 'exclude: ').first().hover();
    await pickRows(window, 'exclude: ').first().locator('.action-label[aria-label^="Changes"]').click();
    await window.page.locator('.tab', { hasText: 'roll back by exclude.diff' }).waitFor();
    const text = await eventually(
      'changes',
      async () =>
        (await window.page.locator('.editor-instance .view-lines').last().innerText()).replaceAll('\u00a0', ' '),
      (words) => words.includes('+++'),
    );
    assert.match(text, /\+ +range: "?1\.x !=1\.3\.0"?/);
    assert.match(text, /# image-reflector-controller selects 1\.2\.0 for web/);
    await window.screenshot('gitops-way-changes');
    await endsWell(await shown(), () => take('exclude'));
    await staysAt('1.2.0');
    assert.match(fleet.remote(RULES), /range: "?1\.x !=1\.3\.0"?/);
    await window.screenshot('gitops-rolled-back');
  });

  await report.test('pin stays', async () => {
    await goForward();
    await rollBack('pin', '1.2.0');
    assert.match(fleet.remote(RULES), /range: "?1\.2\.0"?\n/);
  });

  await report.test('suspend stays, with a reminder for whoever resumes', async () => {
    await goForward();
    await rollBack('suspend', '1.2.0');
    assert.match(fleet.remote(RULES), /suspend: true/);
    await window.command('Slipway: Resume Delivery…');
    await pickRows(window, /Rolled back web from 1\.3\.0 to 1\.2\.0/)
      .first()
      .waitFor();
    await window.screenshot('gitops-reminder');
    await window.page.keyboard.press('Escape');
  });

  await report.test('revert stays while no automation is active', async () => {
    await rollBack('revert', '1.3.0');
    assert.match(fleet.remote(RULES), /suspend: true/);
  });
}
