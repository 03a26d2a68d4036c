// Asks the coordinator once a second and has drawn what it says.

const POLL_MS = 1000;
const RETRY_MS = 2000;
const TIMEOUT_MS = 8000;

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
