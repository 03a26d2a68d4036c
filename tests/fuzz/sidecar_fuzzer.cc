// The readers of both kinds of sidecar index.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <cstdlib>

#include "packer/caption_index.h"
#include "packer/shard_index.h"
#include "tests/fuzz/memory_file.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// Keeps the checksum right: magic, xxh3 of the rest (8 bytes, little-endian), the rest.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (size >= 16 && seed % 8 != 0) {
    const uint64_t hash = XXH3_64bits(data + 16, size - 16);
    for (int byte = 0; byte < 8; ++byte) data[8 + byte] = static_cast<uint8_t>(hash >> 8 * byte);
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const navit::fuzz::MemoryFile file(data, size);
  const absl::StatusOr<navit::v1::CaptionIndex> captions =
      navit::ReadCaptionIndex(navit::fuzz::Store(), file.path());
  if (captions.ok()) {
    uint64_t sum = 0;
    for (const uint32_t count : captions->counts()) sum += count;
    if (sum != static_cast<uint64_t>(captions->tokens_size())) std::abort();
  }
  const absl::StatusOr<navit::v1::ShardIndex> index =
      navit::ReadShardIndex(navit::fuzz::Store(), file.path());
  if (!index.ok()) return 0;
  const int n = index->keys_size();
  // What a planner reads without asking.
  if (n == 0 || index->widths_size() != n || index->image_offsets_size() != n ||
      index->cls_hashes_size() != n) {
    std::abort();
  }
  return 0;
}
