#include "server/core/scheduler.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace navit {
namespace {

std::string Count(uint32_t n, absl::string_view what) {
  return absl::StrCat(n, " ", what, n == 1 ? "" : "s");
}

}  // namespace

std::vector<Placement> Schedule(absl::Span<const GangRequest> requests, uint32_t free_trainers,
                                uint32_t live_packers, double backfill_seconds) {
  std::vector<const GangRequest*> queue;
  for (const GangRequest& request : requests) queue.push_back(&request);
  std::sort(queue.begin(), queue.end(), [](const GangRequest* a, const GangRequest* b) {
    return std::make_tuple(-a->priority, a->submitted_seconds, a->job) <
           std::make_tuple(-b->priority, b->submitted_seconds, b->job);
  });
  std::vector<Placement> placements;
  std::string reserved_for;
  for (const GangRequest* request : queue) {
    Placement placement;
    placement.job = request->job;
    const uint32_t room =
        request->max_trainers > request->have ? request->max_trainers - request->have : 0;
    if (!reserved_for.empty()) {
      placement.reason = absl::StrCat("free trainers are kept for job ", reserved_for,
                                      ", which has waited longer than ", backfill_seconds, " s");
    } else if (live_packers < request->min_packers) {
      placement.reason = absl::StrCat("needs ", Count(request->min_packers, "packer"), ", ",
                                      live_packers, " registered");
    } else if (request->have + free_trainers < request->min_trainers) {
      placement.reason = absl::StrCat("needs ", Count(request->min_trainers, request->trainer_kind), ", has ",
                                      request->have, ", ", free_trainers, " free");
      if (request->waiting_seconds >= backfill_seconds) reserved_for = request->job;
    } else {
      placement.take = std::min(room, free_trainers);
      free_trainers -= placement.take;
    }
    placements.push_back(std::move(placement));
  }
  return placements;
}

}  // namespace navit
