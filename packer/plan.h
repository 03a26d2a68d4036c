// Planning a window: which samples, at which size, with how many tokens, in which pack; without
// decoding an image and without knowing any other window (DESIGN.md, section 3, points 2 to 4).
#ifndef NAVIT_PACKER_PLAN_H_
#define NAVIT_PACKER_PLAN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "packer/index_cache.h"
#include "packer/sample_order.h"
#include "proto/data.pb.h"
#include "proto/job_spec.pb.h"
#include "proto/pack.pb.h"

namespace navit {

// The version of everything that decides a pack's bytes: order, draws, grids, packing, resize,
// patches, tokens. A job pins it (packing.plan_version).
inline constexpr uint32_t kPlanVersion = 3;

struct PlannedExample : OrderedSample {
  // Grid before token drop, in patches, and tokens kept; all 0 for a hole.
  uint32_t grid_rows = 0;
  uint32_t grid_columns = 0;
  uint32_t tokens = 0;
  // Which of the sample's captions, and how many tokens it has; 0 for a hole, and in a job without
  // a text tower.
  uint32_t caption = 0;
  uint32_t text_tokens = 0;
  // Side length R that was drawn, in pixels (evaluation: 0).
  uint32_t side = 0;
  v1::HoleReason hole = v1::HOLE_REASON_NONE;
};

struct WindowPlan {
  v1::Split split = v1::SPLIT_TRAIN;
  uint64_t window = 0;
  // Of the stream (common/stream_layout.h); of an evaluation split the place of its token budget.
  uint64_t epoch = 0;
  // Capacity of a pack, in image tokens.
  uint32_t sequence_length = 0;
  // Every sample of the window exactly once, pack by pack. Pack p holds
  // [pack_begin[p], pack_begin[p + 1]).
  std::vector<PlannedExample> examples;
  std::vector<uint32_t> pack_begin = {0};
  // xxh3 of the canonical serialisation of all of the above; equal on every machine.
  uint64_t digest = 0;
  // Tokens of a pack that each of its images takes besides its own (model.image.prefix_tokens).
  uint32_t prefix_tokens = 0;

  uint32_t packs() const { return static_cast<uint32_t>(pack_begin.size()) - 1; }
};

// Thread-safe; a plan is a pure function of (resolved spec, manifest, split, window).
class WindowPlanner {
 public:
  // `spec` is resolved. InvalidArgument names a field that this version cannot plan (another
  // plan_version, epochs of a mixture) or a manifest whose sums do not add up.
  static absl::StatusOr<std::unique_ptr<WindowPlanner>> Create(
      const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest,
      std::shared_ptr<IndexCache> indexes);
  ~WindowPlanner();

  // A training pack has at most max_examples_per_sequence examples with tokens. Samples that have
  // no tokens (unreadable header, no image, no caption under `skip`) ride along as holes, spread
  // over the packs. A window has at least one pack.
  //
  // OutOfRange: no such window. FailedPrecondition: captions.if_missing is `fail` and a sample has
  // none (names shard and key), or a shard changed under the job. NotFound / Unavailable: an index
  // cannot be read.
  absl::StatusOr<WindowPlan> Plan(v1::Split split, uint64_t window) const;

  // The resolved spec and the manifest that this planner serves.
  const v1::JobSpec& spec() const;
  const v1::DataManifest& manifest() const;

 private:
  struct Impl;
  explicit WindowPlanner(std::unique_ptr<Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_PLAN_H_
