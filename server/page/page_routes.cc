#include "server/page/page_routes.h"

#include <memory>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "common/job_spec/print.h"
#include "server/page/page_html.h"
#include "server/views.h"

namespace navit {
namespace {

constexpr char kJson[] = "application/json; charset=utf-8";
constexpr size_t kCurvePoints = 400;

// Only what stands in the page itself runs or shows: its script and style carry a number that is
// drawn at every start.
HttpResponse Page(const std::string& nonce) {
  HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.body = absl::StrReplaceAll(PageHtml(), {{"@NONCE@", nonce}});
  response.headers["Content-Security-Policy"] =
      absl::StrCat("default-src 'none'; script-src 'nonce-", nonce, "'; style-src 'nonce-", nonce,
                   "'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                   "frame-ancestors 'none'");
  response.headers["Referrer-Policy"] = "no-referrer";
  return response;
}

// Curves of long jobs take a while: several who look share one, and it is made anew only after
// fifty times as long as it took.
class CurveCache {
 public:
  explicit CurveCache(CoordinatorHost* host) : host_(host) {}

  v1::Curve Get(const std::string& job, uint64_t step) {
    absl::MutexLock lock(&mutex_);
    const absl::Duration now = host_->SteadyNow();
    if (const auto found = curves_.find(job); found != curves_.end()) {
      const Entry& entry = found->second;
      const bool same = entry.step == step && now - entry.made_at < absl::Minutes(1);
      if (same || now - entry.made_at < 50 * entry.took) return entry.curve;
    }
    absl::StatusOr<v1::Curve> curve = host_->Call(
        [&](Coordinator& core, PackBytes&, Instant) { return core.JobCurve(job, kCurvePoints); });
    if (!curve.ok()) return {};
    if (curves_.size() >= kMaxCurves) curves_.clear();
    curves_[job] = {step, now, host_->SteadyNow() - now, *curve};
    return *std::move(curve);
  }

 private:
  static constexpr size_t kMaxCurves = 64;
  struct Entry {
    uint64_t step = 0;
    absl::Duration made_at;
    absl::Duration took;
    v1::Curve curve;
  };
  CoordinatorHost* const host_;
  absl::Mutex mutex_;
  std::map<std::string, Entry> curves_ ABSL_GUARDED_BY(mutex_);
};

HttpResponse Error(int status, absl::string_view message) {
  return {status, kJson, absl::StrCat("{\"error\": ", JsonString(message), "}\n")};
}

}  // namespace

std::map<std::string, HttpHandler> PageRoutes(CoordinatorHost* host,
                                              const TelemetryBook* telemetry) {
  std::random_device random;
  const std::string nonce =
      absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
  auto curves = std::make_shared<CurveCache>(host);
  std::map<std::string, HttpHandler> routes;
  routes["/"] = [nonce](const HttpRequest&) { return Page(nonce); };
  routes["/api/overview"] = [host](const HttpRequest&) {
    return HttpResponse{200, kJson, ToJson(OverviewOf(host))};
  };
  routes["/api/jobs/*"] = [host, telemetry, curves](const HttpRequest& request) {
    const std::string job(absl::StripPrefix(request.path, "/api/jobs/"));
    absl::StatusOr<v1::JobPage> page = JobPageOf(job, host, *telemetry);
    if (!page.ok()) return Error(404, page.status().message());
    *page->mutable_curve() = curves->Get(job, page->job().step());
    return HttpResponse{200, kJson, ToJson(*page)};
  };
  return routes;
}

}  // namespace navit
