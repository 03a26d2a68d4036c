#include "packer/caption_index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "packer/limits.h"
#include "packer/range_reader.h"
#include "packer/shard_index.h"
#include "packer/sidecar_file.h"

namespace navit {
namespace {

constexpr absl::string_view kMagic = "NAVITCX1";

// Captions are read in requests of up to kReadBytes; images in between that are shorter than
// kReadGapBytes are read too, which costs less than another request.
constexpr uint64_t kReadGapBytes = 64 << 10;
constexpr uint64_t kReadBytes = 8 << 20;

}  // namespace

absl::StatusOr<CaptionTokenizer> CaptionTokenizer::Create(ObjectStore* store,
                                                          const v1::CaptionsSpec& captions,
                                                          const v1::TextTowerSpec& text) {
  CaptionTokenizer made;
  NAVIT_ASSIGN_OR_RETURN(made.field_, ParseCaptionField(captions));
  NAVIT_ASSIGN_OR_RETURN(made.tokenizer_, OpenTokenizer(store, text));
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
    ObjectStore* store, const v1::ShardEntry& entry, const v1::ShardIndex& index,
    const CaptionField& field,
    const std::function<void(int row, const std::vector<std::string>&)>& captions) {
  std::vector<ShardRange> members;
  for (int row = 0; row < index.keys_size(); ++row) {
    const TextMember member = FindText(index, row, field);
    if (member.bytes <= kMaxTextBytes) members.push_back({0, member.offset, member.bytes});
  }
  // Sorted; a shard's samples stand in the order of the file.
  const std::vector<ShardRange> requests =
      CoalesceRanges(std::move(members), kReadGapBytes, kReadBytes);
  size_t next = 0;
  std::string buffer;
  for (int row = 0; row < index.keys_size(); ++row) {
    const TextMember member = FindText(index, row, field);
    if (member.bytes == 0 || member.bytes > kMaxTextBytes) {
      captions(row, {});
      continue;
    }
    const auto holds = [&](const ShardRange& r) {
      return r.offset <= member.offset && member.offset + member.bytes <= r.offset + r.bytes;
    };
    if (next == 0 || !holds(requests[next - 1])) {
      const auto request = std::find_if(requests.begin(), requests.end(), holds);
      NAVIT_RETURN_IF_ERROR(
          store->Read(entry.path(), request->offset, request->bytes, "", &buffer).status());
      if (buffer.size() < request->bytes) {
        return absl::FailedPreconditionError(
            absl::StrCat(entry.path(), ": shard changed under the job: it ends at byte ",
                         request->offset + buffer.size()));
      }
      next = static_cast<size_t>(request - requests.begin()) + 1;
    }
    const absl::string_view bytes(buffer.data() + (member.offset - requests[next - 1].offset),
                                  member.bytes);
    NAVIT_RETURN_IF_ERROR(CheckMemberHash(bytes, member.hash, entry, index.keys(row)));
    captions(row, ExtractCaptions(field, bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::CaptionIndex> BuildCaptionIndex(ObjectStore* store, const v1::ShardEntry& entry,
                                                   const v1::ShardIndex& index,
                                                   const CaptionTokenizer& tokenizer) {
  v1::CaptionIndex built;
  built.set_format_version(kCaptionIndexFormatVersion);
  built.set_shard_hash(entry.hash());
  built.set_settings_hash(tokenizer.settings_hash());
  std::string ids;
  NAVIT_RETURN_IF_ERROR(ForEachCaptions(store, entry, index, tokenizer.field(),
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

absl::Status WriteCaptionIndex(ObjectStore* store, const v1::CaptionIndex& captions,
                               const std::string& path) {
  return WriteSidecar(store, captions, kMagic, path);
}

absl::StatusOr<v1::CaptionIndex> ReadCaptionIndex(ObjectStore* store, const std::string& path) {
  v1::CaptionIndex captions;
  NAVIT_RETURN_IF_ERROR(ReadSidecar(store, path, kMagic, "caption index", &captions));
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

absl::Status IndexCaptions(ObjectStore* store, const v1::ShardEntry& entry,
                           const CaptionTokenizer& tokenizer) {
  const std::string path = CaptionSidecarPath(entry.index_path(), tokenizer.settings_hash());
  const absl::StatusOr<v1::CaptionIndex> old = ReadCaptionIndex(store, path);
  if (old.ok() && CaptionIndexFits(*old, entry, tokenizer)) return absl::OkStatus();
  if (!old.ok() && !absl::IsNotFound(old.status()) && !absl::IsInvalidArgument(old.status())) {
    return old.status();
  }
  NAVIT_ASSIGN_OR_RETURN(const v1::ShardIndex index, ReadShardIndex(store, entry.index_path()));
  NAVIT_ASSIGN_OR_RETURN(const v1::CaptionIndex captions,
                         BuildCaptionIndex(store, entry, index, tokenizer));
  return WriteCaptionIndex(store, captions, path);
}

}  // namespace navit
