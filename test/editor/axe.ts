// Rules of accessibility, by axe, on a page or on the document inside of a webview.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Frame, Page } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeAnswer {
  readonly violations: readonly {
    readonly id: string;
    readonly help: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

/** axe's own script cannot run under the page's policy as a tag; evaluated by the test driver it can. */
export async function axeViolations(page: Page | Frame): Promise<readonly string[]> {
  await page.evaluate(axe);
  const answer = await page.evaluate(async () => {
    const { axe: runner } = window as unknown as { axe: { run(context: Document): Promise<unknown> } };
    return (await runner.run(document)) as AxeAnswer;
  });
  return answer.violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}\n${nodes
        .slice(0, 4)
        .map(({ html, failureSummary }) => `  ${html.slice(0, 200)}\n  ${failureSummary}`)
        .join('\n')}`,
  );
}
