import { html, type TemplateResult } from 'lit';
import { icon, moveFocus } from './parts.ts';

export const tabs = ['run', 'diagnosis'] as const;
export type Tab = (typeof tabs)[number];

const words: Readonly<Record<Tab, readonly [icon: string, label: string]>> = {
  run: ['list-tree', 'Run'],
  diagnosis: ['pulse', 'Diagnosis'],
};

/** One tab stop; arrow keys go from tab to tab and choose it, as in the workbench's own panels. */
export const tabBar = (chosen: Tab, onChoose: (tab: Tab) => void): TemplateResult =>
  html`<div
    class="tabs"
    role="tablist"
    aria-label="Parts of the page"
    @keydown=${(event: KeyboardEvent) => moveFocus(event, '[role=tab]')?.click()}
  >
    ${tabs.map(
      (tab) =>
        html`<button
          type="button"
          role="tab"
          id="tab-${tab}"
          aria-selected=${tab === chosen ? 'true' : 'false'}
          aria-controls="panel-${tab}"
          tabindex=${tab === chosen ? 0 : -1}
          @click=${() => onChoose(tab)}
        >
          ${icon(words[tab][0])} ${words[tab][1]}
        </button>`,
    )}
  </div>`;
