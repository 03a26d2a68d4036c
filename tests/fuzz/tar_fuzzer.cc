// The tar reader and the index of a shard, which reads image headers and texts' hashes with it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "packer/shard_index.h"
#include "packer/tar_reader.h"
#include "tests/fuzz/memory_file.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

constexpr size_t kBlock = 512;

// Every promise that a reader of members makes, over the whole archive.
void ReadMembers(const std::string& path, uint64_t file_bytes) {
  auto reader = navit::TarReader::Open(navit::fuzz::Store(), path);
  if (!reader.ok()) std::abort();
  navit::TarMember member;
  uint64_t end = 0;
  while (true) {
    const absl::StatusOr<bool> more = (*reader)->Next(&member);
    if (!more.ok()) return;
    if (!*more) break;
    if (member.path.empty() || member.header_offset < end ||
        member.data_offset <= member.header_offset) {
      std::abort();
    }
    uint64_t seen = 0;
    // Members at odd blocks are read, the others passed over.
    if (member.header_offset / kBlock % 2 == 1) {
      const absl::Status read =
          (*reader)->ReadData([&](absl::string_view piece) { seen += piece.size(); });
      if (!read.ok()) return;
      if (seen != member.bytes) std::abort();
    }
    end = member.data_offset;
  }
  if ((*reader)->bytes_read() != file_bytes) std::abort();
}

// Headers whose checksum is right, so that mutations reach what is behind it.
void MendChecksums(uint8_t* data, size_t size) {
  for (size_t at = 0; at + kBlock <= size;) {
    uint8_t* const header = data + at;
    unsigned sum = 0;
    std::memset(header + 148, ' ', 8);
    for (size_t i = 0; i < kBlock; ++i) sum += header[i];
    if (sum == 8 * ' ') {
      std::memset(header + 148, 0, 8);  // a block of zeros ends the archive
    } else {
      std::snprintf(reinterpret_cast<char*>(header) + 148, 8, "%06o", sum & 0777777);
      header[155] = ' ';
    }
    size_t bytes = 0;
    for (int i = 124; i < 135 && header[i] >= '0' && header[i] <= '7'; ++i) {
      bytes = bytes * 8 + (header[i] - '0');
    }
    if (bytes > size) return;
    at += kBlock + (bytes + kBlock - 1) / kBlock * kBlock;
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0) MendChecksums(data, size);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const navit::fuzz::MemoryFile file(data, size);
  ReadMembers(file.path(), size);
  const absl::StatusOr<navit::v1::ShardIndex> index =
      navit::BuildShardIndex(navit::fuzz::Store(), file.path());
  if (!index.ok()) return 0;
  for (int row = 0; row < index->keys_size(); ++row) {
    if (index->image_offsets(row) + index->image_bytes(row) > size ||
        index->txt_offsets(row) + index->txt_bytes(row) > size ||
        index->json_offsets(row) + index->json_bytes(row) > size ||
        index->cls_offsets(row) + index->cls_bytes(row) > size) {
      std::abort();
    }
  }
  return 0;
}
