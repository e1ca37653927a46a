// What a build spent its time on, from BuildKit's own record: a build that runs no command writes no line.
import { html, nothing, type TemplateResult } from 'lit';
import type { StepView } from '../../src/engine/run/projection.ts';
import { duration } from '../../src/extension/words.ts';
import { icon, type Tone } from './parts.ts';

type Part = StepView['vertexes'][number];

const marks: Readonly<Record<Part['state'], readonly [string, Tone]>> = {
  running: ['sync', 'busy'],
  done: ['pass', 'good'],
  cached: ['debug-step-over', 'quiet'],
  failed: ['error', 'bad'],
};

export function buildParts({ vertexes }: StepView): TemplateResult | typeof nothing {
  const own = vertexes.filter(({ name }) => !name.startsWith('[internal]'));
  if (own.length === 0) return nothing;
  return html`<ul class="plain build-parts">
    ${own.map(({ name, state, durationMs }) => {
      const [mark, tone] = marks[state];
      return html`<li class="check">
        ${icon(mark, tone)} <span class="check-words"><code>${name}</code><span class="hidden">, ${state}</span></span>
        <span class="number faint">${
          state === 'cached' ? 'cached' : durationMs === undefined ? '' : duration(durationMs)
        }</span>
      </li>`;
    })}
  </ul>`;
}
