#include "packer/pack_maker.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"
#include "packer/augmentation.h"
#include "packer/caption.h"
#include "packer/caption_index.h"
#include "packer/image.h"
#include "packer/label.h"
#include "packer/pack_buffers.h"
#include "packer/patchify.h"
#include "packer/philox.h"
#include "packer/prompt_pack.h"
#include "packer/render.h"
#include "packer/shard_index.h"

namespace navit {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Adds the time of its scope to a stage.
class StageTimer {
 public:
  StageTimer(Stage stage, PackStats* stats)
      : seconds_(&stats->stage_seconds[static_cast<size_t>(stage)]), begin_(SteadyClock::now()) {}
  ~StageTimer() { *seconds_ += std::chrono::duration<double>(SteadyClock::now() - begin_).count(); }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  double* const seconds_;
  const SteadyClock::time_point begin_;
};

}  // namespace

const char* StageName(Stage stage) {
  switch (stage) {
    case Stage::kRead:
      return "read";
    case Stage::kDecode:
      return "decode";
    case Stage::kResize:
      return "resize";
    case Stage::kPatchify:
      return "patchify";
    case Stage::kTokenize:
      return "tokenize";
    case Stage::kPlan:
      return "plan";
    case Stage::kSerialize:
      return "serialize";
  }
  return "";
}

struct PackMaker::Impl {
  using Indexes = std::map<uint32_t, std::shared_ptr<const v1::ShardIndex>>;

  v1::JobSpec spec;
  std::shared_ptr<const v1::DataManifest> manifest;
  std::shared_ptr<IndexCache> indexes;
  std::shared_ptr<RangeReader> reader;
  // Where the text of a data set's samples is.
  struct Texts {
    // Absent in a job without a text tower.
    std::optional<CaptionTokenizer> captions;
    std::optional<LabelReader> labels;
  };
  // Of each entry of data.train and of data.validation.
  std::vector<Texts> train_texts;
  std::vector<Texts> validation_texts;
  mutable PackBufferPool buffers;
  Rgb background = kWhite;
  Interpolation interpolation = Interpolation::kBicubic;
  // Some shard lies behind a network.
  bool remote = false;

  const RangeReader::Entries& Shards(const WindowPlan& plan) const {
    return plan.split == v1::SPLIT_VALIDATION ? manifest->validation() : manifest->train();
  }
  const Texts& TextsOf(const WindowPlan& plan, const PlannedExample& example) const {
    return plan.split == v1::SPLIT_VALIDATION ? validation_texts[example.dataset]
                                              : train_texts[example.dataset];
  }
  // All entries of a split have labels, or none has.
  bool HasLabels(const WindowPlan& plan) const {
    const auto& texts = plan.split == v1::SPLIT_VALIDATION ? validation_texts : train_texts;
    return texts.front().labels.has_value();
  }

  // What a pack reads; `used` gets the indexes of its shards.
  absl::StatusOr<std::vector<ShardRange>> Ranges(const WindowPlan& plan, uint32_t pack_index,
                                                 Indexes* used) const;

  // The bytes of a text member as read, checked and counted; empty where there is none.
  absl::StatusOr<absl::string_view> ReadText(
      const CaptionField& field, const PlannedExample& example, const v1::ShardEntry& entry,
      const v1::ShardIndex& index, const RangeReader::Batch& read, PackStats* stats) const;

  // Chooses and tokenizes the planned caption into `buffers`.
  absl::Status ReadCaption(const CaptionTokenizer& captions, const PlannedExample& example,
                           const v1::ShardEntry& entry, const v1::ShardIndex& index,
                           const RangeReader::Batch& read, PackBuffers* buffers,
                           PackStats* stats) const;

  // Adds one example with tokens to `pack`; the reason when it is a hole, with nothing added.
  absl::StatusOr<v1::HoleReason> AddExample(const WindowPlan& plan, const PlannedExample& example,
                                            const v1::ShardEntry& entry,
                                            const v1::ShardIndex& index,
                                            const RangeReader::Batch& read, PackBuffers* buffers,
                                            v1::Pack* pack, PackStats* stats) const;

  // Adds the planned examples of a pack.
  absl::Status AddExamples(const WindowPlan& plan, uint32_t pack_index, PackBuffers* buffers,
                           PackedBytes* made) const;

  // Batches that are read ahead, the oldest first: those of packs that were then not made here go
  // when newer ones come.
  static constexpr size_t kMostAhead = 64;
  using AheadKey = std::tuple<v1::Split, uint64_t, uint32_t>;
  mutable absl::Mutex mutex;
  mutable std::list<std::pair<AheadKey, std::shared_ptr<RangeReader::Batch>>> ahead
      ABSL_GUARDED_BY(mutex);

  // nullptr: it is not read ahead.
  std::shared_ptr<RangeReader::Batch> TakeAhead(const AheadKey& key) const {
    absl::MutexLock lock(&mutex);
    for (auto it = ahead.begin(); it != ahead.end(); ++it) {
      if (it->first != key) continue;
      std::shared_ptr<RangeReader::Batch> batch = std::move(it->second);
      ahead.erase(it);
      return batch;
    }
    return nullptr;
  }
};

absl::StatusOr<std::vector<ShardRange>> PackMaker::Impl::Ranges(const WindowPlan& plan,
                                                                uint32_t pack_index,
                                                                Indexes* used) const {
  std::vector<ShardRange> ranges;
  for (uint32_t i = plan.pack_begin[pack_index]; i < plan.pack_begin[pack_index + 1]; ++i) {
    const PlannedExample& example = plan.examples[i];
    if (example.hole != v1::HOLE_REASON_NONE) continue;
    auto& index = (*used)[example.shard];
    if (index == nullptr) {
      NAVIT_ASSIGN_OR_RETURN(index, indexes->Get(Shards(plan)[static_cast<int>(example.shard)]));
    }
    const int row = static_cast<int>(example.row);
    ranges.push_back({example.shard, index->image_offsets(row), index->image_bytes(row)});
    const Texts& texts = TextsOf(plan, example);
    const auto add = [&](const CaptionField& field) {
      const TextMember text = FindText(*index, row, field);
      ranges.push_back({example.shard, text.offset, text.bytes});
    };
    if (texts.captions.has_value()) add(texts.captions->field());
    if (texts.labels.has_value()) add(texts.labels->field);
  }
  return ranges;
}

absl::StatusOr<absl::string_view> PackMaker::Impl::ReadText(
    const CaptionField& field, const PlannedExample& example, const v1::ShardEntry& entry,
    const v1::ShardIndex& index, const RangeReader::Batch& read, PackStats* stats) const {
  StageTimer timer(Stage::kRead, stats);
  const int row = static_cast<int>(example.row);
  const TextMember text = FindText(index, row, field);
  if (text.bytes == 0) return absl::string_view();
  const absl::string_view bytes = read.Bytes(example.shard, text.offset, text.bytes);
  NAVIT_RETURN_IF_ERROR(CheckMemberHash(bytes, text.hash, entry, index.keys(row)));
  stats->read_bytes += bytes.size();
  return bytes;
}

absl::Status PackMaker::Impl::ReadCaption(const CaptionTokenizer& captions,
                                          const PlannedExample& example,
                                          const v1::ShardEntry& entry, const v1::ShardIndex& index,
                                          const RangeReader::Batch& read, PackBuffers* buffers,
                                          PackStats* stats) const {
  NAVIT_ASSIGN_OR_RETURN(const absl::string_view bytes,
                         ReadText(captions.field(), example, entry, index, read, stats));
  StageTimer timer(Stage::kTokenize, stats);
  std::vector<std::string> all = ExtractCaptions(captions.field(), bytes);
  buffers->caption.clear();
  buffers->ids.clear();
  if (example.caption < all.size()) {
    buffers->caption = std::move(all[example.caption]);
    captions.Append(buffers->caption, &buffers->ids);
  }
  if (buffers->ids.size() == 2 * size_t{example.text_tokens}) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      entry.path(), ": sample ", index.keys(static_cast<int>(example.row)), ": its caption has ",
      buffers->ids.size() / 2, " tokens, ", example.text_tokens,
      " were planned: the indexes were made with another version of the tokenizer's library"));
}

absl::StatusOr<v1::HoleReason> PackMaker::Impl::AddExample(
    const WindowPlan& plan, const PlannedExample& example, const v1::ShardEntry& entry,
    const v1::ShardIndex& index, const RangeReader::Batch& read, PackBuffers* buffers,
    v1::Pack* pack, PackStats* stats) const {
  const int row = static_cast<int>(example.row);
  const Texts& texts = TextsOf(plan, example);
  const absl::string_view image_bytes =
      read.Bytes(example.shard, index.image_offsets(row), index.image_bytes(row));
  {
    StageTimer timer(Stage::kRead, stats);
    NAVIT_RETURN_IF_ERROR(
        CheckMemberHash(image_bytes, index.image_hashes(row), entry, index.keys(row)));
    stats->read_bytes += image_bytes.size();
    ++stats->samples_read;
  }
  std::optional<uint32_t> label;
  if (texts.labels.has_value()) {
    NAVIT_ASSIGN_OR_RETURN(const absl::string_view bytes,
                           ReadText(texts.labels->field, example, entry, index, read, stats));
    NAVIT_ASSIGN_OR_RETURN(
        label, texts.labels->Read(bytes, absl::StrCat(entry.path(), ": sample ", index.keys(row))));
    if (!label.has_value()) return v1::HOLE_REASON_NO_LABEL;
  }
  if (texts.captions.has_value()) {
    NAVIT_RETURN_IF_ERROR(
        ReadCaption(*texts.captions, example, entry, index, read, buffers, stats));
  }

  const uint32_t patch_size = spec.model().image().patch_size();
  RenderRequest request;
  request.format = index.image_formats(row);
  request.width = index.widths(row);
  request.height = index.heights(row);
  request.orientation = index.orientations(row);
  request.target_width = example.grid_columns * patch_size;
  request.target_height = example.grid_rows * patch_size;
  request.background = background;
  request.interpolation = interpolation;
  // The index has the sides as they are to be seen.
  Part part = {0, 0, request.width, request.height};
  if (request.orientation >= 5) std::swap(request.width, request.height);
  if (plan.split == v1::SPLIT_TRAIN) {
    const auto draws = [&](Purpose purpose) {
      return Draws(spec.seed(), example.dataset, example.epoch, example.sample, purpose);
    };
    part = DrawCrop(spec.preprocess().crop(), part.width, part.height, draws(Purpose::kCrop));
    if (DrawFlip(spec.preprocess().horizontal_flip(), draws(Purpose::kFlip))) {
      request.orientation = FlippedOrientation(request.orientation);
    }
  }
  request.part = StoredPart(part, index.orientations(row), request.width, request.height);
  {
    StageTimer timer(Stage::kDecode, stats);
    const v1::HoleReason reason = DecodeForRender(image_bytes, request, &buffers->image);
    if (reason != v1::HOLE_REASON_NONE) return reason;
  }
  const Image* image = nullptr;
  {
    StageTimer timer(Stage::kResize, stats);
    image = &Render(request, &buffers->image);
  }
  const uint32_t patches = example.grid_rows * example.grid_columns;
  {
    StageTimer timer(Stage::kPatchify, stats);
    const std::vector<uint32_t> chosen = ChoosePatches(
        patches, example.tokens,
        Draws(spec.seed(), example.dataset, example.epoch, example.sample, Purpose::kDropPatches));
    AppendPatches(*image, patch_size, chosen, pack->mutable_patches(), pack->mutable_positions());
  }
  if (texts.captions.has_value()) {
    pack->add_text_tokens(example.text_tokens);
    pack->mutable_text()->append(buffers->ids);
    pack->add_caption_hashes(CaptionHash(buffers->caption));
  }
  if (label.has_value()) pack->add_labels(*label);
  pack->add_image_tokens(example.tokens);
  pack->add_grid_rows(example.grid_rows);
  pack->add_grid_columns(example.grid_columns);
  stats->dropped_tokens += patches - example.tokens;
  stats->examples.push_back({example.side,
                             static_cast<double>(index.widths(row)) / index.heights(row),
                             static_cast<double>(patches - example.tokens) / patches});
  return v1::HOLE_REASON_NONE;
}

absl::StatusOr<std::unique_ptr<PackMaker>> PackMaker::Create(
    const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest,
    std::shared_ptr<IndexCache> indexes, std::shared_ptr<RangeReader> reader) {
  auto impl = std::make_unique<Impl>();
  impl->spec = spec;
  impl->manifest = std::move(manifest);
  impl->indexes = std::move(indexes);
  impl->reader = std::move(reader);
  for (const auto* shards : {&impl->manifest->train(), &impl->manifest->validation()}) {
    for (const v1::ShardEntry& entry : *shards) impl->remote |= IsUrl(entry.path());
  }
  impl->background = BackgroundOf(spec.preprocess());
  impl->interpolation = InterpolationOf(spec.preprocess());
  const auto open = [&](const auto& datasets, std::vector<Impl::Texts>* out) -> absl::Status {
    for (const v1::Dataset& dataset : datasets) {
      Impl::Texts& texts = out->emplace_back();
      NAVIT_ASSIGN_OR_RETURN(texts.labels,
                             LabelReader::Create(dataset.labels(), spec.model().classes()));
      if (!spec.model().has_text()) continue;
      NAVIT_ASSIGN_OR_RETURN(texts.captions,
                             CaptionTokenizer::Create(impl->indexes->store(), dataset.captions(),
                                                      spec.model().text()));
    }
    return absl::OkStatus();
  };
  NAVIT_RETURN_IF_ERROR(open(spec.data().train(), &impl->train_texts));
  NAVIT_RETURN_IF_ERROR(open(spec.data().validation(), &impl->validation_texts));
  return std::unique_ptr<PackMaker>(new PackMaker(std::move(impl)));
}

PackMaker::PackMaker(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
PackMaker::~PackMaker() = default;

void PackMaker::ReadAhead(const WindowPlan& plan, uint32_t pack_index) const {
  const Impl& impl = *impl_;
  if (!impl.remote || plan.split == v1::SPLIT_PROMPTS) return;
  const Impl::AheadKey key{plan.split, plan.window, pack_index};
  {
    absl::MutexLock lock(&impl.mutex);
    for (const auto& [known, batch] : impl.ahead) {
      if (known == key) return;
    }
  }
  Impl::Indexes used;
  absl::StatusOr<std::vector<ShardRange>> ranges = impl.Ranges(plan, pack_index, &used);
  // Make will meet the error again, and report it.
  if (!ranges.ok()) return;
  std::shared_ptr<RangeReader::Batch> batch =
      impl.reader->StartAhead(impl.Shards(plan), *std::move(ranges));
  if (batch == nullptr) return;
  std::shared_ptr<RangeReader::Batch> oldest;
  absl::MutexLock lock(&impl.mutex);
  impl.ahead.emplace_back(key, std::move(batch));
  if (impl.ahead.size() > Impl::kMostAhead) {
    oldest = std::move(impl.ahead.front().second);
    impl.ahead.pop_front();
  }
}

absl::Status PackMaker::Impl::AddExamples(const WindowPlan& plan, uint32_t pack_index,
                                          PackBuffers* buffers, PackedBytes* made) const {
  v1::Pack& pack = buffers->pack;
  v1::PackHeader& header = made->header;
  Indexes used;
  NAVIT_ASSIGN_OR_RETURN(std::vector<ShardRange> ranges, Ranges(plan, pack_index, &used));
  std::shared_ptr<RangeReader::Batch> read;
  {
    StageTimer timer(Stage::kRead, &made->stats);
    read = TakeAhead({plan.split, plan.window, pack_index});
    if (read == nullptr) read = reader->Start(Shards(plan), std::move(ranges));
    NAVIT_RETURN_IF_ERROR(read->Wait());
  }
  const uint32_t patch_size = spec.model().image().patch_size();
  pack.mutable_patches()->reserve(size_t{3} * patch_size * patch_size * plan.sequence_length);
  for (uint32_t i = plan.pack_begin[pack_index]; i < plan.pack_begin[pack_index + 1]; ++i) {
    const PlannedExample& example = plan.examples[i];
    v1::HoleReason reason = example.hole;
    if (reason == v1::HOLE_REASON_NONE) {
      NAVIT_ASSIGN_OR_RETURN(
          reason, AddExample(plan, example, Shards(plan)[static_cast<int>(example.shard)],
                             *used[example.shard], *read, buffers, &pack, &made->stats));
      if (reason != v1::HOLE_REASON_NONE) {
        made->stats.hole_tokens += example.tokens + plan.prefix_tokens;
      }
    }
    pack.add_samples(example.id);
    if (reason == v1::HOLE_REASON_NONE) {
      const uint64_t tokens = example.tokens + plan.prefix_tokens;
      header.set_image_tokens(header.image_tokens() + static_cast<uint32_t>(tokens));
      header.set_valid_examples(header.valid_examples() + 1);
      header.set_sum_squares(header.sum_squares() + tokens * tokens);
      continue;
    }
    pack.add_image_tokens(0);
    pack.add_grid_rows(0);
    pack.add_grid_columns(0);
    if (spec.model().has_text()) {
      pack.add_text_tokens(0);
      pack.add_caption_hashes(0);
    }
    if (HasLabels(plan)) pack.add_labels(0);
    v1::Hole* hole = header.add_holes();
    hole->set_sample(example.id);
    hole->set_reason(reason);
  }
  return absl::OkStatus();
}

absl::StatusOr<PackedBytes> PackMaker::Make(const WindowPlan& plan, uint32_t pack_index) const {
  const Impl& impl = *impl_;
  PackedBytes made;
  v1::PackHeader& header = made.header;
  std::unique_ptr<PackBuffers> buffers = impl.buffers.Take();
  const auto give_back = absl::MakeCleanup([&] { impl.buffers.Give(std::move(buffers)); });
  v1::Pack& pack = buffers->pack;
  pack.Clear();
  pack.set_epoch(static_cast<uint32_t>(plan.epoch));
  pack.set_patch_size(impl.spec.model().image().patch_size());
  NAVIT_RETURN_IF_ERROR(plan.split == v1::SPLIT_PROMPTS
                            ? AddPrompts(impl.spec, impl.train_texts.front().captions, plan,
                                         pack_index, &pack, &header)
                            : impl.AddExamples(plan, pack_index, buffers.get(), &made));

  std::optional<StageTimer> timer(std::in_place, Stage::kSerialize, &made.stats);
  if (!pack.SerializeToString(&made.payload)) {
    return absl::InternalError(
        absl::StrCat("window ", plan.window, " pack ", pack_index, ": cannot be serialised"));
  }
  header.set_window(plan.window);
  header.set_index(pack_index);
  header.set_split(plan.split);
  header.set_content_hash(XXH3_64bits(made.payload.data(), made.payload.size()));
  header.set_payload_bytes(made.payload.size());
  header.set_plan_version(kPlanVersion);
  header.set_capacity_tokens(plan.sequence_length);
  header.set_text_tokens(static_cast<uint32_t>(pack.text().size() / 2));
  header.set_examples(static_cast<uint32_t>(pack.samples_size()));
  // While `made` is still here to be added to.
  timer.reset();
  return made;
}

}  // namespace navit
