import { InvalidArgumentError } from 'commander';

/** `20`; anything but a whole number from 1 on is refused by name. */
export function wholeNumber(value: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new InvalidArgumentError('It must be a whole number from 1 on.');
}
