// A SiLU in JavaScript, judged by the vectors that `numixology vectors write DIR --format raw`
// wrote, in float32 or float64, and its results written for `numixology vectors compare DIR RESULTS`.
//
//     node silu.mjs DIR RESULTS

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// What is judged: it calculates in float64, and storing rounds to float32.
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const silu = (x) => x / (1 + Math.exp(-x));
const slope = (x) => sigmoid(x) * (1 + x * sigmoid(-x));

// The rest is what any backend needs.
const ARRAYS = { float64: Float64Array, float32: Float32Array };

const [folder, results] = process.argv.slice(2);
if (results === undefined) {
  console.error("usage: node silu.mjs VECTORS RESULTS");
  process.exit(2);
}
const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
if (manifest.spec !== "1" || manifest.format !== "raw" || !(manifest.dtype in ARRAYS)) {
  console.error("silu.mjs reads raw vectors of version 1 in float32 or float64");
  process.exit(4);
}
mkdirSync(results, { recursive: true });

// The numbers of a tensor: a copy of its bytes, and a typed array over it.
function load({ file, offset, length, dtype }) {
  const bytes = readFileSync(join(folder, file)).subarray(offset, offset + length);
  return new ARRAYS[dtype](Uint8Array.from(bytes).buffer);
}

// The largest error, in roundings of each number's scale; NaN is larger than everything.
function errorOf(got, truth, scale) {
  let worst = 0;
  got.forEach((value, i) => {
    const farthest = Math.abs(truth[i]) + 8 * scale[i] * manifest.unit;
    const overflown = manifest.overflow !== null && farthest >= manifest.overflow;
    if (Object.is(value, truth[i]) || value === truth[i]) return;
    if (overflown && value === Math.sign(truth[i]) * Infinity) return;
    const error = Math.abs(value - truth[i]) / scale[i] / manifest.unit;
    worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
  });
  return worst;
}

let tensors = 0;
let failures = 0;
let worst = 0;
for (const one of manifest.cases.filter(({ stage }) => stage === "silu")) {
  const byKey = new Map(one.tensors.map((tensor) => [tensor.key, tensor]));
  const x = load(byKey.get(`${one.case}.input.x`));
  const cotangent = load(byKey.get(`${one.case}.cotangent`));
  const computed = {
    [`${one.case}.output`]: x.map(silu),
    [`${one.case}.gradient.x`]: x.map((value, i) => cotangent[i] * slope(value)),
  };
  for (const [key, got] of Object.entries(computed)) {
    const about = byKey.get(key);
    writeFileSync(join(results, `${key}.bin`), got);
    const error = errorOf(got, load(about), load(byKey.get(about.scale)));
    if (error > about.bound) {
      console.log(`${key} is off by ${error} roundings, and may be by ${about.bound}`);
      failures += 1;
    }
    worst = Math.max(worst, error / about.bound);
    tensors += 1;
  }
}
if (tensors === 0) {
  console.error("silu.mjs: no vectors for silu");
  process.exit(4);
}
console.log(
  `silu: ${tensors} tensors, ${failures} failures, at most ${worst.toPrecision(2)} of the bound`,
);
process.exit(failures ? 1 : 0);
