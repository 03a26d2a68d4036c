#include "worker/gather_step.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/packs_digest.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// Behind a rank's (ordinal, hash) pairs: useful operations, nanoseconds so far and of its own work.
constexpr size_t kTrailer = 3;

}  // namespace

absl::StatusOr<GatheredStep> GatherStep(const OwnStep& step, Collective* collective) {
  const v1::StepDeal& deal = step.packs->deal;
  std::vector<size_t> counts;
  size_t total = 0;
  for (const v1::StepDeal::RankPacks& rank : deal.ranks()) {
    counts.push_back(2 * rank.ordinals_size() + kTrailer);
    total += counts.back();
  }
  if (static_cast<int>(counts.size()) != collective->world_size()) {
    return absl::InternalError(absl::StrCat("step ", deal.step(), " was dealt to ", counts.size(),
                                            " ranks, there are ", collective->world_size()));
  }
  std::vector<uint64_t> mine;
  for (size_t i = 0; i < step.packs->packs.size(); ++i) {
    mine.push_back(deal.ranks(collective->rank()).ordinals(i));
    mine.push_back(step.packs->packs[i].header().content_hash());
  }
  const uint64_t own_work = absl::ToInt64Nanoseconds(step.own_work);
  mine.push_back(static_cast<uint64_t>(step.useful_flops));
  mine.push_back(absl::ToInt64Nanoseconds(step.so_far));
  mine.push_back(own_work);
  std::vector<uint64_t> all(total);
  NAVIT_RETURN_IF_ERROR(collective->AllGather(mine, counts, absl::MakeSpan(all)));

  std::vector<std::pair<uint64_t, uint64_t>> digests;
  uint64_t flops = 0, slowest = 0, least_work = own_work;
  size_t at = 0;
  for (size_t count : counts) {
    const size_t trailer = at + count - kTrailer;
    for (; at < trailer; at += 2) digests.emplace_back(all[at], all[at + 1]);
    flops += all[trailer];
    slowest = std::max(slowest, all[trailer + 1]);
    least_work = std::min(least_work, all[trailer + 2]);
    at += kTrailer;
  }
  GatheredStep gathered;
  gathered.lag = absl::Nanoseconds(own_work - least_work);
  v1::StepReport* report = &gathered.report;
  report->set_step(deal.step());
  report->set_packs(digests.size());
  report->set_packs_digest(PacksDigest(std::move(digests)));
  report->set_samples(deal.samples());
  report->set_valid_examples(deal.valid_examples());
  report->set_holes(deal.holes());
  report->set_image_tokens(deal.image_tokens());
  report->set_capacity_tokens(deal.capacity_tokens());
  report->set_text_tokens(deal.text_tokens());
  report->set_useful_flops(flops);
  report->set_seconds(static_cast<double>(slowest) / 1e9);
  return gathered;
}

}  // namespace navit
