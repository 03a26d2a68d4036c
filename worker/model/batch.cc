#include "worker/model/batch.h"

#include <limits>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "proto/pack.pb.h"

namespace navit {
namespace {

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("pack: ", parts...));
}

uint16_t LoadUint16(const std::string& bytes, size_t index) {
  const auto low = static_cast<unsigned char>(bytes[2 * index]);
  const auto high = static_cast<unsigned char>(bytes[2 * index + 1]);
  return static_cast<uint16_t>(low | (high << 8));
}

absl::StatusOr<v1::Pack> ParsePack(absl::string_view payload) {
  v1::Pack pack;
  if (payload.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !pack.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Invalid("payload: ", payload.size(), " bytes that are no Pack");
  }
  return pack;
}

absl::Status CheckColumn(const char* name, int64_t size, int64_t examples) {
  if (size == examples) return absl::OkStatus();
  return Invalid(name, ": has ", size, " elements for ", examples, " samples");
}

absl::Status CheckBytes(const char* name, uint64_t size, uint64_t tokens, uint64_t bytes_each) {
  // Divides rather than multiplies: `tokens` comes from outside and a product could wrap.
  if (size / bytes_each == tokens && size % bytes_each == 0) return absl::OkStatus();
  return Invalid(name, ": has ", size, " bytes for ", tokens, " tokens of ", bytes_each, " bytes");
}

absl::Status CheckSizes(const v1::Pack& pack, const ModelConfig& config) {
  if (pack.patch_size() != config.patch_size) {
    return Invalid("patch_size: is ", pack.patch_size(), ", the model's is ", config.patch_size);
  }
  const int64_t examples = pack.samples_size();
  NAVIT_RETURN_IF_ERROR(CheckColumn("image_tokens", pack.image_tokens_size(), examples));
  NAVIT_RETURN_IF_ERROR(CheckColumn("grid_rows", pack.grid_rows_size(), examples));
  NAVIT_RETURN_IF_ERROR(CheckColumn("grid_columns", pack.grid_columns_size(), examples));
  const int64_t texts = config.has_text() ? examples : 0;
  NAVIT_RETURN_IF_ERROR(CheckColumn("text_tokens", pack.text_tokens_size(), texts));
  NAVIT_RETURN_IF_ERROR(CheckColumn("caption_hashes", pack.caption_hashes_size(), texts));
  if (config.classes > 0 || pack.labels_size() > 0) {
    NAVIT_RETURN_IF_ERROR(CheckColumn("labels", pack.labels_size(), examples));
  }
  const uint64_t image_tokens =
      std::accumulate(pack.image_tokens().begin(), pack.image_tokens().end(), uint64_t{0});
  const uint64_t text_tokens =
      std::accumulate(pack.text_tokens().begin(), pack.text_tokens().end(), uint64_t{0});
  if (image_tokens > std::numeric_limits<int32_t>::max()) return Invalid("image_tokens: too many");
  if (text_tokens > std::numeric_limits<int32_t>::max()) return Invalid("text_tokens: too many");
  NAVIT_RETURN_IF_ERROR(
      CheckBytes("patches", pack.patches().size(), image_tokens, config.patch_dim()));
  NAVIT_RETURN_IF_ERROR(CheckBytes("positions", pack.positions().size(), image_tokens, 4));
  return CheckBytes("text", pack.text().size(), text_tokens, 2);
}

absl::Status CheckText(const v1::Pack& pack, int i, const ModelConfig& config) {
  if (pack.text_tokens(i) <= static_cast<uint64_t>(config.max_text_tokens)) return absl::OkStatus();
  return Invalid("text_tokens[", i, "]: is ", pack.text_tokens(i), ", max_tokens is ",
                 config.max_text_tokens);
}

absl::Status CheckExample(const v1::Pack& pack, int i, const ModelConfig& config) {
  const uint64_t rows = pack.grid_rows(i);
  const uint64_t columns = pack.grid_columns(i);
  if (rows > static_cast<uint64_t>(config.max_grid)) {
    return Invalid("grid_rows[", i, "]: is ", rows, ", max_grid is ", config.max_grid);
  }
  if (columns > static_cast<uint64_t>(config.max_grid)) {
    return Invalid("grid_columns[", i, "]: is ", columns, ", max_grid is ", config.max_grid);
  }
  if (pack.image_tokens(i) > rows * columns) {
    return Invalid("image_tokens[", i, "]: is ", pack.image_tokens(i), ", the grid has ",
                   rows * columns, " patches");
  }
  if (config.classes > 0 && pack.labels(i) >= static_cast<uint64_t>(config.classes)) {
    return Invalid("labels[", i, "]: is ", pack.labels(i), ", the classifier has ", config.classes,
                   " classes");
  }
  if (!config.has_text()) return absl::OkStatus();
  NAVIT_RETURN_IF_ERROR(CheckText(pack, i, config));
  if ((pack.image_tokens(i) == 0) != (pack.text_tokens(i) == 0)) {
    return Invalid("text_tokens[", i, "]: a hole must be empty in both towers, has ",
                   pack.image_tokens(i), " image and ", pack.text_tokens(i), " text tokens");
  }
  return absl::OkStatus();
}

// The caption of example `i`, behind those before it.
absl::Status AppendText(const v1::Pack& pack, int i, const ModelConfig& config, Batch* batch) {
  const size_t first = batch->text.size();
  for (size_t token = first; token < first + pack.text_tokens(i); ++token) {
    const uint16_t id = LoadUint16(pack.text(), token);
    if (id >= config.text_vocabulary) {
      return Invalid("text[", token, "]: token ", id, " is outside of the vocabulary of ",
                     config.text_vocabulary);
    }
    batch->text.push_back(id);
  }
  batch->caption_hashes.push_back(pack.caption_hashes(i));
  batch->text_cu_seqlens.push_back(static_cast<int32_t>(batch->text.size()));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Batch> ParseBatch(absl::string_view payload, const ModelConfig& config) {
  NAVIT_ASSIGN_OR_RETURN(v1::Pack pack, ParsePack(payload));
  NAVIT_RETURN_IF_ERROR(CheckSizes(pack, config));
  Batch batch;
  batch.epoch = pack.epoch();
  batch.planned_examples = pack.samples_size();
  size_t image_token = 0;
  for (int i = 0; i < pack.samples_size(); ++i) {
    NAVIT_RETURN_IF_ERROR(CheckExample(pack, i, config));
    if (pack.image_tokens(i) == 0) continue;
    for (uint32_t token = 0; token < pack.image_tokens(i); ++token, ++image_token) {
      const uint16_t row = LoadUint16(pack.positions(), 2 * image_token);
      const uint16_t column = LoadUint16(pack.positions(), 2 * image_token + 1);
      if (row >= pack.grid_rows(i) || column >= pack.grid_columns(i)) {
        return Invalid("positions[", image_token, "]: (", row, ", ", column,
                       ") is outside of the grid ", pack.grid_rows(i), " x ", pack.grid_columns(i));
      }
      batch.positions.push_back(row);
      batch.positions.push_back(column);
    }
    if (config.has_text()) {
      NAVIT_RETURN_IF_ERROR(AppendText(pack, i, config, &batch));
    }
    if (pack.labels_size() > 0) batch.labels.push_back(static_cast<int32_t>(pack.labels(i)));
    batch.grids.push_back(static_cast<uint16_t>(pack.grid_rows(i)));
    batch.grids.push_back(static_cast<uint16_t>(pack.grid_columns(i)));
    batch.samples.push_back(pack.samples(i));
    batch.image_cu_seqlens.push_back(static_cast<int32_t>(image_token));
  }
  batch.patches = std::move(*pack.mutable_patches());
  return batch;
}

absl::StatusOr<Batch> ParseTexts(absl::string_view payload, const ModelConfig& config) {
  NAVIT_ASSIGN_OR_RETURN(const v1::Pack pack, ParsePack(payload));
  NAVIT_RETURN_IF_ERROR(CheckSizes(pack, config));
  NAVIT_RETURN_IF_ERROR(CheckColumn("labels", pack.labels_size(), pack.samples_size()));
  Batch batch;
  batch.planned_examples = pack.samples_size();
  for (int i = 0; i < pack.samples_size(); ++i) {
    if (pack.image_tokens(i) != 0) {
      return Invalid("image_tokens[", i, "]: is ", pack.image_tokens(i), " beside a text alone");
    }
    NAVIT_RETURN_IF_ERROR(CheckText(pack, i, config));
    if (pack.text_tokens(i) == 0) return Invalid("text_tokens[", i, "]: is 0");
    NAVIT_RETURN_IF_ERROR(AppendText(pack, i, config, &batch));
    batch.samples.push_back(pack.samples(i));
    batch.labels.push_back(static_cast<int32_t>(pack.labels(i)));
  }
  return batch;
}

Batch Concatenate(absl::Span<const Batch* const> batches, Batch all) {
  all.epoch = 0;
  all.planned_examples = 0;
  all.image_cu_seqlens.resize(1);
  all.text_cu_seqlens.resize(1);
  const auto clear = [](auto&... columns) { (columns.clear(), ...); };
  clear(all.samples, all.caption_hashes, all.labels, all.patches, all.grids, all.positions,
        all.text);
  size_t patch_bytes = 0;
  for (const Batch* batch : batches) patch_bytes += batch->patches.size();
  all.patches.reserve(patch_bytes);
  const auto append = [](const auto& from, auto* to) {
    to->insert(to->end(), from.begin(), from.end());
  };
  for (const Batch* batch : batches) {
    all.epoch = batch->epoch;
    all.planned_examples += batch->planned_examples;
    const int32_t image_tokens = all.image_cu_seqlens.back();
    const int32_t text_tokens = all.text_cu_seqlens.back();
    const auto shift = [](const std::vector<int32_t>& from, int32_t by, std::vector<int32_t>* to) {
      for (size_t i = 1; i < from.size(); ++i) to->push_back(by + from[i]);
    };
    shift(batch->image_cu_seqlens, image_tokens, &all.image_cu_seqlens);
    shift(batch->text_cu_seqlens, text_tokens, &all.text_cu_seqlens);
    append(batch->samples, &all.samples);
    append(batch->caption_hashes, &all.caption_hashes);
    append(batch->labels, &all.labels);
    append(batch->patches, &all.patches);
    append(batch->grids, &all.grids);
    append(batch->positions, &all.positions);
    append(batch->text, &all.text);
  }
  return all;
}

}  // namespace navit
