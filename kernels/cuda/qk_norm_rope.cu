#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/qk_norm_rope.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

// A head of a token is spread over kDim / 8 lanes, eight channels each. The partner of a channel in
// the rotation, half a head away, is at the same place of the lane `kLanes / 2` away.
template <int kDim>
struct Head {
  static constexpr int kLanes = kDim / 8;
  static constexpr int kHalf = kDim / 2;

  NAVIT_DEVICE static int Piece() { return ThreadIndex() % kLanes; }

  // By the angles of `token`, or back. All lanes call, those without a head as well.
  NAVIT_DEVICE static void Rotate(float (&x)[8], Global<const float> cos_sin, int64_t token,
                                  bool valid, bool inverse) {
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
    const bool valid = index < args.tokens * 3 * args.heads;
    // Divisions of 32 bits, which take a fraction of the instructions of 64.
    const auto heads = static_cast<uint32_t>(args.heads);
    const uint32_t part = static_cast<uint32_t>(index) / heads;
    const int64_t head = static_cast<uint32_t>(index) - part * heads, token = part / 3;
    const int which = static_cast<int>(part % 3);
    const int64_t at = index * kDim + H::Piece() * 8;
    const bool norm = valid && which < 2;
    float x[8] = {}, gain[8] = {};
    if (valid) LoadEight(x, Global<const Bf16>(args.qkv), at, kDim);
    float sum = 0;
    NAVIT_UNROLL
    for (int i = 0; i < 8; ++i) sum = Fma(x[i], x[i], sum);
    const float inv_rms = 1 / Sqrt(LaneSum<H::kLanes>(sum) / kDim + args.eps);
    if (norm) {
      LoadEight(gain, Global<const float>(which == 0 ? args.q_gain : args.k_gain), H::Piece() * 8,
                kDim);
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
      StoreEight(x, Global<Bf16>(args.normed), at, kDim);
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
    float gain[8], dgain[8] = {};
    LoadEight(gain, Global<const float>(which == 0 ? args.q_gain : args.k_gain), H::Piece() * 8,
              kDim);
    const int64_t end = last * args.heads;
    for (int64_t base = slab * kQkNormSlab * args.heads; base < end; base += kHeads) {
      const int64_t index = base + group;
      const bool valid = index < end;
      const auto heads = static_cast<uint32_t>(args.heads);
      const uint32_t token = static_cast<uint32_t>(index) / heads;
      const int64_t head = static_cast<uint32_t>(index) - token * heads;
      const int64_t at = ((int64_t{3} * token + which) * args.heads + head) * kDim + H::Piece() * 8;
      float x[8] = {}, g[8] = {}, inv_rms = 0;
      if (valid) {
        LoadEight(x, Global<const Bf16>(args.qkv), at, kDim);
        LoadEight(g, Global<const Bf16>(args.dqkv), at, kDim);
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
      StoreEight(g, Global<Bf16>(args.dqkv), at, kDim);
    }
    const Shared<float> shared = SharedMemory<float>(0, kHeads * kDim);
    NAVIT_UNROLL
    for (int i = 0; i < 8; ++i) shared.Store(group * kDim + H::Piece() * 8 + i, dgain[i]);
    BlockBarrier();
    if (ThreadIndex() >= kDim) return;
    float sum = 0;
    for (int i = 0; i < kHeads; ++i) sum += shared.Load(i * kDim + ThreadIndex());
    Global<float>(args.partial).Store(BlockIndex() * kDim + ThreadIndex(), sum);
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

}  // namespace

LaunchError QkNormRopeForward(const QkNormRopeForwardArgs& args, Stream stream) {
  return args.head_dim == 16 ? Forward<16>(args, stream) : Forward<64>(args, stream);
}

LaunchError QkNormRopeBackward(const QkNormRopeBackwardArgs& args, Stream stream) {
  return args.head_dim == 16 ? Backward<16>(args, stream) : Backward<64>(args, stream);
}

}  // namespace navit::kernels::cuda
