// Linear layers by cuBLASLt against _ref; there is nothing of ours in them for the twin to run.
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/bias_gelu.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/linear_candidates.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"
#include "kernels/linear.h"

namespace navit::kernels::cuda {
namespace {

class LinearTest : public DeviceTest {};

constexpr size_t kWorkspaceBytes = 32 << 20;

TEST_F(LinearTest, ForwardAndBackward) {
  const DeviceBytes workspace(kWorkspaceBytes);
  const auto engine = LinearEngine::Create(workspace.data(), kWorkspaceBytes);
  ASSERT_NE(nullptr, engine);
  struct Shape {
    int64_t rows, in, out;
  };
  for (const auto& [rows, in, out] :
       {Shape{0, 8, 8}, Shape{1, 8, 16}, Shape{71, 64, 192}, Shape{513, 768, 256}}) {
    const Floats x = RandomBf16(rows * in, 1), weight = RandomBf16(out * in, 2, 0.1f);
    const Floats bias = RandomBf16(out, 3), dy = RandomBf16(rows * out, 4);
    const Floats y_before = RandomBf16(rows * out, 5), dweight_before = RandomFloats(out * in, 6);
    const Floats pre = RandomBf16(rows * in, 7), zeros(in);
    Floats with_bias(rows * out), added = y_before, gelu(rows * out), dx(rows * in);
    Floats dgelu(rows * in), dweight = dweight_before, unused(in > out ? in : out);
    ref::LinearForward({rows, in, out, x.data(), weight.data(), bias.data(), with_bias.data()});
    Floats added_bias = y_before;
    ref::LinearForward({rows, in, out, x.data(), weight.data(), nullptr, added.data(), true});
    ref::LinearForward(
        {rows, in, out, x.data(), weight.data(), bias.data(), added_bias.data(), true});
    const Floats no_bias(out);
    ref::BiasGeluForward({rows, out, with_bias.data(), no_bias.data(), gelu.data()});
    ref::LinearBackwardInput({rows, in, out, dy.data(), weight.data(), dx.data()});
    ref::BiasGeluBackward(
        {rows, in, pre.data(), zeros.data(), dx.data(), dgelu.data(), unused.data()});
    ref::LinearBackwardWeight({rows, in, out, x.data(), dy.data(), dweight.data(), unused.data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<Bf16> dev_x(ToBf16(x)), dev_weight(ToBf16(weight)), dev_bias(ToBf16(bias)),
          dev_dy(ToBf16(dy)), dev_y(rows * out), dev_added(ToBf16(y_before)),
          dev_added_bias(ToBf16(y_before)), dev_gelu(rows * out), dev_pre_out(rows * out),
          dev_dx(rows * in), dev_pre(ToBf16(pre)), dev_dgelu(rows * in);
      const DeviceArray<float> dev_dweight(dweight_before);
      EXPECT_EQ(0, engine
                       ->Forward({rows, in, out, dev_x.data(), dev_weight.data(), dev_bias.data(),
                                  dev_y.data()},
                                 nullptr)
                       .code);
      EXPECT_EQ(0, engine
                       ->Forward({rows, in, out, dev_x.data(), dev_weight.data(), nullptr,
                                  dev_added.data(), true},
                                 nullptr)
                       .code);
      EXPECT_EQ(0, engine
                       ->Forward({rows, in, out, dev_x.data(), dev_weight.data(), dev_bias.data(),
                                  dev_added_bias.data(), true},
                                 nullptr)
                       .code);
      EXPECT_EQ(0, engine
                       ->Forward({rows, in, out, dev_x.data(), dev_weight.data(), dev_bias.data(),
                                  dev_gelu.data(), false, dev_pre_out.data()},
                                 nullptr)
                       .code);
      EXPECT_EQ(
          0, engine
                 ->BackwardInput({rows, in, out, dev_dy.data(), dev_weight.data(), dev_dx.data()},
                                 nullptr)
                 .code);
      EXPECT_EQ(0, engine
                       ->BackwardInput({rows, in, out, dev_dy.data(), dev_weight.data(),
                                        dev_dgelu.data(), false, dev_pre.data()},
                                       nullptr)
                       .code);
      EXPECT_EQ(
          0, engine
                 ->BackwardWeight({rows, in, out, dev_x.data(), dev_dy.data(), dev_dweight.data()},
                                  nullptr)
                 .code);
      return {ToFloats(dev_y.Read()),    ToFloats(dev_added.Read()),
              ToFloats(dev_gelu.Read()), ToFloats(dev_pre_out.Read()),
              ToFloats(dev_dx.Read()),   ToFloats(dev_dgelu.Read()),
              dev_dweight.Read(),        ToFloats(dev_added_bias.Read())};
    });
    ExpectClose(with_bias, got[0], Largest(with_bias) / 128, 0, "y");
    ExpectClose(added, got[1], Largest(added) / 128, 0, "y +=");
    ExpectClose(gelu, got[2], Largest(gelu) / 128, 0, "gelu");
    ExpectClose(with_bias, got[3], Largest(with_bias) / 128, 0, "pre_gelu");
    ExpectClose(dx, got[4], Largest(dx) / 128, 0, "dx");
    ExpectClose(dgelu, got[5], Largest(dgelu) / 100, 0, "dx through gelu");
    ExpectClose(dweight, got[6], Largest(dweight) * 1e-4f, 0, "dweight");
    ExpectClose(added_bias, got[7], Largest(added_bias) / 128, 0, "y += with a bias");
  }
}

// Every candidate as a choice, in each pass and with each epilogue, beside the heuristic's first.
TEST_F(LinearTest, Candidates) {
  constexpr int64_t kRows = 1000, kIn = 256, kOut = 768;
  constexpr int kMost = 8;
  const DeviceBytes workspace(kWorkspaceBytes);
  const Floats x = RandomBf16(kRows * kIn, 1), weight = RandomBf16(kOut * kIn, 2, 0.1f);
  const Floats bias = RandomBf16(kOut, 3), dy = RandomBf16(kRows * kOut, 4);
  const Floats pre = RandomBf16(kRows * kIn, 5), before = RandomBf16(kRows * kOut, 6);
  const Floats dweight_before = RandomFloats(kOut * kIn, 7);
  using enum LinearEpilogue;
  for (const auto& [pass, epilogue, accumulate] :
       {std::tuple(LinearPass::kForward, kNone, true),
        {LinearPass::kForward, kBias, false},
        {LinearPass::kForward, kGeluBias, false},
        {LinearPass::kBackwardInput, kNone, false},
        {LinearPass::kBackwardInput, kGeluGradient, false},
        {LinearPass::kBackwardWeight, kNone, true}}) {
    const LinearShape shape = {pass, epilogue, accumulate, kRows, kIn, kOut};
    // The result of an engine that has taken a choice, or none.
    const auto run = [&](LinearChoices choices) {
      const auto expected = static_cast<int64_t>(choices.choices.size());
      const auto engine =
          LinearEngine::Create(workspace.data(), kWorkspaceBytes, std::move(choices));
      const std::vector<Floats> result = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<Bf16> dev_x(ToBf16(x)), dev_weight(ToBf16(weight)),
            dev_bias(ToBf16(bias)), dev_dy(ToBf16(dy)), dev_pre(ToBf16(pre)), dev_y(ToBf16(before)),
            dev_pre_out(kRows * kOut), dev_dx(kRows * kIn);
        const DeviceArray<float> dev_dweight(dweight_before);
        LinearForwardArgs forward = {kRows, kIn, kOut, dev_x.data(), dev_weight.data()};
        forward.bias = epilogue == kNone ? nullptr : dev_bias.data();
        forward.y = dev_y.data();
        forward.accumulate = accumulate;
        forward.pre_gelu = epilogue == kGeluBias ? dev_pre_out.data() : nullptr;
        LinearBackwardInputArgs input = {kRows, kIn, kOut, dev_dy.data(), dev_weight.data()};
        input.dx = dev_dx.data();
        input.pre_gelu = epilogue == kGeluGradient ? dev_pre.data() : nullptr;
        const LinearBackwardWeightArgs weights = {kRows,        kIn,           kOut,
                                                  dev_x.data(), dev_dy.data(), dev_dweight.data()};
        if (pass == LinearPass::kForward) {
          EXPECT_EQ(0, engine->Forward(forward, nullptr).code);
          return {ToFloats(dev_y.Read())};
        }
        if (pass == LinearPass::kBackwardInput) {
          EXPECT_EQ(0, engine->BackwardInput(input, nullptr).code);
          return {ToFloats(dev_dx.Read())};
        }
        EXPECT_EQ(0, engine->BackwardWeight(weights, nullptr).code);
        return {dev_dweight.Read()};
      });
      EXPECT_EQ(expected, engine->ChosenShapes());
      return result[0];
    };
    const Floats first = run({});
    const std::vector<LinearAlgorithm> candidates =
        LinearCandidates(shape, workspace.data(), kWorkspaceBytes, kMost);
    EXPECT_FALSE(candidates.empty());
    for (const LinearAlgorithm& candidate : candidates) {
      SCOPED_TRACE(candidate.id);
      ExpectClose(first, run({{}, {{shape, candidate, 1, 1}}}), Largest(first) / 128, 0,
                  "the result of a candidate");
    }
  }
  const LinearDevice device = CurrentLinearDevice();
  EXPECT_NE("", device.name);
  EXPECT_NE("", device.capability);
  EXPECT_GT(device.cublaslt, 0);
}

// Every transposition, with strides beyond the rows, factor and accumulation.
TEST_F(LinearTest, Multiply) {
  const DeviceBytes workspace(kWorkspaceBytes);
  const auto engine = LinearEngine::Create(workspace.data(), kWorkspaceBytes);
  ASSERT_NE(nullptr, engine);
  constexpr int64_t kRows = 71, kColumns = 30, kDepth = 50, kStride = 128;
  const Floats a = RandomBf16(kStride * kStride, 1), b = RandomBf16(kStride * kStride, 2);
  const Floats before = RandomFloats(kRows * kStride, 3);
  for (const bool a_transposed : {false, true}) {
    for (const bool b_transposed : {false, true}) {
      for (const bool accumulate : {false, true}) {
        Floats want = before;
        for (int64_t i = 0; i < kRows; ++i) {
          for (int64_t j = 0; j < kColumns; ++j) {
            float sum = 0;
            for (int64_t k = 0; k < kDepth; ++k) {
              sum += a[a_transposed ? k * kStride + i : i * kStride + k] *
                     b[b_transposed ? j * kStride + k : k * kStride + j];
            }
            float& to = want[i * kStride + j];
            to = (accumulate ? to : 0) + 3 * sum;
          }
        }
        const auto got = RunOnDevice([&]() -> std::vector<Floats> {
          const DeviceArray<Bf16> dev_a(ToBf16(a)), dev_b(ToBf16(b));
          const DeviceArray<float> to(before);
          EXPECT_EQ(0, engine
                           ->Multiply({kRows, kColumns, kDepth, dev_a.data(), kStride, a_transposed,
                                       dev_b.data(), kStride, b_transposed, to.data(), kStride, 3,
                                       accumulate},
                                      nullptr)
                           .code);
          return {to.Read()};
        });
        ExpectClose(want, got[0], Largest(want) * 1e-5f, 0, "product");
      }
    }
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
