#include "packer/epoch_order.h"

#include <algorithm>

#include "packer/philox.h"

namespace navit {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): a bijection that mixes all bits.
uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

KeyedPermutation::KeyedPermutation(uint64_t size, uint64_t key) : size_(size), half_bits_(1) {
  while (half_bits_ < 32 && (uint64_t{1} << (2 * half_bits_)) < size) ++half_bits_;
  for (int round = 0; round < kRounds; ++round) {
    key = Mix(key + round);
    round_keys_[round] = key;
  }
}

uint64_t KeyedPermutation::operator()(uint64_t value) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  do {
    uint64_t left = value >> half_bits_;
    uint64_t right = value & mask;
    for (const uint64_t round_key : round_keys_) {
      const uint64_t next = left ^ (Mix(right ^ round_key) & mask);
      left = right;
      right = next;
    }
    value = left << half_bits_ | right;
  } while (value >= size_);
  return value;
}

EpochOrder::EpochOrder(uint64_t seed, uint32_t dataset, uint64_t epoch, uint64_t dataset_samples,
                       uint64_t window_samples)
    : samples_(dataset_samples),
      chunk_(std::clamp<uint64_t>(window_samples / 64, 1, 128)),
      whole_chunks_(dataset_samples / chunk_),
      turn_(0),
      chunks_(1, 0) {
  Draws draws(seed, dataset, epoch, 0, Purpose::kEpochOrder);
  turn_ = draws.Next64() % samples_;
  chunks_ = KeyedPermutation(std::max<uint64_t>(whole_chunks_, 1), draws.Next64());
}

uint64_t EpochOrder::Sample(uint64_t position) const {
  uint64_t chunk = position / chunk_;
  if (chunk < whole_chunks_) chunk = chunks_(chunk);
  // Both summands are below samples_ < 2^63.
  return (chunk * chunk_ + position % chunk_ + turn_) % samples_;
}

}  // namespace navit
