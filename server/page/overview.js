// The lists of jobs and workers.

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
