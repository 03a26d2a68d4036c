#include "packer/epoch_order.h"

#include <array>
#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "packer/philox.h"

namespace navit {
namespace {

// Known answers of Random123's kat_vectors for philox4x32-10.
TEST(Philox, KnownAnswers) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Draws, DifferInEveryPartOfTheKey) {
  std::set<uint64_t> seen;
  for (uint64_t seed : {1, 2}) {
    for (uint32_t dataset : {0, 1}) {
      for (uint64_t epoch : {0, 1}) {
        for (uint64_t sample : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
          for (Purpose purpose : {Purpose::kResolution, Purpose::kDropRate}) {
            seen.insert(Draws(seed, dataset, epoch, sample, purpose).Next64());
          }
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 2u * 2 * 2 * 3 * 2);
}

TEST(KeyedPermutation, IsAPermutationForEverySize) {
  for (uint64_t size : {1, 2, 3, 4, 5, 16, 17, 1000, 4096, 4097}) {
    const KeyedPermutation permutation(size, 99);
    std::vector<bool> seen(size, false);
    for (uint64_t i = 0; i < size; ++i) {
      const uint64_t value = permutation(i);
      ASSERT_LT(value, size);
      EXPECT_FALSE(seen[value]);
      seen[value] = true;
    }
  }
}

TEST(EpochOrder, EachSampleOnce) {
  for (uint64_t samples : {1, 5, 127, 128, 785, 10000}) {
    for (uint64_t window : {16, 64, 8192}) {
      const EpochOrder order(42, 0, 3, samples, window);
      std::vector<bool> seen(samples, false);
      for (uint64_t i = 0; i < samples; ++i) {
        const uint64_t sample = order.Sample(i);
        ASSERT_LT(sample, samples);
        EXPECT_FALSE(seen[sample]);
        seen[sample] = true;
      }
    }
  }
}

TEST(EpochOrder, EpochsAndSeedsDiffer) {
  const EpochOrder a(1, 0, 0, 100000, 8192), b(1, 0, 1, 100000, 8192), c(2, 0, 0, 100000, 8192);
  int equal_epoch = 0, equal_seed = 0;
  for (uint64_t i = 0; i < 100000; ++i) {
    equal_epoch += a.Sample(i) == b.Sample(i);
    equal_seed += a.Sample(i) == c.Sample(i);
  }
  EXPECT_LT(equal_epoch, 1000);
  EXPECT_LT(equal_seed, 1000);
}

TEST(EpochOrder, ReadsNeighboursTogether) {
  const EpochOrder order(7, 0, 0, 1 << 20, 8192);
  int jumps = 0;
  for (uint64_t i = 1; i < 8192; ++i) jumps += order.Sample(i) != order.Sample(i - 1) + 1;
  EXPECT_LE(jumps, 8192 / 128);
}

// A billion samples need no memory.
TEST(EpochOrder, HugeDataset) {
  const EpochOrder order(7, 0, 0, uint64_t{1} << 40, 8192);
  EXPECT_LT(order.Sample((uint64_t{1} << 40) - 1), uint64_t{1} << 40);
}

}  // namespace
}  // namespace navit
