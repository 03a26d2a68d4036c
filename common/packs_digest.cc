#include "common/packs_digest.h"

#include <xxhash.h>

#include <algorithm>
#include <string>

namespace navit {

uint64_t PacksDigest(std::vector<std::pair<uint64_t, uint64_t>> packs) {
  std::sort(packs.begin(), packs.end());
  std::string bytes;
  bytes.reserve(packs.size() * 16);
  auto append = [&bytes](uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(value >> shift));
  };
  for (const auto& [ordinal, hash] : packs) {
    append(ordinal);
    append(hash);
  }
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace navit
