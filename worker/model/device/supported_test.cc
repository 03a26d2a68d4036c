#include "worker/model/device/supported.h"

#include <functional>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

void ExpectMissing(const std::function<void(ModelConfig&)>& change, absl::string_view field,
                   ModelConfig config = SmallModelConfig()) {
  ASSERT_TRUE(CheckDeviceModel(config).ok() || config.classes > 0);
  change(config);
  const absl::Status status = CheckDeviceModel(config);
  EXPECT_EQ(absl::StatusCode::kUnimplemented, status.code());
  EXPECT_TRUE(absl::StartsWith(status.message(), field)) << status;
}

TEST(CheckDeviceModel, NamesTheFieldThatHasNoKernel) {
  ExpectMissing([](ModelConfig& c) { c.image.width = 4 * c.image.heads * 16 + 4; },
                "model.image.size.width: ");
  ExpectMissing([](ModelConfig& c) { c.text.width = kMaxWidth + 64; }, "model.text.size.width: ");
  ExpectMissing([](ModelConfig& c) { c.text.mlp_dim = 100; }, "model.text.size.mlp_dim: ");
  ExpectMissing([](ModelConfig& c) { c.text.width = 12 * c.text.heads; },
                "model.text.size.heads: ");
  ExpectMissing([](ModelConfig& c) { c.image.width = 136 * c.image.heads; },
                "model.image.size.heads: ");
  ExpectMissing([](ModelConfig& c) { c.patch_size = 14; }, "model.image.patch_size: ");
  ExpectMissing([](ModelConfig& c) { c.embedding_dim = 12; }, "model.embedding_dim: ");
  ExpectMissing(
      [](ModelConfig& c) {
        c.position = v1::ImageTowerSpec::ROPE;
        c.image.qk_norm = false;
      },
      "model.image.encoder.qk_norm: ");
  ExpectMissing([](ModelConfig& c) { c.classes = 1001; },
                "model.classes: ", SmallClassifierConfig(v1::LossSpec::SOFTMAX_CLASSIFICATION));
}

TEST(CheckDeviceModel, SizesOfHeads) {
  for (const int64_t head_dim : {16, 32, 48, 64, 72, 80, 96, 128}) {
    ModelConfig config = SmallModelConfig();
    config.image.width = head_dim * config.image.heads;
    EXPECT_TRUE(CheckDeviceModel(config).ok()) << head_dim;
  }
}

TEST(CheckDeviceModel, SaysTheNumber) {
  ModelConfig config = SmallModelConfig();
  config.patch_size = 14;
  EXPECT_EQ("model.image.patch_size: a patch of 588, no multiple of 8, has no kernel on a GPU yet",
            CheckDeviceModel(config).message());
}

}  // namespace
}  // namespace navit
