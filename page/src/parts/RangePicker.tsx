import { instant, ALL, RANGES, useRange } from "../range";

/** The choice of the time that is looked at. */
export function RangePicker({ usual, hasAll = false }: { usual?: string; hasAll?: boolean }) {
  const range = useRange(usual);
  return (
    <label class="range">
      Time{" "}
      <select name="range" value={range.name} onChange={(event) => range.choose(event.currentTarget.value)}>
        {!range.name && <option value="">{`${minute(range.start())} to ${minute(range.end())}`}</option>}
        {Object.keys(RANGES).map((name) => (
          <option key={name} value={name}>{`last ${name}`}</option>
        ))}
        {hasAll && <option value={ALL}>all</option>}
      </select>
    </label>
  );
}

const minute = (at: number): string => instant(at).slice(0, 16).replace("T", " ");
