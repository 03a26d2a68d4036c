#include "worker/model/contrastive_loss.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/status_macros.h"
#include "kernels/contrastive.h"
#include "kernels/sigmoid_contrastive.h"

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

// Of rows of `dim`.
std::vector<size_t> FloatCounts(std::vector<size_t> counts, int64_t dim) {
  for (size_t& count : counts) count *= dim;
  return counts;
}

// All ranks' texts and what the kernel needs to know of this rank's strip.
struct Strip {
  // Examples of each rank, and the first column of this rank's own.
  std::vector<size_t> counts;
  size_t first = 0;
  // [N, dim]; empty where they are this rank's own.
  std::vector<float> texts;
  std::vector<uint64_t> hashes;   // [N]
  std::vector<int64_t> positive;  // [n]
};

absl::StatusOr<Strip> GatherStrip(const ContrastiveLossArgs& args, std::vector<size_t> counts,
                                  Collective* collective) {
  Strip strip;
  const size_t total = std::accumulate(counts.begin(), counts.end(), size_t{0});
  if (counts.size() > 1) {
    strip.texts.resize(total * args.dim);
    NAVIT_RETURN_IF_ERROR(collective->AllGather(args.texts, FloatCounts(counts, args.dim),
                                                absl::MakeSpan(strip.texts)));
  }
  strip.hashes.resize(total);
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

// Label smoothing of each column, and so of the row with the same example: the share over the
// number of pairs that count.
std::vector<float> Smoothing(const ContrastiveLossArgs& args, const std::vector<uint64_t>& hashes) {
  if (args.label_smoothing == 0) return {};
  absl::flat_hash_map<uint64_t, size_t> equal;
  for (const uint64_t hash : hashes) ++equal[hash];
  std::vector<float> smooth;
  for (const uint64_t hash : hashes) {
    size_t counting = hashes.size();
    if (args.equal_captions == v1::LossSpec::IGNORE && hash != 0) counting -= equal[hash] - 1;
    smooth.push_back(args.label_smoothing / static_cast<float>(counting));
  }
  return smooth;
}

// Sets the loss, the gradients and result->dlogit_scale_parameter, still that of the scale itself.
absl::Status SoftmaxLoss(const ContrastiveLossArgs& args, const Strip& strip,
                         kernels::ContrastiveStrip scores, absl::Span<float> dtexts,
                         Collective* collective, ContrastiveKernels& kernels,
                         ContrastiveLossResult* result) {
  const int64_t rows = scores.rows;
  const int64_t columns = scores.columns;
  const std::vector<float> smooth = Smoothing(args, strip.hashes);
  if (!smooth.empty()) {
    scores.column_smooth = smooth.data();
    scores.row_smooth = smooth.data() + strip.first;
    scores.positive_share = 1 - args.label_smoothing;
  }
  std::vector<float> row_max(rows), row_lse(rows), positive(rows), smoothed(rows);
  std::vector<float> column_max(columns), column_lse(columns);
  NAVIT_RETURN_IF_ERROR(kernels.Stats({.strip = scores,
                                       .row_max = row_max.data(),
                                       .row_sum = row_lse.data(),
                                       .column_max = column_max.data(),
                                       .column_sum = column_lse.data(),
                                       .positive_score = positive.data(),
                                       .smooth_score = smoothed.data()}));
  kernels::SoftmaxLogSum(rows, row_max.data(), row_lse.data(), row_lse.data());
  NAVIT_RETURN_IF_ERROR(MergeColumns(collective, &column_max, &column_lse));

  const double weight = 0.5 / static_cast<double>(columns);
  const double share = scores.positive_share;
  double loss = 0;
  for (int64_t i = 0; i < rows; ++i) {
    // Each example once: its row and its own column.
    loss += weight * (static_cast<double>(row_lse[i]) - share * positive[i]);
    loss += weight * (static_cast<double>(column_lse[strip.first + i]) - share * positive[i]);
    loss -= weight * smoothed[i];
  }
  NAVIT_RETURN_IF_ERROR(collective->AllReduceSum(absl::MakeSpan(&loss, 1)));
  result->loss = loss;
  return kernels.Backward({.strip = scores,
                           .row_lse = row_lse.data(),
                           .column_lse = column_lse.data(),
                           .row_weight = static_cast<float>(weight),
                           .column_weight = static_cast<float>(weight),
                           .dx = args.dimages.data(),
                           .dy = dtexts.data(),
                           .dscale = &result->dlogit_scale_parameter});
}

// The same for the sigmoid loss.
absl::Status SigmoidLoss(const ContrastiveLossArgs& args, const kernels::ContrastiveStrip& scores,
                         absl::Span<float> dtexts, Collective* collective,
                         ContrastiveKernels& kernels, ContrastiveLossResult* result) {
  NAVIT_RETURN_IF_ERROR(kernels.Sigmoid({.strip = scores,
                                         .bias = args.logit_bias,
                                         .smoothing = args.label_smoothing,
                                         .weight = 1.0 / static_cast<double>(scores.columns),
                                         .dx = args.dimages.data(),
                                         .dy = dtexts.data(),
                                         .loss = &result->loss,
                                         .dscale = &result->dlogit_scale_parameter,
                                         .dbias = &result->dlogit_bias}));
  return collective->AllReduceSum(absl::MakeSpan(&result->loss, 1));
}

}  // namespace

absl::StatusOr<ContrastiveLossResult> ContrastiveLoss(const ContrastiveLossArgs& args,
                                                      Collective* collective,
                                                      ContrastiveKernels& kernels) {
  ContrastiveLossResult result;
  const int64_t rows = static_cast<int64_t>(args.caption_hashes.size());
  NAVIT_ASSIGN_OR_RETURN(std::vector<size_t> counts, GatherCounts(rows, collective));
  const int64_t columns = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  result.examples = columns;
  // All ranks see the same counts, so all of them stop here or none.
  if (columns == 0) return result;
  NAVIT_ASSIGN_OR_RETURN(const Strip strip, GatherStrip(args, std::move(counts), collective));
  const bool alone = strip.counts.size() == 1;

  kernels::ContrastiveStrip scores;
  scores.rows = rows;
  scores.columns = columns;
  scores.dim = args.dim;
  scores.x = args.images.data();
  scores.y = alone ? args.texts.data() : strip.texts.data();
  scores.scale = std::exp(args.logit_scale_parameter);
  scores.positive = strip.positive.data();
  if (args.equal_captions != v1::LossSpec::NEGATIVES) {
    scores.row_hash = args.caption_hashes.data();
    scores.column_hash = strip.hashes.data();
  }
  if (args.equal_captions == v1::LossSpec::POSITIVES) {
    scores.equal_captions = kernels::EqualCaptions::kPositive;
  }

  // The part of all texts' gradients that comes from this rank's rows.
  std::vector<float> partial(strip.texts.size());
  const absl::Span<float> dtexts = alone ? args.dtexts : absl::MakeSpan(partial);
  NAVIT_RETURN_IF_ERROR(
      args.kind == v1::LossSpec::SIGMOID
          ? SigmoidLoss(args, scores, dtexts, collective, kernels, &result)
          : SoftmaxLoss(args, strip, scores, dtexts, collective, kernels, &result));
  // d/dt of exp(t) is exp(t).
  result.dlogit_scale_parameter *= scores.scale;
  if (alone) return result;
  NAVIT_RETURN_IF_ERROR(
      collective->ReduceScatter(partial, FloatCounts(strip.counts, args.dim), args.dtexts));
  return result;
}

}  // namespace navit
