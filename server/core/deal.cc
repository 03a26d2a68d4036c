#include "server/core/deal.h"

#include <algorithm>

namespace navit {
namespace {

// Of both towers: an image's tokens, and its caption's.
uint64_t Tokens(const PackCost& pack) { return uint64_t{pack.image_tokens} + pack.text_tokens; }

// Σn² of both, the captions of a pack taken as equally long.
uint64_t Squares(const PackCost& pack) {
  const uint64_t text = pack.text_tokens;
  return pack.sum_squares + (pack.valid_examples == 0 ? 0 : text * text / pack.valid_examples);
}

}  // namespace

v1::StepDeal Deal(uint64_t step, uint64_t first_ordinal, absl::Span<const PackCost> packs,
                  uint32_t world_size) {
  using Wide = unsigned __int128;
  v1::StepDeal deal;
  deal.set_step(step);
  deal.set_first_ordinal(first_ordinal);
  deal.set_packs(packs.size());
  uint64_t samples = 0, valid = 0, holes = 0, tokens = 0, capacity = 0, text = 0;
  uint64_t all_tokens = 1, all_squares = 1;
  for (const PackCost& pack : packs) {
    samples += pack.examples;
    valid += pack.valid_examples;
    holes += pack.holes;
    tokens += pack.image_tokens;
    capacity += pack.capacity_tokens;
    text += pack.text_tokens;
    all_tokens += Tokens(pack);
    all_squares += Squares(pack);
  }
  deal.set_samples(samples);
  deal.set_valid_examples(valid);
  deal.set_holes(holes);
  deal.set_image_tokens(tokens);
  deal.set_capacity_tokens(capacity);
  deal.set_text_tokens(text);
  for (uint32_t rank = 0; rank < world_size; ++rank) deal.add_ranks();
  deal.mutable_rank_valid_examples()->Resize(world_size, 0);

  // cost = tokens/Σtokens + squares/Σsquares, times both sums: whole numbers below 2^128 as long as
  // both sums are below 2^62. One is added so that a pack of holes still counts for something.
  auto cost = [&](const PackCost& pack) {
    return Wide{Tokens(pack)} * all_squares + Wide{Squares(pack)} * all_tokens + 1;
  };
  Wide total = 0;
  for (const PackCost& pack : packs) total += cost(pack);
  Wide before = 0;
  for (size_t i = 0; i < packs.size(); ++i) {
    // The run in which the pack's middle falls when the line of costs is cut into equal parts.
    const Wide middle = before + cost(packs[i]) / 2;
    const Wide part = total / world_size + 1;
    const uint32_t run = std::min<uint32_t>(static_cast<uint32_t>(middle / part), world_size - 1);
    const uint32_t rank = (run + step) % world_size;
    deal.mutable_ranks(rank)->add_ordinals(first_ordinal + i);
    deal.set_rank_valid_examples(rank, deal.rank_valid_examples(rank) + packs[i].valid_examples);
    before += cost(packs[i]);
  }
  return deal;
}

}  // namespace navit
