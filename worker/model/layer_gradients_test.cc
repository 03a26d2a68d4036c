#include "worker/model/layer_gradients.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/model/testing.h"

namespace navit {
namespace {

using ::testing::Contains;
using ::testing::DoubleNear;
using ::testing::Pair;

TEST(LayerGradientNorms, JoinsTheTensorsOfALayer) {
  ModelConfig config = SmallModelConfig();
  config.image.depth = 2;
  const ParameterTable table(config);
  std::vector<float> gradients(table.total_size(), 0.0f);
  gradients[table.Find("image.blocks.1.norm1.gain").offset] = 3;
  gradients[table.Find("image.blocks.1.mlp.fc1.weight").offset + 5] = 4;
  gradients[table.Find("loss.logit_scale").offset] = -2;
  const auto norms = LayerGradientNorms(table, gradients.data());
  EXPECT_THAT(norms, Contains(Pair("image.blocks.1", DoubleNear(5, 1e-9))));
  EXPECT_THAT(norms, Contains(Pair("image.blocks.0", 0)));
  EXPECT_THAT(norms, Contains(Pair("loss.logit_scale", 2)));
  EXPECT_THAT(norms, Contains(Pair("text.pool", 0)));
}

}  // namespace
}  // namespace navit
