// Position embeddings that are not sums of single rows: _cuda against _ref.
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/position_table.h"
#include "kernels/cuda/position_waves.h"
#include "kernels/cuda/resampled_table.h"
#include "kernels/cuda/scatter_rows.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"
#include "kernels/position_table.h"
#include "kernels/position_waves.h"
#include "kernels/resampled_table.h"

namespace navit::kernels::cuda {
namespace {

class PositionTest : public DeviceTest {};

struct Shape {
  int64_t tokens, dim;
};

TEST_F(PositionTest, Waves) {
  for (const auto& [tokens, dim] : {Shape{0, 4}, {1, 2}, {5, 14}, {150, 34}}) {
    Floats coordinates = RandomFloats(2 * tokens, 1);
    for (float& value : coordinates) value = std::abs(value) * 8;
    const Floats frequencies = RandomFloats(dim, 2);
    const Floats x = RandomBf16(tokens * dim, 3), dx = RandomBf16(tokens * dim, 4);
    const Floats before = RandomFloats(dim, 5);
    Floats want = x, dfrequencies = before;
    ref::PositionWavesForward(
        {tokens, dim, 1.5f, coordinates.data(), frequencies.data(), want.data()});
    ref::PositionWavesBackward({tokens, dim, 1.5f, coordinates.data(), frequencies.data(),
                                dx.data(), dfrequencies.data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<float> points(coordinates), device_frequencies(frequencies);
      const DeviceArray<float> gradient(before), partial(WavesSlabs(tokens) * dim);
      const DeviceArray<Bf16> device_x(ToBf16(x)), device_dx(ToBf16(dx));
      EXPECT_TRUE(PositionWavesForward({tokens, dim, 1.5f, points.data(), device_frequencies.data(),
                                        device_x.data()},
                                       nullptr)
                      .ok());
      EXPECT_TRUE(
          PositionWavesBackward({tokens, dim, 1.5f, points.data(), device_frequencies.data(),
                                 device_dx.data(), gradient.data(), partial.data()},
                                nullptr)
              .ok());
      return {ToFloats(device_x.Read()), gradient.Read()};
    });
    ExpectClose(want, got[0], 1e-4f, 1.0f / 128, "x");
    ExpectClose(dfrequencies, got[1], 1e-3f * std::sqrt(static_cast<float>(tokens) + 1), 1e-4f,
                "dfrequencies");
  }
}

TEST_F(PositionTest, ResampledTable) {
  constexpr int64_t kRows = 4;
  for (const auto& [tokens, dim] : {Shape{0, 8}, {1, 1}, {5, 37}, {70, 264}}) {
    // Two or three rows each; whole groups of tokens leave some cells out.
    Floats weights = RandomFloats(tokens * 2 * kRows, 1);
    for (size_t i = 0; i < weights.size(); ++i) {
      if (i % kRows == 3 || (i / 7) % 2 == 0) weights[i] = 0;
    }
    const Floats table = RandomFloats(kRows * kRows * dim, 2);
    const Floats x = RandomBf16(tokens * dim, 3), dx = RandomBf16(tokens * dim, 4);
    const Floats before = RandomFloats(table.size(), 5);
    Floats want = x, dtable = before;
    ref::ResampledTableForward({tokens, dim, kRows, weights.data(), table.data(), want.data()});
    ref::ResampledTableBackward({tokens, dim, kRows, weights.data(), dx.data(), dtable.data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<float> device_weights(weights), device_table(table), gradient(before);
      const DeviceArray<Bf16> device_x(ToBf16(x)), device_dx(ToBf16(dx));
      EXPECT_TRUE(ResampledTableForward({tokens, dim, kRows, device_weights.data(),
                                         device_table.data(), device_x.data()},
                                        nullptr)
                      .ok());
      EXPECT_TRUE(ResampledTableBackward({tokens, dim, kRows, device_weights.data(),
                                          device_dx.data(), gradient.data()},
                                         nullptr)
                      .ok());
      return {ToFloats(device_x.Read()), gradient.Read()};
    });
    ExpectClose(want, got[0], 1e-5f, 1.0f / 256, "x");
    ExpectClose(dtable, got[1], 1e-4f, 1e-5f, "dtable");
  }
}

// Both axes between rows of their tables, and on them.
TEST_F(PositionTest, Product) {
  constexpr int64_t kTokens = 5, kRows = 4;
  const Floats coordinates = {0, 1, 3, 3, 2.25f, 0, 3, 1.5f, 0.125f, 2.5f};
  std::vector<PositionTaps> taps[2];
  std::vector<int32_t> selected[2];
  std::vector<Selection> selections[2];
  for (int32_t t = 0; t < kTokens; ++t) {
    for (int axis = 0; axis < 2; ++axis) {
      const PositionTap tap(coordinates[2 * t + axis], kRows);
      taps[axis].push_back({{static_cast<int32_t>(tap.low), static_cast<int32_t>(tap.high)},
                            {1 - tap.weight, tap.weight}});
      selected[axis].insert(selected[axis].end(),
                            {static_cast<int32_t>(tap.low), static_cast<int32_t>(tap.high)});
      selections[axis].insert(selections[axis].end(), {{t, 1 - tap.weight}, {t, tap.weight}});
    }
  }
  for (const int64_t dim : {1, 46, 264}) {
    const Floats tables[2] = {RandomFloats(kRows * dim, 1), RandomFloats(kRows * dim, 2)};
    const Floats x = RandomBf16(kTokens * dim, 3), dx = RandomBf16(kTokens * dim, 4);
    Floats want = x, dtables[2] = {Floats(kRows * dim), Floats(kRows * dim)};
    ref::PositionTableForward({kTokens, dim, kRows, PositionCombination::kProduct,
                               coordinates.data(), tables[0].data(), tables[1].data(),
                               want.data()});
    ref::PositionTableBackward({kTokens, dim, kRows, PositionCombination::kProduct,
                                coordinates.data(), tables[0].data(), tables[1].data(), dx.data(),
                                dtables[0].data(), dtables[1].data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<PositionTaps> device_taps[2] = {DeviceArray(taps[0]), DeviceArray(taps[1])};
      const DeviceArray<float> device_tables[2] = {DeviceArray(tables[0]), DeviceArray(tables[1])};
      const DeviceArray<Bf16> device_x(ToBf16(x)), device_dx(ToBf16(dx)), da(x.size());
      EXPECT_TRUE(PositionProductForward(
                      {kTokens, dim, device_taps[0].data(), device_taps[1].data(),
                       device_tables[0].data(), device_tables[1].data(), device_x.data()},
                      nullptr)
                      .ok());
      std::vector<Floats> results = {ToFloats(device_x.Read())};
      for (int axis = 0; axis < 2; ++axis) {
        EXPECT_TRUE(
            PositionProductBackward({kTokens, dim, device_taps[1 - axis].data(),
                                     device_tables[1 - axis].data(), device_dx.data(), da.data()},
                                    nullptr)
                .ok());
        const ScatterWork work = MakeScatterWork(selected[axis], selections[axis], kRows);
        const DeviceArray<SelectedRow> rows(work.rows);
        const DeviceArray<Selection> device_selections(work.selections);
        const DeviceArray<float> dtable(Floats(kRows * dim, 0));
        EXPECT_TRUE(ScatterRows({static_cast<int64_t>(work.rows.size()), dim, rows.data(),
                                 device_selections.data(), da.data(), dim, dtable.data()},
                                nullptr)
                        .ok());
        results.push_back(dtable.Read());
      }
      return results;
    });
    ExpectClose(want, got[0], 1e-5f, 1.0f / 256, "x");
    for (int axis = 0; axis < 2; ++axis) {
      ExpectClose(dtables[axis], got[1 + axis], Largest(dtables[axis]) / 128, 0, "dtable");
    }
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
