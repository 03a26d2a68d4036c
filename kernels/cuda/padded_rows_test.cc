// Padding of rows against plain loops.
#include "kernels/cuda/padded_rows.h"

#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"

namespace navit::kernels::cuda {
namespace {

class PaddedRowsTest : public DeviceTest {};

struct Shape {
  int64_t rows, dim;
};
// Of nothing, below a unit, whole units, more than a block's threads take.
const Shape kShapes[] = {{0, 5}, {3, 1}, {5, 12}, {2, 16}, {7, 588}, {260, 10}};

TEST_F(PaddedRowsTest, PadsRowsAndColumnsWithZeros) {
  for (const auto& [rows, dim] : kShapes) {
    const int64_t padded = PaddedLength(dim), padded_rows = PaddedLength(rows);
    const Floats from = RandomBf16(rows * dim, 1);
    Floats want(padded_rows * padded);
    for (int64_t i = 0; i < rows * dim; ++i) want[i / dim * padded + i % dim] = from[i];
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<Bf16> device_from(ToBf16(from)), to(want.size());
      EXPECT_TRUE(PadRows({rows, dim, padded_rows, device_from.data(), to.data()}, nullptr).ok());
      return {ToFloats(to.Read())};
    });
    EXPECT_EQ(want, got[0]) << rows << " rows of " << dim;
  }
}

TEST_F(PaddedRowsTest, RoundsWithBiasAndSum) {
  for (const auto& [rows, dim] : kShapes) {
    const int64_t padded = PaddedLength(dim);
    const Floats from = RandomFloats(rows * padded, 1), bias = RandomBf16(dim, 2);
    const Floats before = RandomBf16(rows * dim, 3);
    for (const bool plain : {false, true}) {
      Floats want = before;
      for (int64_t i = 0; i < rows * dim; ++i) {
        const float value = from[i / dim * padded + i % dim];
        want[i] = plain ? value : value + bias[i % dim] + want[i];
      }
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<float> device_from(from);
        const DeviceArray<Bf16> device_bias(ToBf16(bias)), to(ToBf16(before));
        EXPECT_TRUE(RoundPaddedRows({rows, dim, device_from.data(),
                                     plain ? nullptr : device_bias.data(), to.data(), !plain},
                                    nullptr)
                        .ok());
        return {ToFloats(to.Read())};
      });
      EXPECT_EQ(Rounded(want), got[0]) << rows << " rows of " << dim;
    }
  }
}

TEST_F(PaddedRowsTest, AddsToRowsWithoutPadding) {
  for (const auto& [rows, dim] : kShapes) {
    const int64_t padded = PaddedLength(dim);
    const Floats from = RandomFloats(rows * padded, 1);
    Floats want = RandomFloats(rows * dim, 2);
    const Floats before = want;
    for (int64_t i = 0; i < rows * dim; ++i) want[i] += from[i / dim * padded + i % dim];
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<float> device_from(from), to(before);
      EXPECT_TRUE(AddPaddedRows({rows, dim, device_from.data(), to.data()}, nullptr).ok());
      return {to.Read()};
    });
    EXPECT_EQ(want, got[0]) << rows << " rows of " << dim;
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
