// The operations of towers and optimizer: _cpu against _ref on each SIMD target of this machine,
// and the promises of bits.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/bias_gelu.h"
#include "kernels/ema.h"
#include "kernels/embedding.h"
#include "kernels/kernels_fixture.h"
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

namespace navit::kernels {
namespace {

TEST_P(KernelsTest, Linear) {
  for (const auto& [rows, in, out] : std::vector<std::tuple<int, int, int>>{
           {0, 3, 2}, {1, 1, 1}, {7, 33, 5}, {50, 400, 37}, {101, 16, 210}, {13, 770, 64}}) {
    const Floats x = Random(rows * in), w = Random(out * in), b = Random(out);
    const Floats dy = Random(rows * out);
    for (bool accumulate : {false, true}) {
      Floats y = Random(rows * out), dx = Random(rows * in), dw = Random(out * in),
             db = Random(out);
      Floats y2 = y, dx2 = dx, dw2 = dw, db2 = db;
      LinearForwardArgs forward{rows, in, out, x.data(), w.data(), b.data(), y.data(), accumulate};
      ref::LinearForward(forward);
      forward.y = y2.data();
      LinearForward(forward, pool_);
      ExpectNear(y, y2, 1e-4, "y");
      LinearBackwardInputArgs input{rows, in, out, dy.data(), w.data(), dx.data(), accumulate};
      ref::LinearBackwardInput(input);
      input.dx = dx2.data();
      LinearBackwardInput(input, pool_);
      ExpectNear(dx, dx2, 1e-4, "dx");
      LinearBackwardWeightArgs weight{rows, in, out, x.data(), dy.data(), dw.data(), db.data()};
      ref::LinearBackwardWeight(weight);
      weight.dweight = dw2.data();
      weight.dbias = db2.data();
      LinearBackwardWeight(weight, pool_);
      ExpectNear(dw, dw2, 1e-4, "dweight");
      ExpectNear(db, db2, 1e-4, "dbias");
    }
  }
}

// The promise that oneDNN's sgemm does not keep.
TEST_P(KernelsTest, LinearRowsDoNotDependOnOtherRows) {
  for (const auto& [in, out] : std::vector<std::pair<int, int>>{{192, 100}, {770, 35}}) {
    constexpr int kRows = 230;
    const Floats x = Random(kRows * in), w = Random(out * in), w2 = Random(in * out);
    Floats all(kRows * out), part(kRows * out), dall(kRows * out), dpart(kRows * out);
    LinearForward({kRows, in, out, x.data(), w.data(), nullptr, all.data()}, pool_);
    LinearBackwardInput({kRows, out, in, x.data(), w2.data(), dall.data()}, pool_);
    ThreadPool one(1);
    for (int rows : {1, 2, 5, 7, 12, 13, 95, 97, 200}) {
      const int first = rows % 29;
      LinearForward({rows, in, out, x.data() + first * in, w.data(), nullptr, part.data()}, one);
      EXPECT_EQ(0, std::memcmp(part.data(), all.data() + first * out, rows * out * sizeof(float)));
      LinearBackwardInput({rows, out, in, x.data() + first * in, w2.data(), dpart.data()}, one);
      EXPECT_EQ(0,
                std::memcmp(dpart.data(), dall.data() + first * out, rows * out * sizeof(float)));
    }
  }
}

TEST_P(KernelsTest, PatchNormalize) {
  for (int values : {3, 27, 192, 768}) {
    std::vector<uint8_t> x(5 * values);
    for (uint8_t& value : x) value = Generator()();
    Floats y(x.size()), y2(x.size());
    PatchNormalizeArgs args{5,       values, x.data(), {0.48f, 0.45f, 0.4f}, {0.26f, 0.5f, 0.27f},
                            y.data()};
    ref::PatchNormalize(args);
    args.y = y2.data();
    PatchNormalize(args, pool_);
    ExpectNear(y, y2, 1e-6, "y");
  }
}

TEST_P(KernelsTest, Tables) {
  for (int dim : {1, 32, 45}) {
    const std::vector<int32_t> cu = {0, 2, 2, 3, 6};
    const std::vector<uint16_t> ids = {2, 2, 0, 5, 2, 1, 60000};  // the last is padding
    const Floats tokens = Random(6 * dim), positions = Random(3 * dim), dy = Random(7 * dim);
    Floats y(7 * dim, 9), y2(7 * dim, 9);
    ref::EmbeddingForward(
        {7, 4, dim, 6, 3, ids.data(), cu.data(), tokens.data(), positions.data(), y.data()});
    EmbeddingForward(
        {7, 4, dim, 6, 3, ids.data(), cu.data(), tokens.data(), positions.data(), y2.data()},
        pool_);
    ExpectNear(y, y2, 1e-6, "y");
    EXPECT_EQ(0, y2.back());
    Floats dt(6 * dim), dp(3 * dim), dt2(6 * dim), dp2(3 * dim);
    ref::EmbeddingBackward(
        {7, 4, dim, 6, 3, ids.data(), cu.data(), dy.data(), dt.data(), dp.data()});
    EmbeddingBackward({7, 4, dim, 6, 3, ids.data(), cu.data(), dy.data(), dt2.data(), dp2.data()},
                      pool_);
    ExpectNear(dt, dt2, 1e-6, "dtoken");
    ExpectNear(dp, dp2, 1e-6, "dposition");
  }
}

// Whole and fractional coordinates, borders included.
const Floats kCoordinates = {0, 1, 3, 3, 2.25f, 0, 3, 1.5f, 0.1f, 2.9f};

TEST_P(KernelsTest, PositionTable) {
  for (const PositionCombination combination :
       {PositionCombination::kSum, PositionCombination::kProduct, PositionCombination::kStack,
        PositionCombination::kJoint}) {
    for (int dim : {2, 32, 46}) {
      const bool joint = combination == PositionCombination::kJoint;
      const int size = joint                                        ? 16 * dim
                       : combination == PositionCombination::kStack ? 2 * dim
                                                                    : 4 * dim;
      const Floats rows = Random(size), columns = Random(size), dx = Random(5 * dim);
      Floats x = Random(5 * dim), dr = Random(size), dc = Random(size);
      Floats x2 = x, dr2 = dr, dc2 = dc;
      PositionTableForwardArgs forward{
          5, dim, 4, combination, kCoordinates.data(), rows.data(), columns.data(), x.data()};
      ref::PositionTableForward(forward);
      forward.x = x2.data();
      PositionTableForward(forward, pool_);
      ExpectNear(x, x2, 2e-6, "x");
      PositionTableBackwardArgs backward{5,
                                         dim,
                                         4,
                                         combination,
                                         kCoordinates.data(),
                                         rows.data(),
                                         columns.data(),
                                         dx.data(),
                                         dr.data(),
                                         dc.data()};
      ref::PositionTableBackward(backward);
      backward.drow_table = dr2.data();
      backward.dcolumn_table = dc2.data();
      PositionTableBackward(backward, pool_);
      ExpectNear(dr, dr2, 3e-6, "drow");
      ExpectNear(dc, dc2, 3e-6, "dcolumn");
    }
  }
}

TEST_P(KernelsTest, ResampledTable) {
  constexpr int kTokens = 5, kRows = 3;
  Floats weights = Random(kTokens * 2 * kRows);
  for (size_t i = 0; i < weights.size(); i += 4) weights[i] = 0;
  for (int dim : {2, 32, 46}) {
    const Floats table = Random(kRows * kRows * dim), dx = Random(kTokens * dim);
    Floats x = Random(kTokens * dim), x2 = x, dtable = Random(table.size()), dtable2 = dtable;
    ref::ResampledTableForward({kTokens, dim, kRows, weights.data(), table.data(), x.data()});
    ResampledTableForward({kTokens, dim, kRows, weights.data(), table.data(), x2.data()}, pool_);
    ExpectNear(x, x2, 1e-5, "x");
    ref::ResampledTableBackward({kTokens, dim, kRows, weights.data(), dx.data(), dtable.data()});
    ResampledTableBackward({kTokens, dim, kRows, weights.data(), dx.data(), dtable2.data()}, pool_);
    ExpectNear(dtable, dtable2, 1e-5, "dtable");
  }
}

TEST_P(KernelsTest, PositionWavesAndRope) {
  for (int dim : {2, 32, 46}) {
    const Floats frequencies = Random(dim), dx = Random(5 * dim);
    Floats x = Random(5 * dim), df = Random(dim), x2 = x, df2 = df;
    ref::PositionWavesForward({5, dim, 6.3f, kCoordinates.data(), frequencies.data(), x.data()});
    PositionWavesForward({5, dim, 6.3f, kCoordinates.data(), frequencies.data(), x2.data()}, pool_);
    ExpectNear(x, x2, 2e-5, "x");
    ref::PositionWavesBackward(
        {5, dim, 6.3f, kCoordinates.data(), frequencies.data(), dx.data(), df.data()});
    PositionWavesBackward(
        {5, dim, 6.3f, kCoordinates.data(), frequencies.data(), dx.data(), df2.data()}, pool_);
    ExpectNear(df, df2, 2e-4, "dfrequencies");
  }
  for (int head_dim : {4, 20, 64}) {
    constexpr int kHeads = 3;
    Floats table(5 * head_dim), qkv = Random(5 * 3 * kHeads * head_dim), qkv2 = qkv;
    const Floats before = qkv;
    RopeTable(5, head_dim, kCoordinates.data(), table.data());
    ref::Rope({5, kHeads, head_dim, table.data(), qkv.data(), false});
    Rope({5, kHeads, head_dim, table.data(), qkv2.data(), false}, pool_);
    ExpectNear(qkv, qkv2, 2e-6, "turned");
    EXPECT_NE(before, qkv2);
    Rope({5, kHeads, head_dim, table.data(), qkv2.data(), true}, pool_);
    ExpectNear(before, qkv2, 2e-6, "turned back");
  }
}

TEST_P(KernelsTest, SegmentPool) {
  const std::vector<int32_t> cu = {0, 2, 2, 3, 9};
  for (const SegmentPoolKind kind : {SegmentPoolKind::kMean, SegmentPoolKind::kMax,
                                     SegmentPoolKind::kFirst, SegmentPoolKind::kLast}) {
    for (int dim : {1, 33}) {
      Floats x = Random(10 * dim), pooled(4 * dim, 7), pooled2 = pooled;
      x[3 * dim] = x[5 * dim] = 50;  // two tokens with the same maximum
      const Floats dpooled = Random(4 * dim);
      ref::SegmentPoolForward({10, 4, dim, kind, cu.data(), x.data(), pooled.data()});
      SegmentPoolForward({10, 4, dim, kind, cu.data(), x.data(), pooled2.data()}, pool_);
      ExpectNear(pooled, pooled2, 1e-6, "pooled");
      EXPECT_EQ(0, pooled2[dim]);
      Floats dx(10 * dim, 7), dx2 = dx;
      ref::SegmentPoolBackward({10, 4, dim, kind, cu.data(), x.data(), dpooled.data(), dx.data()});
      SegmentPoolBackward({10, 4, dim, kind, cu.data(), x.data(), dpooled.data(), dx2.data()},
                          pool_);
      ExpectNear(dx, dx2, 1e-6, "dx");
      EXPECT_EQ(0, dx2.back());
    }
  }
}

TEST_P(KernelsTest, Norms) {
  for (const auto& [rows, dim] :
       std::vector<std::pair<int, int>>{{0, 4}, {1, 1}, {5, 33}, {300, 64}}) {
    const Floats x = Random(rows * dim), gain = Random(dim), dy = Random(rows * dim);
    Floats y(rows * dim), y2 = y, inv(rows), inv2 = inv;
    ref::RmsNormForward({rows, dim, 1e-6f, x.data(), gain.data(), y.data(), inv.data()});
    RmsNormForward({rows, dim, 1e-6f, x.data(), gain.data(), y2.data(), inv2.data()}, pool_);
    ExpectNear(y, y2, 1e-5, "y");
    ExpectNear(inv, inv2, 1e-5, "inv_rms");
    Floats dx = Random(rows * dim), dx2 = dx, dg = Random(dim), dg2 = dg;
    ref::RmsNormBackward(
        {rows, dim, x.data(), gain.data(), inv.data(), dy.data(), dx.data(), dg.data(), true});
    RmsNormBackward(
        {rows, dim, x.data(), gain.data(), inv.data(), dy.data(), dx2.data(), dg2.data(), true},
        pool_);
    ExpectNear(dx, dx2, 1e-4, "dx");
    ExpectNear(dg, dg2, 1e-4, "dgain");
    ref::L2NormalizeForward({rows, dim, 1e-6f, x.data(), y.data(), inv.data()});
    L2NormalizeForward({rows, dim, 1e-6f, x.data(), y2.data(), inv2.data()}, pool_);
    ExpectNear(y, y2, 1e-5, "unit");
    ref::L2NormalizeBackward({rows, dim, 1e-6f, y.data(), inv.data(), dy.data(), dx.data()});
    L2NormalizeBackward({rows, dim, 1e-6f, y.data(), inv.data(), dy.data(), dx2.data()}, pool_);
    ExpectNear(dx, dx2, 1e-4, "dx of unit");
    const Floats wide = Random(rows * dim, 3);
    for (bool erf : {false, true}) {
      ref::BiasGeluForward({rows, dim, wide.data(), gain.data(), y.data(), erf});
      BiasGeluForward({rows, dim, wide.data(), gain.data(), y2.data(), erf}, pool_);
      ExpectNear(y, y2, 2e-6, "gelu");
      ref::BiasGeluBackward(
          {rows, dim, wide.data(), gain.data(), dy.data(), dx.data(), dg.data(), erf});
      BiasGeluBackward(
          {rows, dim, wide.data(), gain.data(), dy.data(), dx2.data(), dg2.data(), erf}, pool_);
      ExpectNear(dx, dx2, 1e-5, "dx of gelu");
      ExpectNear(dg, dg2, 1e-4, "dbias");
    }
  }
}

TEST_P(KernelsTest, LayerNormAndScale) {
  for (const auto& [rows, dim] :
       std::vector<std::pair<int, int>>{{0, 4}, {1, 3}, {5, 33}, {300, 64}}) {
    Floats x = Random(rows * dim);
    for (float& value : x) value += 3;
    const Floats gain = Random(dim), bias = Random(dim), dy = Random(rows * dim);
    Floats y(rows * dim), y2 = y, inv(rows), inv2 = inv, shift(rows), shift2 = shift;
    ref::LayerNormForward(
        {rows, dim, 1e-6f, x.data(), gain.data(), bias.data(), y.data(), inv.data(), shift.data()});
    LayerNormForward({rows, dim, 1e-6f, x.data(), gain.data(), bias.data(), y2.data(), inv2.data(),
                      shift2.data()},
                     pool_);
    ExpectNear(y, y2, 1e-5, "y");
    ExpectNear(inv, inv2, 1e-5, "inv_std");
    ExpectNear(shift, shift2, 1e-5, "shift");
    for (bool accumulate : {false, true}) {
      Floats dx = Random(rows * dim), dx2 = dx, dg = Random(dim), dg2 = dg, db = dg, db2 = dg;
      ref::LayerNormBackward({rows, dim, x.data(), gain.data(), inv.data(), shift.data(), dy.data(),
                              dx.data(), dg.data(), db.data(), accumulate});
      LayerNormBackward({rows, dim, x.data(), gain.data(), inv.data(), shift.data(), dy.data(),
                         dx2.data(), dg2.data(), db2.data(), accumulate},
                        pool_);
      ExpectNear(dx, dx2, 1e-4, "dx");
      ExpectNear(dg, dg2, 1e-4, "dgain");
      ExpectNear(db, db2, 1e-4, "dbias");
    }
    Floats sum = Random(rows * dim), sum2 = sum;
    ref::LayerScaleForward({rows, dim, x.data(), gain.data(), sum.data()});
    LayerScaleForward({rows, dim, x.data(), gain.data(), sum2.data()}, pool_);
    ExpectNear(sum, sum2, 2e-6, "scaled sum");
    Floats dx(rows * dim, 7), dx2 = dx, dg = Random(dim), dg2 = dg;
    ref::LayerScaleBackward({rows, dim, x.data(), gain.data(), dy.data(), dx.data(), dg.data()});
    LayerScaleBackward({rows, dim, x.data(), gain.data(), dy.data(), dx2.data(), dg2.data()},
                       pool_);
    ExpectNear(dx, dx2, 1e-6, "dx of scale");
    ExpectNear(dg, dg2, 1e-4, "dgain of scale");
  }
}

// Empty segments have their prefix too.
TEST_P(KernelsTest, PrefixTokens) {
  const std::vector<int32_t> cu = {0, 2, 2, 3, 6};
  for (int tokens : {1, 3}) {
    constexpr int kDim = 21;
    const int all = 6 + 4 * tokens;
    const Floats x = Random(6 * kDim), prefix = Random(tokens * kDim);
    Floats y(all * kDim, 7), y2 = y;
    ref::InsertPrefix({4, tokens, kDim, cu.data(), x.data(), prefix.data(), y.data()});
    InsertPrefix({4, tokens, kDim, cu.data(), x.data(), prefix.data(), y2.data()}, pool_);
    EXPECT_EQ(y, y2);
    EXPECT_EQ(Floats(prefix.begin(), prefix.begin() + kDim), Floats(y2.begin(), y2.begin() + kDim));
    Floats back(x.size(), 7), d = Random(tokens * kDim), back2 = back, d2 = d;
    ref::RemovePrefix({4, tokens, kDim, cu.data(), y.data(), back.data(), d.data()});
    RemovePrefix({4, tokens, kDim, cu.data(), y.data(), back2.data(), d2.data()}, pool_);
    EXPECT_EQ(x, back);
    EXPECT_EQ(x, back2);
    ExpectNear(d, d2, 2e-6, "dprefix");
    InsertPrefix({4, tokens, kDim, cu.data(), x.data(), nullptr, y2.data()}, pool_);
    EXPECT_EQ(Floats(tokens * kDim), Floats(y2.begin(), y2.begin() + tokens * kDim));
  }
}

TEST_P(KernelsTest, QkNorm) {
  for (const auto& [heads, dim] : std::vector<std::pair<int, int>>{{1, 5}, {3, 16}, {2, 64}}) {
    constexpr int kTokens = 140;
    const int count = kTokens * 3 * heads * dim;
    const Floats qkv = Random(count), q = Random(dim), k = Random(dim);
    Floats y(count), y2(count), inv(kTokens * 2 * heads), inv2 = inv;
    ref::QkNormForward(
        {kTokens, heads, dim, 1e-6f, qkv.data(), q.data(), k.data(), y.data(), inv.data()});
    QkNormForward(
        {kTokens, heads, dim, 1e-6f, qkv.data(), q.data(), k.data(), y2.data(), inv2.data()},
        pool_);
    ExpectNear(y, y2, 1e-5, "normed");
    Floats d = Random(count), d2 = d, dq(dim), dk(dim), dq2(dim), dk2(dim);
    ref::QkNormBackward({kTokens, heads, dim, qkv.data(), q.data(), k.data(), inv.data(), d.data(),
                         dq.data(), dk.data()});
    QkNormBackward({kTokens, heads, dim, qkv.data(), q.data(), k.data(), inv.data(), d2.data(),
                    dq2.data(), dk2.data()},
                   pool_);
    ExpectNear(d, d2, 1e-4, "dqkv");
    ExpectNear(dq, dq2, 1e-4, "dq_gain");
    ExpectNear(dk, dk2, 1e-4, "dk_gain");
  }
}

// Empty and one-token segments, one of several query blocks, and NaN in the padding.
TEST_P(KernelsTest, Attention) {
  const std::vector<int32_t> cu = {0, 0, 1, 18, 18, 218};
  constexpr int kTokens = 220, kSegments = 5, kHeads = 2;
  for (int dim : {5, 16}) {
    for (bool causal : {false, true}) {
      const int width = kHeads * dim;
      Floats qkv = Random(kTokens * 3 * width, 2), dout = Random(kTokens * width);
      std::fill(qkv.begin() + 218 * 3 * width, qkv.end(), NAN);
      std::fill(dout.begin() + 218 * width, dout.end(), NAN);
      Floats out(kTokens * width, 9), lse(kTokens * kHeads, 9), out2 = out, lse2 = lse;
      ref::SegmentAttentionForward(
          {kTokens, kSegments, kHeads, dim, causal, cu.data(), qkv.data(), out.data(), lse.data()});
      SegmentAttentionForward({kTokens, kSegments, kHeads, dim, causal, cu.data(), qkv.data(),
                               out2.data(), lse2.data()},
                              pool_);
      ExpectNear(out, out2, 3e-5, "out");
      ExpectNear(lse, lse2, 3e-5, "lse");
      EXPECT_EQ(0, out2.back());
      Floats d(qkv.size(), 9), d2 = d;
      ref::SegmentAttentionBackward({kTokens, kSegments, kHeads, dim, causal, cu.data(), qkv.data(),
                                     out.data(), lse.data(), dout.data(), d.data()});
      SegmentAttentionBackward({kTokens, kSegments, kHeads, dim, causal, cu.data(), qkv.data(),
                                out.data(), lse.data(), dout.data(), d2.data()},
                               pool_);
      ExpectNear(d, d2, 1e-4, "dqkv");
      EXPECT_EQ(0, d2.back());
      // A segment alone has the same bits.
      const std::vector<int32_t> alone = {0, 17};
      ThreadPool one(1);
      Floats out3(17 * width), lse3(17 * kHeads);
      SegmentAttentionForward({17, 1, kHeads, dim, causal, alone.data(), qkv.data() + 3 * width,
                               out3.data(), lse3.data()},
                              one);
      EXPECT_EQ(0, std::memcmp(out3.data(), out2.data() + width, out3.size() * sizeof(float)));
    }
    const int width = kHeads * dim;
    Floats kv = Random(kTokens * 2 * width, 2);
    std::fill(kv.begin() + 218 * 2 * width, kv.end(), NAN);
    const Floats query = Random(width), dpooled = Random(3 * width);
    ASSERT_EQ(3, PooledRows(cu.data(), kSegments));
    Floats pooled(3 * width), lse(3 * kHeads), pooled2 = pooled, lse2 = lse;
    ref::MapPoolAttentionForward({kTokens, kSegments, kHeads, dim, cu.data(), query.data(),
                                  kv.data(), pooled.data(), lse.data()});
    MapPoolAttentionForward({kTokens, kSegments, kHeads, dim, cu.data(), query.data(), kv.data(),
                             pooled2.data(), lse2.data()},
                            pool_);
    ExpectNear(pooled, pooled2, 3e-5, "pooled");
    Floats dkv(kv.size(), 9), dkv2 = dkv, dq(width), dq2(width);
    ref::MapPoolAttentionBackward({kTokens, kSegments, kHeads, dim, cu.data(), query.data(),
                                   kv.data(), pooled.data(), lse.data(), dpooled.data(), dkv.data(),
                                   dq.data()});
    MapPoolAttentionBackward({kTokens, kSegments, kHeads, dim, cu.data(), query.data(), kv.data(),
                              pooled.data(), lse.data(), dpooled.data(), dkv2.data(), dq2.data()},
                             pool_);
    ExpectNear(dkv, dkv2, 1e-4, "dkv");
    ExpectNear(dq, dq2, 1e-4, "dquery");
  }
}

TEST_P(KernelsTest, Ema) {
  for (int count : {0, 1, 37, 20001}) {
    const Floats value = Random(count);
    Floats average = Random(count), average2 = average, same = value;
    ref::Ema({count, 0.99, value.data(), average.data()});
    Ema({count, 0.99, value.data(), average2.data()}, pool_);
    ExpectNear(average, average2, 1e-6, "average");
    Ema({count, 0.9, value.data(), same.data()}, pool_);
    EXPECT_EQ(same, value);
  }
}

TEST_P(KernelsTest, AdamW) {
  constexpr int kCount = 40003;
  const Floats grad = Random(kCount);
  Floats p = Random(kCount), m = Random(kCount), v(kCount, 0.5f), p2 = p, m2 = m, v2 = v;
  AdamWArgs args{kCount, p.data(), grad.data(), m.data(), v.data(), 3,
                 0.01,   0.9,      0.95,        1e-8,     0.1,      0.5};
  ref::AdamW(args);
  args.param = p2.data();
  args.m = m2.data();
  args.v = v2.data();
  AdamW(args, pool_);
  ExpectNear(p, p2, 2e-6, "param");
  ExpectNear(m, m2, 2e-6, "m");
  ExpectNear(v, v2, 2e-6, "v");
  const double squares = ref::SumSquares(grad.data(), kCount);
  EXPECT_NEAR(squares, SumSquares(grad.data(), kCount, pool_), 1e-9 * squares);
}

INSTANTIATE_TEST_SUITE_P(Targets, KernelsTest,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

}  // namespace
}  // namespace navit::kernels
