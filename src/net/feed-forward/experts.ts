import { rowCount, rowLength } from "../../tensor.js";
import { normalize } from "../norm.js";
import type { ExpertsPlan, Linear, MlpPlan, NormPlan } from "../plan/types.js";
import { exchange, multiply, packInput } from "../products/matmul.js";
import type { Work } from "../work.js";
import { mlpHidden } from "./mlp.js";
import { chooseExperts } from "./router.js";

/** Some of a job's tokens. */
interface Piece {
  readonly first: number;
  readonly count: number;
}

/**
 * x += norm(Σ weight(expert) × mlp(expert, n) + shared), over the experts that the router chooses for each token; with a
 * latent, up(Σ weight(expert) × mlp(expert, down(n))) in place of the sum. An expert is read once, for all the tokens of
 * the piece that go through it.
 * @param input n, and the hidden states that it is a norm of
 */
export function addMixture(
  work: Work,
  mixture: ExpertsPlan,
  postNorm: NormPlan | undefined,
  input: { readonly from: number; readonly n: number },
  x: number,
  piece: Piece,
): void {
  const { from, n } = input;
  const { kernels, batch } = work;
  const floats = piece.count * batch.width;
  const routes = route(work, mixture, from, n, piece.count);
  const sum = addChosen(work, mixture, routes, n, piece);
  const mark = kernels.mark();
  if (mixture.shared !== undefined) addShared(work, mixture, mixture.shared, n, sum, piece);
  kernels.reset(mark);
  if (postNorm !== undefined) normalize(work, postNorm, sum, sum, piece.count);
  kernels.call("add_columns")(sum, 0, x, 0, 1, floats);
}

/** What the chosen experts give together, [tokens][width]. The memory is the caller's to give back. */
function addChosen(
  work: Work,
  mixture: ExpertsPlan,
  routes: readonly (readonly Route[])[],
  n: number,
  piece: Piece,
): number {
  const { kernels, batch } = work;
  const { latent } = mixture;
  const width = latent === undefined ? batch.width : rowCount(latent.down.weight);
  const floats = piece.count * width;
  const sum = kernels.reserve(floats * 4);
  kernels.bytes(sum, floats * 4).fill(0);
  const seen = latent === undefined ? n : product(work, latent.down, n, piece.count);
  const mark = kernels.mark();
  for (const [expert, route] of routes.entries()) {
    if (route.length > 0) addExpert(work, mixture, expert, route, seen, sum, { ...piece, width });
    kernels.reset(mark);
  }
  if (latent === undefined) return sum;
  work.squares?.add("latent_up", sum, piece.count, width);
  return product(work, latent.up, sum, piece.count);
}

/** A token of the piece that goes through an expert, and with what weight. */
interface Route {
  readonly token: number;
  readonly weight: number;
}

/** Which tokens of the piece go through each expert. */
function route(work: Work, mixture: ExpertsPlan, from: number, n: number, tokens: number): Route[][] {
  const { kernels, weights } = work;
  const { router, selectionBias, scales, experts, used, routing } = mixture;
  const count = experts.length;
  const mark = kernels.mark();
  const logits = product(work, router, routerInput(work, mixture, from, n, tokens), tokens);
  const biases = selectionBias && kernels.floats(weights.vector(kernels, selectionBias), count).slice();
  const factors = scales && kernels.floats(weights.vector(kernels, scales), count).slice();
  const all = kernels.floats(logits, tokens * count);
  const routes: Route[][] = experts.map(() => []);
  for (let token = 0; token < tokens; token++) {
    const own = all.subarray(token * count, (token + 1) * count);
    for (const { expert, weight } of chooseExperts(routing, used, own, biases)) {
      routes[expert]!.push({ token, weight: weight * (factors?.[expert] ?? 1) });
    }
  }
  kernels.reset(mark);
  return routes;
}

/** What the experts see, n; or another norm of the hidden states. The memory is the caller's to give back. */
function routerInput(
  work: Work,
  { routerNorm, routing: { inputScale = 1 } }: ExpertsPlan,
  from: number,
  n: number,
  tokens: number,
): number {
  if (routerNorm === undefined) return n;
  const { kernels, batch } = work;
  const y = kernels.reserve(tokens * batch.width * 4);
  normalize(work, routerNorm, from, y, tokens);
  kernels.call("scale")(y, tokens * batch.width, inputScale);
  work.squares?.add("router", y, tokens, batch.width);
  return y;
}

/** sum[token] += weight × mlp(n[token]), or mlp(weight × n[token]), for the tokens that go through the expert. */
function addExpert(
  work: Work,
  { experts, routing }: ExpertsPlan,
  expert: number,
  route: readonly Route[],
  n: number,
  sum: number,
  { first, width }: Piece & { readonly width: number },
): void {
  const { kernels, squares } = work;
  const mlp = experts[expert]!;
  const rowBytes = width * 4;
  const own = kernels.reserve(route.length * rowBytes);
  const memory = kernels.bytes(0, kernels.memory.buffer.byteLength);
  route.forEach(({ token }, i) => {
    memory.copyWithin(own + i * rowBytes, n + token * rowBytes, n + (token + 1) * rowBytes);
  });
  if (routing.weighsInput) {
    route.forEach(({ weight }, i) => {
      kernels.call("scale")(own + i * rowBytes, width, weight);
    });
  }
  const tokens = route.map(({ token }) => first + token);
  squares?.addExpert("experts", own, tokens, width, expert, experts.length);
  const h = mlpHidden(work, mlp, own, route.length);
  squares?.addExpert("experts_down", h, tokens, rowLength(mlp.down.weight), expert, experts.length);
  const y = product(work, mlp.down, h, route.length);
  route.forEach(({ token, weight }, i) => {
    const factor = routing.weighsInput ? 1 : weight;
    kernels.call("add_scaled")(y + i * rowBytes, factor, sum + token * rowBytes, width);
  });
}

/** sum[token] += mlp(n[token]), times the scale, and the sigmoid of the router where there is one. */
function addShared(
  work: Work,
  { sharedRouter: router, routing: { sharedScale = 1 } }: ExpertsPlan,
  shared: MlpPlan,
  n: number,
  sum: number,
  { count }: Piece,
): void {
  const { kernels, batch, squares } = work;
  const h = mlpHidden(work, shared, n, count);
  squares?.add("shared_down", h, count, rowLength(shared.down.weight));
  const y = product(work, shared.down, h, count);
  const gates = router && kernels.floats(product(work, router, n, count), count).slice();
  for (let token = 0; token < count; token++) {
    const open = gates === undefined ? 1 : 1 / (1 + Math.exp(-gates[token]!));
    kernels.call("add_scaled")(
      y + token * batch.width * 4,
      open * sharedScale,
      sum + token * batch.width * 4,
      batch.width,
    );
  }
}

/** weight · x, [tokens][rows]. The memory is the caller's to give back. */
function product(work: Work, linear: Linear, x: number, tokens: number): number {
  const { kernels } = work;
  const y = kernels.reserve(tokens * rowCount(linear.weight) * 4);
  const mark = kernels.mark();
  multiply(work, linear, packInput(work, x, tokens, [linear]), y, "copy_columns");
  exchange(work, tokens, [linear, y]);
  kernels.reset(mark);
  return y;
}
