// The shuffled order of an epoch, position by position, without a table of it (DESIGN.md, section
// 3, point 2).
#ifndef NAVIT_PACKER_EPOCH_ORDER_H_
#define NAVIT_PACKER_EPOCH_ORDER_H_

#include <array>
#include <cstdint>

namespace navit {

// A keyed permutation of [0, size): a balanced Feistel network on the next even number of bits,
// walked until it falls into the range.
class KeyedPermutation {
 public:
  // size > 0.
  KeyedPermutation(uint64_t size, uint64_t key);
  // Requires value < size.
  uint64_t operator()(uint64_t value) const;

 private:
  static constexpr int kRounds = 8;
  uint64_t size_;
  uint32_t half_bits_;
  std::array<uint64_t, kRounds> round_keys_;
};

// Samples are numbered in shard order. An epoch turns this circle of samples by a drawn amount,
// cuts it into chunks of neighbours, and permutes the chunks: reads stay sequential inside a chunk,
// and an epoch's chunks are not the last one's. A short last chunk keeps its place at the end.
// Windows (common/stream_layout.h) then shuffle their own samples.
class EpochOrder {
 public:
  // dataset_samples > 0. Chunks hold clamp(window_samples / 64, 1, 128) samples.
  EpochOrder(uint64_t seed, uint32_t dataset, uint64_t epoch, uint64_t dataset_samples,
             uint64_t window_samples);
  // The sample at `position` of the epoch; a bijection of [0, dataset_samples).
  uint64_t Sample(uint64_t position) const;

 private:
  uint64_t samples_;
  uint64_t chunk_;
  uint64_t whole_chunks_;
  uint64_t turn_;
  KeyedPermutation chunks_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_EPOCH_ORDER_H_
