import type { RelativePath, ServiceFinding } from './findings.ts';
import type { ReadText } from './tests.ts';

/** Words in settings that tell which databases an app's tests need, and a container that starts without more. */
const SETTINGS: readonly {
  readonly name: string;
  readonly pattern: RegExp;
  readonly image: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  /** Where an open port is too early. */
  readonly health?: readonly string[];
}[] = [
  {
    name: 'postgres',
    pattern: /\bPOSTGRES_HOST\b|django\.db\.backends\.postgresql|postgres(ql)?(\+\w+)?:\/\//,
    image: 'postgres:16',
    port: 5432,
    env: { POSTGRES_PASSWORD: 'postgres' },
    health: ['pg_isready', '-h', '127.0.0.1'],
  },
  {
    name: 'mysql',
    pattern: /\bMYSQL_HOST\b|django\.db\.backends\.mysql|mysql(\+\w+)?:\/\//,
    image: 'mysql:8',
    port: 3306,
    env: { MYSQL_ALLOW_EMPTY_PASSWORD: 'yes' },
  },
  { name: 'redis', pattern: /\bREDIS_HOST\b|django_redis|redis:\/\//, image: 'redis:7', port: 6379, env: {} },
];

const isSettings = (path: RelativePath): boolean =>
  /(^|\/)(settings(\/\w+)?\.py|config\.py|\.env\.(example|sample|test))$/.test(path);

/**
 * Services that the settings of the app in `folder` name (Django, SQLAlchemy, `.env.example`). One that compose starts
 * for the app is taken from there: it is the version the app is made for.
 */
export async function servicesOfSettings(
  folder: RelativePath,
  paths: readonly RelativePath[],
  read: ReadText,
  absolute: (path: RelativePath) => string,
  compose: readonly ServiceFinding[],
): Promise<readonly ServiceFinding[]> {
  const prefix = folder === '.' ? '' : `${folder}/`;
  const found = new Map<string, ServiceFinding>();
  for (const path of paths.filter((each) => each.startsWith(prefix) && isSettings(each)).slice(0, 20)) {
    const lines = ((await read(path)) ?? '').split('\n');
    for (const { name, pattern, image, port, env, health } of SETTINGS) {
      const line = lines.findIndex((each) => pattern.test(each) && !/^\s*#/.test(each));
      if (line === -1 || found.has(name)) continue;
      const character = lines[line]?.search(/\S/) ?? 0;
      const place = {
        file: absolute(path),
        range: { start: { line, character }, end: { line, character: lines[line]?.length ?? 0 } },
      };
      const own = name === 'postgres' ? { ...env, ...settingsOf(lines.join('\n')) } : env;
      const known = compose.find((service) => service.image.split(/[:@]/)[0]?.endsWith(name) === true);
      found.set(
        name,
        known ?? { name, image, env: own, ports: [port], place, ...(health !== undefined && { health }) },
      );
    }
  }
  return [...found.values()];
}

const POSTGRES_DEFAULTS: Readonly<Record<string, string>> = {
  POSTGRES_DB: 'app',
  POSTGRES_USER: 'app',
  POSTGRES_PASSWORD: 'test-only',
};

/** The variables of the Postgres image that settings read under the same names, with the settings' defaults. */
function settingsOf(text: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [, name = '', fallback] of text.matchAll(
    /['"](POSTGRES_(?:DB|USER|PASSWORD))['"]\s*\]?(?:,\s*['"]([^'"]*)['"])?/g,
  )) {
    found[name] ??= fallback === undefined || fallback === '' ? (POSTGRES_DEFAULTS[name] ?? '') : fallback;
  }
  return found;
}
