#include "packer/train_tokenizer.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "packer/caption.h"
#include "packer/caption_index.h"
#include "packer/philox.h"
#include "packer/shard_index.h"
#include "packer/shards.h"

namespace navit {
namespace {

// SentencePiece passes over longer ones.
constexpr size_t kLongestCaption = 4192;

// Keeps the captions with the smallest of the numbers that Philox gives to all of them in turn.
class CaptionSample {
 public:
  explicit CaptionSample(uint64_t most) : most_(most) {}

  void Add(const std::string& caption) {
    const uint64_t number = seen_++;
    if (caption.size() > kLongestCaption) return;
    const Key key = {
        Philox4x32({static_cast<uint32_t>(number), static_cast<uint32_t>(number >> 32), 0, 0},
                   {0, 0})[0],
        number};
    if (kept_.size() == most_) {
      if (!(key < kept_.front().key)) return;
      std::pop_heap(kept_.begin(), kept_.end(), ByKey);
      kept_.pop_back();
    }
    kept_.push_back({key, caption});
    std::push_heap(kept_.begin(), kept_.end(), ByKey);
  }

  uint64_t seen() const { return seen_; }
  // In the order in which they came.
  std::vector<std::string> Take() {
    std::sort(kept_.begin(), kept_.end(),
              [](const Kept& a, const Kept& b) { return a.key.second < b.key.second; });
    std::vector<std::string> captions;
    for (Kept& kept : kept_) captions.push_back(std::move(kept.caption));
    return captions;
  }

 private:
  // What was drawn, and the caption's number, which tells equal draws apart.
  using Key = std::pair<uint32_t, uint64_t>;
  struct Kept {
    Key key;
    std::string caption;
  };
  static bool ByKey(const Kept& a, const Kept& b) { return a.key < b.key; }

  const uint64_t most_;
  uint64_t seen_ = 0;
  // A heap, the largest key in front.
  std::vector<Kept> kept_;
};

absl::Status AddCaptions(ObjectStore* store, const v1::Dataset& dataset,
                         const std::string& index_folder, CaptionSample* sample) {
  NAVIT_ASSIGN_OR_RETURN(const CaptionField field, ParseCaptionField(dataset.captions()));
  NAVIT_ASSIGN_OR_RETURN(const std::vector<std::string> shards,
                         ExpandShardPattern(store, dataset.shards()));
  for (const std::string& shard : shards) {
    NAVIT_ASSIGN_OR_RETURN(const v1::ShardEntry entry, IndexShard(store, shard, index_folder));
    NAVIT_ASSIGN_OR_RETURN(const v1::ShardIndex index, ReadShardIndex(store, entry.index_path()));
    NAVIT_RETURN_IF_ERROR(ForEachCaptions(store, entry, index, field,
                                          [&](int, const std::vector<std::string>& captions) {
                                            for (const auto& caption : captions) {
                                              sample->Add(caption);
                                            }
                                          }));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TrainedTokenizer> TrainTokenizer(ObjectStore* store, const v1::DataSpec& data,
                                                const TokenizerTraining& training) {
  CaptionSample sample(training.most_captions);
  for (int d = 0; d < data.train_size(); ++d) {
    const absl::Status added = AddCaptions(store, data.train(d), data.index(), &sample);
    if (!added.ok()) {
      return absl::Status(added.code(), absl::StrCat("data.train[", d, "]: ", added.message()));
    }
  }
  const std::vector<std::string> captions = sample.Take();
  if (captions.empty())
    return absl::InvalidArgumentError("data.train has no caption to learn from");
  TrainedTokenizer trained;
  trained.captions = sample.seen();
  trained.captions_used = captions.size();
  size_t next = 0;
  NAVIT_ASSIGN_OR_RETURN(
      trained.bytes,
      TrainSentencePieceModel(training.model, [&]() -> std::optional<absl::string_view> {
        if (next == captions.size()) return std::nullopt;
        return captions[next++];
      }));
  return trained;
}

}  // namespace navit
