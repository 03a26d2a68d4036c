// A picture of packed sequences for people: what `navitctl preview` writes.
//
// Every row is a sequence. Its images stand side by side, all at one scale, in their own patches;
// patches that were dropped are blank. The bar below is the sequence itself, one place a token:
// each image's share, its prefix tokens dark, hangs from the image by a tinted band; padding is
// hatched. Fill and image count stand beside the row.
#ifndef NAVIT_PACKER_PREVIEW_SEQUENCE_PICTURE_H_
#define NAVIT_PACKER_PREVIEW_SEQUENCE_PICTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/pack.pb.h"

namespace navit {

struct SequenceCaption {
  // The title, and facts that follow it: what the rows are and where they come from.
  std::string title;
  std::vector<std::string> facts;
  // Image tokens that a sequence can hold, > 0.
  uint32_t sequence_length = 0;
  // Of each image, before its patches (class and register tokens).
  uint32_t prefix_tokens = 0;
};

// A PNG with a row for each of `packs`, which are non-empty and of one patch size > 0. Memory and
// time grow with the number of rows. InvalidArgument: not packs of PackMaker.
absl::StatusOr<std::string> DrawSequences(const SequenceCaption& caption,
                                          absl::Span<const v1::Pack> packs);

namespace preview_internal {

// Left borders of boxes `widths` wide, in order, `gap` apart at least, within [left, right), each
// as near as possible (least squares) to where its centre would be at `centres`. Requires that they
// fit.
std::vector<int> PlaceInOrder(absl::Span<const int> widths, absl::Span<const double> centres,
                              int gap, int left, int right);

}  // namespace preview_internal
}  // namespace navit

#endif  // NAVIT_PACKER_PREVIEW_SEQUENCE_PICTURE_H_
