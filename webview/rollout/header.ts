import { html, nothing, svg, type TemplateResult } from 'lit';
import type { HistoryEntry, RolloutState } from '../../src/extension/rollout/protocol.ts';
import { age, conditionOf, duration, type RunCondition, startedByWords } from '../../src/extension/words.ts';
import { capital, conditionIcon, conditionMark, moveFocus, offerButton, type Send } from './parts.ts';

export function header(state: RolloutState, now: number, send: Send): TemplateResult {
  const { run } = state;
  const condition = conditionOf(run, state.isLive);
  const [, tone] = conditionIcon[condition];
  const took = run.durationMs ?? (condition === 'running' ? now - Date.parse(run.startedAt) : undefined);
  const source =
    run.commit === undefined
      ? nothing
      : html`<span title=${run.commit}
          >${run.branch === undefined ? '' : `${run.branch} at `}<code>${run.commit.slice(0, 7)}</code>${
            run.isDirty === true ? ' with local changes' : ''
          }</span
        >`;
  return html`<header class="top">
    <div class="top-row">
      <h1>${run.environment ?? 'Images only'}</h1>
      <span class="pill tone-${tone}">${conditionMark(condition)}<span class="pill-word">${capital(condition)}</span></span>
      ${took === undefined ? nothing : html`<span class="took">${duration(took)}</span>`}
      <span class="grow"></span>
      <div class="actions">
        ${state.offers.map((offer, index) =>
          offerButton(offer, index === state.offers.length - 1 && offer !== 'cancel' ? 'main' : 'other', send),
        )}
      </div>
    </div>
    <div class="top-row">
      <p class="meta">
        <span>${state.project}</span>
        ${run.tag === undefined ? nothing : html`<span><code>${run.tag}</code></span>`} ${source}
        <span title=${run.startedAt}>started ${startedByWords[run.startedBy]} ${age(run.startedAt, now)}</span>
      </p>
      <span class="grow"></span>
      ${history(state.history, run.id, now, send)}
    </div>
  </header>`;
}

const barHeight = 22;

/** Earlier runs of the environment as bars as high as they took; one tab stop, arrow keys move. */
function history(
  entries: readonly HistoryEntry[],
  shown: string,
  now: number,
  send: Send,
): TemplateResult | typeof nothing {
  if (entries.length < 2) return nothing;
  const longest = Math.max(...entries.map((entry) => entry.durationMs ?? 0), 1);
  return html`<div
    class="history"
    role="listbox"
    aria-label="Runs of this environment, oldest first"
    aria-orientation="horizontal"
    @keydown=${(event: KeyboardEvent) => moveFocus(event, '[role=option]')?.click()}
  >
    ${entries.map((entry) => {
      const condition = entry.condition as RunCondition;
      const [, tone] = conditionIcon[condition];
      const height = Math.max(3, Math.round(((entry.durationMs ?? longest) / longest) * barHeight));
      const words = [
        capital(condition),
        age(entry.startedAt, now),
        ...(entry.durationMs === undefined ? [] : [`took ${duration(entry.durationMs)}`]),
        ...(entry.tag === undefined ? [] : [entry.tag]),
      ].join(', ');
      const isShown = entry.run === shown;
      return html`<span
        role="option"
        class="history-run tone-${tone}"
        aria-selected=${isShown ? 'true' : 'false'}
        aria-label=${words}
        title=${words}
        tabindex=${isShown ? 0 : -1}
        @click=${() => send({ kind: 'showRun', run: entry.run })}
        ><svg viewBox="0 0 6 ${barHeight}" width="6" height=${barHeight} aria-hidden="true">
          ${svg`<rect x="0" width="6" y=${barHeight - height} height=${height} rx="1" class=${
            condition === 'succeeded' ? 'solid' : 'hatched'
          } />`}
        </svg></span
      >`;
    })}
  </div>`;
}
