#include "worker/model/contrastive_loss.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "common/status_macros.h"
#include "kernels/contrastive.h"

namespace navit {
namespace {

// Examples of each rank.
absl::StatusOr<std::vector<size_t>> GatherCounts(size_t mine, Collective* collective) {
  const uint64_t count = mine;
  const std::vector<size_t> ones(collective->world_size(), 1);
  std::vector<uint64_t> counts(collective->world_size());
  NAVIT_RETURN_IF_ERROR(
      collective->AllGather(absl::MakeConstSpan(&count, 1), ones, absl::MakeSpan(counts)));
  return std::vector<size_t>(counts.begin(), counts.end());
}

// All ranks' texts and what the kernel needs to know of this rank's strip.
struct Strip {
  // Examples of each rank, and the first column of this rank's own.
  std::vector<size_t> counts;
  size_t first = 0;
  std::vector<float> texts;       // [N, dim]
  std::vector<uint64_t> hashes;   // [N]
  std::vector<int64_t> positive;  // [n]
};

absl::StatusOr<Strip> GatherStrip(const ContrastiveLossArgs& args, std::vector<size_t> counts,
                                  Collective* collective) {
  Strip strip;
  const size_t total = std::accumulate(counts.begin(), counts.end(), size_t{0});
  strip.texts.resize(total * args.dim);
  strip.hashes.resize(total);
  std::vector<size_t> floats(counts);
  for (size_t& count : floats) count *= args.dim;
  NAVIT_RETURN_IF_ERROR(collective->AllGather(args.texts, floats, absl::MakeSpan(strip.texts)));
  NAVIT_RETURN_IF_ERROR(
      collective->AllGather(args.caption_hashes, counts, absl::MakeSpan(strip.hashes)));
  strip.first = std::accumulate(counts.begin(), counts.begin() + collective->rank(), size_t{0});
  strip.positive.resize(counts[collective->rank()]);
  std::iota(strip.positive.begin(), strip.positive.end(), static_cast<int64_t>(strip.first));
  strip.counts = std::move(counts);
  return strip;
}

// Makes column statistics of this rank's rows those of all rows, and returns log-sum-exp.
absl::Status MergeColumns(Collective* collective, std::vector<float>* max,
                          std::vector<float>* sum) {
  const std::vector<float> own_max = *max;
  NAVIT_RETURN_IF_ERROR(collective->AllReduceMax(absl::MakeSpan(*max)));
  kernels::RescaleSoftmaxSums(static_cast<int64_t>(sum->size()), own_max.data(), max->data(),
                              sum->data());
  NAVIT_RETURN_IF_ERROR(collective->AllReduceSum(absl::MakeSpan(*sum)));
  kernels::SoftmaxLogSum(static_cast<int64_t>(sum->size()), max->data(), sum->data(), sum->data());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ContrastiveLossResult> ContrastiveLoss(const ContrastiveLossArgs& args,
                                                      Collective* collective,
                                                      kernels::ThreadPool& pool) {
  ContrastiveLossResult result;
  const int64_t rows = static_cast<int64_t>(args.caption_hashes.size());
  NAVIT_ASSIGN_OR_RETURN(std::vector<size_t> counts, GatherCounts(rows, collective));
  const int64_t columns = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  result.examples = columns;
  // All ranks see the same counts, so all of them stop here or none.
  if (columns == 0) return result;
  NAVIT_ASSIGN_OR_RETURN(const Strip strip, GatherStrip(args, std::move(counts), collective));

  kernels::ContrastiveStrip scores;
  scores.rows = rows;
  scores.columns = columns;
  scores.dim = args.dim;
  scores.x = args.images.data();
  scores.y = strip.texts.data();
  scores.scale = std::exp(args.logit_scale_parameter);
  scores.positive = strip.positive.data();
  if (args.ignore_equal_captions) {
    scores.row_hash = args.caption_hashes.data();
    scores.column_hash = strip.hashes.data();
  }

  std::vector<float> row_max(rows), row_lse(rows), positive(rows);
  std::vector<float> column_max(columns), column_lse(columns);
  kernels::ContrastiveStats({.strip = scores,
                             .row_max = row_max.data(),
                             .row_sum = row_lse.data(),
                             .column_max = column_max.data(),
                             .column_sum = column_lse.data(),
                             .positive_score = positive.data()},
                            pool);
  kernels::SoftmaxLogSum(rows, row_max.data(), row_lse.data(), row_lse.data());
  NAVIT_RETURN_IF_ERROR(MergeColumns(collective, &column_max, &column_lse));

  const double weight = 0.5 / static_cast<double>(columns);
  double loss = 0;
  for (int64_t i = 0; i < rows; ++i) {
    // Each example once: its row and its own column.
    loss += weight * (static_cast<double>(row_lse[i]) - positive[i]);
    loss += weight * (static_cast<double>(column_lse[strip.first + i]) - positive[i]);
  }
  NAVIT_RETURN_IF_ERROR(collective->AllReduceSum(absl::MakeSpan(&loss, 1)));
  result.loss = loss;

  std::vector<float> dtexts(strip.texts.size());
  double dscale = 0;
  kernels::ContrastiveBackward({.strip = scores,
                                .row_lse = row_lse.data(),
                                .column_lse = column_lse.data(),
                                .row_weight = static_cast<float>(weight),
                                .column_weight = static_cast<float>(weight),
                                .dx = args.dimages.data(),
                                .dy = dtexts.data(),
                                .dscale = &dscale},
                               pool);
  // d/dt of exp(t) is exp(t).
  result.dlogit_scale_parameter = dscale * scores.scale;
  std::vector<size_t> floats(strip.counts);
  for (size_t& count : floats) count *= args.dim;
  NAVIT_RETURN_IF_ERROR(collective->ReduceScatter(dtexts, floats, args.dtexts));
  return result;
}

}  // namespace navit
