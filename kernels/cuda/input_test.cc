// What makes the first activations of a tower: _cuda against _ref.
#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/patch_normalize.h"
#include "kernels/cuda/position_table.h"
#include "kernels/cuda/scatter_rows.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"
#include "kernels/embedding.h"
#include "kernels/patch_normalize.h"
#include "kernels/position_table.h"

namespace navit::kernels::cuda {
namespace {

class InputTest : public DeviceTest {};

TEST_F(InputTest, PatchNormalize) {
  std::mt19937 random(1);
  for (const int64_t tokens : {0, 1, 5, 300}) {
    for (const int64_t values : {3, 27, 192}) {
      std::vector<uint8_t> x(tokens * values);
      for (uint8_t& byte : x) byte = static_cast<uint8_t>(random());
      Floats want(x.size());
      kernels::PatchNormalizeArgs reference{
          tokens, values, x.data(), {0.48f, 0.45f, 0.4f}, {0.26f, 0.5f, 0.27f}, want.data()};
      ref::PatchNormalize(reference);
      const Floats got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<uint8_t> dx(x);
        const DeviceArray<Bf16> y(x.size());
        const PatchNormalizeArgs args{
            tokens, values, dx.data(), {0.48f, 0.45f, 0.4f}, {0.26f, 0.5f, 0.27f}, y.data()};
        EXPECT_TRUE(PatchNormalize(args, nullptr).ok());
        return {ToFloats(y.Read())};
      })[0];
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_NEAR(want[i], got[i], std::abs(want[i]) / 128 + 1e-6) << i;
      }
    }
  }
}

// The arrays of a ScatterWork on the device, and the call.
Floats Scatter(const ScatterWork& work, const Floats& dy, int64_t stride, int64_t offset,
               int64_t dim, const Floats& before) {
  return RunOnDevice([&]() -> std::vector<Floats> {
    const DeviceArray<SelectedRow> rows(work.rows);
    const DeviceArray<Selection> selections(work.selections);
    const DeviceArray<Bf16> device_dy(ToBf16(dy));
    const DeviceArray<float> dtable(before);
    EXPECT_TRUE(ScatterRows({static_cast<int64_t>(work.rows.size()), dim, rows.data(),
                             selections.data(), device_dy.data() + offset, stride, dtable.data()},
                            nullptr)
                    .ok());
    return {dtable.Read()};
  })[0];
}

TEST_F(InputTest, Embedding) {
  const std::vector<int32_t> cu = {0, 2, 2, 3, 6};
  const std::vector<uint16_t> ids = {2, 2, 0, 5, 2, 1};
  const std::vector<int32_t> places = {0, 1, 0, 0, 1, 2};
  for (const int64_t dim : {1, 37, 144}) {
    const Floats words = RandomFloats(6 * dim, 1), positions = RandomFloats(3 * dim, 2);
    const Floats dy = RandomBf16(8 * dim, 3), dwords = RandomFloats(6 * dim, 4);
    Floats y(8 * dim), want_words = dwords, want_positions(3 * dim);
    ref::EmbeddingForward(
        {8, 4, dim, 6, 3, ids.data(), cu.data(), words.data(), positions.data(), y.data()});
    ref::EmbeddingBackward({8, 4, dim, 6, 3, ids.data(), cu.data(), dy.data(), want_words.data(),
                            want_positions.data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<uint16_t> device_ids(ids);
      const DeviceArray<int32_t> device_places(places);
      const DeviceArray<float> device_words(words), device_positions(positions);
      const DeviceArray<Bf16> device_y(y.size());
      EXPECT_TRUE(EmbeddingForward({8, 6, dim, device_ids.data(), device_places.data(),
                                    device_words.data(), device_positions.data(), device_y.data()},
                                   nullptr)
                      .ok());
      return {ToFloats(device_y.Read())};
    });
    ExpectClose(y, got[0], 1e-6f, 1.0f / 256, "y");
    const std::vector<Selection> tokens = {{0}, {1}, {2}, {3}, {4}, {5}};
    const ScatterWork by_id = MakeScatterWork({ids.begin(), ids.end()}, tokens, 6);
    const ScatterWork by_place = MakeScatterWork(places, tokens, 3);
    EXPECT_EQ(4u, by_id.rows.size());
    ExpectClose(want_words, Scatter(by_id, dy, dim, 0, dim, dwords), 1e-5f, 0, "dtoken_table");
    ExpectClose(want_positions, Scatter(by_place, dy, dim, 0, dim, Floats(3 * dim)), 1e-5f, 0,
                "dposition_table");
  }
}

// More selections of a row than one turn of a block's warps takes, with weights.
TEST_F(InputTest, ScatterOfManySelections) {
  constexpr int64_t kTokens = 150, kRows = 2;
  for (const int64_t dim : {3, 132}) {
    const Floats dy = RandomBf16(kTokens * dim, 1), weights = RandomFloats(kTokens, 2);
    std::vector<int32_t> rows;
    std::vector<Selection> selections;
    Floats want(kRows * dim, 1);
    for (int32_t t = 0; t < kTokens; ++t) {
      rows.push_back(t % 9 == 4 ? 0 : 1);
      selections.push_back({t, weights[t]});
      for (int64_t d = 0; d < dim; ++d) {
        want[rows.back() * dim + d] += weights[t] * dy[t * dim + d];
      }
    }
    const ScatterWork work = MakeScatterWork(rows, selections, kRows);
    ExpectClose(want, Scatter(work, dy, dim, 0, dim, Floats(kRows * dim, 1)), 2e-4f, 0, "dtable");
  }
}

// Between two rows of a table, as PositionTap of the contract.
PositionTaps Taps(float coordinate, int64_t rows) {
  const PositionTap tap(coordinate, rows);
  return {{static_cast<int32_t>(tap.low), static_cast<int32_t>(tap.high)},
          {1 - tap.weight, tap.weight}};
}

// Of a joint table: the products of the taps of both axes.
PositionTaps JointTaps(float row, float column, int64_t rows) {
  const PositionTaps a = Taps(row, rows), b = Taps(column, rows);
  PositionTaps taps;
  for (int i = 0; i < 4; ++i) {
    taps.row[i] = a.row[i / 2] * static_cast<int32_t>(rows) + b.row[i % 2];
    taps.weight[i] = a.weight[i / 2] * b.weight[i % 2];
  }
  return taps;
}

TEST_F(InputTest, PositionTable) {
  const Floats coordinates = {0, 1, 3, 3, 2.25f, 0, 3, 1.5f, 0.125f, 2.5f};
  constexpr int64_t kTokens = 5, kRows = 4;
  for (const PositionCombination combination :
       {PositionCombination::kSum, PositionCombination::kStack, PositionCombination::kJoint}) {
    const bool joint = combination == PositionCombination::kJoint;
    const bool stack = combination == PositionCombination::kStack;
    for (const int64_t dim : {2, 46, 48, 2064}) {
      const int64_t part = stack ? dim / 2 : dim;
      const int32_t table_rows = joint ? kRows * kRows : kRows;
      const Floats rows = RandomFloats(table_rows * part, 1);
      const Floats columns = RandomFloats(table_rows * part, 2);
      const Floats x = RandomBf16(kTokens * dim, 3), dx = RandomBf16(kTokens * dim, 4);
      Floats want = x, drows(rows.size()), dcolumns(columns.size());
      ref::PositionTableForward({kTokens, dim, kRows, combination, coordinates.data(), rows.data(),
                                 columns.data(), want.data()});
      ref::PositionTableBackward({kTokens, dim, kRows, combination, coordinates.data(), rows.data(),
                                  columns.data(), dx.data(), drows.data(), dcolumns.data()});
      // One table after the other.
      std::vector<std::vector<PositionTaps>> taps(joint ? 1 : 2);
      for (int64_t t = 0; t < kTokens; ++t) {
        if (joint) {
          taps[0].push_back(JointTaps(coordinates[2 * t], coordinates[2 * t + 1], kRows));
        } else {
          for (int axis = 0; axis < 2; ++axis) {
            taps[axis].push_back(Taps(coordinates[2 * t + axis], kRows));
          }
        }
      }
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<Bf16> device_x(ToBf16(x));
        for (size_t axis = 0; axis < taps.size(); ++axis) {
          const DeviceArray<PositionTaps> device_taps(taps[axis]);
          const DeviceArray<float> table(axis == 0 ? rows : columns);
          EXPECT_TRUE(PositionTableForward(
                          {kTokens, part, dim, stack ? static_cast<int64_t>(axis) * part : 0,
                           device_taps.data(), table.data(), device_x.data()},
                          nullptr)
                          .ok());
        }
        return {ToFloats(device_x.Read())};
      });
      ExpectClose(want, got[0], Largest(want) / 128, 0, "x");
      for (size_t axis = 0; axis < taps.size(); ++axis) {
        std::vector<int32_t> selected;
        std::vector<Selection> selections;
        for (int32_t t = 0; t < kTokens; ++t) {
          for (int i = 0; i < 4; ++i) {
            if (taps[axis][t].weight[i] == 0) continue;
            selected.push_back(taps[axis][t].row[i]);
            selections.push_back({t, taps[axis][t].weight[i]});
          }
        }
        const Floats& want_table = axis == 0 ? drows : dcolumns;
        ExpectClose(
            want_table,
            Scatter(MakeScatterWork(selected, selections, table_rows), dx, dim,
                    stack ? static_cast<int64_t>(axis) * part : 0, part, Floats(want_table.size())),
            1e-5f, 0, "dtable");
      }
    }
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
