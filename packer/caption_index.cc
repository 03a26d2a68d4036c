#include "packer/caption_index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/files.h"
#include "common/status_macros.h"
#include "packer/limits.h"
#include "packer/shard_file.h"
#include "packer/shard_index.h"
#include "packer/sidecar_file.h"

namespace navit {
namespace {

constexpr absl::string_view kMagic = "NAVITCX1";

}  // namespace

absl::StatusOr<CaptionTokenizer> CaptionTokenizer::Create(const v1::CaptionsSpec& captions,
                                                          const v1::TextTowerSpec& text) {
  CaptionTokenizer made;
  NAVIT_ASSIGN_OR_RETURN(made.field_, ParseCaptionField(captions));
  NAVIT_ASSIGN_OR_RETURN(made.tokenizer_, OpenTokenizer(text));
  made.max_tokens_ = text.max_tokens();
  // A length before each text, so that no two settings read alike.
  const std::string& tokenizer =
      text.tokenizer_hash().empty() ? text.tokenizer() : text.tokenizer_hash();
  const std::string settings =
      absl::StrCat(kCaptionIndexFormatVersion, " ", captions.field().size(), ":", captions.field(),
                   " ", captions.lines(), " ", tokenizer.size(), ":", tokenizer, " ",
                   text.max_tokens(), " ", kMaxCaptions, " ", kMaxTextBytes);
  made.settings_hash_ = XXH3_64bits(settings.data(), settings.size());
  return made;
}

absl::Status ForEachCaptions(
    const v1::ShardEntry& entry, const v1::ShardIndex& index, const CaptionField& field,
    const std::function<void(int row, const std::vector<std::string>&)>& captions) {
  NAVIT_ASSIGN_OR_RETURN(const std::unique_ptr<ShardFile> file, ShardFile::Open(entry));
  std::string buffer;
  for (int row = 0; row < index.keys_size(); ++row) {
    const TextMember member = FindText(index, row, field);
    if (member.bytes == 0 || member.bytes > kMaxTextBytes) {
      captions(row, {});
      continue;
    }
    NAVIT_ASSIGN_OR_RETURN(
        const absl::string_view bytes,
        file->Read(member.offset, member.bytes, member.hash, index.keys(row), &buffer));
    captions(row, ExtractCaptions(field, bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::CaptionIndex> BuildCaptionIndex(const v1::ShardEntry& entry,
                                                   const v1::ShardIndex& index,
                                                   const CaptionTokenizer& tokenizer) {
  v1::CaptionIndex built;
  built.set_format_version(kCaptionIndexFormatVersion);
  built.set_shard_hash(entry.hash());
  built.set_settings_hash(tokenizer.settings_hash());
  std::string ids;
  NAVIT_RETURN_IF_ERROR(ForEachCaptions(entry, index, tokenizer.field(),
                                        [&](int, const std::vector<std::string>& captions) {
                                          built.add_counts(static_cast<uint32_t>(captions.size()));
                                          for (const std::string& caption : captions) {
                                            ids.clear();
                                            built.add_tokens(tokenizer.Append(caption, &ids));
                                          }
                                        }));
  return built;
}

std::string CaptionSidecarPath(absl::string_view index_path, uint64_t settings_hash) {
  return absl::StrCat(absl::StripSuffix(index_path, ".navit-index"), ".",
                      absl::Hex(settings_hash, absl::kZeroPad16), ".navit-captions");
}

absl::Status WriteCaptionIndex(const v1::CaptionIndex& captions, const std::string& path) {
  return WriteSidecar(captions, kMagic, path);
}

absl::StatusOr<v1::CaptionIndex> ReadCaptionIndex(const std::string& path) {
  v1::CaptionIndex captions;
  NAVIT_RETURN_IF_ERROR(ReadSidecar(path, kMagic, "caption index", &captions));
  if (captions.format_version() != kCaptionIndexFormatVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": format version ", captions.format_version(), ", this program knows ",
                     kCaptionIndexFormatVersion));
  }
  uint64_t sum = 0;
  for (const uint32_t count : captions.counts()) sum += count;
  if (sum != static_cast<uint64_t>(captions.tokens_size())) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": columns of unequal length"));
  }
  return captions;
}

bool CaptionIndexFits(const v1::CaptionIndex& captions, const v1::ShardEntry& entry,
                      const CaptionTokenizer& tokenizer) {
  return captions.shard_hash() == entry.hash() &&
         captions.settings_hash() == tokenizer.settings_hash() &&
         static_cast<uint64_t>(captions.counts_size()) == entry.samples();
}

absl::Status IndexCaptions(const v1::ShardEntry& entry, const CaptionTokenizer& tokenizer) {
  const std::string path = CaptionSidecarPath(entry.index_path(), tokenizer.settings_hash());
  const absl::StatusOr<v1::CaptionIndex> old = ReadCaptionIndex(path);
  if (old.ok() && CaptionIndexFits(*old, entry, tokenizer)) return absl::OkStatus();
  if (!old.ok() && !absl::IsNotFound(old.status()) && !absl::IsInvalidArgument(old.status())) {
    return old.status();
  }
  NAVIT_ASSIGN_OR_RETURN(const v1::ShardIndex index, ReadShardIndex(entry.index_path()));
  NAVIT_ASSIGN_OR_RETURN(const v1::CaptionIndex captions,
                         BuildCaptionIndex(entry, index, tokenizer));
  return WriteCaptionIndex(captions, path);
}

}  // namespace navit
