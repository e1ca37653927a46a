// What was collected about a failure: recognised troubles, events, logs, pods, history, nodes.
import { html, nothing, type TemplateResult } from 'lit';
import type { CauseView } from '../../src/engine/events/index.ts';
import type { ShownDiagnosis } from '../../src/extension/rollout/diagnosis.ts';
import { age } from '../../src/extension/words.ts';
import { clock, icon, plural, type Send, section, type Tone } from './parts.ts';

export interface DiagnosisOptions {
  readonly data: ShownDiagnosis;
  readonly origin: 'run' | 'now';
  /** Causes of the run's verdict; empty for what was collected since. */
  readonly causes: readonly CauseView[];
  /** The host would collect again. */
  readonly canCollect: boolean;
  /** ms since the epoch, of the host. */
  readonly now: number;
  readonly events: 'warnings' | 'all';
  readonly onEvents: (which: 'warnings' | 'all') => void;
  readonly send: Send;
}

export function diagnosis(options: DiagnosisOptions): TemplateResult {
  const { data } = options;
  return html`<p class="diagnosis-head">
      <span class="faint" title=${data.time}
        >${options.origin === 'run' ? 'Collected when the run failed' : 'Collected'} ${age(data.time, options.now)}, namespace
        <code>${data.namespace}</code></span
      >
      <span class="grow"></span>
      ${
        options.canCollect
          ? html`<vscode-button
              secondary
              icon="refresh"
              @click=${() => options.send({ kind: 'do', offer: 'diagnose' })}
              >Collect again</vscode-button
            >`
          : nothing
      }
      <vscode-button secondary icon="markdown" @click=${() => options.send({ kind: 'openDiagnosis' })}
        >Open as document</vscode-button
      >
    </p>
    <div class="columns">
      <div class="column">${causes(options.causes)} ${troubles(data)} ${logs(data)} ${events(options)}</div>
      <div class="column">${pods(data)} ${workloads(data)} ${history(data, options.now)} ${nodes(data)} ${missing(data)}</div>
    </div>`;
}

/** A single one stands above already, with its fix and evidence. */
function causes(all: readonly CauseView[]): TemplateResult | typeof nothing {
  if (all.length < 2) return nothing;
  return section(
    'causes',
    'Causes',
    `${all.length} at once`,
    html`<ol class="plain">
      ${all.map(
        (cause) =>
          html`<li class="trouble">
            <p class="trouble-head">
              ${icon('error', 'bad')}
              <span><strong>${cause.message}</strong> <span class="faint">${cause.object.kind} <code>${cause.object.name}</code></span></span>
            </p>
            <p class="fix"><strong>Fix:</strong> ${spans(cause.fix)}</p>
            ${cause.evidence.length === 0 ? nothing : html`<pre tabindex="0" aria-label="Evidence">${cause.evidence.join('\n')}</pre>`}
          </li>`,
      )}
    </ol>`,
  );
}

function troubles({ troubles: found }: ShownDiagnosis): TemplateResult {
  return section(
    'troubles',
    'Recognised',
    found.length === 0 ? 'nothing known' : plural(found.length, 'known trouble'),
    found.length === 0
      ? html`<p class="faint">None of the known troubles shows. Events and logs may say more.</p>`
      : html`<ol class="plain">
          ${found.map(
            ({ title, evidence, fix }) =>
              html`<li class="trouble">
                <p class="trouble-head">${icon('lightbulb', 'warn')} <strong>${title}</strong></p>
                <p class="fix">${spans(fix)}</p>
                <p class="evidence"><code>${evidence}</code></p>
              </li>`,
          )}
        </ol>`,
  );
}

/** The log of a container that ended says why it ended, so the first of those is open. */
function logs({ logs: all, pods: states }: ShownDiagnosis): TemplateResult | typeof nothing {
  if (all.length === 0) return nothing;
  const isBroken = (pod: string) => states.some(({ name, isReady }) => name === pod && !isReady);
  const first = all.find(({ isPrevious }) => isPrevious) ?? all.find(({ pod }) => isBroken(pod));
  return section(
    'logs',
    'Logs',
    plural(all.length, 'container log'),
    html`${all.map((log) => {
      const lines = log.text.trimEnd().split('\n');
      return html`<details class="log-of" ?open=${log === first}>
        <summary>
          <code>${log.pod}</code> ${log.container}
          ${log.isPrevious ? html`<span class="chip">before its restart</span>` : nothing}
          <span class="faint">${plural(lines.length, 'line')}</span>
        </summary>
        <pre tabindex="0" aria-label="Log of ${log.container} in ${log.pod}">${lines.join('\n')}</pre>
      </details>`;
    })}`,
  );
}

function events({ data, events: which, onEvents }: DiagnosisOptions): TemplateResult {
  const warnings = data.events.filter(({ type }) => type === 'Warning');
  const seen = which === 'all' ? data.events : warnings;
  const others = data.events.length - warnings.length;
  return section(
    'events',
    'Events',
    html`${plural(warnings.length, 'warning')}${
      others === 0
        ? nothing
        : html` <button
            type="button"
            class="link"
            aria-pressed=${which === 'all' ? 'true' : 'false'}
            @click=${() => onEvents(which === 'all' ? 'warnings' : 'all')}
          >
            ${which === 'all' ? 'only warnings' : `show ${others} more`}
          </button>`
    }`,
    seen.length === 0
      ? html`<p class="faint">No ${which === 'all' ? 'event' : 'warning'} about these workloads.</p>`
      : html`<ul class="plain">
          ${[...seen].reverse().map(
            ({ at, type, reason, object, message, count }) =>
              html`<li class="event">
                ${icon(type === 'Warning' ? 'warning' : 'info', type === 'Warning' ? 'warn' : 'quiet')}
                <span class="event-time faint">${clock(at)}</span>
                <span class="event-words"
                  ><strong>${reason}</strong> <span class="faint">${object}${count > 1 ? `, ${count} times` : ''}</span><br />${message}</span
                >
              </li>`,
          )}
        </ul>`,
  );
}

function pods({ pods: states }: ShownDiagnosis): TemplateResult | typeof nothing {
  if (states.length === 0) return nothing;
  const ready = states.filter(({ isReady }) => isReady).length;
  return section(
    'pods',
    'Pods',
    `${ready} of ${states.length} ready`,
    html`<ul class="plain">
      ${[...states]
        .sort((a, b) => Number(a.isReady) - Number(b.isReady))
        .map((pod) => {
          const [name, tone]: readonly [string, Tone] = pod.isReady ? ['pass', 'good'] : ['error', 'bad'];
          return html`<li class="pod">
            <p class="pod-head">
              ${icon(name, tone)} <code>${pod.name}</code>
              <span class="faint">${pod.isReady ? 'ready' : pod.phase}${pod.node === '' ? '' : ` on ${pod.node}`}</span>
            </p>
            ${pod.unschedulable === undefined ? nothing : html`<p class="container-words">${pod.unschedulable}</p>`}
            ${pod.containers.map((container) => containerLine(container))}
          </li>`;
        })}
    </ul>`,
  );
}

function containerLine(container: ShownDiagnosis['pods'][number]['containers'][number]): TemplateResult {
  const { name, state, exitCode, lastReason, lastExitCode, message, restarts, image } = container;
  const facts = [
    `${state}${exitCode === undefined ? '' : `, exit code ${exitCode}`}`,
    ...(lastExitCode === undefined ? [] : [`before: ${lastReason ?? 'ended'}, exit code ${lastExitCode}`]),
    ...(restarts === 0 ? [] : [plural(restarts, 'restart')]),
  ];
  return html`<p class="container-words" title=${image}>
    ${name}: ${facts.join('; ')}${message === '' ? nothing : html`<br /><span class="faint">${message}</span>`}
  </p>`;
}

function workloads({ workloads: all }: ShownDiagnosis): TemplateResult | typeof nothing {
  if (all.length === 0) return nothing;
  return section(
    'conditions',
    'Workloads',
    nothing,
    html`<ul class="plain">
      ${all.map(
        ({ name, desired, updated, ready, available, conditions }) =>
          html`<li class="pod">
            <p>${name}</p>
            <p class="container-words">
              wanted ${desired}, updated ${updated}, ready ${ready}, available ${available}
              ${conditions.map((text) => html`<br /><span class="faint">${text}</span>`)}
            </p>
          </li>`,
      )}
    </ul>`,
  );
}

function history({ history: all }: ShownDiagnosis, now: number): TemplateResult | typeof nothing {
  if (all.length === 0) return nothing;
  return section(
    'revisions',
    'History',
    nothing,
    html`${all.map(
      ({ of, revisions }) =>
        html`<details class="log-of" ?open=${all.length < 4}>
          <summary>${of} <span class="faint">${plural(revisions.length, 'revision')}</span></summary>
          <ul class="plain">
            ${revisions.map(
              ({ number, at, name, images, isVerified }) =>
                html`<li class="pod">
                  <p>
                    <strong>${number}</strong> <span class="faint">${Number.isNaN(Date.parse(at)) ? '' : age(at, now)}</span>
                    ${isVerified ? html`<span class="chip">verified</span>` : nothing}
                  </p>
                  <p class="container-words">
                    <span class="faint">${name}</span>${images.map((image) => html`<br /><code>${image}</code>`)}
                  </p>
                </li>`,
            )}
          </ul>
        </details>`,
    )}`,
  );
}

function nodes({ nodes: all }: ShownDiagnosis): TemplateResult | typeof nothing {
  if (all.length === 0) return nothing;
  const pressed = all.filter(({ troubles: found }) => found.length > 0).length;
  return section(
    'nodes',
    'Nodes',
    pressed === 0 ? 'no pressure' : `${pressed} of ${all.length} in trouble`,
    html`<ul class="plain">
      ${all.map(
        ({ name, cpu, memory, pods: most, troubles: found, taints }) =>
          html`<li class="pod">
            <p class="pod-head">
              ${found.length === 0 ? icon('pass', 'good') : icon('warning', 'warn')} ${name}
              <span class="faint">cpu ${cpu}, memory ${bytes(memory)}, ${most} pods</span>
            </p>
            ${found.map((text) => html`<p class="container-words">${text}</p>`)}
            ${taints.length === 0 ? nothing : html`<p class="container-words faint">taints ${taints.join(' ')}</p>`}
          </li>`,
      )}
    </ul>`,
  );
}

function missing({ missing: all }: ShownDiagnosis): TemplateResult | typeof nothing {
  if (all.length === 0) return nothing;
  return section(
    'missing',
    'Could not be read',
    nothing,
    html`<ul class="plain">
      ${all.map((text) => html`<li class="unread">${text}</li>`)}
    </ul>`,
  );
}

/** `code` between backticks, as our own sentences write it. */
const spans = (text: string): readonly (TemplateResult | string)[] =>
  text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));

/** `8146836Ki` as `7.8 GiB`; other quantities as they are. */
function bytes(quantity: string): string {
  const match = /^(\d+)Ki$/.exec(quantity);
  return match === null ? quantity : `${(Number(match[1]) / 1024 / 1024).toFixed(1)} GiB`;
}
