import { html, nothing, type TemplateResult } from 'lit';
import type { CauseView } from '../../src/engine/events/index.ts';
import type { Failure } from '../../src/engine/problems/index.ts';
import { failedStep, type RunView } from '../../src/engine/run/projection.ts';
import type { RolloutState } from '../../src/extension/rollout/protocol.ts';
import { achievementOf, activityOf, conditionOf, duration } from '../../src/extension/words.ts';
import { capital, clock, conditionMark, icon, link, offerButton, plural, type Send } from './parts.ts';

/** The one thing to know now: what happens, what came out, or why it failed and what to do. */
export function outcome(state: RolloutState, send: Send, showLog: (step: string) => void): TemplateResult {
  const { run } = state;
  const condition = conditionOf(run, state.isLive);
  switch (condition) {
    case 'running':
      return html`<section class="outcome busy" aria-label="Now">
        <p class="headline">${conditionMark('running')} <span>${capital(activityOf(run))}</span></p>
        ${doing(run)} ${contact(run)} ${run.warnings.map((warning) => warningLine(warning))}
      </section>`;
    case 'succeeded':
      return succeeded(run, send);
    case 'failed':
    case 'rolled back':
    case 'unknown':
      return failed(state, send, showLog);
    case 'interrupted':
      return html`<section class="outcome warn" aria-label="Outcome">
        <p class="headline">${conditionMark(condition)} <span>${
          run.hostEnded === true
            ? 'The window was closed while this run went on'
            : 'The process of this run has ended without a word'
        }</span></p>
        <p class="fix">Resume looks at the registry and the cluster, and goes on without doing anything twice.</p>
      </section>`;
    case 'cancelled':
      return html`<section class="outcome quiet" aria-label="Outcome">
        <p class="headline">${conditionMark(condition)} <span>Cancelled${
          run.deployed === undefined
            ? '; nothing was deployed'
            : ` after the deploy of ${run.deployed.revision === undefined ? 'a new version' : `revision ${run.deployed.revision}`}`
        }</span></p>
        ${
          run.deployed === undefined || run.rollback !== undefined
            ? nothing
            : html`<p class="fix">What was deployed stays, and the cluster goes on with it unwatched. Resume watches on from here.</p>`
        }
        ${rollback(run)}
        <div class="actions">${state.fixes.map((offer) => offerButton(offer, 'other', send))}</div>
      </section>`;
  }
}

function succeeded(run: RunView, send: Send): TemplateResult {
  const passed = run.smoke.filter(({ isOk }) => isOk).length;
  const facts = [
    ...(run.verdict === undefined
      ? []
      : [`${run.verdict.message.replace(/\.$/, '')} after ${duration(run.verdict.elapsedMs)}`]),
    ...(run.smoke.length === 0 ? [] : [`${passed} of ${plural(run.smoke.length, 'smoke check')} passed`]),
  ];
  const { subject, words } = achievementOf(run);
  return html`<section class="outcome good" aria-label="Outcome">
    <p class="headline">
      ${conditionMark('succeeded')}
      <span>${subject === undefined ? nothing : html`<code>${subject}</code>`} ${words}</span>
    </p>
    ${facts.length === 0 ? nothing : html`<p>${facts.join('. ')}.</p>`}
    ${
      run.endpoints.length === 0
        ? nothing
        : html`<p class="endpoints">
            ${run.endpoints.map(
              ({ title, url }) =>
                html`<span>${icon('link-external')} ${title}: ${link(url, () => send({ kind: 'openEndpoint', url }))}</span>`,
            )}
          </p>`
    }
  </section>`;
}

function failed({ run, fixes, isLive }: RolloutState, send: Send, showLog: (step: string) => void): TemplateResult {
  const condition = conditionOf(run, isLive);
  const step = failedStep(run);
  const cause = run.verdict?.state === 'failed' ? run.verdict.causes[0] : undefined;
  const failure: Failure | undefined = step?.failure ?? run.failure;
  const message = cause?.message ?? failure?.message ?? 'The run failed without naming a cause.';
  const fix = cause?.fix ?? failure?.fix;
  const evidence = cause?.evidence ?? failure?.evidence ?? [];
  const others = run.verdict?.causes.slice(1) ?? [];
  return html`<section class="outcome ${condition === 'unknown' ? 'warn' : 'bad'}" aria-label="Outcome">
    <p class="headline">${condition === 'unknown' ? conditionMark(condition) : icon('error', 'bad')} <span>${message}</span></p>
    ${
      cause === undefined
        ? nothing
        : html`<p class="where">
            ${cause.object.kind} <code>${cause.object.name}</code>${
              cause.container === undefined ? '' : html`, container <code>${cause.container}</code>`
            }<span class="named">${namedAfter(cause)}</span>
          </p>`
    }
    ${fix === undefined ? nothing : html`<p class="fix"><strong>Fix:</strong> ${fix}</p>`}
    ${
      evidence.length === 0
        ? nothing
        : html`<details ?open=${failure?.reason !== 'gate'}>
            <summary>Evidence</summary>
            <pre tabindex="0">${evidence.join('\n')}</pre>
          </details>`
    }
    ${others.map((other) => html`<p class="also">Also: ${other.message} ${other.fix}</p>`)} ${rollback(run)}
    <div class="actions">
      ${fixes.map((offer) => offerButton(offer, 'other', send))}
      ${
        step === undefined
          ? nothing
          : html`<vscode-button secondary icon="output" title=${step.title} @click=${() => showLog(step.id)}
              ><span class="button-label">Log of ${step.title}</span></vscode-button
            >`
      }
      ${
        failure?.place === undefined
          ? nothing
          : html`<vscode-button
              secondary
              icon="go-to-file"
              @click=${() => send({ kind: 'openFailure', ...(step !== undefined && { step: step.id }) })}
              >Open ${failure.place.file.split(/[\\/]/).at(-1)}${
                failure.place.range === undefined ? '' : `, line ${failure.place.range.start.line + 1}`
              }</vscode-button
            >`
      }
    </div>
  </section>`;
}

function namedAfter({ firstSeen, namedAt }: CauseView): string {
  if (firstSeen === undefined || namedAt === undefined) return '';
  return `, named ${duration(Date.parse(namedAt) - Date.parse(firstSeen))} after the cluster first reported it`;
}

function rollback(run: RunView): TemplateResult | typeof nothing {
  if (run.rollback === undefined) return nothing;
  const { finished, target } = run.rollback;
  if (finished === undefined) {
    return html`<p class="rollback">${conditionMark('running')} Rolling back to ${target}</p>`;
  }
  const message = finished.message.replace(/\.$/, '');
  const isTimed = finished.sinceDeployMs === undefined || message.includes('after the deploy began');
  const after = isTimed ? '' : `, ${duration(finished.sinceDeployMs ?? 0)} after the deploy began`;
  const isGood = finished.outcome === 'restored';
  return html`<p class="rollback">
    ${icon('discard', isGood ? 'good' : 'bad')}
    <span><strong>${isGood ? 'Rolled back' : 'Rollback'}:</strong> ${message}${after}.</span>
  </p>`;
}

/** What the steps under way say of themselves. */
const doing = (run: RunView): readonly TemplateResult[] =>
  run.steps
    .filter(({ state, message }) => state === 'running' && message !== undefined)
    .map(({ message }) => html`<p class="doing">${message}</p>`);

function contact(run: RunView): TemplateResult | typeof nothing {
  if (run.contact === undefined || run.contact.state === 'connected') return nothing;
  return html`<p class="warning">
    ${icon('debug-disconnect', 'warn')}
    <span
      >Contact to the cluster ${run.contact.state} since
      ${clock(run.contact.since)}${run.contact.message === undefined ? '' : `: ${run.contact.message}`}</span
    >
  </p>`;
}

const warningLine = (warning: CauseView): TemplateResult =>
  html`<p class="warning">
    ${icon('warning', 'warn')} <span>${warning.object.kind} <code>${warning.object.name}</code>: ${warning.message}</span>
  </p>`;
