// From a plan to the bytes of a pack: read, decode, resize, cut patches, tokenize, serialise.
#ifndef NAVIT_PACKER_PACK_MAKER_H_
#define NAVIT_PACKER_PACK_MAKER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "packer/index_cache.h"
#include "packer/plan.h"
#include "packer/range_reader.h"
#include "proto/data.pb.h"
#include "proto/job_spec.pb.h"
#include "proto/pack.pb.h"

namespace navit {

// Stages of navit_packer_stage_seconds_total. kPlan is the caller's to time around
// WindowPlanner::Plan, kSend around the stream.
enum class Stage { kRead, kDecode, kResize, kPatchify, kTokenize, kPlan, kSerialize };
inline constexpr int kStages = 7;
// "read", "decode", "resize", "patchify", "tokenize", "plan", "serialize".
const char* StageName(Stage stage);

// What one pack cost and held: numbers for metrics, no part of its bytes.
struct PackStats {
  std::array<double, kStages> stage_seconds = {};
  uint64_t read_bytes = 0;
  uint64_t samples_read = 0;
  // Tokens that the plan reserved for examples that became holes when their bytes were read.
  uint64_t hole_tokens = 0;
  uint64_t dropped_tokens = 0;
  // One entry per example that is no hole.
  struct Example {
    // Side length drawn, in pixels (0 at evaluation); width / height of the source image; share of
    // patches dropped.
    uint32_t side = 0;
    double aspect_ratio = 1;
    double drop_ratio = 0;
  };
  std::vector<Example> examples;
};

struct PackedBytes {
  // Everything but `job` and `lease_epoch`.
  v1::PackHeader header;
  // A serialised v1::Pack.
  std::string payload;
  PackStats stats;
};

// Thread-safe; the bytes are a pure function of (resolved spec, manifest, plan, pack_index). One
// call runs on the caller's thread; call from several to make packs in parallel.
class PackMaker {
 public:
  // `spec` is resolved. The errors of CaptionTokenizer::Create and LabelReader::Create.
  static absl::StatusOr<std::unique_ptr<PackMaker>> Create(
      const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest,
      std::shared_ptr<IndexCache> indexes, std::shared_ptr<RangeReader> reader);
  ~PackMaker();

  // Requires pack_index < plan.packs(), and a plan of the same spec and manifest.
  //
  // FailedPrecondition names the shard: its size or a member's checksum is no longer the index's
  // ("changed under the job"); or shard and key: the caption has other tokens than were planned, or
  // the errors of LabelReader::Read.
  // Unavailable names the shard: it cannot be opened or read; worth a retry. Other errors of
  // ObjectStore: a shard that may not be read, no credentials. A sample whose bytes
  // are as indexed but cannot be used becomes a hole, never an error.
  absl::StatusOr<PackedBytes> Make(const WindowPlan& plan, uint32_t pack_index) const;

  // Begins to read what Make will need of shards that lie behind a network, if there is room for
  // it.
  void ReadAhead(const WindowPlan& plan, uint32_t pack_index) const;

 private:
  struct Impl;
  explicit PackMaker(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_PACK_MAKER_H_
