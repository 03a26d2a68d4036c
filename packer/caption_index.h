// How many tokens the captions of a shard have, before anything is packed: the second sidecar
// (DESIGN.md, section 3, point 1).
#ifndef NAVIT_PACKER_CAPTION_INDEX_H_
#define NAVIT_PACKER_CAPTION_INDEX_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_store.h"
#include "packer/caption.h"
#include "packer/tokenizer.h"
#include "proto/data.pb.h"
#include "proto/job_spec.pb.h"

namespace navit {

inline constexpr uint32_t kCaptionIndexFormatVersion = 1;

// How the captions of one data set become tokens: where they are, by which tokenizer, how long at
// most. Thread-safe.
class CaptionTokenizer {
 public:
  // Of a resolved spec. The errors of ParseCaptionField and OpenTokenizer.
  static absl::StatusOr<CaptionTokenizer> Create(ObjectStore* store,
                                                 const v1::CaptionsSpec& captions,
                                                 const v1::TextTowerSpec& text);

  const CaptionField& field() const { return field_; }
  // Of everything that decides captions and their lengths.
  uint64_t settings_hash() const { return settings_hash_; }
  // As Tokenizer::Append.
  uint32_t Append(absl::string_view caption, std::string* ids) const {
    return tokenizer_->Append(caption, max_tokens_, ids);
  }

 private:
  CaptionTokenizer() = default;

  CaptionField field_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  uint32_t max_tokens_ = 0;
  uint64_t settings_hash_ = 0;
};

// Calls `captions` with the captions of each sample, in order. `entry` and `index` are of one
// shard. FailedPrecondition: the shard changed; Unavailable: it cannot be read; both name it.
absl::Status ForEachCaptions(
    ObjectStore* store, const v1::ShardEntry& entry, const v1::ShardIndex& index,
    const CaptionField& field,
    const std::function<void(int row, const std::vector<std::string>&)>& captions);

// Reads the shard's text members and counts. The errors of ForEachCaptions.
absl::StatusOr<v1::CaptionIndex> BuildCaptionIndex(ObjectStore* store, const v1::ShardEntry& entry,
                                                   const v1::ShardIndex& index,
                                                   const CaptionTokenizer& tokenizer);

// Beside the shard's index.
std::string CaptionSidecarPath(absl::string_view index_path, uint64_t settings_hash);

absl::Status WriteCaptionIndex(ObjectStore* store, const v1::CaptionIndex& captions,
                               const std::string& path);
// NotFound: no such file. InvalidArgument: not such a sidecar of this version, or damaged.
absl::StatusOr<v1::CaptionIndex> ReadCaptionIndex(ObjectStore* store, const std::string& path);

// Whether `captions` are those of this shard under these settings.
bool CaptionIndexFits(const v1::CaptionIndex& captions, const v1::ShardEntry& entry,
                      const CaptionTokenizer& tokenizer);

// The second half of an IndexShard lease: uses the caption sidecar when it fits the shard, else
// builds and writes it. `entry` is of a shard whose own index was just made or checked.
absl::Status IndexCaptions(ObjectStore* store, const v1::ShardEntry& entry,
                           const CaptionTokenizer& tokenizer);

}  // namespace navit

#endif  // NAVIT_PACKER_CAPTION_INDEX_H_
