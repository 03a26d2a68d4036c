// Packing the token counts of a window into rows (sequences) of fixed capacity.
#ifndef NAVIT_PACKER_ROW_PACKING_H_
#define NAVIT_PACKER_ROW_PACKING_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace navit {

// Rows of item numbers; each item is in exactly one row.
using Rows = std::vector<std::vector<uint32_t>>;

// All functions: `tokens[i]` in [1, capacity]; a row holds at most `capacity` tokens and at most
// `max_items` >= 1 items; the result is a pure function of the arguments.

// Oldest-first subset-sum: a row takes the oldest item left and, of the next `kLookAhead` ones, a
// set that fills the rest exactly or as nearly as possible, preferring older items (bitset dynamic
// programming). Leaves practically no padding where four or more items fill a row and max_items
// does not bind.
Rows PackSubsetSum(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items);

// Fills by tokens per remaining slot, over the whole window: a row takes the largest item left,
// then again and again the item nearest to (capacity left) / (slots left), and its last two so that
// they fit exactly where there are such. Slots per row follow the mean of the items left, so that
// rows stay alike to the end; at one or two items a row this is best-fit decreasing. For windows
// where max_items binds, or where few items fill a row.
Rows PackBySlots(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items);

// Evaluation: in order, a new row where the item does not fit.
Rows PackNextFit(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items);

// For comparison: first-fit with `open_rows` rows open; the fullest closes when none fits.
Rows PackFirstFit(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                  uint32_t open_rows);

// What a training window uses: subset-sum where at least four items fill a row and max_items is not
// near; else whichever of subset-sum and by-slots needs fewer rows.
Rows PackWindow(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items);

}  // namespace navit

#endif  // NAVIT_PACKER_ROW_PACKING_H_
