// Where values lie on a chart, and which of them are named.

function linearTicks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const ticks = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) {
    ticks.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  }
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  const decades = Math.log10(high / low);
  const steps = decades < 1.2 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < 3 ? [1, 2, 5] : [1];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    for (const m of steps) {
      const t = m * 10 ** e;
      if (t >= low * 0.999 && t <= high * 1.001) ticks.push(t);
    }
  }
  return ticks.length > 1 ? ticks : [low, high];
}

// A scale of values onto pixels [from, to].
function scale(low, high, from, to, logarithmic) {
  const f = logarithmic ? Math.log10 : (v) => v;
  const a = f(low), b = f(high);
  const at = (v) => from + ((f(v) - a) / (b - a || 1)) * (to - from);
  return at;
}

function yRange(values, { logarithmic, zero }) {
  const finite = values.filter((v) => Number.isFinite(v) && (!logarithmic || v > 0));
  if (!finite.length) return null;
  let low = Math.min(...finite), high = Math.max(...finite);
  if (logarithmic) {
    if (high / low < 1.05) { low /= 1.1; high *= 1.1; }
    return [low / 1.02, high * 1.02];
  }
  if (zero) low = Math.min(0, low);
  if (high - low < 1e-12 * Math.max(1, Math.abs(high))) {
    const room = Math.abs(high) * 0.1 || 1;
    return [zero ? low : low - room, high + room];
  }
  const room = 0.05 * (high - low);
  return [zero ? low : low - room, high + room];
}
