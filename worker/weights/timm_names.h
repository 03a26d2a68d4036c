// The tensors of timm's image towers, and where their numbers lie in ours.
//
// timm has two families of names: NaFlexVit ("embeds.proj.weight", patches as rows of a matrix) and
// the classic VisionTransformer ("patch_embed.proj.weight", patches as a convolution; one table of
// positions that begins with the prefix tokens). What follows the patches is named alike.
#ifndef NAVIT_WORKER_WEIGHTS_TIMM_NAMES_H_
#define NAVIT_WORKER_WEIGHTS_TIMM_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "worker/model/parameters.h"

namespace navit {

enum class TimmFamily { kNaFlexVit, kVisionTransformer };

struct TimmTensor {
  enum class Layout {
    // The same numbers in the same order.
    kSame,
    // [D, 3, p, p] there, [D, p, p, 3] here.
    kConvolution,
    // [1, P + R R, D]: the first P rows are added to the prefix tokens, the others are the table.
    kPositionsAfterPrefix,
  };

  std::string name;
  // timm's.
  std::vector<int64_t> shape;
  Layout layout = Layout::kSame;
  // Ours; null: a bias that our tower does not have. There it must be zero or missing.
  const ParameterInfo* parameter = nullptr;
  // Where in the parameter the tensor begins.
  size_t first = 0;
  // False: timm makes the tensor only if it is there at all, so that an export leaves it out.
  bool always_there = true;
};

// All tensors of the image tower of `table` in the order of a forward pass; `class_tokens`, 0 or 1,
// of its prefix tokens are timm's class token, the others its registers. The projection to the
// common width has no counterpart. Requires that the tower has a counterpart in the family: a
// position embedding that is a sum or joint, and no prefix of more than one class token.
std::vector<TimmTensor> TimmTensors(const ParameterTable& table, TimmFamily family,
                                    int64_t class_tokens);

}  // namespace navit

#endif  // NAVIT_WORKER_WEIGHTS_TIMM_NAMES_H_
