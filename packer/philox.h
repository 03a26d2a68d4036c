// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011). A draw is a pure function
// of what it is for, so that any packer can make it at any time.
#ifndef NAVIT_PACKER_PHILOX_H_
#define NAVIT_PACKER_PHILOX_H_

#include <array>
#include <cstdint>

namespace navit {

// Ten rounds over a 128-bit counter with a 64-bit key.
inline std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                          std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// What a draw is for. Values are part of the plan version: never renumber.
enum class Purpose : uint32_t {
  kResolution = 0,
  kDropRate = 1,
  kDropPatches = 2,
  // Subject: the first position of the window in its epoch, not a sample.
  kWindowShuffle = 3,
  kPackOrder = 4,
  // Subject: 0.
  kEpochOrder = 5,
  kCaption = 6,
  kCrop = 7,
  kFlip = 8,
};

// The stream of 32-bit numbers of (seed, dataset, epoch, subject, purpose); at most 2^18 of them.
class Draws {
 public:
  // `dataset` < 4096: place in data.train. `epoch` < 2^32. `subject`: usually the sample.
  Draws(uint64_t seed, uint32_t dataset, uint64_t epoch, uint64_t subject, Purpose purpose)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        counter_{static_cast<uint32_t>(subject), static_cast<uint32_t>(subject >> 32),
                 static_cast<uint32_t>(epoch),
                 static_cast<uint32_t>(purpose) << 28 | (dataset & 0xFFF) << 16} {}

  uint32_t Next() {
    if (used_ == 4) {
      block_ = Philox4x32(counter_, key_);
      ++counter_[3];
      used_ = 0;
    }
    return block_[used_++];
  }
  uint64_t Next64() {
    const uint64_t high = Next();
    return high << 32 | Next();
  }
  // In [0, bound), by multiplication; the bias is below bound / 2^32. Requires 0 < bound.
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(uint64_t{Next()} * bound >> 32); }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_ = {};
  uint32_t used_ = 4;
};

}  // namespace navit

#endif  // NAVIT_PACKER_PHILOX_H_
