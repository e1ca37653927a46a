export async function selfcheck(say: (line: string) => void): Promise<boolean> {
  say('0 passed, 0 failed');
  return true;
}
