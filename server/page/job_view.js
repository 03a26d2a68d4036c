// One job: its numbers, the verdict and its charts.

const PHASES = ["data_wait", "copy", "forward", "loss", "backward", "comm_exposed", "optimizer",
                "checkpoint", "other"];
const FINAL = ["succeeded", "failed", "cancelled"];

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
