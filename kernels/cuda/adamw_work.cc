#include <algorithm>

#include "kernels/cuda/adamw.h"

namespace navit::kernels::cuda {

std::vector<AdamWPiece> MakeAdamWPieces(const std::vector<AdamWRange>& ranges) {
  std::vector<AdamWPiece> pieces;
  for (const AdamWRange& range : ranges) {
    for (int64_t begin = range.begin; begin < range.end; begin += kAdamWPiece) {
      pieces.push_back(
          {begin, static_cast<int32_t>(std::min<int64_t>(kAdamWPiece, range.end - begin)),
           static_cast<float>(range.lr_scale), static_cast<float>(range.weight_decay)});
    }
  }
  return pieces;
}

}  // namespace navit::kernels::cuda
