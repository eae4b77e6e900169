/** Clean stops: on SIGINT or SIGTERM every part is closed in order, and the process ends within five seconds. */
const GRACE_MS = 5_000;

/**
 * Runs `close` once at the first SIGINT or SIGTERM and then exits with `code`; a second signal, or closing that
 * takes longer than the grace, ends the process at once.
 */
export function onShutdown(close: () => Promise<void>, code = 0): void {
  let closing = false;
  const stop = (): void => {
    if (closing) process.exit(1);
    closing = true;
    setTimeout(() => process.exit(1), GRACE_MS - 500).unref();
    close().then(
      () => process.exit(code),
      () => process.exit(1),
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}
