#include "worker/model/micro_batches.h"

#include <algorithm>
#include <utility>

namespace navit {

std::vector<MicroBatch> MakeMicroBatches(absl::Span<const Batch> packs, int64_t max_tokens,
                                         std::vector<MicroBatch> last) {
  std::vector<MicroBatch> result;
  int64_t first_example = 0;
  for (size_t begin = 0; begin < packs.size();) {
    int64_t tokens = packs[begin].image_tokens();
    std::vector<const Batch*> members = {&packs[begin]};
    size_t end = begin + 1;
    for (; end < packs.size() && tokens + packs[end].image_tokens() <= max_tokens; ++end) {
      tokens += packs[end].image_tokens();
      members.push_back(&packs[end]);
    }
    begin = end;
    MicroBatch micro;
    Batch memory;
    if (result.size() < last.size()) memory = std::move(last[result.size()].batch);
    micro.batch = Concatenate(members, std::move(memory));
    if (micro.batch.examples() == 0) continue;
    micro.first_example = first_example;
    first_example += micro.batch.examples();
    result.push_back(std::move(micro));
  }
  return result;
}

double UsefulTrainingFlops(const ModelConfig& config, const std::vector<MicroBatch>& micros) {
  std::vector<int64_t> image_tokens, text_tokens;
  const auto add = [](const std::vector<int32_t>& cu_seqlens, std::vector<int64_t>* lengths) {
    for (size_t i = 1; i < cu_seqlens.size(); ++i) {
      lengths->push_back(cu_seqlens[i] - cu_seqlens[i - 1]);
    }
  };
  for (const MicroBatch& micro : micros) {
    add(micro.batch.image_cu_seqlens, &image_tokens);
    add(micro.batch.text_cu_seqlens, &text_tokens);
  }
  return 3 * UsefulForwardFlops(config, image_tokens, text_tokens);
}

size_t AssignSlots(absl::Span<const size_t> sizes, size_t limit, std::vector<MicroBatch>* micros) {
  const size_t largest = sizes.empty() ? 0 : *std::max_element(sizes.begin(), sizes.end());
  size_t slots = 0;
  size_t used = 0;
  while (slots < sizes.size() && used + sizes[slots] <= limit) used += sizes[slots++];
  if (slots < sizes.size()) {
    // Room for the largest of those that share a slot.
    while (slots > 0 && used + largest > limit) used -= sizes[--slots];
    ++slots;
  }
  for (size_t i = 0; i < micros->size(); ++i) (*micros)[i].slot = std::min(i, slots - 1);
  return slots;
}

}  // namespace navit
