import { spawn } from 'node:child_process';
import { win32 } from 'node:path';

/**
 * Signals a child and everything it started. On POSIX the child leads its own process group, so one `kill(-pid)` reaches
 * all of it; Windows has no groups to signal, there `taskkill /T` walks the tree. A process that is gone already is fine.
 */
export function killTree(pid: number, signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL', platform = process.platform): void {
  if (platform === 'win32') {
    const { file, args } = taskkill(pid, signal, process.env);
    spawn(file, args, { stdio: 'ignore', windowsHide: true }).on('error', () => {});
    return;
  }
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * How Windows is asked to end a tree. By its full path: for a bare name Windows looks into the current folder first, which
 * may be the workspace.
 */
export function taskkill(
  pid: number,
  signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL',
  env: Readonly<Record<string, string | undefined>>,
): { readonly file: string; readonly args: readonly string[] } {
  const root = env.SystemRoot ?? env.SYSTEMROOT ?? 'C:\\Windows';
  return {
    file: win32.join(root, 'System32', 'taskkill.exe'),
    // Without /F a console program gets no chance to react to taskkill, so a graceful stop is only tried first.
    args: ['/PID', String(pid), '/T', ...(signal === 'SIGKILL' ? ['/F'] : [])],
  };
}

/** True while any process of the group led by `pid` is alive (POSIX), or the process itself (Windows). */
export function isTreeAlive(pid: number, platform = process.platform): boolean {
  try {
    process.kill(platform === 'win32' ? pid : -pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** True while a process of that number runs on this machine. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
