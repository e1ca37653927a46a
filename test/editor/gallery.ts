// `npm run gallery`: the pictures of docs/gallery.md, taken in a real VS Code in its four themes from runs in known states.
// Look at each of them before committing it.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildBundle } from '../bundle.ts';
import { trusted, withEditor } from './editor.ts';
import { withPalette } from './palette.ts';
import { writeDiagnosis } from './samples/diagnosis.ts';
import { gatedRun, rolledBackRun, runningRun, type SampleRun, succeededRun, writeRun } from './samples/runs.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { eventually } from './suite.ts';
import { themes } from './themes/index.ts';
import { type EditorWindow, launchBrowser } from './window.ts';

const root = join(import.meta.dirname, '..', '..');
process.chdir(root);
const folder = join(root, 'docs', 'gallery');
const size = { width: 1440, height: 860 };

interface Picture {
  readonly name: string;
  readonly about: string;
  readonly take: (window: EditorWindow, workspace: string) => Promise<void>;
}

const pictures: readonly Picture[] = [
  {
    name: 'rolled-back',
    about: 'A version whose image is missing: cause, evidence and ways out; the version before serves again',
    take: async (window) => {
      await window.row('dev').waitFor();
      await window.row('Roll out on dev').click();
      await window.webview().getByText('Revision 6 serves again', { exact: false }).first().waitFor();
    },
  },
  {
    name: 'diagnosis',
    about: 'Its diagnosis: known troubles recognised, logs before a restart, events, pods, history and nodes',
    take: async (window) => {
      await window.webview().getByRole('tab', { name: 'Diagnosis' }).click();
      await window.webview().getByRole('heading', { name: 'Recognised' }).waitFor();
    },
  },
  {
    name: 'history',
    about: 'The Runs view: every run with cause, time and who started it; findings of the gate in Problems',
    take: async (window, workspace) => {
      // The newest scan counts, so the run that the gate stopped comes last.
      const now = minutesAgo(1);
      writeRun(workspace, gatedRun(idAt(now, '0b0b0b'), now));
      await window.command('View: Close Editor');
      await window.section('Pipelines').click();
      await window.section('Runs').click();
      await window.command('Problems: Focus on Problems View');
      const finding = window.page.locator('.markers-panel .monaco-list-row', { hasText: 'PyYAML 5.3.1: CRITICAL' });
      await finding.first().dblclick();
      await window.page.locator('.tab', { hasText: 'api.Dockerfile' }).waitFor();
      await eventually(
        'rows of Runs',
        () => window.sectionRows('Runs'),
        (rows) => rows.length === 3,
      );
    },
  },
  {
    name: 'running',
    about: 'A run in the middle of its rollout, and slipway.yaml with its lenses beside it',
    take: async (window, workspace) => {
      const now = new Date(Date.now() - 27_000).toISOString();
      writeRun(workspace, runningRun(idAt(now, 'a1b2c3'), now));
      await window.command('View: Close All Editors');
      await window.command('View: Close Panel');
      await window.openFile('slipway.yaml');
      await window.command('View: Split Editor Right');
      await window.section('Runs').click();
      await window.section('Pipelines').click();
      await window.row('Roll out on dev').click();
      await window.webview().getByText('The readiness probe of api answers 503.').waitFor();
      await window.page.locator('.codelens-decoration', { hasText: 'Run' }).first().waitFor();
    },
  },
  {
    name: 'interrupted',
    about: 'A run whose process died: status bar, row and page offer to go on with it',
    take: async (window, workspace) => {
      const now = minutesAgo(0);
      writeRun(workspace, ofDeadProcess(runningRun(idAt(now, 'dead01'), now)));
      await window.command('View: Close All Editors');
      await window.row('Roll out on dev').click();
      await window.webview().getByText('has ended without a word', { exact: false }).waitFor();
    },
  },
];

/** No process has a number beyond the kernel's most, 4194304. */
const ofDeadProcess = (run: SampleRun): SampleRun => ({
  ...run,
  events: run.events.map((event) => (event.type === 'run.started' ? { ...event, pid: 4_194_305 } : event)),
});

/** The icon font of the page comes after its first paint. */
async function iconsOf(window: EditorWindow): Promise<void> {
  const body = window.webview().locator('body');
  if ((await body.count()) > 0) await body.evaluate(() => document.fonts.load('16px codicon'));
}

const minutesAgo = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();
const idAt = (time: string, end: string): string => `${time.slice(0, 19).replace(/[-:]/g, '')}Z-${end}`;

buildBundle();
mkdirSync(folder, { recursive: true });
const browser = await launchBrowser();
try {
  for (const theme of themes) {
    const workspace = sampleWorkspace({ 'docker/api.Dockerfile': 'FROM scratch\n\n\nCOPY . /app\nCMD ["/app/api"]\n' });
    const [first, second] = [minutesAgo(95), minutesAgo(4)];
    writeRun(workspace.path, succeededRun(idAt(first, '11aa22'), first));
    writeRun(workspace.path, rolledBackRun(idAt(second, '77be01'), second));
    writeDiagnosis(workspace.path, idAt(second, '77be01'));
    const settings = { ...trusted, 'workbench.colorTheme': theme.label };
    await withEditor({ browser, settings, remove: workspace.remove }, async ({ open }) => {
      const window = await open({ open: workspace.path, size });
      window.page.setDefaultTimeout(20_000);
      await window.activity('Slipway');
      for (const { name, take } of pictures) {
        const path = join(folder, `${name}-${theme.name}.png`);
        try {
          await take(window, workspace.path);
          await iconsOf(window);
          await window.page.mouse.move(720, 5);
          writeFileSync(path, withPalette(await window.page.screenshot({ animations: 'disabled', caret: 'hide' })));
          console.log(path);
        } catch (error) {
          // The others are taken all the same; the program fails in the end.
          console.error(`${name} in ${theme.name}: ${error instanceof Error ? error.message : String(error)}`);
          process.exitCode = 1;
        }
      }
      await window.close();
    });
  }
} finally {
  await browser.close();
}
const taken = pictures.filter(({ name }) =>
  themes.every((theme) => existsSync(join(folder, `${name}-${theme.name}.png`))),
);
const sections = taken.map(
  ({ name, about }) =>
    `## ${about}\n\n${themes.map((theme) => `![${about}, ${theme.label}](gallery/${name}-${theme.name}.png)`).join('\n')}\n`,
);
writeFileSync(join(root, 'docs', 'gallery.md'), `# Gallery\n\nTaken by \`npm run gallery\`.\n\n${sections.join('\n')}`);
