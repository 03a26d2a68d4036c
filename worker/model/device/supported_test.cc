#include "worker/model/device/supported.h"

#include <functional>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "worker/model/testing.h"

namespace navit {
namespace {

void ExpectMissing(const std::function<void(ModelConfig&)>& change, absl::string_view field) {
  ModelConfig config = SmallModelConfig();
  ASSERT_TRUE(CheckDeviceModel(config).ok());
  change(config);
  const absl::Status status = CheckDeviceModel(config);
  EXPECT_EQ(absl::StatusCode::kUnimplemented, status.code());
  EXPECT_TRUE(absl::StartsWith(status.message(), field)) << status;
}

TEST(CheckDeviceModel, NamesTheFieldThatHasNoKernel) {
  ExpectMissing([](ModelConfig& c) { c.text.width = kMaxWidth + 64; }, "model.text.size.width: ");
  ExpectMissing([](ModelConfig& c) { c.text.width = 12 * c.text.heads; },
                "model.text.size.heads: ");
  ExpectMissing([](ModelConfig& c) { c.image.width = 136 * c.image.heads; },
                "model.image.size.heads: ");
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
  config.image.width = config.image.heads * 12;
  EXPECT_EQ(
      "model.image.size.heads: attention with heads of 12 numbers, none of 8 16 24 32 40 48 56 64 "
      "72 80 88 96 104 112 128, has no kernel on a GPU yet",
      CheckDeviceModel(config).message());
}

TEST(CheckDeviceModel, RopeWithoutQkNorm) {
  ModelConfig config = SmallModelConfig();
  config.position = v1::ImageTowerSpec::ROPE;
  config.image.qk_norm = false;
  EXPECT_TRUE(CheckDeviceModel(config).ok());
}

TEST(CheckDeviceModel, AnyPatchMlpEmbeddingAndNumberOfClasses) {
  ModelConfig config = SmallModelConfig();
  config.image.mlp_dim = 101;
  config.embedding_dim = 13;
  for (config.patch_size = 2; config.patch_size <= 64; ++config.patch_size) {
    EXPECT_TRUE(CheckDeviceModel(config).ok()) << config.patch_size;
  }
  EXPECT_TRUE(CheckDeviceModel(SmallClassifierConfig(v1::LossSpec::SOFTMAX_CLASSIFICATION)).ok());
}

}  // namespace
}  // namespace navit
