// The classification losses: _cuda against _ref.
#include "kernels/classification.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/classification.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"

namespace navit::kernels::cuda {
namespace {

class ClassificationTest : public DeviceTest {};

using Reference = void (*)(const kernels::ClassificationArgs&);
using Operation = LaunchError (*)(const ClassificationArgs&, Stream);

void Compare(Reference reference, Operation operation) {
  struct Shape {
    int64_t rows, classes;
  };
  for (const auto& [rows, classes] : {Shape{0, 5}, {1, 1}, {5, 2}, {3, 37}, {6, 264}, {2, 600}}) {
    // Large ones, too: neither exponential may overflow.
    Floats logits = RandomBf16(rows * classes, 1, 4);
    for (int64_t r = 0; r < rows; ++r) logits[r * classes] = r % 2 == 0 ? 200 : -300;
    std::vector<int32_t> label;
    for (int64_t r = 0; r < rows; ++r) label.push_back(static_cast<int32_t>((r * 7) % classes));
    for (const float smoothing : {0.0f, 0.2f}) {
      Floats dlogits(logits.size());
      double loss = 0;
      reference(
          {rows, classes, logits.data(), label.data(), smoothing, 0.5, dlogits.data(), &loss});
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<Bf16> both(ToBf16(logits));  // replaced in place
        const DeviceArray<int32_t> labels(label);
        const DeviceArray<double> device_loss(1);
        const DeviceArray<float> row_loss(rows);
        EXPECT_TRUE(operation({rows, classes, both.data(), labels.data(), smoothing, 0.5,
                               both.data(), device_loss.data(), row_loss.data()},
                              nullptr)
                        .ok());
        return {ToFloats(both.Read()), {static_cast<float>(device_loss.Read()[0])}};
      });
      ExpectClose(dlogits, got[0], 1e-6f, 1.0f / 256, "dlogits");
      ExpectClose({static_cast<float>(loss)}, got[1], 1e-5f, 1e-5f, "loss");
    }
  }
}

TEST_F(ClassificationTest, Softmax) { Compare(ref::SoftmaxClassification, SoftmaxClassification); }
TEST_F(ClassificationTest, Sigmoid) { Compare(ref::SigmoidClassification, SigmoidClassification); }

}  // namespace
}  // namespace navit::kernels::cuda
