import { html, nothing, svg, type TemplateResult } from 'lit';
import type { RunView, StepView } from '../../src/engine/run/projection.ts';
import { duration, firstSentence, progressWords, stepConditionOf } from '../../src/extension/words.ts';
import { conditionIcon, conditionMark, moveFocus, section } from './parts.ts';
import { type Axis, axisOf, barOf, cacheShareOf, platformsOf, shortPlatform, ticksOf } from './steps.ts';

export interface TimelineOptions {
  readonly run: RunView;
  readonly isLive: boolean;
  readonly now: number;
  /** Whose log is shown. */
  readonly selected: string | undefined;
  readonly onSelect: (step: string) => void;
}

/** The steps as rows with bars on one time axis. One tab stop; arrows move, Enter shows the log. */
export function timeline(options: TimelineOptions): TemplateResult {
  const { run, now, isLive } = options;
  const axis = axisOf(run, now, isLive);
  const done = run.steps.filter(({ state }) => state === 'succeeded' || state === 'skipped').length;
  return section(
    'steps',
    'Steps',
    `${done} of ${run.steps.length} done`,
    html`<div class="step-grid">
      <div class="axis" aria-hidden="true"><span></span><span></span>${ruler(axis)}<span></span><span></span></div>
      <div
        class="step-list"
        role="listbox"
        aria-labelledby="title-steps"
        @keydown=${(event: KeyboardEvent) => {
          if (moveFocus(event, '[role=option]') !== undefined) return;
          if (event.key !== 'Enter' && event.key !== ' ') return;
          event.preventDefault();
          if (event.target instanceof HTMLElement) event.target.click();
        }}
      >
        ${run.steps.map((step, index) => row(step, index, axis, options))}
      </div>
    </div>`,
  );
}

function row(step: StepView, index: number, axis: Axis, options: TimelineOptions): TemplateResult {
  const { run, isLive, now, selected, onSelect } = options;
  const condition = stepConditionOf(step, run, isLive);
  const isSelected = selected === step.id;
  const isStop = isSelected || (selected === undefined && index === 0);
  const took =
    condition === 'running' && step.startedAt !== undefined
      ? duration(now - Date.parse(step.startedAt))
      : step.durationMs === undefined || condition === 'skipped' || step.startedAt === undefined
        ? ''
        : duration(step.durationMs);
  return html`<div
    class="step state-${condition}"
    role="option"
    aria-selected=${isSelected ? 'true' : 'false'}
    tabindex=${isStop ? 0 : -1}
    @click=${() => onSelect(step.id)}
  >
    ${conditionMark(condition)}
    <span class="step-title" title=${step.title}>${title(step)}<span class="hidden">, ${condition}</span></span>
    ${barCell(step, axis, condition)}
    <span class="step-took">${took}</span>
    <span class="step-words" title=${step.failure?.message ?? step.message ?? ''}>${words(step, condition, run.state === 'running' && isLive)}</span>
  </div>`;
}

/** `Scan api for linux/arm64` as `Scan api` and a quiet `arm64`: the column stays narrow, the titles stay whole. */
function title(step: StepView): TemplateResult | string {
  const suffix = ` for ${step.platform}`;
  if (step.platform === undefined || !step.title.endsWith(suffix)) return step.title;
  return html`${step.title.slice(0, -suffix.length)} <span class="faint">${shortPlatform(step.platform)}</span>`;
}

function barCell(step: StepView, axis: Axis, condition: keyof typeof conditionIcon): TemplateResult {
  const bar = barOf(step, axis);
  const [, tone] = conditionIcon[condition];
  return html`<svg class="bar tone-${tone}" width="100%" height="10" aria-hidden="true" preserveAspectRatio="none">
    ${ticksOf(axis).map(({ at }) => svg`<line x1="${at}%" x2="${at}%" y1="-6" y2="16" class="tick" />`)}
    ${
      bar === undefined
        ? nothing
        : svg`<rect x="${bar.start}%" width="${Math.max(bar.width, 0.4)}%" y="2" height="6" rx="1.5" class="fill" />`
    }
  </svg>`;
}

const ruler = (axis: Axis): TemplateResult =>
  html`<svg class="ruler" width="100%" height="14">
    ${ticksOf(axis).map(({ at, ms }) => svg`<text x="${at}%" y="11" text-anchor="middle">${axisWords(ms, axis)}</text>`)}
  </svg>`;

function words(step: StepView, condition: string, goesOn: boolean): string {
  const platforms = step.kind === 'build' ? platformsOf(step) : [];
  const share = cacheShareOf(step);
  const cache = share === undefined ? [] : [`${Math.round(share * 100)} % cached`];
  const message = step.failure?.message ?? step.message;
  const counted = step.progress === undefined || condition !== 'running' ? undefined : progressWords(step.progress);
  // The message of a rollout counts by itself.
  const progress = counted === undefined || message?.startsWith(counted.split(' ', 3).join(' ')) ? [] : [counted];
  if (condition === 'waiting') return goesOn ? 'waiting' : 'not reached';
  return [
    ...(condition === 'skipped' ? ['skipped'] : []),
    ...progress,
    ...(step.kind === 'build' && condition === 'succeeded'
      ? []
      : message === undefined
        ? []
        : [firstSentence(message)]),
    ...(platforms.length === 0 ? [] : [platforms.map(shortPlatform).join(', ')]),
    ...cache,
  ].join(' · ');
}

/** `30 s` on a short axis, `1:30` on a long one: words as wide as these do not touch. */
function axisWords(ms: number, { startMs, endMs }: Axis): string {
  if (endMs - startMs < 90_000 || ms >= 3_600_000) return duration(ms).replace('.0', '');
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
