#include "server/core/limits.h"

#include <algorithm>

namespace navit {

uint64_t MaxFrameBytes(const v1::JobSpec& spec) {
  uint64_t tokens = spec.packing().sequence_length();
  for (const uint32_t budget : spec.evaluation().token_budgets()) {
    tokens = std::max<uint64_t>(tokens, budget);
  }
  const uint64_t patch = spec.model().image().patch_size();
  // Patch bytes, and its row and column.
  const uint64_t token_bytes = 3 * patch * patch + 4;
  // Sample, tokens, grid, text tokens, label as varints, the caption's hash, and a hole in the
  // header.
  const uint64_t example_bytes =
      10 + 5 + 5 + 5 + 5 + 5 + 8 + 20 + 2 * spec.model().text().max_tokens();
  return tokens * token_bytes + spec.packing().max_examples_per_sequence() * example_bytes + 1024;
}

}  // namespace navit
