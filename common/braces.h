// Brace expansion of names, as shells do it and as WebDataset users write it.
//
//   {00000..00999}     numbers; with a leading zero at an end, as wide as the wider end
//   {0..10..2} {9..0}  in steps, and backwards; {a..e} letters
//   {train,extra}      choices, also none: {,x}; groups may lie in one another: {a,b{1..3}}
//   \{  \}  \,         the characters themselves
//
// Several groups multiply, the last one fastest. What is neither a list nor a range stays as it is
// written, with its braces: {a}, {}.
#ifndef NAVIT_COMMON_BRACES_H_
#define NAVIT_COMMON_BRACES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

// A pattern names at most so many names, of so many bytes together, in groups so deep.
inline constexpr uint64_t kMostBraceNames = 1000000;
inline constexpr uint64_t kMostBraceBytes = uint64_t{256} << 20;
inline constexpr int kDeepestBraces = 32;

// All names, in the order of the groups; at least one. InvalidArgument says what is wrong and at
// which character: a brace without its other half, {x..y} that is no range, or more names than the
// limits above.
absl::StatusOr<std::vector<std::string>> ExpandBraces(absl::string_view pattern);

// How many names ExpandBraces would make, or its error.
absl::StatusOr<uint64_t> CountBraces(absl::string_view pattern);

}  // namespace navit

#endif  // NAVIT_COMMON_BRACES_H_
