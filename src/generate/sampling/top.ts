/** The k-th largest of the first `count` values, 1 <= k <= count. Passes over them once, with a heap of k. */
export function kthLargest(values: Float32Array | Float64Array, count: number, k: number): number {
  const heap = Float64Array.from(values.subarray(0, k)).sort(); // in order, so a heap with its smallest in front
  for (let i = k; i < count; i++) {
    const value = values[i]!;
    if (value <= heap[0]!) continue;
    let place = 0;
    for (let child = 1; child < k; child = 2 * place + 1) {
      if (child + 1 < k && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= value) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = value;
  }
  return heap[0]!;
}

/**
 * Places of the k largest of the first `count` values, in order of place; of equals the first are taken.
 * @param least the k-th largest, where it is known
 */
export function largest(
  values: Float32Array | Float64Array,
  count: number,
  k: number,
  least = k < count ? kthLargest(values, count, k) : Number.NEGATIVE_INFINITY,
): Int32Array {
  if (k >= count) return Int32Array.from({ length: count }, (_, i) => i);
  let above = 0;
  for (let i = 0; i < count; i++) if (values[i]! > least) above++;
  let equal = k - above;
  const places = new Int32Array(k);
  for (let i = 0, n = 0; n < k; i++) {
    if (values[i]! > least || (values[i] === least && equal-- > 0)) places[n++] = i;
  }
  return places;
}

/** Places in falling order of their values; of equals the first comes first. */
export function inOrder(places: Int32Array, values: Float32Array | Float64Array): Int32Array {
  return places.sort((a, b) => values[b]! - values[a]! || a - b);
}
