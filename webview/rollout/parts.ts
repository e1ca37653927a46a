// Small pieces all sections use: icons with words, links, keyboard within a list.
import { html, nothing, type TemplateResult } from 'lit';
import type { Offer } from '../../src/extension/rollout/protocol.ts';
import type { RunCondition, StepCondition } from '../../src/extension/words.ts';

export type Send = (message: import('../../src/extension/rollout/protocol.ts').ToHost) => void;

/** How bad or good something is: picks colour; an icon and a word always go with it. */
export type Tone = 'good' | 'bad' | 'busy' | 'warn' | 'quiet';

export const icon = (name: string, tone?: Tone): TemplateResult =>
  html`<span class="codicon codicon-${name} ${tone === undefined ? '' : `tone-${tone}`}" aria-hidden="true"></span>`;

export const conditionIcon: Readonly<Record<RunCondition | StepCondition, readonly [string, Tone]>> = {
  waiting: ['circle-outline', 'quiet'],
  running: ['sync', 'busy'],
  succeeded: ['pass', 'good'],
  failed: ['error', 'bad'],
  'rolled back': ['discard', 'bad'],
  unknown: ['question', 'warn'],
  cancelled: ['circle-slash', 'quiet'],
  skipped: ['debug-step-over', 'quiet'],
  interrupted: ['debug-disconnect', 'warn'],
};

export function conditionMark(condition: RunCondition | StepCondition): TemplateResult {
  const [name, tone] = conditionIcon[condition];
  return html`<span
    class="codicon codicon-${name} tone-${tone} ${condition === 'running' ? 'spinning' : ''}"
    aria-hidden="true"
  ></span>`;
}

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The time of day where the person is, as `14:03:09`; what is no time stays as it is. */
export function clock(time: string): string {
  const at = new Date(time);
  return Number.isNaN(at.getTime())
    ? time
    : [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

export const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

const offerWords: Readonly<Record<Offer, { readonly label: string; readonly icon: string }>> = {
  cancel: { label: 'Cancel run', icon: 'debug-stop' },
  resume: { label: 'Resume', icon: 'debug-continue' },
  runAgain: { label: 'Run again', icon: 'play' },
  rollBack: { label: 'Roll back…', icon: 'discard' },
  deploy: { label: 'Deploy another version…', icon: 'rocket' },
  smoke: { label: 'Check again', icon: 'beaker' },
  diagnose: { label: 'Diagnose', icon: 'search' },
  unlock: { label: 'Take the lock away', icon: 'unlock' },
};

export const offerButton = (offer: Offer, rank: 'main' | 'other', send: Send): TemplateResult =>
  html`<vscode-button
    ?secondary=${rank === 'other'}
    icon=${offerWords[offer].icon}
    @click=${() => send({ kind: 'do', offer })}
    >${offerWords[offer].label}</vscode-button
  >`;

/** A link that the host opens after it has checked that the run knows the address. */
export const link = (text: string | TemplateResult, onClick: () => void, title?: string): TemplateResult =>
  html`<button type="button" class="link" title=${title ?? nothing} @click=${onClick}>${text}</button>`;

export function section(
  name: string,
  title: string,
  aside: TemplateResult | string | typeof nothing,
  body: TemplateResult,
): TemplateResult {
  return html`<section class="section ${name}" aria-labelledby="title-${name}">
    <div class="section-head">
      <h2 id="title-${name}">${title}</h2>
      <span class="aside">${aside}</span>
    </div>
    ${body}
  </section>`;
}

/**
 * Arrow keys within a list that is one tab stop. Moves the focus among the elements of the selector and gives the element
 * that has it now; undefined when the key is none of ours.
 */
export function moveFocus(event: KeyboardEvent, selector: string): HTMLElement | undefined {
  const list = event.currentTarget;
  if (!(list instanceof HTMLElement)) return undefined;
  const items = [...list.querySelectorAll<HTMLElement>(selector)];
  const at = items.findIndex((item) => item === event.target || item.contains(event.target as Node));
  const to = {
    ArrowDown: at + 1,
    ArrowRight: at + 1,
    ArrowUp: at - 1,
    ArrowLeft: at - 1,
    Home: 0,
    End: items.length - 1,
  }[event.key];
  if (to === undefined || at === -1) return undefined;
  event.preventDefault();
  const item = items[Math.min(items.length - 1, Math.max(0, to))];
  item?.focus();
  return item;
}
