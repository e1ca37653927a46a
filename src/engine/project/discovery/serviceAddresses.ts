// Where a CI job finds its services is not where a test on this machine does: there the name or localhost and the usual port,
// here localhost and a port that was free.
import { asName } from './paths.ts';

interface Service {
  readonly name: string;
  readonly image: string;
  readonly ports: readonly number[];
}

/** Ports of images whose job names none. */
const USUAL: readonly (readonly [pattern: RegExp, port: number])[] = [
  [/postgres|postgis|timescale/, 5432],
  [/mysql|mariadb/, 3306],
  [/redis|valkey|keydb/, 6379],
  [/mongo/, 27017],
  [/rabbitmq/, 5672],
  [/elasticsearch|opensearch/, 9200],
  [/memcached/, 11211],
  [/nats/, 4222],
];

const LOCAL = /^(localhost|127\.0\.0\.1)$/;

/**
 * The variables of a test with what names a service replaced by `{service.NAME.host}` and `{service.NAME.port}`. Those that
 * Slipway sets by itself (`POSTGRES_HOST` for a service called postgres) are left out.
 */
export function withServiceAddresses(
  env: Readonly<Record<string, string>>,
  services: readonly Service[],
): Readonly<Record<string, string>> {
  if (services.length === 0) return env;
  const known = services.map((service) => {
    const usual = USUAL.find(([pattern]) => pattern.test(service.image))?.[1];
    const ports = service.ports.length > 0 ? service.ports : usual === undefined ? [] : [usual];
    const name = asName(service.name);
    return { name, written: service.name, ports, prefix: name.toUpperCase().replace(/[^A-Z0-9]+/g, '_') };
  });
  type Known = (typeof known)[number];
  const [only] = known.length === 1 ? known : [];
  /** A name says which service; localhost says it by the port, by the word around it, or by there being only one. */
  const find = (host: string, port: string | undefined, hint: string): Known | undefined => {
    if (!LOCAL.test(host)) return known.find(({ written }) => written === host);
    const byPort = port === undefined ? [] : known.filter(({ ports }) => ports.includes(Number(port)));
    if (port !== undefined) return byPort.length === 1 ? byPort[0] : undefined;
    const words = hint.toUpperCase();
    return known.find(({ prefix }) => words.includes(prefix)) ?? only;
  };
  const address = ({ name }: Known): string => `{service.${name}.host}:{service.${name}.port}`;
  const placedAs = (key: string, value: string): string | undefined => {
    if (/^\d+$/.test(value) && /PORT$/i.test(key)) {
      const service =
        known.find(({ prefix, ports }) => key.includes(prefix) && ports.includes(Number(value))) ??
        (only?.ports.includes(Number(value)) === true && /^(DB|DATABASE|PG|SQL|CACHE)/i.test(key) ? only : undefined);
      if (service === undefined) return value;
      return key === `${service.prefix}_PORT` ? undefined : `{service.${service.name}.port}`;
    }
    const [, host = value, port] = /^([\w.-]+):(\d+)$/.exec(value) ?? [];
    const whole = /^[\w.-]+$/.test(host) && (port !== undefined || !LOCAL.test(host) || /HOST|SERVER|ADDR/i.test(key));
    const service = whole ? find(host, port, key) : undefined;
    if (service !== undefined && port !== undefined) return address(service);
    // A word that happens to be the name of a service (`POSTGRES_USER: postgres`) is no address.
    if (service !== undefined && /HOST|SERVER|ADDR/i.test(key))
      return key === `${service.prefix}_HOST` ? undefined : `{service.${service.name}.host}`;
    return value.replace(
      /(\b([a-z][\w+]*):\/\/(?:[^@/\s]*@)?)([\w.-]+?)(?::(\d+))?(?=[/?\s,;]|$)/g,
      (all: string, before: string, scheme: string, at: string, number: string | undefined) => {
        const found = find(at, number, `${scheme} ${key}`);
        return found === undefined ? all : `${before}${address(found)}`;
      },
    );
  };
  return Object.fromEntries(
    Object.entries(env).flatMap(([key, value]) => {
      const placed = placedAs(key, value);
      return placed === undefined ? [] : [[key, placed]];
    }),
  );
}
