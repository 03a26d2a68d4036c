"use strict";
// Asks the coordinator once a second and draws what it says. Text from outside (job names, reasons,
// worker names) only ever becomes a text node.

const POLL_MS = 1000;
const RETRY_MS = 2000;
const TIMEOUT_MS = 8000;
const PHASES = ["data_wait", "copy", "forward", "loss", "backward", "comm_exposed", "optimizer",
                "checkpoint", "other"];
const FINAL = ["succeeded", "failed", "cancelled"];

const $ = (id) => document.getElementById(id);
const colour = (i) => `var(--c${i % 9})`;

// ---- making elements

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "colour") made.style.background = value;
    else if (name === "width") made.style.width = value;
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function shape(tag, attributes = {}, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "fill" || name === "stroke") made.style[name] = value;
    else made.setAttribute(name, value);
  }
  if (text !== undefined) made.textContent = text;
  return made;
}

// Replaces the children only when what they say has changed, so that nothing flickers or loses focus.
function put(parent, ...children) {
  const next = element("div", {}, ...children);
  if (parent.innerHTML !== next.innerHTML) parent.replaceChildren(...next.childNodes);
}

// ---- numbers for people

function digits(value, count = 3) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e15 || size < 1e-4) return value.toExponential(count - 1);
  const whole = Math.floor(Math.log10(size)) + 1;
  return value.toFixed(Math.max(0, Math.min(8, count - whole)));
}

function short(value, count = 3) {
  if (!Number.isFinite(value)) return "–";
  for (const [unit, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= unit * (name === "k" ? 10 : 1)) return digits(value / unit, count) + name;
  }
  return digits(value, count);
}

// For ticks: no zeros that say nothing.
const trimmed = (text) => text.replace(/(\.\d*?)0+(?=\D*$)/, "$1").replace(/\.(?=\D*$)/, "");

const percent = (share, count = 1) =>
  Number.isFinite(share) ? (100 * share).toFixed(count) + " %" : "–";

function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 0.9995) return digits(1000 * seconds, 3) + " ms";
  if (seconds < 100) return digits(seconds, 3) + " s";
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const clock = (unix) => new Date(1000 * unix).toLocaleTimeString([], { hour12: false });
const plain = (number) => Number(number).toLocaleString("en-US");
const words = (name) => name.replaceAll("_", " ");

// ---- axes

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

// ---- charts

// A card with a title, the newest value, an SVG that fills the card's width, and hover values.
class Chart {
  constructor(id, title, { height = 210, logarithmic = null } = {}) {
    this.id = id;
    this.height = height;
    this.logarithmic = logarithmic === true;
    this.now = element("span", { class: "now" });
    this.button = logarithmic === null ? null : element("button", {
      type: "button", title: "logarithmic axis", "aria-pressed": String(this.logarithmic) }, "log");
    this.svg = shape("svg", { role: "img", height });
    this.legend = element("div", { class: "legend" });
    this.none = element("p", { class: "none" }, "no data yet");
    this.card = element("div", { class: "card chart", id: "chart-" + id },
      element("header", {}, element("h3", {}, title), this.button, this.now),
      this.svg, this.none, this.legend);
    this.title = title;
    if (this.button) {
      this.button.addEventListener("click", () => {
        this.logarithmic = !this.logarithmic;
        this.button.setAttribute("aria-pressed", String(this.logarithmic));
        this.draw();
      });
    }
    this.svg.addEventListener("pointermove", (event) => this.hover(event));
    this.svg.addEventListener("pointerdown", (event) => this.hover(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.card);
  }

  // `spec.points`: how many data points there are; `spec.paint(frame)` draws them.
  show(spec) {
    this.spec = spec;
    this.draw();
  }

  draw() {
    const spec = this.spec;
    const width = this.svg.clientWidth || this.card.clientWidth - 34;
    const empty = !spec || !spec.points;
    this.none.hidden = !empty;
    this.svg.style.display = empty ? "none" : "";
    this.card.dataset.points = empty ? 0 : spec.points;
    this.now.textContent = spec && spec.now || "";
    put(this.legend, ...((spec && spec.legend) || []));
    if (empty || width < 60) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.svg.setAttribute("aria-label", `${this.title}: ${spec.now || ""}`);
    const frame = { width, left: 52, right: width - 8, top: 8, bottom: this.height - 36,
                    logarithmic: this.logarithmic, add: (...s) => parts.push(...s) };
    const parts = [];
    const readings = spec.paint(frame);
    this.svg.replaceChildren(...parts);
    this.frame = frame;
    // Where the pointer can be, and what it reads there.
    this.readings = readings || [];
    if (this.pointer) this.mark();
  }

  hover(event) {
    if (!this.readings || !this.readings.length) return;
    const box = this.svg.getBoundingClientRect();
    this.pointer = { x: event.clientX - box.left, clientX: event.clientX, clientY: event.clientY };
    this.mark();
  }

  mark() {
    let best = this.readings[0];
    for (const reading of this.readings) {
      if (Math.abs(reading.x - this.pointer.x) < Math.abs(best.x - this.pointer.x)) best = reading;
    }
    this.svg.querySelectorAll(".mark").forEach((old) => old.remove());
    const { top, bottom } = this.frame;
    this.svg.append(shape("line", { class: "cross mark", x1: best.x, x2: best.x, y1: top, y2: bottom }));
    for (const dot of best.dots || []) {
      this.svg.append(shape("circle", { class: "mark", cx: best.x, cy: dot.y, r: 3.5, fill: dot.colour }));
    }
    const tip = $("tip");
    put(tip, element("b", {}, best.title), ...best.lines.map(([name, value, c]) =>
      element("div", { class: "spread" },
        element("span", {}, c ? element("i", { colour: c }) : null, name), element("b", {}, value))));
    tip.hidden = false;
    const x = Math.min(this.pointer.clientX + 14, innerWidth - tip.offsetWidth - 6);
    const y = Math.min(this.pointer.clientY + 14, innerHeight - tip.offsetHeight - 6);
    tip.style.left = Math.max(6, x) + "px";
    tip.style.top = Math.max(6, y) + "px";
  }

  leave() {
    this.pointer = null;
    $("tip").hidden = true;
    this.svg.querySelectorAll(".mark").forEach((old) => old.remove());
  }
}

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

// ---- the parts of the page

const chip = (state) => element("span", { class: "chip " + state }, words(state));

function progressText(job) {
  if (job.state === "indexing") return `shards ${plain(job.shards_indexed)} / ${plain(job.shards_total)}`;
  return job.total_steps ? `step ${plain(job.step)} / ${plain(job.total_steps)}` : `step ${plain(job.step)}`;
}

function progressShare(job) {
  if (job.state === "indexing") return job.shards_total ? job.shards_indexed / job.shards_total : 0;
  return job.progress;
}

const bar = (share) =>
  element("div", { class: "bar" }, element("i", { width: (100 * Math.min(1, Math.max(0, share))).toFixed(2) + "%" }));

function drawJobs(overview, chosen) {
  $("jobs-count").textContent = overview.jobs_total > overview.jobs.length
    ? `newest ${overview.jobs.length} of ${overview.jobs_total}` : String(overview.jobs_total);
  if (!overview.jobs.length) {
    put($("jobs"), element("p", { class: "dim" }, "No job yet. Submit one: navitctl submit job.yaml"));
    return;
  }
  put($("jobs"), ...overview.jobs.map((job) =>
    element("a", { class: "job-link" + (job.name === chosen ? " chosen" : ""), href: "#/jobs/" + encodeURIComponent(job.name),
                   "aria-current": job.name === chosen ? "true" : undefined, "data-job": job.name },
      element("div", { class: "spread" }, element("span", { class: "name" }, job.name), chip(job.state)),
      bar(progressShare(job)),
      element("div", { class: "spread small dim" }, element("span", {}, progressText(job)),
        job.newest ? element("span", {}, "loss " + digits(job.newest.loss, 4)) : null))));
}

function drawWorkers(overview) {
  const there = overview.workers.filter((w) => w.state !== "lost").length;
  $("workers-count").textContent = `${there} here` +
    (there < overview.workers_total ? `, ${overview.workers_total - there} lost` : "");
  if (!overview.workers.length) {
    put($("workers"), element("p", { class: "dim" }, "No worker is registered."));
    return;
  }
  const cell = (label, text, kind) => element("td", { "data-label": label, class: kind }, text);
  put($("workers"), element("div", { class: "card" }, element("table", {},
    element("thead", {}, element("tr", {}, ...["name", "role", "state", "job", "step", "doing", "heard", "host"]
      .map((h) => element("th", {}, h)))),
    element("tbody", {}, ...overview.workers.map((w) => element("tr", {},
      cell("name", w.name), cell("role", w.role), cell("state", chip(w.state)),
      cell("job", w.jobs.join(", ")), cell("step", w.role === "trainer" && w.step ? plain(w.step) : ""),
      cell("doing", w.role === "trainer" ? words(w.phase.replace(/^phase_/, "")) : ""),
      cell("heard", w.seconds_since_heard < 3 ? "now" : duration(w.seconds_since_heard) + " ago"), cell("host", w.host)))))));
}

const named = (list, name) => { const found = (list || []).find((e) => e.name === name); return found ? found.seconds : 0; };

function kpi(label, value, note) {
  return element("div", { class: "kpi" }, element("b", {}, value, note ? element("small", {}, " " + note) : null), element("span", {}, label));
}

// The detail of one job; made once per job, then fed.
class JobView {
  constructor(name) {
    this.name = name;
    this.head = element("div", { id: "job-head" });
    this.verdict = element("div");
    this.charts = {
      loss: new Chart("loss", "Loss", { logarithmic: false }),
      tokens: new Chart("tokens", "Useful tokens per second"),
      phases: new Chart("phases", "Where a step's time goes"),
      fill: new Chart("fill", "Fill of the sequences"),
      resolution: new Chart("resolution", "Sampled side of the images"),
      segments: new Chart("segments", "Images per sequence"),
      norm: new Chart("norm", "Gradient norm", { logarithmic: true }),
      aspect: new Chart("aspect", "Aspect ratio, width / height"),
      rate: new Chart("rate", "Learning rate"),
      drop: new Chart("drop", "Dropped share of an image's patches"),
      scores: new Chart("scores", "Scores"),
    };
    this.root = element("div", {}, this.head, this.verdict,
      element("div", { class: "charts" }, ...Object.values(this.charts).map((c) => c.card)));
  }

  show(page) {
    const job = page.job, curve = page.curve, telemetry = page.telemetry || {};
    const rates = telemetry.rates || {};
    const live = job.state === "running" && rates.seconds > 0;
    this.drawHead(page, job, rates, live);
    this.drawVerdict(page.verdict, job);
    const steps = curve.step;
    const newest = (values) => values[values.length - 1];
    const stepTitle = Object.assign((v, i) => {
      const before = i > 0 ? steps[i - 1] : 0;
      return v - before > 1 ? `steps ${plain(before + 1)} to ${plain(v)}` : `step ${plain(v)}`;
    }, { whole: true });
    const overSteps = (values, options) => lines({ xs: steps, xName: "step", xTitle: stepTitle,
      series: [{ values, ...options }], now: values.length ? (options.text || options.yText || short)(newest(values)) : "", ...options });
    this.charts.loss.show(overSteps(curve.loss, { name: "loss", colour: colour(2), yName: "loss",
      text: (v) => digits(v, 4), band: [curve.loss_min, curve.loss_max],
      ...(job.newest ? { now: digits(job.newest.loss, 4) } : {}) }));
    this.charts.tokens.show(overSteps(curve.tokens_per_second, { name: "tokens/s", colour: colour(6),
      yName: "tokens/s", zero: true }));
    this.charts.norm.show(overSteps(curve.grad_norm, { name: "gradient norm", colour: colour(7), yName: "norm" }));
    this.charts.rate.show(overSteps(curve.learning_rate, { name: "learning rate", colour: colour(3), yName: "rate",
      zero: true, yText: (v) => (v === 0 ? "0" : Math.abs(v) < 0.01 ? v.toExponential(1) : digits(v, 2)) }));
    this.drawPhases(telemetry.series, rates);
    const packing = telemetry.packing || {};
    this.charts.fill.show(bars({ distribution: packing.fill_ratio, unit: " %", what: "packs", colour: colour(2),
      text: (v) => trimmed(digits(100 * v, 4)) }));
    this.charts.resolution.show(bars({ distribution: packing.resolution_pixels, unit: " px", what: "images", colour: colour(6) }));
    this.charts.segments.show(bars({ distribution: packing.segments, unit: " images", what: "packs", colour: colour(0) }));
    this.charts.aspect.show(bars({ distribution: packing.aspect_ratio, unit: "", what: "images", colour: colour(7) }));
    this.charts.drop.show(bars({ distribution: packing.token_drop_ratio, unit: " %", what: "images", colour: colour(5),
      text: (v) => String(Math.round(100 * v)) }));
    this.drawScores(page.scores || []);
  }

  drawHead(page, job, rates, live) {
    const padding = job.fill ? 1 - job.fill : NaN;
    const dataWait = rates.step_seconds ? named(rates.phases, "data_wait") / rates.step_seconds : NaN;
    let eta = "–";
    const passed = page.now_seconds - job.started_seconds;
    if (job.state === "running" && job.progress > 0 && job.progress < 1 && passed > 0) {
      eta = duration((passed * (1 - job.progress)) / job.progress);
    }
    const end = FINAL.includes(job.state) ? job.finished_seconds : page.now_seconds;
    const why = FINAL.includes(job.state) ? [] : page.why.slice(1);
    put(this.head,
      element("div", { class: "title" }, element("h1", {}, job.name), chip(job.state)),
      job.reason ? element("p", { class: "reason" }, job.reason) : null,
      ...why.map((line) => element("p", { class: "dim small reason" }, line)),
      bar(progressShare(job)),
      element("div", { class: "spread small dim" }, element("span", {}, progressText(job)),
        element("span", {}, percent(progressShare(job)))),
      element("div", { class: "kpis" },
        kpi("loss", job.newest ? digits(job.newest.loss, 4) : "–"),
        kpi("useful tokens/s", job.newest ? short(job.newest.tokens_per_second) : "–"),
        kpi("images/s", job.newest ? short(job.newest.examples_per_second) : "–"),
        kpi("MFU", live ? percent(rates.mfu) : "–"),
        kpi("padding", percent(padding, 2)),
        kpi("data wait", live ? percent(dataWait) : "–"),
        kpi(FINAL.includes(job.state) ? "ran for" : "time left",
          FINAL.includes(job.state) ? (job.started_seconds ? duration(end - job.started_seconds) : "–") : eta),
        kpi("samples seen", short(job.samples_seen), job.holes ? `${plain(job.holes)} bad` : ""),
        kpi("trainers", String(job.trainers), job.recoveries ? `${job.recoveries} recoveries` : ""),
        kpi("packers", live ? String(rates.packers || 0) : "–", live ? `${digits(rates.packs_per_second, 3)} packs/s` : "")));
  }

  drawVerdict(verdict, job) {
    if (!verdict || job.state !== "running") { put(this.verdict); return; }
    const open = this.verdict.querySelector("details[open]") !== null;
    const kind = words(String(verdict.kind).replace(/^verdict_/, ""));
    put(this.verdict, element("div", { class: "card verdict", id: "verdict", "data-kind": kind },
      element("h3", {}, kind === "unknown" ? "What holds it up" : `What holds it up: ${kind}`),
      element("p", {}, verdict.summary),
      verdict.next_action ? element("p", { class: "next" }, "Next: " + verdict.next_action.replaceAll("->", "→")) : null,
      verdict.numbers.length ? element("details", { open }, element("summary", {}, "the numbers"),
        element("dl", {}, ...verdict.numbers.map((n) => element("div", {}, element("dt", {}, n.name), element("dd", {}, n.value))))) : null));
  }

  drawPhases(series, rates) {
    const times = (series && series.time) || [];
    const points = times.map((_, i) => i).filter((i) => series.phases.some((p) => p.seconds[i] > 0));
    const every = PHASES.map((name, i) => {
      const phase = ((series && series.phases) || []).find((p) => p.name === name);
      return { name, colour: colour(i), values: points.map((at) => (phase ? phase.seconds[at] : 0)) };
    }).filter((s) => s.values.some((v) => v > 0));
    const step = rates.step_seconds;
    this.charts.phases.show(stack({ xs: points.map((i) => times[i]), series: every,
      now: step ? `${duration(step)} per step` : "",
      legend: every.map((s) => element("span", {}, element("i", { colour: s.colour }), words(s.name) + " ",
        element("b", {}, step ? percent(named(rates.phases, s.name) / step, 0) : ""))) }));
  }

  drawScores(evaluations) {
    const names = [];
    for (const e of evaluations) {
      for (const s of e.scores.scores) {
        const name = `${s.metric} @${s.token_budget}`;
        if (!s.metric.endsWith("/chance") && !names.includes(name)) names.push(name);
      }
    }
    const series = names.slice(0, 9).map((name, i) => ({ name, colour: colour(i), text: (v) => percent(v),
      values: evaluations.map((e) => {
        const score = e.scores.scores.find((s) => `${s.metric} @${s.token_budget}` === name);
        return score ? score.value : NaN;
      }) }));
    this.charts.scores.card.hidden = !series.length;
    this.charts.scores.show(lines({ xs: evaluations.map((e) => e.step), series, xName: "step", yName: "score", zero: true,
      yText: (v) => percent(v, 0), xTitle: Object.assign((v) => `step ${plain(v)}`, { whole: true }),
      legend: series.map((s) => element("span", {}, element("i", { colour: s.colour }), s.name + " ",
        element("b", {}, percent(s.values[s.values.length - 1])))) }));
  }
}

// ---- asking

let view = null;
let lostSince = null;
let heardAt = null;
let incarnation = null;
let restarted = false;

const chosenByHash = () => {
  const match = location.hash.match(/^#\/jobs\/(.+)$/);
  try { return match ? decodeURIComponent(match[1]) : null; } catch { return null; }
};

async function ask(url) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const reply = await fetch(url, { signal: abort.signal, cache: "no-store" });
    if (reply.status === 404) return null;
    if (!reply.ok) throw new Error(`${url}: ${reply.status}`);
    return await reply.json();
  } finally {
    clearTimeout(timer);
  }
}

function showLost() {
  const since = Math.round((Date.now() - lostSince) / 1000);
  const heard = heardAt ? " What is shown is the last that was heard." : "";
  $("lost").textContent = `The coordinator is lost: it has not answered since ${clock(lostSince / 1000)} (${since} s).` +
    `${heard} Trying again every ${RETRY_MS / 1000} s.`;
  $("lost").hidden = false;
  $("live").textContent = "coordinator lost";
  $("live").className = "live away";
  document.title = "lost · navit";
}

function showFound(overview) {
  if (incarnation !== null && overview.incarnation !== incarnation) restarted = true;
  incarnation = overview.incarnation;
  heardAt = Date.now();
  lostSince = null;
  $("lost").hidden = true;
  $("lost").textContent = "";
  $("live").textContent = "live";
  $("live").className = "live";
  $("coordinator").textContent = `coordinator ${overview.version}` +
    (restarted ? ", restarted while you watched" : "");
}

async function poll() {
  try {
    const overview = await ask("api/overview");
    showFound(overview);
    const first = overview.jobs.length ? overview.jobs[0].name : null;
    const chosen = chosenByHash() || first;
    drawJobs(overview, chosen);
    drawWorkers(overview);
    const page = chosen === null ? null : await ask("api/jobs/" + encodeURIComponent(chosen));
    if (page === null) {
      view = null;
      put($("job"), chosen === null ? element("p", { class: "dim" }, "Here the chosen job will show.")
        : element("p", { class: "reason" }, `There is no job ${chosen}.`));
      document.title = "navit";
    } else {
      if (view === null || view.name !== chosen) {
        view = new JobView(chosen);
        $("job").replaceChildren(view.root);
      }
      view.show(page);
      document.title = `${chosen} ${page.job.state} · navit`;
    }
    return POLL_MS;
  } catch (error) {
    if (error instanceof TypeError && !/fetch|network|load/i.test(error.message)) console.error(error);
    if (lostSince === null) lostSince = heardAt || Date.now();
    showLost();
    return RETRY_MS;
  }
}

let timer = null;
let asking = false;
async function loop() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  const wait = await poll();
  asking = false;
  timer = setTimeout(loop, document.hidden ? 5 * wait : wait);
}
addEventListener("hashchange", () => { view = null; loop(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) loop(); });
setInterval(() => { if (lostSince !== null) showLost(); }, 1000);
loop();
