// What a Chart paints: lines, areas on top of each other, bars. Each function gives the `spec` that
// Chart.show takes.

function paintAxes(frame, { yTicks, y, yText, xTicks, x, xText, xName, yName }) {
  for (const tick of yTicks) {
    frame.add(shape("line", { class: "grid", x1: frame.left, x2: frame.right, y1: y(tick), y2: y(tick) }));
    frame.add(shape("text", { x: frame.left - 6, y: y(tick) + 4, "text-anchor": "end" }, trimmed(yText(tick))));
  }
  frame.add(shape("line", { class: "axis", x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom }));
  for (const tick of xTicks) {
    frame.add(shape("line", { class: "axis", x1: x(tick), x2: x(tick), y1: frame.bottom, y2: frame.bottom + 4 }));
    frame.add(shape("text", { x: x(tick), y: frame.bottom + 16, "text-anchor": "middle" }, xText(tick)));
  }
  frame.add(shape("text", { x: frame.right, y: frame.bottom + 31, "text-anchor": "end" }, xName));
  frame.add(shape("text", { x: 0, y: frame.bottom + 31 }, yName));
}

function path(points, y) {
  let text = "", pen = false;
  for (const [px, value] of points) {
    const py = Number.isFinite(value) ? y(value) : NaN;
    if (!Number.isFinite(py)) { pen = false; continue; }
    text += `${pen ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`;
    pen = true;
  }
  return text;
}

// Lines over steps (or time). series: [{name, values, colour, band: [low, high]}].
function lines({ xs, series, xName, yName, yText = short, zero = false, xText = short, xTitle, now, legend }) {
  return { points: xs.length, now, legend, paint(frame) {
    const every = series.flatMap((s) => [...s.values, ...(s.band ? [...s.band[0], ...s.band[1]] : [])]);
    const positive = every.every((v) => !Number.isFinite(v) || v > 0);
    const logarithmic = frame.logarithmic && positive;
    const range = yRange(every, { logarithmic, zero });
    if (!range) return [];
    const y = scale(range[0], range[1], frame.bottom, frame.top, logarithmic);
    const first = xs[0], last = xs.length > 1 ? xs[xs.length - 1] : xs[0] + 1;
    const x = scale(first, last, frame.left + 2, frame.right - 4, false);
    const yTicks = logarithmic ? logTicks(range[0], range[1]) : linearTicks(range[0], range[1], 4);
    const xTicks = linearTicks(first, last, Math.max(2, Math.floor((frame.right - frame.left) / 75)))
      .filter((t) => !xTitle.whole || Number.isInteger(t));
    paintAxes(frame, { yTicks, y, yText, xTicks, x, xText, xName, yName });
    for (const s of series) {
      if (s.band) {
        const up = xs.map((v, i) => [x(v), s.band[1][i]]);
        const down = xs.map((v, i) => [x(v), s.band[0][i]]).reverse();
        const whole = [...up, ...down].filter(([, v]) => Number.isFinite(v));
        frame.add(shape("path", { d: path(whole, y) + "Z", fill: s.colour, opacity: 0.18 }));
      }
      const points = xs.map((v, i) => [x(v), s.values[i]]);
      frame.add(shape("path", { class: "stroke series", d: path(points, y), stroke: s.colour }));
      if (xs.length <= 40) {
        for (const [px, v] of points) {
          if (Number.isFinite(v)) frame.add(shape("circle", { cx: px, cy: y(v), r: 2.2, fill: s.colour }));
        }
      }
    }
    return xs.map((v, i) => ({
      x: x(v), title: xTitle(v, i),
      lines: series.map((s) => [s.name, (s.text || yText)(s.values[i], i), series.length > 1 ? s.colour : null]),
      dots: series.filter((s) => Number.isFinite(s.values[i])).map((s) => ({ y: y(s.values[i]), colour: s.colour })),
    }));
  } };
}

// Areas on top of each other over time.
function stack({ xs, series, now, legend }) {
  return { points: xs.length, now, legend, paint(frame) {
    const totals = xs.map((_, i) => series.reduce((sum, s) => sum + (s.values[i] || 0), 0));
    const sorted = [...totals].sort((a, b) => a - b);
    // One slow step (a checkpoint, a recovery) must not flatten all others.
    const most = Math.min(sorted[sorted.length - 1], 3 * sorted[Math.floor(0.9 * (sorted.length - 1))]) || 1;
    const y = scale(0, most * 1.05, frame.bottom, frame.top, false);
    const clip = (v) => Math.min(v, most * 1.05);
    const first = xs[0], last = xs.length > 1 ? xs[xs.length - 1] : xs[0] + 1;
    const x = scale(first, last, frame.left + 2, frame.right - 4, false);
    const count = Math.max(2, Math.floor((frame.right - frame.left) / 110));
    const xTicks = Array.from({ length: count }, (_, i) => first + ((i + 0.5) / count) * (last - first));
    paintAxes(frame, { yTicks: linearTicks(0, most * 1.05, 4), y, yText: (v) => (v ? duration(v) : "0"),
                       xTicks, x, xText: clock, xName: "time", yName: "per step" });
    const base = xs.map(() => 0);
    for (const s of series) {
      const low = [...base];
      xs.forEach((_, i) => { base[i] += s.values[i] || 0; });
      const up = xs.map((v, i) => [x(v), clip(base[i])]);
      const down = xs.map((v, i) => [x(v), clip(low[i])]).reverse();
      frame.add(shape("path", { class: "series", d: path([...up, ...down], y) + "Z", fill: s.colour, opacity: 0.9 }));
    }
    return xs.map((v, i) => ({
      x: x(v), title: `${clock(v)} · ${duration(totals[i])} per step`,
      lines: [...series].reverse().filter((s) => s.values[i] > 0)
        .map((s) => [words(s.name), `${duration(s.values[i])} · ${percent(s.values[i] / totals[i], 0)}`, s.colour]),
    }));
  } };
}

// Bars of a histogram: one width each, whatever the buckets' width, without the empty ends.
function bars({ distribution, unit, what, text = (v) => String(v), colour: fill }) {
  const counts = (distribution && distribution.counts) || [];
  const bounds = (distribution && distribution.bounds) || [];
  const total = counts.reduce((sum, c) => sum + c, 0);
  let first = counts.findIndex((c) => c > 0), last = counts.length - 1;
  while (last > first && !counts[last]) last--;
  const mean = total ? distribution.sum / total : NaN;
  return { points: total ? last - first + 1 : 0, now: total ? `mean ${text(mean < 100 ? Number(digits(mean, 3)) : Math.round(mean))}${unit}` : "",
    paint(frame) {
      const shown = counts.slice(first, last + 1);
      const most = Math.max(...shown) / total;
      const y = scale(0, most * 1.08, frame.bottom, frame.top, false);
      const slot = (frame.right - frame.left) / shown.length;
      const labels = Math.max(1, Math.ceil((shown.length * 44) / (frame.right - frame.left)));
      paintAxes(frame, { yTicks: linearTicks(0, most * 1.08, 4), y, yText: (v) => percent(v, v < 0.02 && v ? 1 : 0),
                         xTicks: [], x: null, xText: null, xName: unit.trim() || "ratio", yName: `share of ${what}` });
      const readings = [];
      shown.forEach((count, i) => {
        const left = frame.left + i * slot + Math.min(2, slot * 0.1);
        const width = slot - 2 * Math.min(2, slot * 0.1);
        const top = y(count / total);
        frame.add(shape("rect", { class: "series", x: left, y: top, width, height: Math.max(0, frame.bottom - top), rx: 1.5, fill }));
        const low = first + i > 0 ? bounds[first + i - 1] : null;
        const high = bounds[first + i];
        const name = low === null ? `up to ${text(high)}` : high === undefined ? `above ${text(low)}` : `${text(low)} to ${text(high)}`;
        // The upper bound stands at the right edge of its bar.
        if (high !== undefined && (shown.length - 1 - i) % labels === 0) {
          frame.add(shape("text", { x: Math.min(frame.left + (i + 1) * slot, frame.right - 8), y: frame.bottom + 16, "text-anchor": "middle" }, text(high)));
        }
        readings.push({ x: left + width / 2, title: name + unit, lines: [[what, plain(count)], ["share", percent(count / total)]] });
      });
      return readings;
    } };
}
