#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/head_dims.h"
#include "kernels/cuda/qk_norm_rope.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

struct alignas(8) FourBf16 {
  uint32_t low, high;
};

NAVIT_DEVICE void LoadFour(float* values, Global<const Bf16> from) {
  const FourBf16 four = from.LoadAs<FourBf16>(0);
  values[0] = UnpackLow(four.low);
  values[1] = UnpackHigh(four.low);
  values[2] = UnpackLow(four.high);
  values[3] = UnpackHigh(four.high);
}

NAVIT_DEVICE void LoadFour(float* values, Global<const float> from) {
  const FourFloats four = from.LoadAs<FourFloats>(0);
  NAVIT_UNROLL
  for (int i = 0; i < 4; ++i) values[i] = four.value[i];
}

// A head of a token is spread over kLanes lanes, eight channels each. Where that gives channels to
// all of them, a lane's are neighbours, and the partner of a channel in the rotation, half a head
// away, is at the same place of the lane kLanes / 2 away. Otherwise a lane has four channels of the
// low half and then their partners.
template <int kDim>
struct Head {
  static constexpr int kLanes = kHeadLanes<kDim>;
  static constexpr int kHalf = kDim / 2;
  static constexpr bool kNeighbours = kLanes > 1 && kLanes == kDim / 8;

  NAVIT_DEVICE static int Piece() { return ThreadIndex() % kLanes; }
  NAVIT_DEVICE static bool HasChannels() { return kLanes == kDim / 8 || Piece() < kDim / 8; }
  // Of value i of the lane.
  NAVIT_DEVICE static int Channel(int i) {
    return kNeighbours ? Piece() * 8 + i : i / 4 * kHalf + Piece() * 4 + i % 4;
  }

  // Of the head that begins at element `at`; for lanes with channels.
  template <typename T>
  NAVIT_DEVICE static void Load(float (&x)[8], Global<const T> from, int64_t at) {
    if constexpr (kNeighbours) {
      LoadEight(x, from, at + Channel(0), kDim);
    } else {
      LoadFour(x, from + (at + Channel(0)));
      LoadFour(x + 4, from + (at + Channel(4)));
    }
  }
  NAVIT_DEVICE static void Store(const float (&x)[8], Global<Bf16> to, int64_t at) {
    if constexpr (kNeighbours) {
      StoreEight(x, to, at + Channel(0), kDim);
    } else {
      NAVIT_UNROLL
      for (int i = 0; i < 8; i += 4) {
        to.StoreAs<FourBf16>(at + Channel(i),
                             {PackBf16(x[i], x[i + 1]), PackBf16(x[i + 2], x[i + 3])});
      }
    }
  }

  // By the angles of `token`, or back. All lanes call, those without a head as well.
  NAVIT_DEVICE static void Rotate(float (&x)[8], Global<const float> cos_sin, int64_t token,
                                  bool valid, bool inverse) {
    if constexpr (kNeighbours) {
      const bool low = Piece() < kLanes / 2;
      // The low half loses what the high half gains.
      const float sign = low != inverse ? -1.0f : 1.0f;
      const int64_t at = token * kDim + Piece() % (kLanes / 2) * 8;
      NAVIT_UNROLL
      for (int i = 0; i < 8; ++i) {
        const float other = ShuffleXor(x[i], kLanes / 2);
        if (!valid) continue;
        x[i] = x[i] * cos_sin.Load(at + i) + sign * other * cos_sin.Load(at + kHalf + i);
      }
    } else if (valid) {
      NAVIT_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int64_t at = token * kDim + Channel(i);
        const float cosine = cos_sin.Load(at);
        const float sine = inverse ? -cos_sin.Load(at + kHalf) : cos_sin.Load(at + kHalf);
        const float low = x[i];
        x[i] = low * cosine - x[i + 4] * sine;
        x[i + 4] = x[i + 4] * cosine + low * sine;
      }
    }
  }
};

template <int kDim>
struct ForwardKernel {
  using Args = QkNormRopeForwardArgs;
  static constexpr int kThreads = 256;
  static constexpr int kHeads = kThreads / Head<kDim>::kLanes;  // of a block at a time

  NAVIT_DEVICE static void Run(const Args& args) {
    using H = Head<kDim>;
    const int64_t index = BlockIndex() * kHeads + ThreadIndex() / H::kLanes;
    const bool valid = index < args.tokens * 3 * args.heads && H::HasChannels();
    // Divisions of 32 bits, which take a fraction of the instructions of 64.
    const auto heads = static_cast<uint32_t>(args.heads);
    const uint32_t part = static_cast<uint32_t>(index) / heads;
    const int64_t head = static_cast<uint32_t>(index) - part * heads, token = part / 3;
    const int which = static_cast<int>(part % 3);
    const bool norm = valid && which < 2;
    float x[8] = {}, gain[8] = {};
    if (valid) H::Load(x, Global<const Bf16>(args.qkv), index * kDim);
    float sum = 0;
    NAVIT_UNROLL
    for (int i = 0; i < 8; ++i) sum = Fma(x[i], x[i], sum);
    const float inv_rms = 1 / Sqrt(LaneSum<H::kLanes>(sum) / kDim + args.eps);
    if (norm) {
      H::Load(gain, Global<const float>(which == 0 ? args.q_gain : args.k_gain), 0);
      NAVIT_UNROLL
      for (int i = 0; i < 8; ++i) x[i] *= inv_rms * gain[i];
      if (args.inv_rms != nullptr && H::Piece() == 0) {
        Global<float>(args.inv_rms).Store((token * 2 + which) * args.heads + head, inv_rms);
      }
    }
    if (args.cos_sin != nullptr) {
      H::Rotate(x, Global<const float>(args.cos_sin), token, norm, false);
    }
    if (norm || (valid && args.normed != args.qkv)) {
      H::Store(x, Global<Bf16>(args.normed), index * kDim);
    }
  }
};

// A block has kQkNormSlab tokens of q or of k.
template <int kDim>
struct BackwardKernel {
  struct Args : QkNormRopeBackwardArgs {
    int64_t slabs;  // QkNormSlabs(tokens)
  };
  static constexpr int kThreads = 256;
  static constexpr int kHeads = kThreads / Head<kDim>::kLanes;

  NAVIT_DEVICE static void Run(const Args& args) {
    using H = Head<kDim>;
    const int64_t slab = BlockIndex() % args.slabs, which = BlockIndex() / args.slabs;
    const int64_t last =
        (slab + 1) * kQkNormSlab < args.tokens ? (slab + 1) * kQkNormSlab : args.tokens;
    const int group = ThreadIndex() / H::kLanes;
    float gain[8] = {}, dgain[8] = {};
    if (H::HasChannels()) {
      H::Load(gain, Global<const float>(which == 0 ? args.q_gain : args.k_gain), 0);
    }
    const int64_t end = last * args.heads;
    for (int64_t base = slab * kQkNormSlab * args.heads; base < end; base += kHeads) {
      const int64_t index = base + group;
      const bool valid = index < end && H::HasChannels();
      const auto heads = static_cast<uint32_t>(args.heads);
      const uint32_t token = static_cast<uint32_t>(index) / heads;
      const int64_t head = static_cast<uint32_t>(index) - token * heads;
      const int64_t at = ((int64_t{3} * token + which) * args.heads + head) * kDim;
      float x[8] = {}, g[8] = {}, inv_rms = 0;
      if (valid) {
        H::Load(x, Global<const Bf16>(args.qkv), at);
        H::Load(g, Global<const Bf16>(args.dqkv), at);
        inv_rms = Global<const float>(args.inv_rms)
                      .Load((int64_t{2} * token + which) * args.heads + head);
      }
      if (args.cos_sin != nullptr) {
        H::Rotate(g, Global<const float>(args.cos_sin), token, valid, true);
      }
      float sum = 0;
      NAVIT_UNROLL
      for (int i = 0; i < 8; ++i) {
        x[i] *= inv_rms;
        dgain[i] = Fma(g[i], x[i], dgain[i]);
        g[i] *= gain[i];
        sum = Fma(g[i], x[i], sum);
      }
      const float mean = LaneSum<H::kLanes>(sum) / kDim;
      if (!valid) continue;
      NAVIT_UNROLL
      for (int i = 0; i < 8; ++i) g[i] = inv_rms * (g[i] - x[i] * mean);
      H::Store(g, Global<Bf16>(args.dqkv), at);
    }
    const Shared<float> shared = SharedMemory<float>(0, kHeads * kDim);
    if (H::HasChannels()) {
      NAVIT_UNROLL
      for (int i = 0; i < 8; ++i) shared.Store(group * kDim + H::Channel(i), dgain[i]);
    }
    BlockBarrier();
    if (ThreadIndex() >= kDim) return;
    float sum = 0;
    for (int i = 0; i < kHeads; ++i) sum += shared.Load(i * kDim + ThreadIndex());
    Global<float>(args.partial).Store(BlockIndex() * kDim + ThreadIndex(), sum);
  }
};

template <int kDim>
struct RopeKernel {
  using Args = RopeArgs;
  static constexpr int kThreads = 256;
  static constexpr int kHeads = kThreads / Head<kDim>::kLanes;

  NAVIT_DEVICE static void Run(const Args& args) {
    using H = Head<kDim>;
    const int64_t index = BlockIndex() * kHeads + ThreadIndex() / H::kLanes;
    const bool valid = index < args.tokens * 2 * args.heads && H::HasChannels();
    const auto heads = static_cast<uint32_t>(args.heads);
    const uint32_t part = static_cast<uint32_t>(index) / heads;
    const int64_t head = static_cast<uint32_t>(index) - part * heads, token = part / 2;
    const int64_t at = ((token * 3 + part % 2) * args.heads + head) * kDim;
    float x[8] = {};
    if (valid) H::Load(x, Global<const Bf16>(args.qkv), at);
    H::Rotate(x, Global<const float>(args.cos_sin), token, valid, args.inverse);
    if (valid) H::Store(x, Global<Bf16>(args.qkv), at);
  }
};

template <int kDim>
LaunchError Forward(const QkNormRopeForwardArgs& args, Stream stream) {
  using Kernel = ForwardKernel<kDim>;
  const int64_t heads = args.tokens * 3 * args.heads;
  return Launch<Kernel>({(heads + Kernel::kHeads - 1) / Kernel::kHeads, Kernel::kThreads, 0},
                        stream, args);
}

template <int kDim>
LaunchError Backward(const QkNormRopeBackwardArgs& args, Stream stream) {
  using Kernel = BackwardKernel<kDim>;
  const int64_t slabs = QkNormSlabs(args.tokens);
  LaunchError error = Launch<Kernel>(
      {2 * slabs, Kernel::kThreads, static_cast<int64_t>(Kernel::kHeads * kDim * sizeof(float))},
      stream, {args, slabs});
  if (error.ok()) error = AddRows(slabs, kDim, args.partial, args.dq_gain, stream);
  if (error.ok()) error = AddRows(slabs, kDim, args.partial + slabs * kDim, args.dk_gain, stream);
  return error;
}

template <int kDim>
LaunchError RopeAlone(const RopeArgs& args, Stream stream) {
  using Kernel = RopeKernel<kDim>;
  const int64_t heads = args.tokens * 2 * args.heads;
  return Launch<Kernel>({(heads + Kernel::kHeads - 1) / Kernel::kHeads, Kernel::kThreads, 0},
                        stream, args);
}

}  // namespace

LaunchError Rope(const RopeArgs& args, Stream stream) {
  return ForHeadDim(args.head_dim, [&](auto dim) { return RopeAlone<dim()>(args, stream); });
}

LaunchError QkNormRopeForward(const QkNormRopeForwardArgs& args, Stream stream) {
  return ForHeadDim(args.head_dim, [&](auto dim) { return Forward<dim()>(args, stream); });
}

LaunchError QkNormRopeBackward(const QkNormRopeBackwardArgs& args, Stream stream) {
  return ForHeadDim(args.head_dim, [&](auto dim) { return Backward<dim()>(args, stream); });
}

}  // namespace navit::kernels::cuda
