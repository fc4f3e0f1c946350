/** Gives a function that runs at most once in `ms`, and once more after the last call; calls never overlap. */
export function throttled(run: () => Promise<void> | void, ms: number): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let wanted = false;
  const go = async (): Promise<void> => {
    wanted = false;
    await run();
    timer = setTimeout(() => {
      timer = null;
      if (wanted) start();
    }, ms);
  };
  const start = (): void => {
    timer = setTimeout(() => void go(), 0);
  };
  return () => {
    wanted = true;
    if (timer === null) start();
  };
}
