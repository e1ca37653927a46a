/** The edits behind Bump and Pick: the same code as `slipway bump`, on the text an editor holds. */
import {
  type FileMarkers,
  findMarkers,
  type ImageRef,
  type Marker,
  replaceValue,
  type TextEdit,
  valueFor,
} from '../gitops/index.ts';
import { SlipwayError } from '../problems/index.ts';

/** A marker as it was when a lens or row was made; its file may have changed since. */
export interface MarkerAddress {
  /** Setter name, for example `apps:web:tag`. */
  readonly setter: string;
  readonly path: readonly (string | number)[];
  /** UTF-16 offset of its value then. */
  readonly at: number;
}

export const addressOf = ({ setter, path, value }: Marker): MarkerAddress => ({
  setter: setter.name,
  path,
  at: value.start,
});

/** The marker meant by an address in the text as it is now: the same path, else the nearest of the same setter. */
export function findAddressed({ markers }: FileMarkers, { setter, path, at }: MarkerAddress): Marker | undefined {
  const same = markers.filter((marker) => marker.setter.name === setter);
  const key = JSON.stringify(path);
  const distance = (marker: Marker): number =>
    Math.abs(marker.value.start - at) + (JSON.stringify(marker.path) === key ? 0 : 1e9);
  return same.toSorted((a, b) => distance(a) - distance(b))[0];
}

/** What shall stand behind one marker. */
export type WantedValue = { readonly address: MarkerAddress } & (
  | { readonly ref: ImageRef }
  /** As it shall stand there. */
  | { readonly value: string }
);

/**
 * The smallest edits that write the references behind their markers; every other byte stays. Throws SlipwayError `usage`
 * when a marker has gone, `internal` when an edit would have touched anything else.
 */
export function editsForValues(text: string, file: string, wanted: readonly WantedValue[]): readonly TextEdit[] {
  const found = findMarkers(text, file);
  const edits: TextEdit[] = [];
  const done = new Set<number>();
  for (const one of wanted) {
    const { address } = one;
    const marker = findAddressed(found, address);
    if (marker === undefined) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'gitops.marker-moved',
        message: `${file} has no marker ${address.setter} any more.`,
        fix: 'Look at the file again.',
        place: { file },
      });
    }
    if (done.has(marker.value.start)) continue;
    done.add(marker.value.start);
    edits.push(...replaceValue(text, file, marker, 'value' in one ? one.value : valueFor(marker.setter, one.ref)));
  }
  return edits.toSorted((a, b) => a.start - b.start).map((edit) => trimmed(text, edit));
}

/** Without the characters at both ends that stay: carets and folds outside the change do not move. */
function trimmed(text: string, edit: TextEdit): TextEdit {
  const old = text.slice(edit.start, edit.end);
  let head = 0;
  while (head < old.length && head < edit.text.length && old[head] === edit.text[head]) head += 1;
  let tail = 0;
  while (
    tail < old.length - head &&
    tail < edit.text.length - head &&
    old[old.length - 1 - tail] === edit.text[edit.text.length - 1 - tail]
  )
    tail += 1;
  return { start: edit.start + head, end: edit.end - tail, text: edit.text.slice(head, edit.text.length - tail) };
}
