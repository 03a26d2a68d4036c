// Every operation of the towers on the CPU by itself against PyTorch's float64 values:
// operations.py says, under the same names, what each one computes and draws.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>
#include <vector>

#include "kernels/bias_gelu.h"
#include "kernels/embedding.h"
#include "kernels/l2_normalize.h"
#include "kernels/layer_norm.h"
#include "kernels/layer_scale.h"
#include "kernels/linear.h"
#include "kernels/map_pool_attention.h"
#include "kernels/patch_normalize.h"
#include "kernels/position_table.h"
#include "kernels/position_waves.h"
#include "kernels/prefix_tokens.h"
#include "kernels/qk_norm.h"
#include "kernels/resampled_table.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/segment_attention.h"
#include "kernels/segment_pool.h"
#include "tests/parity/operation.h"

namespace navit::kernels {
namespace {

constexpr int64_t kRows = 9, kDim = 37;
constexpr int64_t kHeads = 2, kHeadDim = 20, kHeadsDim = kHeads * kHeadDim;
// Of LENGTHS.
constexpr int32_t kCuSeqlens[] = {0, 3, 3, 4, 23, 23, 29};
constexpr int64_t kSegments = 6, kTokens = 29;

TEST_F(OperationsTest, Linear) {
  constexpr int64_t kTall = 7, kIn = 33, kOut = 21;
  const Operation op("linear");
  const Floats x = op.Reals("x", kTall * kIn), weight = op.Reals("weight", kOut * kIn);
  const Floats bias = op.Reals("bias", kOut), dy = op.Reals("dy", kTall * kOut);
  Floats y(kTall * kOut), dx(kTall * kIn), dweight(kOut * kIn), dbias(kOut);
  LinearForward({kTall, kIn, kOut, x.data(), weight.data(), bias.data(), y.data()}, pool_);
  LinearBackwardInput({kTall, kIn, kOut, dy.data(), weight.data(), dx.data()}, pool_);
  LinearBackwardWeight({kTall, kIn, kOut, x.data(), dy.data(), dweight.data(), dbias.data()},
                       pool_);
  op.ExpectY(y);
  op.ExpectGradient("x", dx);
  op.ExpectGradient("weight", dweight);
  op.ExpectGradient("bias", dbias);
}

TEST_F(OperationsTest, BiasGelu) {
  for (const bool erf : {false, true}) {
    const Operation op(erf ? "bias_gelu_erf" : "bias_gelu_tanh");
    const Floats x = op.Reals("x", kRows * kDim, 4), bias = op.Reals("bias", kDim);
    const Floats dy = op.Reals("dy", kRows * kDim);
    Floats y(x.size()), dx(x.size()), dbias(kDim);
    BiasGeluForward({kRows, kDim, x.data(), bias.data(), y.data(), erf}, pool_);
    BiasGeluBackward({kRows, kDim, x.data(), bias.data(), dy.data(), dx.data(), dbias.data(), erf},
                     pool_);
    op.ExpectY(y);
    op.ExpectGradient("x", dx);
    op.ExpectGradient("bias", dbias);
  }
}

TEST_F(OperationsTest, RmsNorm) {
  const Operation op("rms_norm");
  const Floats x = op.Reals("x", kRows * kDim, 2), gain = op.Reals("gain", kDim);
  const Floats dy = op.Reals("dy", kRows * kDim);
  Floats y(x.size()), inv_rms(kRows), dx(x.size()), dgain(kDim);
  RmsNormForward({kRows, kDim, 1e-6f, x.data(), gain.data(), y.data(), inv_rms.data()}, pool_);
  RmsNormBackward(
      {kRows, kDim, x.data(), gain.data(), inv_rms.data(), dy.data(), dx.data(), dgain.data()},
      pool_);
  op.ExpectY(y);
  op.ExpectGradient("x", dx);
  op.ExpectGradient("gain", dgain);
}

TEST_F(OperationsTest, LayerNorm) {
  const Operation op("layer_norm");
  Floats x = op.Reals("x", kRows * kDim, 2);
  for (float& value : x) value += 1;
  const Floats gain = op.Reals("gain", kDim), bias = op.Reals("bias", kDim);
  const Floats dy = op.Reals("dy", kRows * kDim);
  Floats y(x.size()), inv_std(kRows), shift(kRows), dx(x.size()), dgain(kDim), dbias(kDim);
  LayerNormForward({kRows, kDim, 1e-6f, x.data(), gain.data(), bias.data(), y.data(),
                    inv_std.data(), shift.data()},
                   pool_);
  LayerNormBackward({kRows, kDim, x.data(), gain.data(), inv_std.data(), shift.data(), dy.data(),
                     dx.data(), dgain.data(), dbias.data()},
                    pool_);
  op.ExpectY(y);
  op.ExpectGradient("x", dx);
  op.ExpectGradient("gain", dgain);
  op.ExpectGradient("bias", dbias);
}

TEST_F(OperationsTest, LayerScale) {
  const Operation op("layer_scale");
  const Floats x = op.Reals("x", kRows * kDim), gain = op.Reals("gain", kDim);
  const Floats dy = op.Reals("dy", kRows * kDim);
  Floats y = op.Reals("residual", kRows * kDim), dx(x.size()), dgain(kDim);
  LayerScaleForward({kRows, kDim, x.data(), gain.data(), y.data()}, pool_);
  LayerScaleBackward({kRows, kDim, x.data(), gain.data(), dy.data(), dx.data(), dgain.data()},
                     pool_);
  op.ExpectY(y);
  op.ExpectGradient("x", dx);
  op.ExpectGradient("gain", dgain);
}

TEST_F(OperationsTest, QkNorm) {
  const Operation op("qk_norm");
  const Floats qkv = op.Reals("qkv", kRows * 3 * kHeadsDim);
  const Floats q_gain = op.Reals("q_gain", kHeadDim), k_gain = op.Reals("k_gain", kHeadDim);
  Floats y(qkv.size()), inv_rms(kRows * 2 * kHeads);
  QkNormForward({kRows, kHeads, kHeadDim, 1e-6f, qkv.data(), q_gain.data(), k_gain.data(), y.data(),
                 inv_rms.data()},
                pool_);
  Floats dqkv = op.Reals("dy", qkv.size()), dq_gain(kHeadDim), dk_gain(kHeadDim);
  QkNormBackward({kRows, kHeads, kHeadDim, qkv.data(), q_gain.data(), k_gain.data(), inv_rms.data(),
                  dqkv.data(), dq_gain.data(), dk_gain.data()},
                 pool_);
  op.ExpectY(y);
  op.ExpectGradient("qkv", dqkv);
  op.ExpectGradient("q_gain", dq_gain);
  op.ExpectGradient("k_gain", dk_gain);
}

TEST_F(OperationsTest, Rope) {
  const Operation op("rope");
  const Floats coordinates = op.Whole<float>("coordinates", kRows * 2, 64);
  Floats cos_sin(kRows * kHeadDim);
  RopeTable(kRows, kHeadDim, coordinates.data(), cos_sin.data());
  Floats y = op.Reals("qkv", kRows * 3 * kHeadsDim), dqkv = op.Reals("dy", y.size());
  Rope({kRows, kHeads, kHeadDim, cos_sin.data(), y.data()}, pool_);
  Rope({kRows, kHeads, kHeadDim, cos_sin.data(), dqkv.data(), /*inverse=*/true}, pool_);
  op.ExpectY(y);
  op.ExpectGradient("qkv", dqkv);
}

TEST_F(OperationsTest, SegmentAttention) {
  for (const bool causal : {false, true}) {
    const Operation op(causal ? "segment_attention_causal" : "segment_attention");
    const Floats qkv = op.Reals("qkv", kTokens * 3 * kHeadsDim, 2);
    const Floats dy = op.Reals("dy", kTokens * kHeadsDim);
    Floats y(dy.size()), lse(kTokens * kHeads), dqkv(qkv.size());
    SegmentAttentionForward({kTokens, kSegments, kHeads, kHeadDim, causal, kCuSeqlens, qkv.data(),
                             y.data(), lse.data()},
                            pool_);
    SegmentAttentionBackward({kTokens, kSegments, kHeads, kHeadDim, causal, kCuSeqlens, qkv.data(),
                              y.data(), lse.data(), dy.data(), dqkv.data()},
                             pool_);
    op.ExpectY(y);
    op.ExpectGradient("qkv", dqkv);
  }
}

TEST_F(OperationsTest, MapPoolAttention) {
  const Operation op("map_pool_attention");
  const int64_t rows = PooledRows(kCuSeqlens, kSegments);
  const Floats query = op.Reals("query", kHeadsDim, 2),
               kv = op.Reals("kv", kTokens * 2 * kHeadsDim, 2);
  const Floats dy = op.Reals("dy", rows * kHeadsDim);
  Floats y(dy.size()), lse(rows * kHeads), dkv(kv.size()), dquery(kHeadsDim);
  MapPoolAttentionForward({kTokens, kSegments, kHeads, kHeadDim, kCuSeqlens, query.data(),
                           kv.data(), y.data(), lse.data()},
                          pool_);
  MapPoolAttentionBackward({kTokens, kSegments, kHeads, kHeadDim, kCuSeqlens, query.data(),
                            kv.data(), y.data(), lse.data(), dy.data(), dkv.data(), dquery.data()},
                           pool_);
  op.ExpectY(y);
  op.ExpectGradient("kv", dkv);
  op.ExpectGradient("query", dquery);
}

TEST_F(OperationsTest, SegmentPool) {
  for (const auto& [name, kind] : {std::pair("segment_pool_mean", SegmentPoolKind::kMean),
                                   std::pair("segment_pool_max", SegmentPoolKind::kMax),
                                   std::pair("segment_pool_first", SegmentPoolKind::kFirst),
                                   std::pair("segment_pool_last", SegmentPoolKind::kLast)}) {
    const Operation op(name);
    const Floats x = op.Reals("x", kTokens * kDim), dy = op.Reals("dy", kSegments * kDim);
    Floats y(dy.size()), dx(x.size());
    SegmentPoolForward({kTokens, kSegments, kDim, kind, kCuSeqlens, x.data(), y.data()}, pool_);
    SegmentPoolBackward(
        {kTokens, kSegments, kDim, kind, kCuSeqlens, x.data(), dy.data(), dx.data()}, pool_);
    op.ExpectY(y);
    op.ExpectGradient("x", dx);
  }
}

TEST_F(OperationsTest, PrefixTokens) {
  constexpr int64_t kPrefix = 2;
  const Operation op("prefix_tokens");
  const Floats prefix = op.Reals("prefix", kPrefix * kDim), x = op.Reals("x", kTokens * kDim);
  const Floats dy = op.Reals("dy", (kTokens + kSegments * kPrefix) * kDim);
  Floats y(dy.size()), dx(x.size()), dprefix(prefix.size());
  InsertPrefix({kSegments, kPrefix, kDim, kCuSeqlens, x.data(), prefix.data(), y.data()}, pool_);
  RemovePrefix({kSegments, kPrefix, kDim, kCuSeqlens, dy.data(), dx.data(), dprefix.data()}, pool_);
  op.ExpectY(y);
  op.ExpectGradient("x", dx);
  op.ExpectGradient("prefix", dprefix);
}

TEST_F(OperationsTest, L2Normalize) {
  const Operation op("l2_normalize");
  const Floats x = op.Reals("x", kRows * kDim), dy = op.Reals("dy", kRows * kDim);
  Floats y(x.size()), inv_norm(kRows), dx(x.size());
  L2NormalizeForward({kRows, kDim, 1e-6f, x.data(), y.data(), inv_norm.data()}, pool_);
  L2NormalizeBackward({kRows, kDim, 1e-6f, y.data(), inv_norm.data(), dy.data(), dx.data()}, pool_);
  op.ExpectY(y);
  op.ExpectGradient("x", dx);
}

TEST_F(OperationsTest, Embedding) {
  constexpr int64_t kVocabulary = 11, kPlaces = 24;
  const Operation op("embedding");
  const std::vector<uint16_t> ids = op.Whole<uint16_t>("ids", kTokens, kVocabulary);
  const Floats table = op.Reals("token_table", kVocabulary * kDim);
  const Floats places = op.Reals("position_table", kPlaces * kDim);
  const Floats dy = op.Reals("dy", kTokens * kDim);
  Floats y(dy.size()), dtable(table.size()), dplaces(places.size());
  EmbeddingForward({kTokens, kSegments, kDim, kVocabulary, kPlaces, ids.data(), kCuSeqlens,
                    table.data(), places.data(), y.data()},
                   pool_);
  EmbeddingBackward({kTokens, kSegments, kDim, kVocabulary, kPlaces, ids.data(), kCuSeqlens,
                     dy.data(), dtable.data(), dplaces.data()},
                    pool_);
  op.ExpectY(y);
  op.ExpectGradient("token_table", dtable);
  op.ExpectGradient("position_table", dplaces);
}

TEST_F(OperationsTest, PatchNormalize) {
  const Operation op("patch_normalize");
  const std::vector<uint8_t> x = op.Whole<uint8_t>("x", 5 * 12, 256);
  Floats y(x.size());
  PatchNormalize({5, 12, x.data(), {0.5f, 0.25f, 0.75f}, {0.5f, 0.25f, 0.125f}, y.data()}, pool_);
  op.ExpectY(y);
}

constexpr int64_t kTableRows = 8, kWidth = 36;

Floats Coordinates(const Operation& op) {
  Floats coordinates = op.Whole<float>("coordinates", kTokens * 2, (kTableRows - 1) * 64 + 1);
  for (float& value : coordinates) value /= 64;
  return coordinates;
}

TEST_F(OperationsTest, PositionTables) {
  for (const auto& [name, kind, elements] :
       {std::tuple("position_sum", PositionCombination::kSum, kTableRows * kWidth),
        std::tuple("position_product", PositionCombination::kProduct, kTableRows * kWidth),
        std::tuple("position_stack", PositionCombination::kStack, kTableRows * kWidth / 2),
        std::tuple("position_joint", PositionCombination::kJoint,
                   kTableRows * kTableRows * kWidth)}) {
    const bool joint = kind == PositionCombination::kJoint;
    const Operation op(name);
    const Floats u = Coordinates(op);
    const Floats rows = op.Reals(joint ? "table_table" : "row_table", elements);
    const Floats columns = joint ? Floats() : op.Reals("column_table", elements);
    const Floats dy = op.Reals("dy", kTokens * kWidth);
    Floats y = op.Reals("x", dy.size()), drows(rows.size()), dcolumns(columns.size());
    PositionTableForward(
        {kTokens, kWidth, kTableRows, kind, u.data(), rows.data(), columns.data(), y.data()},
        pool_);
    PositionTableBackward({kTokens, kWidth, kTableRows, kind, u.data(), rows.data(), columns.data(),
                           dy.data(), drows.data(), dcolumns.data()},
                          pool_);
    op.ExpectY(y);
    op.ExpectGradient(joint ? "table_table" : "row_table", drows);
    if (!joint) op.ExpectGradient("column_table", dcolumns);
  }
}

TEST_F(OperationsTest, PositionWaves) {
  const Operation fixed("position_sinusoidal");
  Floats u = Coordinates(fixed), frequencies(kWidth);
  for (int64_t i = 0; i < kWidth / 4; ++i) {
    const double omega = std::pow(10000.0, -static_cast<double>(i) / (kWidth / 4));
    frequencies[2 * i] = frequencies[kWidth / 2 + 2 * i + 1] = static_cast<float>(omega);
  }
  Floats y = fixed.Reals("x", kTokens * kWidth);
  PositionWavesForward({kTokens, kWidth, 1, u.data(), frequencies.data(), y.data()}, pool_);
  fixed.ExpectY(y);

  const Operation learned("position_fourier");
  const float turn = 2 * std::numbers::pi_v<float>;
  u = Coordinates(learned);
  frequencies = learned.Reals("frequencies", kWidth, 0.25f);
  const Floats dy = learned.Reals("dy", kTokens * kWidth);
  Floats dfrequencies(kWidth);
  y = learned.Reals("x", dy.size());
  PositionWavesForward({kTokens, kWidth, turn, u.data(), frequencies.data(), y.data()}, pool_);
  PositionWavesBackward(
      {kTokens, kWidth, turn, u.data(), frequencies.data(), dy.data(), dfrequencies.data()}, pool_);
  learned.ExpectY(y);
  learned.ExpectGradient("frequencies", dfrequencies);
}

TEST_F(OperationsTest, ResampledTable) {
  constexpr int64_t kSide = 5;
  const Operation op("resampled_table");
  const Floats weights = op.Reals("weights", kTokens * 2 * kSide);
  const Floats table = op.Reals("table", kSide * kSide * kDim);
  const Floats dy = op.Reals("dy", kTokens * kDim);
  Floats y = op.Reals("x", dy.size()), dtable(table.size());
  ResampledTableForward({kTokens, kDim, kSide, weights.data(), table.data(), y.data()}, pool_);
  ResampledTableBackward({kTokens, kDim, kSide, weights.data(), dy.data(), dtable.data()}, pool_);
  op.ExpectY(y);
  op.ExpectGradient("table", dtable);
}

}  // namespace
}  // namespace navit::kernels
