// A workflow of each host that the automation's own commits start: a problem with a fix that ends it, applied in the editor.
import assert from 'node:assert/strict';
import { type Fleet, loopWorkflows, openRules, RULES } from '../samples/fleet.ts';
import type { Report } from '../suite.ts';
import type { EditorWindow } from '../window.ts';
import { goToLine, saveOpen } from './editor.ts';

const FOLDER = 'clusters/home/apps/**';

export async function loopCases(report: Report, window: EditorWindow, fleet: Fleet): Promise<void> {
  const { page } = window;
  const texts = loopWorkflows(fleet.repository);
  const problem = (file: string) =>
    page.locator('.markers-panel .monaco-list-row', {
      hasText: `starts ${file}, which pushes a new tag that the policy chooses, which makes the next commit`,
    });
  /** Opens a workflow that was just written, and takes a fix at a line of it. */
  const fix = async (file: keyof typeof texts, line: number, title: string) => {
    fleet.write(file, texts[file]);
    await window.openFile(file);
    await window.command('Problems: Focus on Problems View');
    await problem(file).first().waitFor();
    await window.screenshot(`gitops-loop-${file.split('/').at(-1)}`);
    await page.locator('.editor-instance .view-line').first().click();
    await goToLine(window, line);
    await page.keyboard.press('Control+.');
    await page.locator('.action-widget .monaco-list-row', { hasText: title }).first().click();
    await problem(file).first().waitFor({ state: 'detached' });
  };

  // A suspended automation commits nothing, and starts nothing.
  openRules(fleet);
  for (const [file, host, comment] of [
    ['.github/workflows/build.yml', 'GitHub', '# ours'],
    ['.gitea/workflows/image.yml', 'Gitea', '# theirs'],
  ] as const) {
    await report.test(`a feedback loop of ${host} is a problem of the workflow, and its fix ends it`, async () => {
      await fix(file, 3, `Add ${FOLDER} to paths-ignore of ${file}`);
      assert.equal(fleet.read(file), texts[file], 'the file is the person’s to save');
      await saveOpen(window, file.split('/').at(-1) ?? file);
      const filter = `${comment}\n    paths-ignore:\n      - ${FOLDER}\n`;
      assert.equal(fleet.read(file), texts[file].replace(`${comment}\n`, filter));
    });
  }

  await report.test('a feedback loop of GitLab ends by the automation’s push option', async () => {
    const before = fleet.read(RULES);
    await fix('.gitlab-ci.yml', 1, 'Push with the option ci.skip');
    assert.equal(fleet.read('.gitlab-ci.yml'), texts['.gitlab-ci.yml']);
    await window.openFile(RULES);
    await saveOpen(window, 'images.yaml');
    const option = '      branch: main\n      options:\n        ci.skip: ""\n';
    const at = before.lastIndexOf('      branch: main\n');
    assert.equal(fleet.read(RULES), `${before.slice(0, at)}${option}`);
    const { code, text } = await fleet.slipway('lint', '--loops');
    assert.equal(code, 0, text);
    assert.doesNotMatch(text, /^loop/m);
  });
}
