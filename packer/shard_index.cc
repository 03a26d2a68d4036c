#include "packer/shard_index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/object_store/object_reader.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"
#include "packer/image_header.h"
#include "packer/limits.h"
#include "packer/sidecar_file.h"
#include "packer/tar_reader.h"
#include "packer/utf8.h"

namespace navit {
namespace {

constexpr absl::string_view kMagic = "NAVITIX1";

enum Kind { kImage, kText, kJson, kClass, kKinds };

// Kind of a member by what stands behind the first dot of its name; kKinds: none of ours.
Kind KindOf(absl::string_view extension) {
  const std::string lower = absl::AsciiStrToLower(extension);
  if (lower == "jpg" || lower == "jpeg" || lower == "png" || lower == "webp") return kImage;
  if (lower == "txt") return kText;
  if (lower == "json") return kJson;
  if (lower == "cls") return kClass;
  return kKinds;
}

// Splits a path at the first dot of its last component. False: no dot, or nothing before it.
bool SplitKey(absl::string_view path, absl::string_view* key, absl::string_view* extension) {
  while (path.substr(0, 2) == "./") path.remove_prefix(2);
  const size_t slash = path.rfind('/');
  const size_t name = slash == absl::string_view::npos ? 0 : slash + 1;
  const size_t dot = path.find('.', name);
  if (dot == absl::string_view::npos || dot == name) return false;
  *key = path.substr(0, dot);
  *extension = path.substr(dot + 1);
  return true;
}

struct MemberBytes {
  uint64_t hash = 0;
  std::string head;
};

// Reads the current member: its hash, and its first `head_bytes` bytes.
absl::StatusOr<MemberBytes> ReadMember(TarReader& reader, uint64_t head_bytes) {
  std::unique_ptr<XXH3_state_t, void (*)(XXH3_state_t*)> state(
      XXH3_createState(), [](XXH3_state_t* s) { XXH3_freeState(s); });
  XXH3_64bits_reset(state.get());
  MemberBytes member;
  NAVIT_RETURN_IF_ERROR(reader.ReadData([&](absl::string_view piece) {
    XXH3_64bits_update(state.get(), piece.data(), piece.size());
    const absl::string_view part = piece.substr(0, head_bytes - member.head.size());
    member.head.append(part.data(), part.size());
  }));
  member.hash = XXH3_64bits_digest(state.get());
  return member;
}

void AddSample(absl::string_view key, v1::ShardIndex* index) {
  index->add_keys(std::string(key));
  index->add_image_offsets(0);
  index->add_image_bytes(0);
  index->add_image_hashes(0);
  index->add_image_formats(v1::ShardIndex::IMAGE_FORMAT_NONE);
  index->add_widths(0);
  index->add_heights(0);
  index->add_orientations(1);
  index->add_txt_offsets(0);
  index->add_txt_bytes(0);
  index->add_txt_hashes(0);
  index->add_json_offsets(0);
  index->add_json_bytes(0);
  index->add_json_hashes(0);
  index->add_cls_offsets(0);
  index->add_cls_bytes(0);
  index->add_cls_hashes(0);
}

void SetImage(const TarMember& member, const MemberBytes& bytes, v1::ShardIndex* index) {
  const int row = index->keys_size() - 1;
  const ImageHeader header = ReadImageHeader(bytes.head);
  const bool turned = header.orientation >= 5;
  index->set_image_offsets(row, member.data_offset);
  index->set_image_bytes(row, member.bytes);
  index->set_image_hashes(row, bytes.hash);
  index->set_image_formats(row, header.format);
  index->set_widths(row, turned ? header.height : header.width);
  index->set_heights(row, turned ? header.width : header.height);
  index->set_orientations(row, header.orientation);
}

void SetText(Kind kind, const TarMember& member, uint64_t hash, v1::ShardIndex* index) {
  const int row = index->keys_size() - 1;
  const uint32_t bytes = static_cast<uint32_t>(member.bytes);
  if (kind == kText) {
    index->set_txt_offsets(row, member.data_offset);
    index->set_txt_bytes(row, bytes);
    index->set_txt_hashes(row, hash);
  } else if (kind == kJson) {
    index->set_json_offsets(row, member.data_offset);
    index->set_json_bytes(row, bytes);
    index->set_json_hashes(row, hash);
  } else {
    index->set_cls_offsets(row, member.data_offset);
    index->set_cls_bytes(row, bytes);
    index->set_cls_hashes(row, hash);
  }
}

bool ColumnsFit(const v1::ShardIndex& index) {
  const int n = index.keys_size();
  for (const int size :
       {index.image_offsets_size(), index.image_bytes_size(), index.image_hashes_size(),
        index.image_formats_size(), index.widths_size(), index.heights_size(),
        index.orientations_size(), index.txt_offsets_size(), index.txt_bytes_size(),
        index.txt_hashes_size(), index.json_offsets_size(), index.json_bytes_size(),
        index.json_hashes_size(), index.cls_offsets_size(), index.cls_bytes_size(),
        index.cls_hashes_size()}) {
    if (size != n) return false;
  }
  return n > 0;
}

// Size and hash of a file, read once.
struct Fingerprint {
  uint64_t bytes = 0;
  uint64_t hash = 0;
};

absl::StatusOr<Fingerprint> ReadFingerprint(ObjectStore* store, const std::string& name,
                                            const IndexProgress& progress) {
  NAVIT_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectReader> reader,
                         ObjectReader::Open(store, name));
  std::unique_ptr<XXH3_state_t, void (*)(XXH3_state_t*)> state(
      XXH3_createState(), [](XXH3_state_t* s) { XXH3_freeState(s); });
  XXH3_64bits_reset(state.get());
  Fingerprint fingerprint;
  while (true) {
    NAVIT_ASSIGN_OR_RETURN(const absl::string_view piece, reader->Next());
    if (piece.empty()) break;
    XXH3_64bits_update(state.get(), piece.data(), piece.size());
    fingerprint.bytes += piece.size();
    if (progress) progress(fingerprint.bytes);
  }
  fingerprint.hash = XXH3_64bits_digest(state.get());
  return fingerprint;
}

// Where the last member of all samples ends, at least 1.
uint64_t EndOfSamples(const v1::ShardIndex& index) {
  uint64_t end = 1;
  for (int row = 0; row < index.keys_size(); ++row) {
    end = std::max({end, index.image_offsets(row) + index.image_bytes(row),
                    index.txt_offsets(row) + index.txt_bytes(row),
                    index.json_offsets(row) + index.json_bytes(row),
                    index.cls_offsets(row) + index.cls_bytes(row)});
  }
  return end;
}

v1::ShardEntry EntryOf(const std::string& shard, const std::string& sidecar,
                       const v1::ShardIndex& index) {
  v1::ShardEntry entry;
  entry.set_path(shard);
  entry.set_samples(static_cast<uint64_t>(index.keys_size()));
  entry.set_bytes(index.shard_bytes());
  entry.set_hash(index.shard_hash());
  entry.set_index_path(sidecar);
  return entry;
}

}  // namespace

absl::StatusOr<v1::ShardIndex> BuildShardIndex(ObjectStore* store, const std::string& shard,
                                               const IndexProgress& progress, uint64_t most_bytes) {
  NAVIT_ASSIGN_OR_RETURN(const std::unique_ptr<TarReader> reader, TarReader::Open(store, shard));
  v1::ShardIndex index;
  index.set_format_version(kShardIndexFormatVersion);
  absl::flat_hash_set<std::string> earlier_keys;
  std::string current_key;
  std::array<bool, kKinds> present = {};
  bool part = false;
  TarMember member;
  while (true) {
    NAVIT_ASSIGN_OR_RETURN(const bool more, reader->Next(&member));
    if (!more) break;
    const auto invalid = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat(shard, ": at byte ", member.header_offset,
                                                     ": member ", EscapeInvalidUtf8(member.path),
                                                     ": ", what));
    };
    absl::string_view raw_key;
    absl::string_view extension;
    const bool keyed = SplitKey(member.path, &raw_key, &extension);
    if (member.header_offset >= most_bytes && index.keys_size() > 0 &&
        !(keyed && EscapeInvalidUtf8(raw_key) == current_key)) {
      part = true;
      break;
    }
    if (!keyed) continue;
    const Kind kind = KindOf(extension);
    if (kind == kKinds) continue;
    if (member.link) return invalid("a link has no bytes of its own: pack the file itself");
    const std::string key = EscapeInvalidUtf8(raw_key);
    if (index.keys_size() == 0 || key != current_key) {
      if (!earlier_keys.insert(key).second) {
        return invalid("its key came before; the members of a sample must stand together");
      }
      current_key = key;
      present = {};
      AddSample(key, &index);
    }
    if (std::exchange(present[kind], true)) {
      return invalid(kind == kImage ? "the sample has an image already"
                                    : "the sample has this member already");
    }
    if (kind != kImage && member.bytes > std::numeric_limits<uint32_t>::max()) {
      return invalid("a text member of 4 GiB or more");
    }
    const uint64_t head = kind != kImage                   ? 0
                          : member.bytes <= kMaxImageBytes ? member.bytes
                                                           : 65536;
    NAVIT_ASSIGN_OR_RETURN(const MemberBytes bytes, ReadMember(*reader, head));
    if (member.bytes > 0) {
      if (kind == kImage) {
        SetImage(member, bytes, &index);
      } else {
        SetText(kind, member, bytes.hash, &index);
      }
    }
    if (progress) progress(reader->bytes_read());
  }
  if (index.keys_size() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(shard, ": no samples"));
  }
  index.set_shard_bytes(part ? reader->info().bytes : reader->bytes_read());
  index.set_shard_hash(reader->hash());
  if (reader->info().settled) index.set_shard_validator(reader->info().validator);
  return index;
}

std::string SidecarPath(absl::string_view shard, absl::string_view index_folder) {
  if (index_folder.empty()) return absl::StrCat(shard, ".navit-index");
  // A query may change its signature from day to day.
  if (IsUrl(shard)) shard = shard.substr(0, shard.find('?'));
  const size_t slash = shard.rfind('/');
  const absl::string_view name = slash == absl::string_view::npos ? shard : shard.substr(slash + 1);
  return JoinUrl(
      index_folder,
      absl::StrCat(name, "-", absl::Hex(XXH3_64bits(shard.data(), shard.size()), absl::kZeroPad16),
                   ".navit-index"));
}

absl::Status WriteShardIndex(ObjectStore* store, const v1::ShardIndex& index,
                             const std::string& path) {
  return WriteSidecar(store, index, kMagic, path);
}

absl::StatusOr<v1::ShardIndex> ReadShardIndex(ObjectStore* store, const std::string& path) {
  v1::ShardIndex index;
  NAVIT_RETURN_IF_ERROR(ReadSidecar(store, path, kMagic, "shard index", &index));
  if (index.format_version() != kShardIndexFormatVersion) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": format version ",
                                                   index.format_version(), ", this program knows ",
                                                   kShardIndexFormatVersion));
  }
  if (!ColumnsFit(index)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": columns of unequal length"));
  }
  return index;
}

absl::StatusOr<v1::ShardEntry> IndexShard(ObjectStore* store, const std::string& shard,
                                          const std::string& index_folder,
                                          const IndexProgress& progress) {
  const std::string sidecar = SidecarPath(shard, index_folder);
  const absl::StatusOr<v1::ShardIndex> old = ReadShardIndex(store, sidecar);
  if (old.ok()) {
    NAVIT_ASSIGN_OR_RETURN(const ObjectInfo info, store->Stat(shard));
    if (info.bytes == old->shard_bytes()) {
      if (!info.validator.empty() && info.validator == old->shard_validator()) {
        return EntryOf(shard, sidecar, *old);
      }
      NAVIT_ASSIGN_OR_RETURN(const Fingerprint now, ReadFingerprint(store, shard, progress));
      if (now.bytes == old->shard_bytes() && now.hash == old->shard_hash()) {
        return EntryOf(shard, sidecar, *old);
      }
    }
  } else if (!absl::IsNotFound(old.status()) && !absl::IsInvalidArgument(old.status())) {
    return old.status();
  }
  NAVIT_ASSIGN_OR_RETURN(const v1::ShardIndex index, BuildShardIndex(store, shard, progress));
  NAVIT_RETURN_IF_ERROR(WriteShardIndex(store, index, sidecar));
  return EntryOf(shard, sidecar, index);
}

absl::StatusOr<ShardPart> IndexShardPart(ObjectStore* store, const std::string& shard,
                                         const std::string& index_folder, uint64_t most_bytes) {
  NAVIT_ASSIGN_OR_RETURN(const ObjectInfo info, store->Stat(shard));
  ShardPart part;
  if (info.bytes <= most_bytes) {
    NAVIT_ASSIGN_OR_RETURN(part.entry, IndexShard(store, shard, index_folder));
    return part;
  }
  const std::string sidecar = SidecarPath(shard, index_folder);
  const absl::StatusOr<v1::ShardIndex> whole = ReadShardIndex(store, sidecar);
  if (whole.ok() && whole->shard_bytes() == info.bytes) {
    part.entry = EntryOf(shard, sidecar, *whole);
    return part;
  }
  const std::string part_sidecar = absl::StrCat(sidecar, ".part");
  absl::StatusOr<v1::ShardIndex> index = ReadShardIndex(store, part_sidecar);
  if (!index.ok() || info.validator.empty() || index->shard_validator() != info.validator) {
    NAVIT_ASSIGN_OR_RETURN(index, BuildShardIndex(store, shard, nullptr, most_bytes));
    NAVIT_RETURN_IF_ERROR(WriteShardIndex(store, *index, part_sidecar));
  }
  part.entry = EntryOf(shard, part_sidecar, *index);
  part.share =
      std::min(1.0, static_cast<double>(EndOfSamples(*index)) / static_cast<double>(info.bytes));
  return part;
}

absl::Status CheckMemberHash(absl::string_view bytes, uint64_t hash, const v1::ShardEntry& entry,
                             absl::string_view key) {
  if (XXH3_64bits(bytes.data(), bytes.size()) == hash) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(entry.path(),
                                                    ": shard changed under the job: sample ", key,
                                                    " no longer has the checksum of the index"));
}

}  // namespace navit
