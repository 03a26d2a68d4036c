// The digest of the packs that a step used, as ranks report it and the coordinator checks it.
#ifndef NAVIT_COMMON_PACKS_DIGEST_H_
#define NAVIT_COMMON_PACKS_DIGEST_H_

#include <cstdint>
#include <utility>
#include <vector>

namespace navit {

// xxh3 (64 bits) over the (ordinal, content hash) pairs of all packs of a step in ascending order of
// ordinal, each as two little-endian 64-bit integers. Sorts `packs`.
uint64_t PacksDigest(std::vector<std::pair<uint64_t, uint64_t>> packs);

}  // namespace navit

#endif  // NAVIT_COMMON_PACKS_DIGEST_H_
