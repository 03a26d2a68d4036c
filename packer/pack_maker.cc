#include "packer/pack_maker.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status_macros.h"
#include "packer/caption.h"
#include "packer/caption_index.h"
#include "packer/image.h"
#include "packer/patchify.h"
#include "packer/philox.h"
#include "packer/resize.h"
#include "packer/shard_file.h"

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

// Memory that examples and packs reuse.
struct Buffers {
  std::string image_bytes;
  std::string text_bytes;
  std::string ids;
  DecodedImage decoded;
  Image resized;
  Image oriented;
  ResizeScratch scratch;
  v1::Pack pack;
};

// As many Buffers as there were ever calls at a time. Without them, most of what a pack costs
// beside its images is fresh memory, faulted in page by page.
class BufferPool {
 public:
  std::unique_ptr<Buffers> Take() {
    absl::MutexLock lock(&mutex_);
    if (free_.empty()) return std::make_unique<Buffers>();
    std::unique_ptr<Buffers> buffers = std::move(free_.back());
    free_.pop_back();
    return buffers;
  }
  // Those that met an unusually large image are not kept.
  void Give(std::unique_ptr<Buffers> buffers) {
    size_t bytes = buffers->image_bytes.size();
    for (const DecodedImage::Plane& plane : buffers->decoded.planes) {
      bytes += plane.samples.bytes.size();
    }
    if (bytes > kMostKeptBytes) return;
    absl::MutexLock lock(&mutex_);
    free_.push_back(std::move(buffers));
  }

 private:
  static constexpr size_t kMostKeptBytes = 32 << 20;

  absl::Mutex mutex_;
  std::vector<std::unique_ptr<Buffers>> free_ ABSL_GUARDED_BY(mutex_);
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
  v1::JobSpec spec;
  std::shared_ptr<const v1::DataManifest> manifest;
  std::shared_ptr<IndexCache> indexes;
  // Of each entry of data.train and of data.validation.
  std::vector<CaptionTokenizer> train_captions;
  std::vector<CaptionTokenizer> validation_captions;
  mutable BufferPool buffers;

  // Adds one example with tokens to `pack`; the reason when it is a hole, with nothing added.
  absl::StatusOr<v1::HoleReason> AddExample(const WindowPlan& plan, const PlannedExample& example,
                                            const v1::ShardEntry& entry,
                                            const v1::ShardIndex& index, const ShardFile& file,
                                            const CaptionTokenizer& captions, Buffers* buffers,
                                            v1::Pack* pack, PackStats* stats) const;
};

absl::StatusOr<v1::HoleReason> PackMaker::Impl::AddExample(
    const WindowPlan& plan, const PlannedExample& example, const v1::ShardEntry& entry,
    const v1::ShardIndex& index, const ShardFile& file, const CaptionTokenizer& captions,
    Buffers* buffers, v1::Pack* pack, PackStats* stats) const {
  const int row = static_cast<int>(example.row);
  const TextMember text = FindText(index, row, captions.field());
  absl::string_view image_bytes, text_bytes;
  {
    StageTimer timer(Stage::kRead, stats);
    NAVIT_ASSIGN_OR_RETURN(
        image_bytes, file.Read(index.image_offsets(row), index.image_bytes(row),
                               index.image_hashes(row), index.keys(row), &buffers->image_bytes));
    NAVIT_ASSIGN_OR_RETURN(text_bytes, file.Read(text.offset, text.bytes, text.hash,
                                                 index.keys(row), &buffers->text_bytes));
    stats->read_bytes += image_bytes.size() + text_bytes.size();
    ++stats->samples_read;
  }

  std::string caption;
  {
    StageTimer timer(Stage::kTokenize, stats);
    std::vector<std::string> all = ExtractCaptions(captions.field(), text_bytes);
    buffers->ids.clear();
    if (example.caption < all.size()) {
      caption = std::move(all[example.caption]);
      captions.Append(caption, &buffers->ids);
    }
  }
  if (buffers->ids.size() != 2 * size_t{example.text_tokens}) {
    return absl::FailedPreconditionError(absl::StrCat(
        entry.path(), ": sample ", index.keys(row), ": its caption has ", buffers->ids.size() / 2,
        " tokens, ", example.text_tokens,
        " were planned: the indexes were made with another version of the tokenizer's library"));
  }

  // Decoders and the resize work on the image as stored; it is turned last, when it is smallest.
  const uint32_t patch_size = spec.model().image().patch_size();
  const bool turned = index.orientations(row) >= 5;
  uint32_t width = index.widths(row);
  uint32_t height = index.heights(row);
  uint32_t target_width = example.grid_columns * patch_size;
  uint32_t target_height = example.grid_rows * patch_size;
  if (turned) {
    std::swap(width, height);
    std::swap(target_width, target_height);
  }
  {
    StageTimer timer(Stage::kDecode, stats);
    const v1::HoleReason reason = DecodeImage(image_bytes, index.image_formats(row), width, height,
                                              target_width, target_height, &buffers->decoded);
    if (reason != v1::HOLE_REASON_NONE) return reason;
  }
  const Image* image = &buffers->resized;
  {
    StageTimer timer(Stage::kResize, stats);
    ResizeImage(buffers->decoded, target_width, target_height, &buffers->scratch,
                &buffers->resized);
    if (index.orientations(row) > 1) {
      ApplyOrientation(buffers->resized, index.orientations(row), &buffers->oriented);
      image = &buffers->oriented;
    }
  }
  const uint32_t patches = example.grid_rows * example.grid_columns;
  {
    StageTimer timer(Stage::kPatchify, stats);
    const std::vector<uint32_t> chosen =
        ChoosePatches(patches, example.tokens,
                      Draws(spec.seed(), 0, plan.epoch, example.sample, Purpose::kDropPatches));
    AppendPatches(*image, patch_size, chosen, pack->mutable_patches(), pack->mutable_positions());
  }
  pack->add_text_tokens(example.text_tokens);
  pack->mutable_text()->append(buffers->ids);
  pack->add_caption_hashes(CaptionHash(caption));
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
    std::shared_ptr<IndexCache> indexes) {
  auto impl = std::make_unique<Impl>();
  impl->spec = spec;
  impl->manifest = std::move(manifest);
  impl->indexes = std::move(indexes);
  const auto open = [&](const auto& datasets, auto* out) -> absl::Status {
    for (const v1::Dataset& dataset : datasets) {
      NAVIT_ASSIGN_OR_RETURN(CaptionTokenizer captions,
                             CaptionTokenizer::Create(dataset.captions(), spec.model().text()));
      out->push_back(std::move(captions));
    }
    return absl::OkStatus();
  };
  NAVIT_RETURN_IF_ERROR(open(spec.data().train(), &impl->train_captions));
  NAVIT_RETURN_IF_ERROR(open(spec.data().validation(), &impl->validation_captions));
  return std::unique_ptr<PackMaker>(new PackMaker(std::move(impl)));
}

PackMaker::PackMaker(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
PackMaker::~PackMaker() = default;

absl::StatusOr<PackedBytes> PackMaker::Make(const WindowPlan& plan, uint32_t pack_index) const {
  const Impl& impl = *impl_;
  const bool validation = plan.split == v1::SPLIT_VALIDATION;
  const auto& shards = validation ? impl.manifest->validation() : impl.manifest->train();
  const CaptionTokenizer& captions =
      (validation ? impl.validation_captions : impl.train_captions)[0];
  const uint32_t patch_size = impl.spec.model().image().patch_size();

  PackedBytes made;
  v1::PackHeader& header = made.header;
  std::unique_ptr<Buffers> buffers = impl.buffers.Take();
  const auto give_back = absl::MakeCleanup([&] { impl.buffers.Give(std::move(buffers)); });
  v1::Pack& pack = buffers->pack;
  pack.Clear();
  std::map<uint32_t, std::unique_ptr<ShardFile>> files;
  std::map<uint32_t, std::shared_ptr<const v1::ShardIndex>> indexes;
  pack.set_epoch(static_cast<uint32_t>(plan.epoch));
  pack.set_patch_size(patch_size);
  pack.mutable_patches()->reserve(size_t{3} * patch_size * patch_size * plan.sequence_length);
  for (uint32_t i = plan.pack_begin[pack_index]; i < plan.pack_begin[pack_index + 1]; ++i) {
    const PlannedExample& example = plan.examples[i];
    v1::HoleReason reason = example.hole;
    if (reason == v1::HOLE_REASON_NONE) {
      const v1::ShardEntry& entry = shards[static_cast<int>(example.shard)];
      auto& index = indexes[example.shard];
      auto& file = files[example.shard];
      if (file == nullptr) {
        NAVIT_ASSIGN_OR_RETURN(file, ShardFile::Open(entry));
        NAVIT_ASSIGN_OR_RETURN(index, impl.indexes->Get(entry));
      }
      NAVIT_ASSIGN_OR_RETURN(reason, impl.AddExample(plan, example, entry, *index, *file, captions,
                                                     buffers.get(), &pack, &made.stats));
      if (reason != v1::HOLE_REASON_NONE) made.stats.hole_tokens += example.tokens;
    }
    pack.add_samples(example.sample);
    if (reason == v1::HOLE_REASON_NONE) {
      header.set_image_tokens(header.image_tokens() + example.tokens);
      header.set_valid_examples(header.valid_examples() + 1);
      header.set_sum_squares(header.sum_squares() + uint64_t{example.tokens} * example.tokens);
    } else {
      pack.add_image_tokens(0);
      pack.add_grid_rows(0);
      pack.add_grid_columns(0);
      pack.add_text_tokens(0);
      pack.add_caption_hashes(0);
      v1::Hole* hole = header.add_holes();
      hole->set_sample(example.sample);
      hole->set_reason(reason);
    }
  }

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
