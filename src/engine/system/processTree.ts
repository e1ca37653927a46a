import { spawn } from 'node:child_process';

/**
 * Signals a child and everything it started. On POSIX the child leads its own process group, so one `kill(-pid)` reaches
 * all of it; Windows has no groups to signal, there `taskkill /T` walks the tree. A process that is gone already is fine.
 */
export function killTree(pid: number, signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL', platform = process.platform): void {
  if (platform === 'win32') {
    // Without /F a console program gets no chance to react to taskkill, so a graceful stop is only tried first.
    const args = ['/PID', String(pid), '/T', ...(signal === 'SIGKILL' ? ['/F'] : [])];
    spawn('taskkill', args, { stdio: 'ignore', windowsHide: true }).on('error', () => {});
    return;
  }
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
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
