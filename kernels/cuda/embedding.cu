#include "kernels/cuda/device.h"
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/rows.h"

namespace navit::kernels::cuda {
namespace {

struct EmbedToken {
  using Args = EmbeddingForwardArgs;

  NAVIT_DEVICE static void At(const Args& args, int64_t token) {
    const int64_t dim = args.dim;
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
  const LaunchError error = FillZeroRows(args.y, args.used_tokens, args.tokens, args.dim, stream);
  if (!error.ok()) return error;
  return ForEachRow<EmbedToken>(args.used_tokens, args, stream);
}

}  // namespace navit::kernels::cuda
