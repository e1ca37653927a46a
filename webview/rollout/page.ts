import { html, LitElement, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { RunView } from '../../src/engine/run/projection.ts';
import {
  type LogLine,
  PROTOCOL_VERSION,
  type RolloutState,
  type ToHost,
  type ToView,
} from '../../src/extension/rollout/protocol.ts';
import { causeOf, conditionOf } from '../../src/extension/words.ts';
import { buildParts } from './buildParts.ts';
import { images, scans, smoke, workloads } from './details.ts';
import { diagnosis } from './diagnosis.ts';
import { header } from './header.ts';
import { acquireHost, type Host } from './host.ts';
import type { LogView } from './logView.ts';
import { outcome } from './outcome.ts';
import { capital } from './parts.ts';
import { type Tab, tabBar } from './tabs.ts';
import { timeline } from './timeline.ts';

/** Live changes are told to a screen reader at most this often. */
const SPEAK_MS = 3_000;

type Diagnosed = Extract<ToView, { readonly kind: 'diagnosis' }>;

interface ShownLog {
  readonly run: string;
  readonly step: string;
  readonly lines: readonly LogLine[];
  readonly dropped: number;
}

/** The whole page. Renders into the document itself, so that page.css and the icon font reach everything. */
export class RolloutPage extends LitElement {
  static override readonly properties: PropertyDeclarations = {
    view: { state: true },
    gone: { state: true },
    step: { state: true },
    log: { state: true },
    logFilter: { state: true },
    findingFilter: { state: true },
    findings: { state: true },
    diagnosis: { state: true },
    tab: { state: true },
    events: { state: true },
    now: { state: true },
    spoken: { state: true },
    alarm: { state: true },
  };
  declare view: RolloutState | undefined;
  declare gone: string | undefined;
  /** The step whose log is shown. */
  declare step: string | undefined;
  declare log: ShownLog | undefined;
  declare logFilter: string;
  declare findingFilter: string;
  declare findings: 'first' | 'all';
  declare diagnosis: Diagnosed | undefined;
  declare tab: Tab;
  declare events: 'warnings' | 'all';
  /** The host's time, going on by our clock. */
  declare now: number;
  declare spoken: string;
  declare alarm: string;
  readonly #host: Host;
  #seq = 0;
  #clock: number | undefined;
  #received = 0;
  #lastSpoken = 0;

  constructor() {
    super();
    this.logFilter = '';
    this.findingFilter = '';
    this.findings = 'first';
    this.tab = 'run';
    this.events = 'warnings';
    this.now = Date.now();
    this.spoken = '';
    this.alarm = '';
    this.#host = acquireHost();
    const known = this.#host.recall();
    if (known?.filter !== undefined) this.logFilter = known.filter;
    if (known?.step !== undefined) this.step = known.step;
    if (known?.tab !== undefined) this.tab = known.tab;
  }

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#host.listen((message) => this.#take(message));
    this.#send({ kind: 'ready', version: PROTOCOL_VERSION });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.clearInterval(this.#clock);
  }

  readonly #send = (message: ToHost): void => this.#host.post(message);

  #take(message: ToView): void {
    switch (message.kind) {
      case 'snapshot': {
        if (message.seq <= this.#seq) return;
        this.#seq = message.seq;
        this.#show(message.state);
        return;
      }
      case 'log':
        if (message.run !== this.view?.run.id || message.step !== this.step) return;
        this.log = {
          run: message.run,
          step: message.step,
          dropped: message.isFirst ? message.dropped : (this.log?.dropped ?? 0) + message.dropped,
          lines: message.isFirst ? message.lines : [...(this.log?.lines ?? []), ...message.lines],
        };
        return;
      case 'diagnosis':
        if (message.run !== this.view?.run.id) return;
        this.diagnosis = message;
        if (message.isAsked) this.#choose('diagnosis');
        return;
      case 'gone':
        this.gone = message.message;
    }
  }

  #show(state: RolloutState): void {
    const before = this.view;
    const isOtherRun = before !== undefined && before.run.id !== state.run.id;
    this.view = state;
    this.gone = undefined;
    this.#received = performance.now();
    this.#tick();
    this.#speak(before, state);
    if (isOtherRun) {
      this.log = undefined;
      this.diagnosis = undefined;
      this.tab = 'run';
      this.findings = 'first';
    }
    const step = state.focus ?? this.step;
    const isKnown = step !== undefined && state.run.steps.some(({ id }) => id === step);
    if (!isKnown) this.#close();
    else if (step !== this.step || this.log === undefined || isOtherRun) this.#open(step);
    else this.#remember();
    window.clearInterval(this.#clock);
    if (state.run.state === 'running') this.#clock = window.setInterval(() => this.#tick(), 1000);
  }

  #tick(): void {
    if (this.view !== undefined) this.now = Date.parse(this.view.now) + performance.now() - this.#received;
  }

  readonly #open = (step: string): void => {
    this.step = step;
    this.log = undefined;
    this.#send({ kind: 'followLog', step });
    this.#remember();
  };

  /** Escape puts the log away and goes back to its step; in a filter with text it empties the filter first. */
  #onKey(event: KeyboardEvent): void {
    if (event.key !== 'Escape' || this.step === undefined || this.tab !== 'run') return;
    const [source] = event.composedPath();
    if (source instanceof HTMLInputElement && source.value !== '') return;
    const row = this.querySelector<HTMLElement>('.step-list [aria-selected=true]');
    this.#close();
    row?.focus();
  }

  readonly #choose = (tab: Tab): void => {
    this.tab = tab;
    this.#remember();
  };

  #close(): void {
    if (this.step === undefined) {
      this.#remember();
      return;
    }
    this.step = undefined;
    this.log = undefined;
    this.#send({ kind: 'followLog' });
    this.#remember();
  }

  #remember(): void {
    if (this.view === undefined) return;
    this.#host.remember({
      folder: this.view.folder,
      environment: this.view.run.environment,
      run: this.view.run.id,
      ...(this.step !== undefined && { step: this.step }),
      ...(this.logFilter !== '' && { filter: this.logFilter }),
      ...(this.tab !== 'run' && { tab: this.tab }),
    });
  }

  /** Failures at once, everything else now and then. */
  #speak(before: RolloutState | undefined, state: RolloutState): void {
    if (before === undefined || before.run.id !== state.run.id) return;
    const was = conditionOf(before.run, before.isLive);
    const is = conditionOf(state.run, state.isLive);
    if (was !== is) {
      const words = `Run for ${state.run.environment ?? 'images'} ${is}. ${causeOf(state.run) ?? ''}`;
      if (is === 'failed' || is === 'rolled back' || is === 'unknown') this.alarm = words;
      else this.spoken = words;
      return;
    }
    const changed = state.run.steps.filter(
      (step) => step.state !== 'waiting' && before.run.steps.find(({ id }) => id === step.id)?.state !== step.state,
    );
    if (changed.length === 0 || performance.now() - this.#lastSpoken < SPEAK_MS) return;
    this.#lastSpoken = performance.now();
    this.spoken = changed.map((step) => `${step.title} ${step.state}`).join(', ');
  }

  protected override render(): TemplateResult {
    const { view } = this;
    if (this.gone !== undefined) return html`<main>${nameless}<p class="empty">${this.gone}</p></main>`;
    if (view === undefined) return html`<main aria-busy="true">${nameless}</main>`;
    const { diagnosis: found } = this;
    const tab = found === undefined ? 'run' : this.tab;
    const panel = tab === 'diagnosis' && found !== undefined ? this.#diagnosis(view, found) : this.#run(view);
    return html`<main
      data-run=${view.run.id}
      data-condition=${conditionOf(view.run, view.isLive)}
      @keydown=${(event: KeyboardEvent) => this.#onKey(event)}
    >
      ${header(view, this.now, this.#send)} ${outcome(view, this.#send, this.#showLog)}
      ${
        found === undefined
          ? panel
          : html`${tabBar(tab, this.#choose)}
              <div role="tabpanel" id="panel-${tab}" aria-labelledby="tab-${tab}">${panel}</div>`
      }
      <div class="hidden" aria-live="polite">${this.spoken}</div>
      <div class="hidden" role="alert">${this.alarm}</div>
    </main>`;
  }

  #run({ run, isLive }: RolloutState): TemplateResult {
    return html`<div class="columns ${hasDetails(run) ? '' : 'single'}">
      <div class="column">
        ${timeline({ run, isLive, now: this.now, selected: this.step, onSelect: this.#open })} ${this.#logPane()}
      </div>
      <div class="column">
        ${workloads(run, this.now, isLive)} ${smoke(run, this.#send)} ${images(run)}
        ${scans({
          run,
          filter: this.findingFilter,
          onFilter: (text) => {
            this.findingFilter = text;
          },
          extent: this.findings,
          onAll: () => {
            this.findings = 'all';
          },
          send: this.#send,
        })}
      </div>
    </div>`;
  }

  #diagnosis({ run, fixes }: RolloutState, { data, origin }: Diagnosed): TemplateResult {
    return diagnosis({
      data,
      origin,
      causes: origin === 'run' && run.verdict?.state === 'failed' ? run.verdict.causes : [],
      canCollect: fixes.includes('diagnose'),
      now: this.now,
      events: this.events,
      onEvents: (which) => {
        this.events = which;
      },
      send: this.#send,
    });
  }

  /** The log stands on the run's own part of the page. */
  readonly #showLog = (step: string): void => {
    this.tab = 'run';
    this.#open(step);
  };

  #logControls(step: string): TemplateResult {
    return html`<vscode-textfield
          class="filter"
          type="search"
          label="Filter the log"
          placeholder="Filter"
          .value=${this.logFilter}
          @input=${(event: Event) => {
            this.logFilter = (event.target as HTMLInputElement).value;
            this.#remember();
          }}
        ></vscode-textfield>
        <vscode-button secondary icon="go-to-file" @click=${() => this.#send({ kind: 'openLog', step })}
          >Open as document</vscode-button
        >`;
  }

  #logPane(): TemplateResult | typeof nothing {
    const step = this.view?.run.steps.find(({ id }) => id === this.step);
    if (step === undefined) return nothing;
    const lines = this.log?.lines ?? [];
    const about =
      this.log === undefined
        ? 'reading'
        : lines.length === 0
          ? step.vertexes.length > 0
            ? 'wrote nothing; its parts'
            : 'nothing written'
          : `${lines.length.toLocaleString('en')} ${lines.length === 1 ? 'line' : 'lines'}${this.log.dropped > 0 ? `, ${this.log.dropped.toLocaleString('en')} earlier left out` : ''}`;
    return html`<section class="section log" aria-labelledby="title-log">
      <div class="section-head">
        <h2 id="title-log">Log of ${step.title}</h2>
        <span class="aside">${capital(about)}</span>
        <span class="grow"></span>
        ${lines.length === 0 ? nothing : this.#logControls(step.id)}
      </div>
      ${step.message === undefined || step.failure !== undefined ? nothing : html`<p class="log-about">${step.message}</p>`}
      ${
        lines.length === 0
          ? this.log === undefined
            ? nothing
            : buildParts(step)
          : html`<slipway-log
              aria-label="Lines"
              .lines=${lines}
              .filter=${this.logFilter}
            ></slipway-log>`
      }
    </section>`;
  }
}

/** What a screen reader calls the page while there is no run to name it by. */
const nameless = html`<h1 class="hidden">Rollout</h1>`;

/** A run that got nowhere yet leaves the second column empty; then the first one has all the room. */
const hasDetails = ({ workloads: seen, smoke: checks, published, scans: looks }: RunView): boolean =>
  seen.length + checks.length + published.length + looks.length > 0;

declare global {
  interface HTMLElementTagNameMap {
    'slipway-rollout': RolloutPage;
    'slipway-log': LogView;
  }
}
