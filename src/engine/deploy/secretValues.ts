import { fieldsOf, type KubeObject } from '../cluster/index.ts';
import type { Secrets } from '../events/secrets.ts';

/** Keys whose values are in every log anyway: hiding `5432` or `postgres` would hide what happened. */
const harmless = /^(user(name)?|host(name)?|port|data(base|name)|db|dbname|scheme|region|(ca|tls)\.crt|namespace)$/i;

/** Makes every value of the Secrets among `objects` known as secret, before any of them can reach an event. */
export function registerSecrets(objects: readonly KubeObject[], secrets: Secrets): void {
  for (const object of objects) {
    if (object.kind !== 'Secret') continue;
    for (const [key, value] of Object.entries(fieldsOf(object.data))) {
      if (typeof value === 'string' && !harmless.test(key)) {
        secrets.add(value);
        secrets.add(Buffer.from(value, 'base64').toString('utf8'));
      }
    }
    for (const [key, value] of Object.entries(fieldsOf(object.stringData))) {
      if (typeof value === 'string' && !harmless.test(key)) secrets.add(value);
    }
  }
}
