#include "packer/agent/preview.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "packer/preview/sequence_picture.h"

namespace navit {
namespace {

// Of the packs of one picture: their pixels are held three times while it is drawn.
constexpr uint64_t kMaxPackBytes = uint64_t{64} << 20;

SequenceCaption CaptionOf(const v1::JobSpec& spec, const WindowPlan& plan,
                          const v1::PreviewReply& reply) {
  SequenceCaption caption;
  caption.sequence_length = plan.sequence_length;
  caption.prefix_tokens = plan.prefix_tokens;
  caption.title = spec.name();
  const uint32_t patch = spec.model().image().patch_size();
  caption.facts.push_back(absl::StrFormat("%d image tokens per sequence, 1 token = %dx%d pixels",
                                          plan.sequence_length, patch, patch));
  caption.facts.push_back(spec.data().train_size() == 1
                              ? absl::StrCat("window ", plan.window, " (epoch ", plan.epoch, ")")
                              : absl::StrCat("window ", plan.window));
  const double capacity = static_cast<double>(plan.packs()) * plan.sequence_length;
  caption.facts.push_back(absl::StrFormat("%d of its %d sequences, which are %.2f %% full",
                                          reply.sequences_size(), plan.packs(),
                                          100.0 * reply.window_image_tokens() / capacity));
  if (reply.shards() < reply.shards_total()) {
    caption.facts.push_back(
        absl::StrCat("from ", reply.shards(), " of ", reply.shards_total(), " shards"));
  }
  return caption;
}

}  // namespace

absl::StatusOr<v1::PreviewReply> MakePreview(const v1::JobSpec& spec, const JobPacks& packs,
                                             const v1::PreviewWindow& wanted,
                                             const ShardSample* sample) {
  NAVIT_ASSIGN_OR_RETURN(const WindowPlan plan, packs.Plan(v1::SPLIT_TRAIN, wanted.window()));
  v1::PreviewReply reply;
  reply.set_sequence_length(plan.sequence_length);
  reply.set_window_sequences(plan.packs());
  if (sample != nullptr) {
    reply.set_shards(sample->shards());
    reply.set_shards_total(sample->all_shards());
  }
  uint64_t tokens = 0;
  for (const PlannedExample& example : plan.examples) {
    if (example.tokens > 0) tokens += example.tokens + plan.prefix_tokens;
  }
  reply.set_window_image_tokens(tokens);

  std::vector<v1::Pack> made;
  uint64_t bytes = 0;
  for (uint32_t p = 0; p < std::min(wanted.rows(), plan.packs()) && bytes < kMaxPackBytes; ++p) {
    NAVIT_ASSIGN_OR_RETURN(const PackedBytes pack, packs.Make(plan, p));
    bytes += pack.payload.size();
    if (!made.emplace_back().ParseFromString(pack.payload)) {
      return absl::InternalError(absl::StrCat("pack ", p, " cannot be read back"));
    }
    v1::PreviewReply::Sequence* sequence = reply.add_sequences();
    sequence->set_image_tokens(pack.header.image_tokens());
    sequence->set_images(pack.header.valid_examples());
    sequence->set_holes(static_cast<uint32_t>(pack.header.holes_size()));
  }
  while (true) {
    NAVIT_ASSIGN_OR_RETURN(std::string png, DrawSequences(CaptionOf(spec, plan, reply), made));
    if (png.size() <= kMaxPreviewBytes) {
      reply.set_png(std::move(png));
      return reply;
    }
    if (made.size() == 1) {
      return absl::InvalidArgumentError(absl::StrCat("the picture of one sequence takes ",
                                                     png.size(), " bytes, more than a reply may"));
    }
    made.resize(made.size() / 2);
    reply.mutable_sequences()->DeleteSubrange(
        static_cast<int>(made.size()), reply.sequences_size() - static_cast<int>(made.size()));
  }
}

}  // namespace navit
