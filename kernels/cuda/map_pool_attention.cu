#include <cmath>

#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/head_dims.h"
#include "kernels/cuda/map_pool_attention.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

constexpr float kLog2E = 1.44269504088896f;
constexpr float kLn2 = 0.69314718055995f;

constexpr int kBatch = 4;  // turns of the forward pass whose loads are in flight together

// A warp has one head of one segment. kLanes lanes share a token, eight channels each, and kGroups
// tokens are taken at a time. Lanes behind the head's channels read the first ones, with zeros as
// query and gradient, and write nothing.
template <int kDim>
struct Layout {
  static constexpr int kLanes = kHeadLanes<kDim>;
  static constexpr int kGroups = kWarp / kLanes;
  NAVIT_DEVICE static int Group() { return LaneIndex() / kLanes; }
  NAVIT_DEVICE static bool HasChannels() {
    return kLanes == kDim / 8 || LaneIndex() % kLanes < kDim / 8;
  }
  NAVIT_DEVICE static int Channel() { return HasChannels() ? LaneIndex() % kLanes * 8 : 0; }

  template <typename T>
  NAVIT_DEVICE static void Load(float (&values)[8], Global<const T> head) {
    LoadEight(values, head, Channel(), kDim);
    if (HasChannels()) return;
    NAVIT_UNROLL
    for (int i = 0; i < 8; ++i) values[i] = 0;
  }

  // The sum over the groups of what lanes of equal channels have; all get it.
  NAVIT_DEVICE static float GroupSum(float value) {
    NAVIT_UNROLL
    for (int mask = kWarp / 2; mask >= kLanes; mask /= 2) value += ShuffleXor(value, mask);
    return value;
  }
};

NAVIT_DEVICE float Dot(const float (&a)[8], const float (&b)[8]) {
  float sum = 0;
  NAVIT_UNROLL
  for (int i = 0; i < 8; ++i) sum = Fma(a[i], b[i], sum);
  return sum;
}

template <int kDim>
struct Forward {
  struct Args {
    MapPoolAttentionForwardArgs pool;
    float scale;  // 1/√d
  };

  NAVIT_DEVICE static void At(const Args& args, int64_t index) {
    using L = Layout<kDim>;
    const MapPoolAttentionForwardArgs& pool = args.pool;
    const int64_t head = index % pool.heads, width = pool.heads * kDim;
    const SegmentRange segment = Global<const SegmentRange>(pool.segment).Load(index / pool.heads);
    const Global<const Bf16> kv(pool.kv);
    float query[8], sum = 0, max = -INFINITY, out[8] = {};
    L::Load(query, Global<const float>(pool.query) + head * kDim);
    const float scale = args.scale * kLog2E;
    for (int base = L::Group(); base < segment.length + L::Group(); base += kBatch * L::kGroups) {
      // The loads of several tokens come before the first waits for its own.
      Vector16 keys[kBatch], values[kBatch];
      NAVIT_UNROLL
      for (int t = 0; t < kBatch; ++t) {
        const int place = base + t * L::kGroups;
        const int64_t token = segment.begin + (place < segment.length ? place : 0);
        keys[t] = LoadPacked(kv, token * 2 * width + head * kDim + L::Channel(), kDim);
        values[t] = LoadPacked(kv, (token * 2 + 1) * width + head * kDim + L::Channel(), kDim);
      }
      NAVIT_UNROLL
      for (int t = 0; t < kBatch; ++t) {
        float k[8], v[8];
        Unpack(keys[t], k);
        Unpack(values[t], v);
        const float z = LaneSum<L::kLanes>(Dot(query, k)) * scale;
        if (base + t * L::kGroups >= segment.length) continue;
        const float next = Max(max, z);
        const float factor = Exp2(max - next), p = Exp2(z - next);
        sum = Fma(sum, factor, p);
        NAVIT_UNROLL
        for (int i = 0; i < 8; ++i) out[i] = Fma(out[i], factor, p * v[i]);
        max = next;
      }
    }
    // A group without a token has max −∞, sum 0, and takes no part.
    const float all_max = LaneMax(max);
    const float factor = Exp2(max - all_max);
    const float all_sum = L::GroupSum(sum * factor);
    NAVIT_UNROLL
    for (int i = 0; i < 8; ++i) out[i] = L::GroupSum(out[i] * factor) / all_sum;
    if (L::Group() == 0 && L::HasChannels()) {
      StoreEight(out, Global<Bf16>(pool.pooled), index * kDim + L::Channel(), kDim);
    }
    if (LaneIndex() == 0) {
      Global<float>(pool.lse).Store(index, (all_max + Log2(all_sum)) * kLn2);
    }
  }
};

// With p = exp(z − lse), δ = dpooled·pooled and dz = p·(dpooled·v − δ)/√d:
//   dv = p·dpooled, dk = dz·query, dquery = Σ dz·k.
template <int kDim>
struct Backward {
  struct Args {
    MapPoolAttentionBackwardArgs pool;
    float scale;
  };

  NAVIT_DEVICE static void At(const Args& args, int64_t index) {
    using L = Layout<kDim>;
    const MapPoolAttentionBackwardArgs& pool = args.pool;
    const int64_t head = index % pool.heads, width = pool.heads * kDim;
    const SegmentRange segment = Global<const SegmentRange>(pool.segment).Load(index / pool.heads);
    const Global<const Bf16> kv(pool.kv);
    const Global<Bf16> dkv(pool.dkv);
    float query[8], pooled[8], dpooled[8], dquery[8] = {};
    L::Load(query, Global<const float>(pool.query) + head * kDim);
    L::Load(pooled, Global<const Bf16>(pool.pooled) + index * kDim);
    L::Load(dpooled, Global<const Bf16>(pool.dpooled) + index * kDim);
    const float delta = LaneSum<L::kLanes>(Dot(pooled, dpooled));
    const float lse = Global<const float>(pool.lse).Load(index) * kLog2E;
    for (int base = 0; base < segment.length; base += L::kGroups) {
      const bool valid = base + L::Group() < segment.length;
      const int64_t token = segment.begin + (valid ? base + L::Group() : 0);
      const int64_t at = token * 2 * width + head * kDim + L::Channel();
      float k[8], v[8];
      LoadEight(k, kv, at, kDim);
      LoadEight(v, kv, at + width, kDim);
      const float z = LaneSum<L::kLanes>(Dot(query, k)) * args.scale * kLog2E;
      const float dp = LaneSum<L::kLanes>(Dot(dpooled, v));
      if (!valid || !L::HasChannels()) continue;
      const float p = Exp2(z - lse), dz = p * (dp - delta) * args.scale;
      NAVIT_UNROLL
      for (int i = 0; i < 8; ++i) {
        dquery[i] = Fma(dz, k[i], dquery[i]);
        k[i] = dz * query[i];
        v[i] = p * dpooled[i];
      }
      StoreEight(k, dkv, at, kDim);
      StoreEight(v, dkv, at + width, kDim);
    }
    NAVIT_UNROLL
    for (int i = 0; i < 8; ++i) dquery[i] = L::GroupSum(dquery[i]);
    if (L::Group() != 0 || !L::HasChannels()) return;
    NAVIT_UNROLL
    for (int i = 0; i < 8; ++i) {
      Global<float>(pool.partial).Store(index * kDim + L::Channel() + i, dquery[i]);
    }
  }
};

template <typename Body, typename PoolArgs>
LaunchError LaunchPool(const PoolArgs& args, Stream stream) {
  const float scale = 1 / std::sqrt(static_cast<float>(args.head_dim));
  return ForEachRow<Body>(args.pooled_rows * args.heads, {args, scale}, stream);
}

}  // namespace

LaunchError MapPoolAttentionForward(const MapPoolAttentionForwardArgs& args, Stream stream) {
  return ForHeadDim(args.head_dim,
                    [&](auto dim) { return LaunchPool<Forward<dim()>>(args, stream); });
}

LaunchError MapPoolAttentionBackward(const MapPoolAttentionBackwardArgs& args, Stream stream) {
  const int64_t width = args.heads * args.head_dim;
  LaunchError error = FillZeroRows(args.dkv, args.used_tokens, args.tokens, 2 * width, stream);
  if (error.ok()) {
    error = ForHeadDim(args.head_dim,
                       [&](auto dim) { return LaunchPool<Backward<dim()>>(args, stream); });
  }
  if (error.ok()) error = AddRows(args.pooled_rows, width, args.partial, args.dquery, stream);
  return error;
}

}  // namespace navit::kernels::cuda
