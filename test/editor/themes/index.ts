import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The four kinds of theme, each with VS Code's own default for it. */
export const themes = [
  { name: 'light', label: 'Light 2026' },
  { name: 'dark', label: 'Dark 2026' },
  { name: 'hc-dark', label: 'Default High Contrast' },
  { name: 'hc-light', label: 'Default High Contrast Light' },
] as const;

export type ThemeName = (typeof themes)[number]['name'];

export interface ThemeColors {
  /** The classes VS Code gives to a webview's body. */
  readonly kind: string;
  readonly variables: Readonly<Record<string, string>>;
}

export const themeColors = (name: ThemeName): ThemeColors =>
  JSON.parse(readFileSync(join(import.meta.dirname, `${name}.json`), 'utf8')) as ThemeColors;
