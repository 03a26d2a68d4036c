// Image-text retrieval over a set of embedded pairs.
#ifndef NAVIT_WORKER_MODEL_RETRIEVAL_H_
#define NAVIT_WORKER_MODEL_RETRIEVAL_H_

#include <array>
#include <cstdint>

#include "absl/types/span.h"

namespace navit {

// Shares in [0, 1] of N queries whose K nearest items by dot product hold a match, K = 1, 5, 10.
// Any pair with the identical caption (equal hashes) is a match. `chance` is what a random order
// of the items gives: mean over queries of 1 - C(N - matches, K) / C(N, K), equal both ways.
struct RetrievalResult {
  static constexpr std::array<int64_t, 3> kRanks = {1, 5, 10};

  int64_t pairs = 0;
  std::array<double, 3> image_to_text = {};
  std::array<double, 3> text_to_image = {};
  std::array<double, 3> chance = {};
};

// `images` and `texts` are [N, dim], row i of both from pair i, L2-normalised; N may be 0. Items
// that tie with a match count as ahead of it, so that equal embeddings of everything score zero
// beyond what their number explains, and never one.
RetrievalResult Retrieve(absl::Span<const float> images, absl::Span<const float> texts, int64_t dim,
                         absl::Span<const uint64_t> caption_hashes);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_RETRIEVAL_H_
