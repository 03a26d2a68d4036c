// Operations over heads and segments beside attention itself: _cuda against _ref.
#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/head_dims.h"
#include "kernels/cuda/map_pool_attention.h"
#include "kernels/cuda/qk_norm_rope.h"
#include "kernels/cuda/segment_pool.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"
#include "kernels/map_pool_attention.h"
#include "kernels/qk_norm.h"
#include "kernels/rope.h"
#include "kernels/segment_pool.h"

namespace navit::kernels::cuda {
namespace {

class HeadsTest : public DeviceTest {};

struct Shape {
  int64_t tokens, heads, head_dim;
  bool rope;
};

TEST_F(HeadsTest, QkNormAndRope) {
  for (const auto& [tokens, heads, head_dim, rope] :
       {Shape{0, 1, 64, true}, Shape{1, 1, 16, false}, Shape{19, 3, 64, true},
        Shape{37, 2, 16, true}, Shape{5, 3, 64, false}, Shape{34, 1, 8, true},
        Shape{3, 2, 24, true}, Shape{19, 2, 32, true}, Shape{5, 3, 40, false},
        Shape{9, 1, 48, true}, Shape{7, 2, 56, true}, Shape{33, 3, 72, true}, Shape{5, 2, 80, true},
        Shape{2, 2, 88, true}, Shape{4, 1, 96, true}, Shape{3, 1, 104, true},
        Shape{1, 2, 112, false}, Shape{35, 2, 128, true}}) {
    SCOPED_TRACE(head_dim);
    const int64_t size = tokens * 3 * heads * head_dim;
    const Floats qkv = RandomBf16(size, 1), gradient = RandomBf16(size, 2);
    const Floats q_gain = RandomFloats(head_dim, 3), k_gain = RandomFloats(head_dim, 4);
    Floats coordinates = RandomFloats(tokens * 2, 5, 10), cos_sin(tokens * head_dim);
    RopeTable(tokens, head_dim, coordinates.data(), cos_sin.data());
    Floats normed(size), inv_rms(tokens * 2 * heads), dqkv = gradient;
    Floats dq_gain(head_dim, 1), dk_gain(head_dim, 1);
    ref::QkNormForward({tokens, heads, head_dim, 1e-6f, qkv.data(), q_gain.data(), k_gain.data(),
                        normed.data(), inv_rms.data()});
    if (rope) ref::Rope({tokens, heads, head_dim, cos_sin.data(), normed.data(), false});
    if (rope) ref::Rope({tokens, heads, head_dim, cos_sin.data(), dqkv.data(), true});
    ref::QkNormBackward({tokens, heads, head_dim, qkv.data(), q_gain.data(), k_gain.data(),
                         inv_rms.data(), dqkv.data(), dq_gain.data(), dk_gain.data()});
    for (const bool in_place : {false, true}) {
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<Bf16> device_qkv(ToBf16(qkv)), other(size);
        const DeviceArray<Bf16>& device_normed = in_place ? device_qkv : other;
        const DeviceArray<float> device_q(q_gain), device_k(k_gain), device_cos_sin(cos_sin),
            device_inv_rms(inv_rms.size());
        EXPECT_TRUE(
            QkNormRopeForward({tokens, heads, head_dim, 1e-6f, device_qkv.data(), device_q.data(),
                               device_k.data(), rope ? device_cos_sin.data() : nullptr,
                               device_normed.data(), device_inv_rms.data()},
                              nullptr)
                .ok());
        return {ToFloats(device_normed.Read()), device_inv_rms.Read()};
      });
      ExpectClose(normed, got[0], Largest(normed) / 256, 0, "normed");
      ExpectClose(inv_rms, got[1], 0, 1e-5f, "inv_rms");
    }
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      const DeviceArray<Bf16> device_qkv(ToBf16(qkv)), device_dqkv(ToBf16(gradient));
      const DeviceArray<float> device_q(q_gain), device_k(k_gain), device_cos_sin(cos_sin),
          device_inv_rms(inv_rms), dq(Floats(head_dim, 1)), dk(Floats(head_dim, 1)),
          partial(2 * QkNormSlabs(tokens) * head_dim);
      EXPECT_TRUE(QkNormRopeBackward(
                      {tokens, heads, head_dim, device_qkv.data(), device_q.data(), device_k.data(),
                       rope ? device_cos_sin.data() : nullptr, device_inv_rms.data(),
                       device_dqkv.data(), dq.data(), dk.data(), partial.data()},
                      nullptr)
                      .ok());
      return {ToFloats(device_dqkv.Read()), dq.Read(), dk.Read()};
    });
    ExpectClose(dqkv, got[0], Largest(dqkv) / 128, 0, "dqkv");
    ExpectClose(dq_gain, got[1], 1e-4f, 1e-4f, "dq_gain");
    ExpectClose(dk_gain, got[2], 1e-4f, 1e-4f, "dk_gain");
  }
}

TEST_F(HeadsTest, RopeAlone) {
  for (const int64_t head_dim : kHeadDims) {
    SCOPED_TRACE(head_dim);
    const int64_t tokens = head_dim == 64 ? 37 : 3, heads = head_dim % 3 + 1;
    const Floats qkv = RandomBf16(tokens * 3 * heads * head_dim, 1);
    Floats coordinates = RandomFloats(tokens * 2, 5, 10), cos_sin(tokens * head_dim);
    RopeTable(tokens, head_dim, coordinates.data(), cos_sin.data());
    for (const bool inverse : {false, true}) {
      Floats turned = qkv;
      ref::Rope({tokens, heads, head_dim, cos_sin.data(), turned.data(), inverse});
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<Bf16> device_qkv(ToBf16(qkv));
        const DeviceArray<float> device_cos_sin(cos_sin);
        EXPECT_TRUE(
            Rope({tokens, heads, head_dim, device_cos_sin.data(), device_qkv.data(), inverse},
                 nullptr)
                .ok());
        return {ToFloats(device_qkv.Read())};
      });
      ExpectClose(turned, got[0], Largest(turned) / 256, 0, "turned");
    }
  }
}

struct Pack {
  std::vector<int32_t> cu_seqlens;
  int64_t tokens, heads, head_dim;
};
const Pack kPacks[] = {
    {{0, 5, 5, 6, 49}, 53, 3, 64}, {{0, 0, 40}, 40, 2, 16}, {{0, 0}, 4, 1, 16},
    {{0, 70}, 70, 2, 8},           {{0, 9, 31}, 31, 1, 24}, {{0, 5, 22}, 25, 2, 32},
    {{0, 11}, 11, 3, 40},          {{0, 1, 13}, 13, 2, 48}, {{0, 9}, 10, 1, 56},
    {{0, 6, 25}, 25, 2, 72},       {{0, 17}, 17, 2, 80},    {{0, 8}, 8, 1, 88},
    {{0, 3, 12}, 12, 2, 96},       {{0, 5}, 5, 1, 104},     {{0, 7}, 9, 2, 112},
    {{0, 2, 21}, 21, 2, 128}};

TEST_F(HeadsTest, MapPoolAttention) {
  for (const auto& [cu, tokens, heads, head_dim] : kPacks) {
    SCOPED_TRACE(head_dim);
    const auto segments = static_cast<int64_t>(cu.size()) - 1;
    const int64_t width = heads * head_dim, used = cu.back();
    const int64_t rows = PooledRows(cu.data(), segments);
    const Floats query = RandomFloats(width, 1, 2), kv = RandomBf16(tokens * 2 * width, 2);
    const Floats dpooled = RandomBf16(rows * width, 3);
    Floats pooled(rows * width), lse(rows * heads), dkv(kv.size()), dquery(width, 1);
    ref::MapPoolAttentionForward({tokens, segments, heads, head_dim, cu.data(), query.data(),
                                  kv.data(), pooled.data(), lse.data()});
    const Floats rounded = Rounded(pooled);
    ref::MapPoolAttentionBackward({tokens, segments, heads, head_dim, cu.data(), query.data(),
                                   kv.data(), rounded.data(), lse.data(), dpooled.data(),
                                   dkv.data(), dquery.data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      DeviceArray<Bf16> device_kv(kv.size());
      device_kv.Write(ToBf16(Floats(kv.begin(), kv.begin() + used * 2 * width)));
      const DeviceArray<Bf16> device_pooled(rows * width), device_dpooled(ToBf16(dpooled)),
          device_dkv(kv.size());
      const DeviceArray<float> device_query(query), device_lse(lse.size()),
          device_dquery(Floats(width, 1)), partial(rows * width);
      const DeviceArray<SegmentRange> ranges(PooledSegments(cu.data(), segments));
      EXPECT_TRUE(MapPoolAttentionForward(
                      {tokens, rows, heads, head_dim, ranges.data(), device_query.data(),
                       device_kv.data(), device_pooled.data(), device_lse.data()},
                      nullptr)
                      .ok());
      EXPECT_TRUE(
          MapPoolAttentionBackward(
              {tokens, used, rows, heads, head_dim, ranges.data(), device_query.data(),
               device_kv.data(), device_pooled.data(), device_lse.data(), device_dpooled.data(),
               device_dkv.data(), device_dquery.data(), partial.data()},
              nullptr)
              .ok());
      return {ToFloats(device_pooled.Read()), device_lse.Read(), ToFloats(device_dkv.Read()),
              device_dquery.Read()};
    });
    ExpectClose(pooled, got[0], Largest(kv) / 256, 0, "pooled");
    ExpectClose(lse, got[1], 1e-4f, 0, "lse");
    ExpectClose(dkv, got[2], Largest(dkv) / 128, 0, "dkv");
    ExpectClose(dquery, got[3], Largest(dquery) / 200, 0, "dquery");
  }
}

TEST_F(HeadsTest, SegmentPool) {
  for (const auto& [cu, tokens, heads, head_dim] : kPacks) {
    SCOPED_TRACE(head_dim);
    const auto segments = static_cast<int64_t>(cu.size()) - 1;
    const int64_t dim = heads * head_dim + 1, used = cu.back();
    Floats x = RandomBf16(tokens * dim, 1);
    const Floats dpooled = RandomBf16(segments * dim, 2);
    if (used > 3) std::copy_n(x.begin(), dim, x.begin() + 2 * dim);  // equal tokens: the first wins
    for (const SegmentPoolKind kind : {SegmentPoolKind::kMean, SegmentPoolKind::kMax,
                                       SegmentPoolKind::kFirst, SegmentPoolKind::kLast}) {
      const bool exact = kind != SegmentPoolKind::kMean;
      Floats pooled(segments * dim), dx(x.size());
      ref::SegmentPoolForward({tokens, segments, dim, kind, cu.data(), x.data(), pooled.data()});
      ref::SegmentPoolBackward(
          {tokens, segments, dim, kind, cu.data(), x.data(), dpooled.data(), dx.data()});
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        DeviceArray<Bf16> device_x(x.size());
        device_x.Write(ToBf16(Floats(x.begin(), x.begin() + used * dim)));
        const DeviceArray<Bf16> device_pooled(pooled.size()), device_dpooled(ToBf16(dpooled)),
            device_dx(x.size());
        const DeviceArray<int32_t> device_cu(cu);
        EXPECT_TRUE(SegmentPoolForward({tokens, segments, dim, kind, device_cu.data(),
                                        device_x.data(), device_pooled.data()},
                                       nullptr)
                        .ok());
        EXPECT_TRUE(SegmentPoolBackward({tokens, used, segments, dim, kind, device_cu.data(),
                                         device_x.data(), device_dpooled.data(), device_dx.data()},
                                        nullptr)
                        .ok());
        return {ToFloats(device_pooled.Read()), ToFloats(device_dx.Read())};
      });
      ExpectClose(pooled, got[0], exact ? 0 : 1e-5f, exact ? 0 : 1.0f / 256, "pooled");
      ExpectClose(dx, got[1], 0, 1.0f / 256, "dx");
    }
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
