// A workflow's graph, drawn in columns: a node stands one column after the last of those before it.

const WIDTH = 150;
const HEIGHT = 44;
const GAP_X = 60;
const GAP_Y = 22;
const MARGIN = 8;
const LONGEST = 20;

export interface Edge {
  from: string;
  to: string;
  on?: string;
  when?: string | null;
}

export interface GraphOf {
  nodes: readonly { id: string; type: string; name?: string | null }[];
  edges: readonly Edge[];
}

interface Props {
  of: GraphOf;
  /** What became of each node, a word that is a class too. */
  states?: ReadonlyMap<string, string>;
}

export function Graph({ of, states = new Map() }: Props) {
  const places = layout(of);
  const columns = Math.max(0, ...[...places.values()].map(([x]) => x)) + 1;
  const rows = Math.max(0, ...[...places.values()].map(([, y]) => y)) + 1;
  const width = 2 * MARGIN + columns * WIDTH + (columns - 1) * GAP_X;
  const height = 2 * MARGIN + rows * HEIGHT + (rows - 1) * GAP_Y;
  const at = (id: string): [number, number] => {
    const [x, y] = places.get(id) ?? [0, 0];
    return [MARGIN + x * (WIDTH + GAP_X), MARGIN + y * (HEIGHT + GAP_Y)];
  };
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="Graph, to scroll">
      <svg class="graph" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={spoken(of, states)}>
        {of.edges.map((edge) => {
          const [x, y] = at(edge.from);
          const [toX, toY] = at(edge.to);
          const [left, top, right, bottom] = [x + WIDTH, y + HEIGHT / 2, toX, toY + HEIGHT / 2];
          const bend = Math.max(GAP_X / 2, (right - left) / 2);
          return (
            <g key={`${edge.from} ${edge.to} ${edge.when} ${edge.on}`} class={edge.on === "error" ? "edge error" : "edge"}>
              <path d={`M${left} ${top}C${left + bend} ${top} ${right - bend} ${bottom} ${right} ${bottom}`} />
              {(edge.when ?? (edge.on === "error" ? "error" : "")) && (
                <text x={(left + right) / 2} y={(top + bottom) / 2 - 4} text-anchor="middle">
                  {cut(edge.when ?? "error")}
                </text>
              )}
            </g>
          );
        })}
        {of.nodes.map((node) => {
          const [x, y] = at(node.id);
          return (
            <g key={node.id} class={`node ${states.get(node.id) ?? ""}`}>
              <rect x={x} y={y} width={WIDTH} height={HEIGHT} rx={8} />
              <text x={x + 10} y={y + 18} class="title">
                {cut(node.name || node.id)}
              </text>
              <text x={x + 10} y={y + 34}>
                {cut([node.type, states.get(node.id)].filter(Boolean).join(" · "))}
              </text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}

const cut = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

const spoken = (of: GraphOf, states: ReadonlyMap<string, string>): string =>
  `${of.nodes.map((node) => `${node.name || node.id} ${states.get(node.id) ?? ""}`.trim()).join(", ")}; ${of.edges.map((edge) => `${edge.from} to ${edge.to}`).join(", ")}`;

/** Gives the column and the row of each node; a graph has no circle. */
function layout({ nodes, edges }: GraphOf): Map<string, [number, number]> {
  const column = new Map(nodes.map(({ id }) => [id, 0]));
  // after as many rounds as there are nodes nothing can move any more
  for (let round = 0, moved = true; moved && round < nodes.length; round += 1) {
    moved = false;
    for (const { from, to } of edges) {
      const after = (column.get(from) ?? 0) + 1;
      if ((column.get(to) ?? 0) < after && column.has(to)) {
        column.set(to, after);
        moved = true;
      }
    }
  }
  const filled = new Map<number, number>();
  return new Map(
    nodes.map(({ id }) => {
      const x = column.get(id) ?? 0;
      const y = filled.get(x) ?? 0;
      filled.set(x, y + 1);
      return [id, [x, y]];
    }),
  );
}
