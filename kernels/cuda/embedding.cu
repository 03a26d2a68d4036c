#include "kernels/cuda/device.h"
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

struct EmbeddingKernel {
  using Args = EmbeddingForwardArgs;
  static constexpr int kThreads = kRowThreads;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int64_t token = RowIndex(), dim = args.dim;
    if (token >= args.used_tokens) return;
    const int64_t id = Global<const uint16_t>(args.ids).Load(token);
    const int64_t place = Global<const int32_t>(args.place).Load(token);
    const Global<const float> word = Global<const float>(args.token_table) + id * dim;
    const Global<const float> position = Global<const float>(args.position_table) + place * dim;
    for (int64_t i = RowBegin(); i < dim; i += kRowStep) {
      float a[8], b[8];
      LoadEight(a, word, i, dim);
      LoadEight(b, position, i, dim);
      NAVIT_UNROLL
      for (int j = 0; j < 8; ++j) a[j] += b[j];
      StoreEight(a, Global<Bf16>(args.y) + token * dim, i, dim);
    }
  }
};

}  // namespace

LaunchError EmbeddingForward(const EmbeddingForwardArgs& args, Stream stream) {
  const LaunchError error = FillZero(
      args.y + args.used_tokens * args.dim,
      (args.tokens - args.used_tokens) * args.dim * static_cast<int64_t>(sizeof(Bf16)), stream);
  if (!error.ok()) return error;
  return Launch<EmbeddingKernel>({RowBlocks(args.used_tokens), kRowThreads, 0}, stream, args);
}

}  // namespace navit::kernels::cuda
