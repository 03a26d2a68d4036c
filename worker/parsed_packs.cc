#include "worker/parsed_packs.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace navit {

absl::StatusOr<ParsedPacks> ParsePacks(const StepPacks& packs, const ModelConfig& config) {
  ParsedPacks parsed;
  for (const v1::Frame& pack : packs.packs) {
    absl::StatusOr<Batch> batch = ParseBatch(pack.payload(), config);
    if (!batch.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("pack ", pack.header().index(), " of window ",
                                                     pack.header().window(), ": ",
                                                     batch.status().message()));
    }
    parsed.examples += batch->examples();
    parsed.image_tokens += batch->image_tokens();
    parsed.text_tokens += batch->text_tokens();
    parsed.batches.push_back(*std::move(batch));
  }
  return parsed;
}

}  // namespace navit
