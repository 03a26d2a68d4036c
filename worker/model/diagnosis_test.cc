#include "worker/model/diagnosis.h"

#include <gtest/gtest.h>

#include <cmath>

namespace navit {
namespace {

TEST(EmbeddingSpread, IsZeroOfOnePointAndOneOfOppositeOnes) {
  EXPECT_NEAR(EmbeddingSpread({0.6f, 0.8f, 0.6f, 0.8f, 0.6f, 0.8f}, 2), 0, 1e-6);
  EXPECT_NEAR(EmbeddingSpread({0.6f, 0.8f, -0.6f, -0.8f}, 2), 1, 1e-6);
  // Means of a quarter turn: |(1/2, 1/2)|² is 1/2.
  EXPECT_NEAR(EmbeddingSpread({1, 0, 0, 1}, 2), 0.5, 1e-6);
  EXPECT_EQ(EmbeddingSpread({}, 2), 0);
}

class LargestLogitTest : public testing::Test {
 protected:
  LargestLogitTest() : qkv_(5 * 3 * 4, 0.0f) {
    tower_.width = 4;
    tower_.heads = 2;
    activations_.qkv_normed = qkv_.data();
  }

  // Channel 0 of a head of two channels.
  float& Query(int token, int head) { return qkv_[token * 12 + head * 2]; }
  float& Key(int token, int head) { return qkv_[token * 12 + 4 + head * 2]; }
  double Largest() { return LargestAttentionLogit(tower_, cu_seqlens_, activations_, pool_); }

  TowerConfig tower_;
  std::vector<float> qkv_;
  BlockActivations<> activations_;
  std::vector<int32_t> cu_seqlens_ = {0, 2, 5};
  kernels::ThreadPool pool_{2};
};

TEST_F(LargestLogitTest, StaysInsideOfSegmentAndHead) {
  Query(1, 1) = 3;
  Key(1, 0) = 100;  // another head
  Key(2, 1) = 100;  // another segment
  EXPECT_EQ(Largest(), 0);
  Key(0, 1) = 5;
  EXPECT_NEAR(Largest(), 15 / std::sqrt(2.0), 1e-5);
  Query(4, 0) = 7;
  Key(2, 0) = 7;
  EXPECT_NEAR(Largest(), 49 / std::sqrt(2.0), 1e-5);
}

TEST_F(LargestLogitTest, ACausalTowerLooksBackOnly) {
  tower_.causal = true;
  Query(2, 0) = 2;
  Key(3, 0) = 2;
  EXPECT_EQ(Largest(), 0);
  Key(2, 0) = 1;
  EXPECT_NEAR(Largest(), 2 / std::sqrt(2.0), 1e-5);
}

}  // namespace
}  // namespace navit
