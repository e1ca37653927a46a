// Image markers as a person meets them: lenses, bump, undo, pick, roll back, why, problems, fixes, hover, rename, the view.
// Tags come from the lab's registry; nothing asks it before somebody does.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { environment } from '../lab/lab.ts';
import { trusted, withEditor } from './editor.ts';
import { focusView, menuByKeyboard, walkTo } from './keyboardCases.ts';
import { gitopsWorkspace } from './samples/gitops.ts';
import { pushImage } from './samples/images.ts';
import { editorTools } from './server.ts';
import { eventually, type Report, type Suite } from './suite.ts';
import { themes } from './themes/index.ts';
import type { EditorWindow } from './window.ts';

const extension = join(import.meta.dirname, '..', '..');

export const markersSuite: Suite = {
  name: 'markers',
  lab: ['core', 'vscode'],
  run: async (report) => {
    const { registry } = environment();
    const repository = `editor-markers-${process.pid}/web`;
    const image = `${registry}/${repository}`;
    for (const [tag, day] of [
      ['1.0.0', '01'],
      ['1.1.0', '05'],
      ['1.2.0', '10'],
      ['1.3.0', '15'],
      ['2.0.0', '18'],
      ['latest', '18'],
    ] as const) {
      await pushImage(registry, repository, tag, `2026-11-${day}T08:00:00Z`);
    }
    await grammarTests(report, image);
    const workspace = gitopsWorkspace(image);
    const settings = {
      ...trusted,
      'editor.minimap.enabled': false,
      // The web's own default saves by itself.
      'files.autoSave': 'off',
    };
    const bytesOf = (file: string): string => readFileSync(join(workspace.path, file)).toString('latin1');
    await withEditor({ settings, remove: workspace.remove }, async ({ open }) => {
      const window = await open({
        open: workspace.path,
        extensionDevelopmentPath: extension,
        size: { width: 1440, height: 900 },
      });
      const { page } = window;
      page.setDefaultTimeout(15_000);
      const lensTexts = () => page.locator('.editor-instance .codelens-decoration').allInnerTexts();
      const lenses = (isRight: (texts: readonly string[]) => boolean) => eventually('lenses', lensTexts, isRight);
      const clickLens = (text: string, nth = 0) =>
        page.locator('.editor-instance .codelens-decoration a', { hasText: text }).nth(nth).click();
      const save = async (file: string) => {
        await page.keyboard.press('Control+s');
        const name = file.split('/').at(-1) ?? file;
        await page.locator(`.tab.active:not(.dirty)[data-resource-name="${name}"]`).waitFor();
      };
      const before = bytesOf('apps/web.yaml');
      // A failed test must not leave its picker open for the next one.
      const test = (name: string, work: () => Promise<void>) =>
        report.test(name, async () => {
          await page.keyboard.press('Escape');
          await work();
        });

      await test('the view teaches or shows images, and nothing has asked the registry', async () => {
        await window.activity('Slipway');
        const row = window.row('web');
        await row.waitFor();
        assert.match((await row.textContent()) ?? '', /tags not fetched yet/);
        await window.screenshot('markers-before-fetch');
      });

      await test('each marker has one line of lenses before tags are known', async () => {
        await window.openFile('apps/web.yaml');
        const texts = await lenses((found) => found.some((text) => text.includes('tags not fetched yet')));
        assert.match(texts.join(' '), /1\.1\.0 by semver >=1\.0\.0 <2\.0\.0.*Fetch tags.*Roll back/s);
      });

      await test('Fetch tags asks the registry and the lens says what Flux would write', async () => {
        await clickLens('Fetch tags');
        const texts = await lenses((found) => found.some((text) => text.includes('1.1.0 → 1.3.0')));
        assert.match(texts.join(' '), /Bump.*Pick tag….*Roll back.*Why\?/s);
        assert.match(texts.join(' '), /tags just fetched/);
        await window.screenshot('markers-lenses-dark');
      });

      await test('Bump changes exactly one token; CRLF and byte order mark stay', async () => {
        await clickLens('Bump');
        await lenses((found) => found.some((text) => text.includes('1.3.0 is the latest')));
        assert.equal(bytesOf('apps/web.yaml'), before, 'the file is the person’s to save');
        await save('apps/web.yaml');
        assert.equal(bytesOf('apps/web.yaml'), before.replace(':1.1.0"', ':1.3.0"'));
      });

      await test('undo restores the bytes', async () => {
        await page.locator('.editor-instance .view-line').first().click();
        await page.keyboard.press('Control+z');
        await lenses((found) => found.some((text) => text.includes('1.1.0 → 1.3.0')));
        await save('apps/web.yaml');
        assert.equal(bytesOf('apps/web.yaml'), before);
      });

      await test('Bump honours unsaved changes around the marker', async () => {
        await page.locator('.editor-instance .view-line').first().click();
        await page.keyboard.press('Control+Home');
        await page.keyboard.type('# a new line\n');
        await lenses((found) => found.some((text) => text.includes('1.1.0 → 1.3.0')));
        await clickLens('Bump');
        await lenses((found) => found.some((text) => text.includes('1.3.0 is the latest')));
        await save('apps/web.yaml');
        const expected = before.replace(':1.1.0"', ':1.3.0"');
        assert.equal(bytesOf('apps/web.yaml'), `${expected.slice(0, 3)}# a new line\r\n${expected.slice(3)}`);
        writeFileSync(join(workspace.path, 'apps/web.yaml'), Buffer.from(before, 'latin1'));
        await lenses((found) => found.some((text) => text.includes('1.1.0 → 1.3.0')));
      });

      await test('Pick tag… shows allowed tags first, with age, platforms and digest', async () => {
        await clickLens('Pick tag…');
        const rows = page.locator('.quick-input-list .monaco-list-row');
        await page.locator('.quick-input-list .monaco-list-row[aria-label^="2.0.0"]').waitFor();
        const texts = (await rows.allInnerTexts()).map((text) => text.replaceAll('\n', ' '));
        assert.match(texts[0] ?? '', /1\.3\.0.*linux\/amd64, linux\/arm64.*[0-9a-f]{12}/);
        assert.match(texts.find((text) => text.startsWith('1.1.0')) ?? '', /in the file now/);
        assert.match(texts.find((text) => text.startsWith('2.0.0')) ?? '', /range|less than|<2\.0\.0/);
        assert.match(texts.find((text) => text.startsWith('latest')) ?? '', /not a semantic version/);
        await window.screenshot('markers-pick');
        await rows.filter({ hasText: '1.2.0' }).first().click();
        await eventually(
          'notification',
          () => window.notifications(),
          (all) => all.some((text) => /will write 1\.3\.0 again/.test(text)),
        );
        await save('apps/web.yaml');
        assert.equal(bytesOf('apps/web.yaml'), before.replace(':1.1.0"', ':1.2.0"'));
        await window.command('Notifications: Clear All Notifications');
      });

      await test('Roll back offers the values of git, and how the rollback stays', async () => {
        await clickLens('Roll back');
        const rows = page.locator('.quick-input-list .monaco-list-row');
        await rows.filter({ hasText: 'Start with 1.0.0' }).waitFor();
        await rows.filter({ hasText: 'Start with 1.0.0' }).click();
        await rows.filter({ hasText: 'Pin the policy to 1.0.0' }).waitFor();
        await window.screenshot('markers-rollback');
        await rows.filter({ hasText: 'Write 1.0.0 only' }).click();
        await lenses((found) => found.some((text) => text.includes('1.0.0 → 1.3.0')));
        await save('apps/web.yaml');
        assert.equal(bytesOf('apps/web.yaml'), before.replace(':1.1.0"', ':1.0.0"'));
      });

      await test('Why? says who wins and why the others are out', async () => {
        await clickLens('Why?');
        await page.locator('.tab.active', { hasText: 'Why flux-system web' }).waitFor();
        const text = await eventually(
          'document',
          async () => (await page.locator('.editor-instance .view-lines').last().innerText()).replaceAll('\u00a0', ' '),
          (shown) => shown.includes('Wins (1)'),
        );
        assert.match(text, /1\.3\.0\s+it is in the range .* and wins/);
        assert.match(text, /latest\s+it is not a semantic version/);
        await window.screenshot('markers-why');
      });

      await test('mistakes are problems with fixes', async () => {
        await window.openFile('apps/mistakes.yaml');
        await page.keyboard.press('Control+Shift+m');
        const problems = page.locator('.markers-panel .monaco-list-row');
        await problems.filter({ hasText: 'web is in the namespace flux-system' }).waitFor();
        const all = (await problems.allInnerTexts()).join('\n');
        assert.match(all, /There is no ImagePolicy flux-system:other/);
        assert.match(all, /":TAG" is not one of/);
        assert.match(all, /would never choose ".*2\.0\.0"/);
        assert.match(all, /Flux ignores this marker/);
        await window.screenshot('markers-problems');
        await page.keyboard.press('Control+Shift+m');
      });

      await test('a quick fix makes a dead marker live', async () => {
        await window.openFile('apps/mistakes.yaml');
        await page.locator('.editor-instance .view-line').first().click();
        await goToLine(window, 3);
        await page.keyboard.press('End');
        await page.keyboard.press('Control+.');
        const action = page.locator('.action-widget .monaco-list-row', {
          hasText: 'Make this a marker that Flux acts on',
        });
        await action.first().waitFor();
        await window.screenshot('markers-fix');
        await action.first().click();
        await save('apps/mistakes.yaml');
        assert.match(
          bytesOf('apps/mistakes.yaml'),
          /upperCase: "1\.1\.0" # \{"\$imagepolicy": "flux-system:web:tag"\}/,
        );
      });

      await test('hover shows policy, image, candidates with age, and who writes', async () => {
        await window.openFile('apps/web.yaml');
        await lenses((found) => found.length > 0);
        await page.locator('.view-line span', { hasText: '$imagepolicy' }).last().hover();
        const hover = page.locator('.monaco-hover-content', { hasText: 'ImagePolicy' });
        await hover.first().waitFor();
        const text = (await hover.first().innerText()).replaceAll('\u00a0', ' ');
        assert.match(text, /semver >=1\.0\.0 <2\.0\.0/);
        assert.match(text, /1\.3\.0 .*ago/);
        assert.match(text, /Written by apps every 30m/);
        await page.screenshot({ path: join(extension, 'test-results/screenshots/markers-hover.png') });
        await page.keyboard.press('Escape');
      });

      await test('go to definition leads from marker to policy and on to the image repository', async () => {
        await page.locator('.view-line span', { hasText: '$imagepolicy' }).last().click();
        await page.keyboard.press('F12');
        await page.locator('.tab.active[data-resource-name="images.yaml"]').waitFor();
        await eventually(
          'cursor',
          () => cursorLine(window),
          (line) => line === 13,
        );
        await goToLine(window, 17);
        await page.keyboard.press('End');
        await page.keyboard.press('F12');
        await eventually(
          'cursor',
          () => cursorLine(window),
          (line) => line === 4,
        );
      });

      await test('rename changes the policy and every marker', async () => {
        await goToLine(window, 13);
        await page.keyboard.press('End');
        await page.keyboard.press('F2');
        const box = page.locator('.rename-box input');
        await box.waitFor();
        await box.fill('storefront');
        await page.keyboard.press('Enter');
        await lenses((found) => found.length > 0);
        await page.keyboard.press('Control+k');
        await page.keyboard.press('s');
        await eventually(
          'file',
          () => bytesOf('apps/web.yaml'),
          (text) => text.includes('"flux-system:storefront"'),
        );
        const images = bytesOf('clusters/dev/images.yaml');
        assert.match(images, /kind: ImagePolicy\nmetadata:\n {2}name: storefront\n/);
        assert.match(images, /kind: ImageRepository\nmetadata:\n {2}name: web\n/);
        assert.match(bytesOf('apps/values.yaml'), /"flux-system:storefront:name".*"flux-system:storefront:tag"/s);
      });

      await test('the view shows who wins, what is behind and where; the badge counts', async () => {
        await window.activity('Slipway');
        await eventually(
          'row',
          () => window.row('web').textContent(),
          (text) => /behind · 6 tags/.test(text ?? ''),
        );
        await window.row('flux-system:storefront').waitFor();
        assert.match((await window.row('flux-system:storefront').textContent()) ?? '', /1\.3\.0 · \d markers behind/);
        await window.row('shop').last().waitFor();
        await page
          .locator('.activitybar .action-item', { has: page.locator('.action-label[aria-label^="Slipway"]') })
          .locator('.badge-content', { hasText: /^\d+$/ })
          .waitFor();
        await window.screenshot('markers-view-dark');
      });

      const rowsByKeyboard = () =>
        test('the rows say why, pick and roll back, and the keyboard gets there', async () => {
          await focusView(window, 'Images & Policies');
          await page.keyboard.press('Home');
          await walkTo(window, /flux-system:storefront/);
          await page.keyboard.press('ArrowRight');
          await walkTo(window, /apps\/web\.yaml/);
          const offered = await menuByKeyboard(window);
          for (const title of ['Bump Tag', 'Pick Tag…', 'Roll Back Tag', 'Why This Tag']) {
            assert.ok(offered.includes(title), `${title} among ${offered.join(', ')}`);
          }
          const marker = window.rows('Images & Policies').and(page.locator('[aria-label*="apps/web.yaml"]')).first();
          await window.contextMenu(marker, 'Pick Tag…');
          await page.locator('.quick-input-list .monaco-list-row[aria-label^="2.0.0"]').waitFor();
          await page.keyboard.press('Escape');
          await window.contextMenu(marker, 'Roll Back Tag');
          await page.locator('.quick-input-list .monaco-list-row').first().waitFor();
          await page.keyboard.press('Escape');
          await window.rowAction(window.row('flux-system:storefront'), 'Why This Tag');
          await page.locator('.tab.active', { hasText: 'Why flux-system storefront' }).waitFor();
          await window.row('flux-system:storefront').click();
        });
      if (report.isTrial) await rowsByKeyboard();

      await test('Bump All shows the changes before it makes them', async () => {
        const files = ['apps/web.yaml', 'apps/values.yaml'];
        const old = files.map(bytesOf);
        await window.row('flux-system:storefront').click();
        await window.row('flux-system:storefront').hover();
        await window.row('flux-system:storefront').locator('.action-label[aria-label^="Bump All Tags"]').click();
        const rows = page.locator('.quick-input-list .monaco-list-row');
        await rows.filter({ hasText: 'apps/values.yaml:3' }).waitFor();
        await window.screenshot('markers-bump-all');
        assert.deepEqual(files.map(bytesOf), old);
        // What is not ticked stays.
        await rows.filter({ hasText: 'apps/web.yaml:14' }).click();
        await page.locator('.quick-input-widget .monaco-button', { hasText: 'OK' }).click();
        await eventually(
          'file',
          () => bytesOf('apps/values.yaml'),
          (text) => text.includes('tag: 1.3.0 #'),
        );
        assert.equal(bytesOf('apps/values.yaml'), (old[1] ?? '').replace('tag: 1.1.0 #', 'tag: 1.3.0 #'));
        assert.equal(bytesOf('apps/web.yaml'), old[0]);
      });

      await test('Image Updater: its choice in the lens, and the edit it would commit', async () => {
        await window.openFile('argo/app.yaml');
        await lenses((found) => found.some((text) => /shop: 1\.2\.0 is the latest by semver ~1\.2/.test(text)));
        const kustomization = join(workspace.path, 'argo/shop/kustomization.yaml');
        const text = readFileSync(kustomization, 'utf8');
        writeFileSync(kustomization, text.replace('1.2.0', '1.1.0'));
        await lenses((found) => found.some((one) => /shop: 1\.1\.0 → 1\.2\.0/.test(one)));
        await window.screenshot('markers-updater');
        await clickLens('Bump');
        await page.locator('.tab.active[data-resource-name="kustomization.yaml"]').waitFor();
        await save('argo/shop/kustomization.yaml');
        assert.equal(readFileSync(kustomization, 'utf8'), text);
      });

      await test('the policy’s own lens follows the edit of its range before it is saved', async () => {
        await window.openFile('clusters/dev/images.yaml');
        await lenses((found) => found.some((text) => text.includes('selects 1.3.0 of 6 tags')));
        await goToLine(window, 20);
        await page.keyboard.press('End');
        await page.keyboard.type(' # wider');
        for (let at = 0; at < ' # wider'.length + 1; at += 1) await page.keyboard.press('ArrowLeft');
        for (let at = 0; at < 5; at += 1) await page.keyboard.press('Backspace');
        await page.keyboard.type('3.0.0');
        await lenses((found) => found.some((text) => text.includes('selects 2.0.0 of 6 tags')));
        await window.command('File: Revert File');
        await lenses((found) => found.some((text) => text.includes('selects 1.3.0 of 6 tags')));
      });

      for (const { name, label } of themes) {
        await test(`looks right in ${name}`, async () => {
          workspace.write('.vscode/settings.json', JSON.stringify({ 'workbench.colorTheme': label }));
          await window.openFile('apps/mistakes.yaml');
          await window.waitForTheme(name);
          await lenses((found) => found.length > 0);
          await window.screenshot(`markers-theme-${name}`);
        });
      }
    });
  },
};

async function goToLine(window: EditorWindow, line: number): Promise<void> {
  await window.page.keyboard.press('Control+g');
  await window.quickInput.waitFor();
  await window.quickInput.fill(`:${line}`);
  await window.page.keyboard.press('Enter');
  await eventually(
    'cursor',
    () => cursorLine(window),
    (at) => at === line,
  );
}

async function cursorLine(window: EditorWindow): Promise<number> {
  const text = await window.page
    .locator('.statusbar-item', { hasText: /^Ln \d+/ })
    .first()
    .innerText();
  return Number(/Ln (\d+)/.exec(text)?.[1]);
}

interface Token {
  readonly startIndex: number;
  readonly endIndex: number;
  readonly scopes: readonly string[];
}

/** The grammar with VS Code's own tokenizer and YAML grammars. */
async function grammarTests(report: Report, image: string): Promise<void> {
  const root = dirname(dirname(editorTools().server));
  const load = createRequire(join(root, 'package.json'));
  const { Registry, parseRawGrammar, INITIAL } = load('vscode-textmate');
  const { loadWASM, OnigScanner, OnigString } = load('vscode-oniguruma');
  await loadWASM(readFileSync(join(root, 'node_modules/vscode-oniguruma/release/onig.wasm')).buffer);
  const ours: Readonly<Record<string, string>> = {
    'slipway.imagepolicy.injection': join(extension, 'syntaxes/imagepolicy.injection.tmLanguage.json'),
    'slipway.image-updater.injection': join(extension, 'syntaxes/image-updater.injection.tmLanguage.json'),
  };
  const yaml = (scope: string): string =>
    join(
      root,
      'extensions/yaml/syntaxes',
      `${scope.replace(/^source\./, '').replace('yaml.', 'yaml-')}.tmLanguage.json`,
    );
  const registry = new Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (sources: readonly string[]) => new OnigScanner(sources),
      createOnigString: (text: string) => new OnigString(text),
    }),
    loadGrammar: async (scope: string) => {
      const file = ours[scope] ?? (scope.startsWith('source.yaml') ? yaml(scope) : undefined);
      return file === undefined ? null : parseRawGrammar(readFileSync(file, 'utf8'), file);
    },
    getInjections: (scope: string) => (scope === 'source.yaml' ? Object.keys(ours) : undefined),
  });
  const grammar = await registry.loadGrammar('source.yaml');
  const scopesOf = (text: string): readonly string[] => {
    let state = INITIAL;
    return text.split('\n').flatMap((line) => {
      const result = grammar.tokenizeLine(line, state) as {
        readonly tokens: readonly Token[];
        readonly ruleStack: unknown;
      };
      state = result.ruleStack;
      return result.tokens.flatMap(({ startIndex, endIndex, scopes }) => {
        const scope = scopes.findLast((one) => one.endsWith('.slipway'));
        return scope === undefined || /^(punctuation|meta)/.test(scope)
          ? []
          : [`${line.slice(startIndex, endIndex)}: ${scope}`];
      });
    });
  };
  await report.test('the grammar highlights a marker in a comment, with its part', () => {
    assert.deepEqual(scopesOf(`image: ${image}:1 # {"$imagepolicy": "apps:web:tag"}`), [
      '$imagepolicy: keyword.other.imagepolicy.slipway',
      'apps: entity.name.namespace.slipway',
      'web: entity.name.type.imagepolicy.slipway',
      'tag: support.constant.part.slipway',
    ]);
  });
  await report.test('the grammar leaves texts and malformed markers alone', () => {
    assert.deepEqual(scopesOf('a: |\n  x # {"$imagepolicy": "apps:web"}\nb: c # {"$imagepolicy": "apps:web:TAG"}'), []);
  });
  await report.test('the grammar highlights the annotations of Image Updater', () => {
    assert.deepEqual(
      scopesOf('metadata:\n  annotations:\n    argocd-image-updater.argoproj.io/web.update-strategy: semver'),
      [
        'argocd-image-updater.argoproj.io: entity.name.namespace.updater.slipway',
        'web: variable.parameter.alias.slipway',
        'update-strategy: keyword.other.updater.slipway',
      ],
    );
  });
}
