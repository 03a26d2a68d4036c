// Operations on segments at the borders of their shapes: a segment as long as the row, lengths
// around the widths of vectors and blocks, nothing but empty segments. _cpu against _ref on each
// SIMD target of this machine.
#include <tuple>
#include <vector>

#include "kernels/kernels_fixture.h"
#include "kernels/map_pool_attention.h"
#include "kernels/segment_attention.h"
#include "kernels/segment_pool.h"

namespace navit::kernels {
namespace {

constexpr int kHeads = 2;

// All operations on the segments `cu` of a row of `tokens`.
void Compare(const std::vector<int32_t>& cu, int tokens, int head_dim, ThreadPool& pool) {
  SCOPED_TRACE(testing::Message() << "last segment " << cu.back() - cu[cu.size() - 2]
                                  << ", head_dim " << head_dim);
  const int segments = static_cast<int>(cu.size()) - 1, width = kHeads * head_dim;
  for (bool causal : {false, true}) {
    const Floats qkv = Random(tokens * 3 * width), dout = Random(tokens * width);
    Floats out(tokens * width, 9), lse(tokens * kHeads, 9), out2 = out, lse2 = lse;
    ref::SegmentAttentionForward({tokens, segments, kHeads, head_dim, causal, cu.data(), qkv.data(),
                                  out.data(), lse.data()});
    SegmentAttentionForward({tokens, segments, kHeads, head_dim, causal, cu.data(), qkv.data(),
                             out2.data(), lse2.data()},
                            pool);
    ExpectNear(out, out2, 3e-5, "out");
    ExpectNear(lse, lse2, 3e-5, "lse");
    Floats d(qkv.size(), 9), d2 = d;
    ref::SegmentAttentionBackward({tokens, segments, kHeads, head_dim, causal, cu.data(),
                                   qkv.data(), out.data(), lse.data(), dout.data(), d.data()});
    SegmentAttentionBackward({tokens, segments, kHeads, head_dim, causal, cu.data(), qkv.data(),
                              out.data(), lse.data(), dout.data(), d2.data()},
                             pool);
    ExpectNear(d, d2, 1e-4, "dqkv");
  }

  const int64_t rows = PooledRows(cu.data(), segments);
  const Floats kv = Random(tokens * 2 * width), query = Random(width), dmap = Random(rows * width);
  Floats map(rows * width, 9), lse(rows * kHeads, 9), map2 = map, lse2 = lse;
  ref::MapPoolAttentionForward({tokens, segments, kHeads, head_dim, cu.data(), query.data(),
                                kv.data(), map.data(), lse.data()});
  MapPoolAttentionForward({tokens, segments, kHeads, head_dim, cu.data(), query.data(), kv.data(),
                           map2.data(), lse2.data()},
                          pool);
  ExpectNear(map, map2, 3e-5, "map");
  Floats dkv(kv.size(), 9), dkv2 = dkv, dquery(width), dquery2 = dquery;
  ref::MapPoolAttentionBackward({tokens, segments, kHeads, head_dim, cu.data(), query.data(),
                                 kv.data(), map.data(), lse.data(), dmap.data(), dkv.data(),
                                 dquery.data()});
  MapPoolAttentionBackward({tokens, segments, kHeads, head_dim, cu.data(), query.data(), kv.data(),
                            map.data(), lse.data(), dmap.data(), dkv2.data(), dquery2.data()},
                           pool);
  ExpectNear(dkv, dkv2, 1e-4, "dkv");
  ExpectNear(dquery, dquery2, 1e-4, "dquery");

  for (const SegmentPoolKind kind : {SegmentPoolKind::kMean, SegmentPoolKind::kMax}) {
    const Floats x = Random(tokens * width), dpooled = Random(segments * width);
    Floats pooled(segments * width, 9), pooled2 = pooled, dx(x.size(), 9), dx2 = dx;
    ref::SegmentPoolForward({tokens, segments, width, kind, cu.data(), x.data(), pooled.data()});
    SegmentPoolForward({tokens, segments, width, kind, cu.data(), x.data(), pooled2.data()}, pool);
    ExpectNear(pooled, pooled2, 2e-6, "pooled");
    ref::SegmentPoolBackward(
        {tokens, segments, width, kind, cu.data(), x.data(), dpooled.data(), dx.data()});
    SegmentPoolBackward(
        {tokens, segments, width, kind, cu.data(), x.data(), dpooled.data(), dx2.data()}, pool);
    ExpectNear(dx, dx2, 2e-6, "dx");
  }
}

TEST_P(KernelsTest, ASegmentAsLongAsTheRow) {
  for (int length : {1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 129, 257}) {
    for (int head_dim : {1, 7, 32, 64}) Compare({0, length}, length, head_dim, pool_);
  }
}

TEST_P(KernelsTest, ARowOfOneTokenSegments) {
  std::vector<int32_t> cu;
  for (int i = 0; i <= 37; ++i) cu.push_back(i);
  for (int head_dim : {7, 64}) Compare(cu, 37, head_dim, pool_);
}

TEST_P(KernelsTest, NothingButEmptySegments) {
  for (int head_dim : {7, 64}) Compare({0, 0, 0, 0}, 19, head_dim, pool_);
}

INSTANTIATE_TEST_SUITE_P(Targets, KernelsTest,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

}  // namespace
}  // namespace navit::kernels
