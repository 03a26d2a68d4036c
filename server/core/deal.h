// The deal: which rank trains on which packs of a step.
#ifndef NAVIT_SERVER_CORE_DEAL_H_
#define NAVIT_SERVER_CORE_DEAL_H_

#include <cstdint>

#include "absl/types/span.h"
#include "proto/batches.pb.h"

namespace navit {

// What the coordinator remembers of a pack's header.
struct PackCost {
  uint64_t content_hash = 0;
  uint32_t image_tokens = 0;
  uint32_t capacity_tokens = 0;
  uint32_t text_tokens = 0;
  uint32_t examples = 0;
  uint32_t valid_examples = 0;
  uint32_t holes = 0;
  // Sum over segments of (tokens of the segment)^2.
  uint64_t sum_squares = 0;
};

// Deals packs [first_ordinal, first_ordinal + packs.size()) of `step` to `world_size` > 0 ranks: a
// pure function of its arguments, in integers. Every rank gets a run of neighbouring packs; runs
// are balanced by the mean of the shares in tokens and in Σn², of images and captions together.
// Which rank gets the first run turns with the step, so that the same rank is not always the one
// with a pack more. Ranks may get none. Fills everything but `progress` and `last`.
v1::StepDeal Deal(uint64_t step, uint64_t first_ordinal, absl::Span<const PackCost> packs,
                  uint32_t world_size);

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_DEAL_H_
