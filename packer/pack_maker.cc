#include "packer/pack_maker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "packer/image.h"
#include "packer/limits.h"
#include "packer/patchify.h"
#include "packer/philox.h"
#include "packer/resize.h"
#include "packer/text.h"

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

// An open shard that has the size of its manifest entry.
class ShardFile {
 public:
  static absl::StatusOr<std::unique_ptr<ShardFile>> Open(const v1::ShardEntry& entry) {
    const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return Unavailable(entry.path(), "open");
    std::unique_ptr<ShardFile> file(new ShardFile(entry.path(), fd));
    struct stat info;
    if (fstat(fd, &info) != 0) return Unavailable(entry.path(), "stat");
    if (static_cast<uint64_t>(info.st_size) != entry.bytes()) {
      return absl::FailedPreconditionError(
          absl::StrCat(entry.path(), ": shard changed under the job: it has ", info.st_size,
                       " bytes, was frozen with ", entry.bytes()));
    }
    return file;
  }
  ~ShardFile() { close(fd_); }
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;

  // `bytes` bytes at `offset`, whose xxh3 must be `hash`.
  absl::Status Read(uint64_t offset, uint64_t bytes, uint64_t hash, absl::string_view key,
                    std::string* out) const {
    out->resize(bytes);
    size_t done = 0;
    while (done < bytes) {
      const ssize_t got =
          pread(fd_, &(*out)[done], bytes - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Unavailable(path_, "read");
      if (got == 0) {
        return absl::FailedPreconditionError(
            absl::StrCat(path_, ": shard changed under the job: it ends at byte ", offset + done));
      }
      done += static_cast<size_t>(got);
    }
    if (XXH3_64bits(out->data(), out->size()) != hash) {
      return absl::FailedPreconditionError(
          absl::StrCat(path_, ": shard changed under the job: sample ", key,
                       " no longer has the checksum of the index"));
    }
    return absl::OkStatus();
  }

 private:
  ShardFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  static absl::Status Unavailable(absl::string_view path, absl::string_view action) {
    const int error = errno;
    return absl::UnavailableError(
        absl::StrCat(path, ": cannot ", action, " shard: ", std::strerror(error)));
  }

  const std::string path_;
  const int fd_;
};

struct TextMember {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t hash = 0;
};

TextMember FindText(const v1::ShardIndex& index, int row, const CaptionField& field) {
  switch (field.member) {
    case CaptionField::kTxt:
      return {index.txt_offsets(row), index.txt_bytes(row), index.txt_hashes(row)};
    case CaptionField::kCls:
      return {index.cls_offsets(row), index.cls_bytes(row), index.cls_hashes(row)};
    case CaptionField::kJson:
      return {index.json_offsets(row), index.json_bytes(row), index.json_hashes(row)};
  }
  return {};
}

// Memory that the examples of a pack reuse.
struct Buffers {
  std::string image_bytes;
  std::string text_bytes;
  DecodedImage decoded;
  Image resized;
  Image oriented;
  ResizeScratch scratch;
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

  // Adds one example with tokens to `pack`; the reason when it is a hole, with nothing added.
  absl::StatusOr<v1::HoleReason> AddExample(const PlannedExample& example,
                                            const v1::ShardEntry& entry,
                                            const v1::ShardIndex& index, const ShardFile& file,
                                            const v1::CaptionsSpec& captions, Buffers* buffers,
                                            v1::Pack* pack, PackStats* stats) const;
};

absl::StatusOr<v1::HoleReason> PackMaker::Impl::AddExample(
    const PlannedExample& example, const v1::ShardEntry& entry, const v1::ShardIndex& index,
    const ShardFile& file, const v1::CaptionsSpec& captions, Buffers* buffers, v1::Pack* pack,
    PackStats* stats) const {
  const int row = static_cast<int>(example.row);
  NAVIT_ASSIGN_OR_RETURN(const CaptionField field, ParseCaptionField(captions.field()));
  const TextMember text = FindText(index, row, field);
  {
    StageTimer timer(Stage::kRead, stats);
    NAVIT_RETURN_IF_ERROR(file.Read(index.image_offsets(row), index.image_bytes(row),
                                    index.image_hashes(row), index.keys(row),
                                    &buffers->image_bytes));
    buffers->text_bytes.clear();
    if (text.bytes <= kMaxTextBytes) {
      NAVIT_RETURN_IF_ERROR(
          file.Read(text.offset, text.bytes, text.hash, index.keys(row), &buffers->text_bytes));
    }
    stats->read_bytes += buffers->image_bytes.size() + buffers->text_bytes.size();
    ++stats->samples_read;
  }

  std::optional<std::string> caption;
  {
    StageTimer timer(Stage::kTokenize, stats);
    caption = ExtractCaption(field, buffers->text_bytes);
  }
  if (!caption.has_value()) {
    if (captions.if_missing() != v1::CaptionsSpec::FAIL) return v1::HOLE_REASON_NO_CAPTION;
    return absl::FailedPreconditionError(absl::StrCat(entry.path(), ": sample ", index.keys(row),
                                                      " has no caption in ", captions.field(),
                                                      ", and captions.if_missing is fail"));
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
    const v1::HoleReason reason =
        DecodeImage(buffers->image_bytes, index.image_formats(row), width, height, target_width,
                    target_height, &buffers->decoded);
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
    const std::vector<uint32_t> chosen = ChoosePatches(
        patches, example.tokens,
        Draws(spec.seed(), example.dataset, example.epoch, example.sample, Purpose::kDropPatches));
    AppendPatches(*image, patch_size, chosen, pack->mutable_patches(), pack->mutable_positions());
  }
  {
    StageTimer timer(Stage::kTokenize, stats);
    pack->add_text_tokens(
        AppendByteTokens(*caption, spec.model().text().max_tokens(), pack->mutable_text()));
    pack->add_caption_hashes(CaptionHash(*caption));
  }
  pack->add_image_tokens(example.tokens);
  pack->add_grid_rows(example.grid_rows);
  pack->add_grid_columns(example.grid_columns);
  stats->dropped_tokens += patches - example.tokens;
  stats->examples.push_back({example.side,
                             static_cast<double>(index.widths(row)) / index.heights(row),
                             static_cast<double>(patches - example.tokens) / patches});
  return v1::HOLE_REASON_NONE;
}

PackMaker::PackMaker(const v1::JobSpec& spec, std::shared_ptr<const v1::DataManifest> manifest,
                     std::shared_ptr<IndexCache> indexes) {
  auto impl = std::make_unique<Impl>();
  impl->spec = spec;
  impl->manifest = std::move(manifest);
  impl->indexes = std::move(indexes);
  impl_ = std::move(impl);
}

PackMaker::~PackMaker() = default;

absl::StatusOr<PackedBytes> PackMaker::Make(const WindowPlan& plan, uint32_t pack_index) const {
  const Impl& impl = *impl_;
  const bool validation = plan.split == v1::SPLIT_VALIDATION;
  const auto& shards = validation ? impl.manifest->validation() : impl.manifest->train();
  const auto& datasets = validation ? impl.spec.data().validation() : impl.spec.data().train();
  const uint32_t patch_size = impl.spec.model().image().patch_size();

  PackedBytes made;
  v1::PackHeader& header = made.header;
  v1::Pack pack;
  Buffers buffers;
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
      NAVIT_ASSIGN_OR_RETURN(
          reason, impl.AddExample(example, entry, *index, *file,
                                  datasets[static_cast<int>(example.dataset)].captions(), &buffers,
                                  &pack, &made.stats));
      if (reason != v1::HOLE_REASON_NONE) made.stats.hole_tokens += example.tokens;
    }
    pack.add_samples(example.id);
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
      hole->set_sample(example.id);
      hole->set_reason(reason);
    }
  }

  StageTimer timer(Stage::kSerialize, &made.stats);
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
  return made;
}

}  // namespace navit
