// What a red test of the editor leaves behind for whoever looks for the cause: what was on screen, as picture and as text, and
// what the editor, its extension host and the extension wrote.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Page } from 'playwright-core';

const folder = join(import.meta.dirname, '..', '..', 'test-results', 'editor', 'failures');
/** Lines of each part that are printed; the folder has all of it. */
const PRINTED = 12;

interface Running {
  /** Folder of the server's and its extension hosts' logs. */
  readonly logs: string;
  readonly output: () => string;
}
const servers = new Set<Running>();
const pages = new Map<Page, string[]>();

/** Until it is closed, this page is part of the evidence. */
export function watchPage(page: Page): readonly string[] {
  const lines: string[] = [];
  pages.set(page, lines);
  page.on('console', (message) => lines.push(message.text()));
  page.once('close', () => pages.delete(page));
  return lines;
}

/** Until the function it gives is called, this server is part of the evidence. */
export function watchServer(server: Running): () => void {
  servers.add(server);
  return () => servers.delete(server);
}

/** Writes down what is there now, and gives its last lines with the name of the folder. Throws nothing: the test's own error counts. */
export async function keepEvidence(test: string): Promise<string> {
  const name = `${test.replace(/[^\w]+/g, '-').slice(0, 80)}-${Date.now()}`;
  const kept = join(folder, name);
  const said: string[] = [];
  const keep = (file: string, text: string) => {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    if (lines.length === 0) return;
    writeFileSync(join(kept, file), `${lines.join('\n')}\n`);
    said.push(`-- ${file}`, ...lines.slice(-PRINTED).map((line) => line.slice(0, 300)));
  };
  try {
    mkdirSync(kept, { recursive: true });
    for (const [index, [page, console]] of [...pages].entries()) {
      keep(`${index}-console.txt`, console.join('\n'));
      // The workbench last: what it shows is what is printed.
      const frames = page.frames().toReversed();
      const texts = frames.map((frame) => frame.locator('body').innerText({ timeout: 2_000 }).catch(String));
      keep(`${index}-text.txt`, (await Promise.all(texts)).join('\n'));
      await page.screenshot({ path: join(kept, `${index}.png`), timeout: 10_000 }).catch((error: unknown) => {
        said.push(`no picture: ${String(error)}`);
      });
    }
    for (const [index, { logs, output }] of [...servers].entries()) {
      keep(`${index}-server.txt`, output());
      for (const file of logFiles(logs)) {
        const name = relative(logs, file);
        const flat = `${index}-${name.replaceAll(/[\\/]/g, '-')}`;
        if (/exthost\.log$|slipway/i.test(name)) keep(flat, readFileSync(file, 'utf8'));
        else copyFileSync(file, join(kept, flat));
      }
    }
  } catch (error) {
    said.push(`the evidence is not whole: ${String(error)}`);
  }
  return [`evidence in ${relative(process.cwd(), kept)}`, ...said].join('\n');
}

function logFiles(logs: string): readonly string[] {
  if (!existsSync(logs)) return [];
  return readdirSync(logs, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.log'))
    .map((file) => join(logs, file))
    .sort();
}
