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

// Rows of like numbers of items: a row is to have as many as the mean of what is left needs to fill
// it, at most max_items. All but the last few are the oldest left, which keeps the mix of sizes to
// the end of the window; the last few are chosen, by sum and number (bitset dynamic programming
// over both), so that they fill the row exactly or as nearly as possible. For windows where
// max_items binds, and for rows of few items.
Rows PackBalanced(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items);

// Best fit, largest items first: an item goes where it leaves the least room. For rows of few
// items. With a `tolerance` above 0 (2^-16) an item that is larger than a room by at most that
// share of its own tokens is lowered to it in `tokens`: a little more token drop for a full row, at
// most once a row. `fixed` of each item's tokens (below all of them) cannot be dropped.
Rows PackBestFit(absl::Span<uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                 uint32_t tolerance, uint32_t fixed = 0);

// Evaluation: in order, a new row where the item does not fit.
Rows PackNextFit(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items);

// For comparison: first-fit with `open_rows` rows open; the fullest closes when none fits.
Rows PackFirstFit(absl::Span<const uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                  uint32_t open_rows);

// What a training window uses: the first of these that needs the fewest rows: subset-sum, balanced,
// best fit; balanced comes first where max_items is near. Only best fit has a use for `tolerance`
// and `fixed`, and lowers `tokens` when its rows are taken.
Rows PackWindow(absl::Span<uint32_t> tokens, uint32_t capacity, uint32_t max_items,
                uint32_t tolerance, uint32_t fixed = 0);

}  // namespace navit

#endif  // NAVIT_PACKER_ROW_PACKING_H_
