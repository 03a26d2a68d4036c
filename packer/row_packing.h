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
// rows stay alike to the end. For windows where max_items binds.
Rows PackBySlots(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items);

// Best fit, largest items first: an item goes where it leaves the least room. For rows of few
// items. With a `tolerance` above 0 (2^-16) an item that is larger than a room by at most that
// share of its own tokens is lowered to it in `tokens`: a little more token drop for a full row, at
// most once a row.
Rows PackBestFit(absl::Span<uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                 uint32_t tolerance);

// Evaluation: in order, a new row where the item does not fit.
Rows PackNextFit(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items);

// For comparison: first-fit with `open_rows` rows open; the fullest closes when none fits.
Rows PackFirstFit(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                  uint32_t open_rows);

// What a training window uses: the first of these that needs the fewest rows, by slots (only where
// max_items is near), subset-sum, best fit. Only best fit has a use for `tolerance`, and lowers
// `tokens` when its rows are taken.
Rows PackWindow(absl::Span<uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                uint32_t tolerance);

}  // namespace navit

#endif  // NAVIT_PACKER_ROW_PACKING_H_
