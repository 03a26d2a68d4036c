#include "embed/embedder.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "packer/grid.h"
#include "packer/image_header.h"
#include "packer/limits.h"
#include "packer/patchify.h"
#include "worker/model/aligned_buffer.h"
#include "worker/model/arena.h"

namespace navit {
namespace {

// uint16 little-endian numbers in `bytes`.
void AppendUint16(absl::string_view bytes, std::vector<uint16_t>* to) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    to->push_back(static_cast<uint16_t>(static_cast<unsigned char>(bytes[i]) |
                                        static_cast<unsigned char>(bytes[i + 1]) << 8));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Embedder>> Embedder::Create(StoredModel model, ObjectStore* store,
                                                           const EmbedderOptions& options) {
  std::shared_ptr<const Tokenizer> tokenizer;
  if (model.spec.model().has_text()) {
    NAVIT_ASSIGN_OR_RETURN(tokenizer, OpenTokenizer(store, model.spec.model().text()));
  } else if (!options.features) {
    return absl::InvalidArgumentError(
        "the model is a classifier, which has no embeddings: --features gives its features");
  }
  return std::unique_ptr<Embedder>(new Embedder(std::move(model), options, std::move(tokenizer)));
}

Embedder::Embedder(StoredModel model, const EmbedderOptions& options,
                   std::shared_ptr<const Tokenizer> tokenizer)
    : model_(std::move(model)),
      options_(options),
      token_budget_(options.token_budget > 0 ? options.token_budget
                                             : model_.spec.evaluation().token_budgets(0)),
      tokenizer_(std::move(tokenizer)),
      image_tower_(model_.table),
      text_tower_(tokenizer_ == nullptr ? std::nullopt
                                        : std::make_optional<TextTower<>>(model_.table)),
      pool_(options.threads) {}

absl::Status Embedder::AddImage(absl::string_view file) {
  if (file.size() > kMaxImageBytes) return absl::InvalidArgumentError("too many bytes");
  const ImageHeader header = ReadImageHeader(file);
  if (header.width == 0 || header.height == 0) {
    return absl::InvalidArgumentError("is no JPEG, PNG or WebP image");
  }
  const uint32_t side = model_.spec.model().image().patch_size();
  const bool turned = header.orientation >= 5;
  const Grid grid = ChooseGrid(turned ? header.height : header.width,
                               turned ? header.width : header.height, uint64_t{token_budget_} << 32,
                               token_budget_, model_.spec.model().image().max_grid());
  RenderRequest request;
  request.format = header.format;
  request.width = header.width;
  request.height = header.height;
  request.orientation = header.orientation;
  request.part = {0, 0, header.width, header.height};
  request.target_width = grid.columns * side;
  request.target_height = grid.rows * side;
  request.background = BackgroundOf(model_.spec.preprocess());
  request.interpolation = InterpolationOf(model_.spec.preprocess());
  const v1::HoleReason reason = DecodeForRender(file, request, &render_);
  if (reason != v1::HOLE_REASON_NONE) {
    return absl::InvalidArgumentError(absl::AsciiStrToLower(v1::HoleReason_Name(reason)));
  }
  std::vector<uint32_t> all(size_t{grid.rows} * grid.columns);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint32_t>(i);
  std::string positions;
  AppendPatches(Render(request, &render_), side, all, &batch_.patches, &positions);
  AppendUint16(positions, &batch_.positions);
  batch_.grids.push_back(static_cast<uint16_t>(grid.rows));
  batch_.grids.push_back(static_cast<uint16_t>(grid.columns));
  batch_.image_cu_seqlens.push_back(
      static_cast<int32_t>(batch_.image_cu_seqlens.back() + all.size()));
  batch_.samples.push_back(batch_.samples.size());
  return absl::OkStatus();
}

absl::Status Embedder::AddCaption(absl::string_view caption) {
  if (tokenizer_ == nullptr) {
    return absl::InvalidArgumentError("the model is a classifier, which reads no captions");
  }
  std::string ids;
  const absl::string_view trimmed = absl::StripAsciiWhitespace(caption);
  if (!trimmed.empty()) {
    tokenizer_->Append(trimmed, model_.spec.model().text().max_tokens(), &ids);
  }
  if (ids.empty()) return absl::InvalidArgumentError("the caption is empty");
  AppendUint16(ids, &batch_.text);
  batch_.text_cu_seqlens.push_back(static_cast<int32_t>(batch_.text.size()));
  batch_.samples.push_back(batch_.samples.size());
  return absl::OkStatus();
}

int64_t Embedder::tokens() const { return batch_.image_tokens() + batch_.text_tokens(); }

int64_t Embedder::image_dim() const {
  const ModelConfig& config = model_.table.config();
  return options_.features ? config.image.width : config.embedding_dim;
}

int64_t Embedder::text_dim() const {
  const ModelConfig& config = model_.table.config();
  return options_.features ? config.text.width : config.embedding_dim;
}

std::vector<float> Embedder::Rows(const TowerActivations<>& activations, int64_t dim) const {
  const float* rows = options_.features ? activations.features() : activations.embeddings();
  return {rows, rows + size() * dim};
}

std::vector<float> Embedder::TakeImages() {
  if (size() == 0) return {};
  Arena count;
  image_tower_.LayOut(batch_, &count);
  AlignedBuffer buffer(count.used());
  Arena arena(buffer.data());
  const ImageTowerActivations activations = image_tower_.LayOut(batch_, &arena);
  image_tower_.Forward(model_.parameters.data(), batch_, activations, pool_);
  std::vector<float> rows = Rows(activations.tower, image_dim());
  batch_ = Batch();
  return rows;
}

std::vector<float> Embedder::TakeCaptions() {
  if (size() == 0) return {};
  Arena count;
  text_tower_->LayOut(batch_, &count);
  AlignedBuffer buffer(count.used());
  Arena arena(buffer.data());
  const TowerActivations activations = text_tower_->LayOut(batch_, &arena);
  text_tower_->Forward(model_.parameters.data(), batch_, activations, pool_);
  std::vector<float> rows = Rows(activations, text_dim());
  batch_ = Batch();
  return rows;
}

}  // namespace navit
