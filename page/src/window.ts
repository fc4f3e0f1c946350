// Of a long table only the rows near to what is seen are there; the others are room that is as high as they would be.

import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** The height of each row, as the style sheet says it too. */
export const ROW_PX = 40;
const BESIDE = 8;
const STEP = 8;

/** Gives the first row that is there, and the first one after them that is not. */
export function useWindow(body: RefObject<HTMLElement | null>, count: number): readonly [number, number] {
  const [range, setRange] = useState<readonly [number, number]>([0, 2 * BESIDE + STEP]);
  const latest = useRef(count);
  latest.current = count;
  useEffect(() => {
    let frame = 0;
    const look = (): void => {
      frame = 0;
      const top = body.current?.getBoundingClientRect().top ?? 0;
      // in steps, so that not every frame of a scroll makes rows anew
      const first = Math.max(0, Math.floor((-top / ROW_PX - BESIDE) / STEP) * STEP);
      const last = Math.ceil(((innerHeight - top) / ROW_PX + BESIDE) / STEP) * STEP;
      setRange((before) => (before[0] === first && before[1] === last ? before : [first, last]));
    };
    const soon = (): void => {
      frame ||= requestAnimationFrame(look);
    };
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    soon();
    return () => {
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
      cancelAnimationFrame(frame);
    };
  }, [count]);
  return [Math.min(range[0], Math.max(0, count - 1)), Math.min(range[1], count)];
}

/** Which rows of a table are seen now. */
export function seen(body: HTMLElement | null, count: number): readonly [number, number] {
  const top = body?.getBoundingClientRect().top ?? 0;
  const first = Math.max(0, Math.floor(-top / ROW_PX));
  return [first, Math.min(count, Math.ceil((innerHeight - top) / ROW_PX))];
}
