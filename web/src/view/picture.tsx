/** Sixteen bits that become four: the page's emblem. Their heights are those of a weight's code, and mean nothing. */
const HEIGHTS = [30, 44, 22, 38, 50, 26, 42, 34, 48, 28, 40, 24, 46, 36, 52, 32];

export function Squeeze() {
  return (
    <svg class="squeeze" viewBox="0 0 200 64" aria-hidden="true">
      {HEIGHTS.map((height, i) => (
        <rect
          key={i}
          class={i % 4 === 1 ? "kept" : "gone"}
          x={6 + i * 12}
          y={32 - height / 2}
          width="7"
          height={height}
          rx="3.5"
        />
      ))}
    </svg>
  );
}
