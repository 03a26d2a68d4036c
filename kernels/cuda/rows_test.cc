// Operations over rows: _cuda against _ref.
#include <vector>

#include "gtest/gtest.h"
#include "kernels/bias_gelu.h"
#include "kernels/cuda/bias_gelu.h"
#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/l2_normalize.h"
#include "kernels/cuda/layer_norm.h"
#include "kernels/cuda/layer_scale.h"
#include "kernels/cuda/rms_norm.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"
#include "kernels/l2_normalize.h"
#include "kernels/layer_norm.h"
#include "kernels/layer_scale.h"
#include "kernels/rms_norm.h"

namespace navit::kernels::cuda {
namespace {

class RowsTest : public DeviceTest {};

struct Shape {
  int64_t rows, dim;
};
// No row, one value, rows that vectors do not fit, one piece per lane, several, several slabs, so
// wide that a norm's sums leave shared memory to fewer warps.
const Shape kShapes[] = {{0, 8}, {1, 1}, {5, 37}, {9, 64}, {3, 520}, {130, 24}, {3, 3080}};

TEST_F(RowsTest, RmsNorm) {
  for (const auto& [rows, dim] : kShapes) {
    const Floats x = RandomBf16(rows * dim, 1), dy = RandomBf16(rows * dim, 2);
    const Floats gain = RandomFloats(dim, 3), before = RandomBf16(rows * dim, 4);
    for (const bool accumulate : {false, true}) {
      Floats y(x.size()), inv_rms(rows), dx = before, dgain(dim, 1);
      ref::RmsNormForward({rows, dim, 1e-6f, x.data(), gain.data(), y.data(), inv_rms.data()});
      ref::RmsNormBackward({rows, dim, x.data(), gain.data(), inv_rms.data(), dy.data(), dx.data(),
                            dgain.data(), accumulate});
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<Bf16> device_x(ToBf16(x)), device_dy(ToBf16(dy)), device_y(x.size());
        const DeviceArray<Bf16> device_dx(ToBf16(before));
        const DeviceArray<float> device_gain(gain), device_inv_rms(rows),
            device_dgain(Floats(dim, 1));
        const DeviceArray<float> partial(ColumnSumSlabs(rows) * dim);
        EXPECT_TRUE(RmsNormForward({rows, dim, 1e-6f, device_x.data(), device_gain.data(),
                                    device_y.data(), device_inv_rms.data()},
                                   nullptr)
                        .ok());
        EXPECT_TRUE(RmsNormBackward({rows, dim, device_x.data(), device_gain.data(),
                                     device_inv_rms.data(), device_dy.data(), device_dx.data(),
                                     device_dgain.data(), partial.data(), accumulate},
                                    nullptr)
                        .ok());
        return {ToFloats(device_y.Read()), device_inv_rms.Read(), ToFloats(device_dx.Read()),
                device_dgain.Read()};
      });
      ExpectClose(y, got[0], 1e-6f, 1.0f / 256, "y");
      ExpectClose(inv_rms, got[1], 0, 1e-5f, "inv_rms");
      ExpectClose(dx, got[2], Largest(dx) / 128, 0, "dx");
      ExpectClose(dgain, got[3], 1e-4f, 1e-4f, "dgain");
    }
  }
}

TEST_F(RowsTest, L2Normalize) {
  for (const auto& [rows, dim] : kShapes) {
    Floats x = RandomBf16(rows * dim, 1);
    const Floats dy = RandomBf16(rows * dim, 2);
    // The first row is shorter than eps.
    for (int64_t i = 0; i < dim && rows > 0; ++i) x[i] *= 0x1p-30f;
    Floats y(x.size()), inv_norm(rows), dx(x.size());
    ref::L2NormalizeForward({rows, dim, 1e-6f, x.data(), y.data(), inv_norm.data()});
    const Floats rounded = Rounded(y);
    ref::L2NormalizeBackward(
        {rows, dim, 1e-6f, rounded.data(), inv_norm.data(), dy.data(), dx.data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<Bf16> device_x(ToBf16(x)), device_y(x.size());
      const DeviceArray<Bf16> device_gradient(ToBf16(dy));  // replaced in place
      const DeviceArray<float> device_inv_norm(rows);
      EXPECT_TRUE(
          L2NormalizeForward(
              {rows, dim, 1e-6f, device_x.data(), device_y.data(), device_inv_norm.data()}, nullptr)
              .ok());
      EXPECT_TRUE(L2NormalizeBackward({rows, dim, 1e-6f, device_y.data(), device_inv_norm.data(),
                                       device_gradient.data(), device_gradient.data()},
                                      nullptr)
                      .ok());
      return {ToFloats(device_y.Read()), device_inv_norm.Read(), ToFloats(device_gradient.Read())};
    });
    ExpectClose(y, got[0], 1e-9f, 1.0f / 256, "y");
    ExpectClose(inv_norm, got[1], 0, 1e-5f, "inv_norm");
    for (int64_t r = 0; r < rows; ++r) {
      const Floats want(dx.begin() + r * dim, dx.begin() + (r + 1) * dim);
      // A row of one value has no direction but its own: the exact gradient is zero.
      ExpectClose(want, Floats(got[2].begin() + r * dim, got[2].begin() + (r + 1) * dim),
                  Largest(want) / 64 + inv_norm[r] / 100, 0, "dx");
    }
  }
}

TEST_F(RowsTest, BiasGelu) {
  for (const auto& [rows, dim] : kShapes) {
    const Floats x = RandomBf16(rows * dim, 1, 3), dy = RandomBf16(rows * dim, 2);
    const Floats bias = RandomFloats(dim, 3);
    for (const bool erf : {false, true}) {
      Floats y(x.size()), dx(x.size()), dbias(dim, 2);
      ref::BiasGeluForward({rows, dim, x.data(), bias.data(), y.data(), erf});
      ref::BiasGeluBackward(
          {rows, dim, x.data(), bias.data(), dy.data(), dx.data(), dbias.data(), erf});
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<Bf16> device_x(ToBf16(x)), device_dy(ToBf16(dy)), device_y(x.size());
        const DeviceArray<float> device_bias(bias), device_dbias(Floats(dim, 2));
        const DeviceArray<float> partial(ColumnSumSlabs(rows) * dim);
        EXPECT_TRUE(
            BiasGeluForward({rows, dim, device_x.data(), device_bias.data(), device_y.data(), erf},
                            nullptr)
                .ok());
        EXPECT_TRUE(
            BiasGeluBackward({rows, dim, device_x.data(), device_bias.data(), device_dy.data(),
                              device_dy.data(), device_dbias.data(), partial.data(), erf},
                             nullptr)
                .ok());
        return {ToFloats(device_y.Read()), ToFloats(device_dy.Read()), device_dbias.Read()};
      });
      ExpectClose(y, got[0], 1e-5f, 1.0f / 200, "y");
      ExpectClose(dx, got[1], 1e-5f, 1.0f / 200, "dx");
      ExpectClose(dbias, got[2], 0.02f * static_cast<float>(rows) / 8 + 0.02f, 0, "dbias");
    }
  }
}

TEST_F(RowsTest, LayerNorm) {
  for (const auto& [rows, dim] : kShapes) {
    Floats x = RandomBf16(rows * dim, 1);
    // Far from zero: the variance is small beside the mean.
    for (float& value : x) value = Rounded({value * 0.25f + 8})[0];
    const Floats dy = RandomBf16(rows * dim, 2), before = RandomBf16(rows * dim, 4);
    const Floats gain = RandomFloats(dim, 3), bias = RandomFloats(dim, 5);
    for (const bool accumulate : {false, true}) {
      Floats y(x.size()), inv_std(rows), shift(rows), dx = before, dgain(dim, 1), dbias(dim, 2);
      ref::LayerNormForward({rows, dim, 1e-6f, x.data(), gain.data(), bias.data(), y.data(),
                             inv_std.data(), shift.data()});
      ref::LayerNormBackward({rows, dim, x.data(), gain.data(), inv_std.data(), shift.data(),
                              dy.data(), dx.data(), dgain.data(), dbias.data(), accumulate});
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<Bf16> device_x(ToBf16(x)), device_dy(ToBf16(dy)), device_y(x.size());
        const DeviceArray<Bf16> device_dx(ToBf16(before));
        const DeviceArray<float> device_gain(gain), device_bias(bias);
        const DeviceArray<float> device_inv_std(rows), device_shift(rows);
        const DeviceArray<float> device_dgain(Floats(dim, 1)), device_dbias(Floats(dim, 2));
        const DeviceArray<float> partial(2 * ColumnSumSlabs(rows) * dim);
        EXPECT_TRUE(LayerNormForward(
                        {rows, dim, 1e-6f, device_x.data(), device_gain.data(), device_bias.data(),
                         device_y.data(), device_inv_std.data(), device_shift.data()},
                        nullptr)
                        .ok());
        EXPECT_TRUE(LayerNormBackward(
                        {rows, dim, device_x.data(), device_gain.data(), device_inv_std.data(),
                         device_shift.data(), device_dy.data(), device_dx.data(),
                         device_dgain.data(), device_dbias.data(), partial.data(), accumulate},
                        nullptr)
                        .ok());
        return {ToFloats(device_y.Read()),  device_inv_std.Read(), device_shift.Read(),
                ToFloats(device_dx.Read()), device_dgain.Read(),   device_dbias.Read()};
      });
      ExpectClose(y, got[0], Largest(y) / 256, 0, "y");
      ExpectClose(inv_std, got[1], 0, 1e-4f, "inv_std");
      ExpectClose(shift, got[2], 0, 1e-4f, "shift");
      // Where one element is the whole row, dx is what rounding leaves of gain·dy, times inv_std.
      const float rounding = Largest(inv_std) * Largest(gain) * Largest(dy) / (1 << 23);
      ExpectClose(dx, got[3], Largest(dx) / 128 + rounding, 0, "dx");
      ExpectClose(dgain, got[4], 1e-3f * static_cast<float>(rows + 1), 1e-4f, "dgain");
      ExpectClose(dbias, got[5], 1e-4f, 1e-4f, "dbias");
    }
  }
}

TEST_F(RowsTest, LayerScale) {
  for (const auto& [rows, dim] : kShapes) {
    const Floats x = RandomBf16(rows * dim, 1), dy = RandomBf16(rows * dim, 2);
    const Floats gain = RandomFloats(dim, 3), before = RandomBf16(rows * dim, 4);
    Floats y = before, dx(x.size()), dgain(dim, 1);
    ref::LayerScaleForward({rows, dim, x.data(), gain.data(), y.data()});
    ref::LayerScaleBackward({rows, dim, x.data(), gain.data(), dy.data(), dx.data(), dgain.data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<Bf16> device_x(ToBf16(x)), device_dy(ToBf16(dy)), device_dx(x.size());
      const DeviceArray<Bf16> device_y(ToBf16(before));
      const DeviceArray<float> device_gain(gain), device_dgain(Floats(dim, 1));
      const DeviceArray<float> partial(ColumnSumSlabs(rows) * dim);
      EXPECT_TRUE(LayerScaleForward(
                      {rows, dim, device_x.data(), device_gain.data(), device_y.data()}, nullptr)
                      .ok());
      EXPECT_TRUE(
          LayerScaleBackward({rows, dim, device_x.data(), device_gain.data(), device_dy.data(),
                              device_dx.data(), device_dgain.data(), partial.data()},
                             nullptr)
              .ok());
      return {ToFloats(device_y.Read()), ToFloats(device_dx.Read()), device_dgain.Read()};
    });
    ExpectClose(y, got[0], 1e-6f, 1.0f / 256, "y");
    ExpectClose(dx, got[1], 1e-6f, 1.0f / 256, "dx");
    ExpectClose(dgain, got[2], 1e-4f, 1e-4f, "dgain");
  }
}

TEST_F(RowsTest, ColumnSum) {
  for (const auto& [rows, dim] : kShapes) {
    const Floats a = RandomBf16(rows * dim, 1), b = RandomBf16(rows * dim, 2);
    Floats plain(dim, 1), products(dim, 2);
    for (int64_t i = 0; i < rows * dim; ++i) {
      plain[i % dim] += a[i];
      products[i % dim] += a[i] * b[i];
    }
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<Bf16> device_a(ToBf16(a)), device_b(ToBf16(b));
      const DeviceArray<float> ones(Floats(dim, 1)), twos(Floats(dim, 2));
      const DeviceArray<float> partial(ColumnSumSlabs(rows) * dim);
      EXPECT_TRUE(
          ColumnSum({rows, dim, device_a.data(), nullptr, ones.data(), partial.data()}, nullptr)
              .ok());
      EXPECT_TRUE(
          ColumnSum({rows, dim, device_a.data(), device_b.data(), twos.data(), partial.data()},
                    nullptr)
              .ok());
      // The same rows of fp32 once more.
      const DeviceArray<float> fp32(a);
      EXPECT_TRUE(AddRows(rows, dim, fp32.data(), ones.data(), nullptr).ok());
      return {ones.Read(), twos.Read()};
    });
    for (int64_t i = 0; i < rows * dim; ++i) plain[i % dim] += a[i];
    ExpectClose(plain, got[0], 1e-4f, 1e-4f, "plain");
    ExpectClose(products, got[1], 1e-4f, 1e-4f, "products");
  }
}

// A row's bits do not depend on its neighbours.
TEST_F(RowsTest, RowsAreIndependent) {
  constexpr int64_t kRows = 7, kDim = 48;
  const Floats x = RandomBf16(kRows * kDim, 1), gain = RandomFloats(kDim, 2);
  const auto normalize = [&](int64_t first, int64_t rows) {
    const Floats part(x.begin() + first * kDim, x.begin() + (first + rows) * kDim);
    return RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<Bf16> device_x(ToBf16(part)), y(part.size());
      const DeviceArray<float> device_gain(gain);
      EXPECT_TRUE(
          RmsNormForward(
              {rows, kDim, 1e-6f, device_x.data(), device_gain.data(), y.data(), nullptr}, nullptr)
              .ok());
      return {ToFloats(y.Read())};
    })[0];
  };
  const Floats all = normalize(0, kRows), some = normalize(3, 2);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + 3 * kDim));
}

}  // namespace
}  // namespace navit::kernels::cuda
