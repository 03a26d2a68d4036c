// YAML text (JSON is a part of YAML) -> a tree of nodes with their places in the text. Made for
// texts from outside: size, depth and number of nodes are bounded, and aliases (which could make a
// small text huge) are refused.
#ifndef NAVIT_COMMON_JOB_SPEC_YAML_TREE_H_
#define NAVIT_COMMON_JOB_SPEC_YAML_TREE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

struct YamlNode {
  enum Kind { kNull, kScalar, kList, kMap };
  Kind kind = kNull;
  // 1-based place of the node's first character.
  int line = 1;
  int column = 1;
  // kScalar: its text, without quotes; what it means is the reader's business.
  std::string text;
  // kList: the elements. kMap: the values; `keys` has the same length.
  std::vector<YamlNode> children;
  std::vector<YamlNode> keys;
};

inline constexpr size_t kYamlLongestText = 1 << 20;
inline constexpr int kYamlDeepest = 32;
inline constexpr int kYamlMostNodes = 50000;

// INVALID_ARGUMENT: "FILENAME:LINE:COLUMN: message", for text that is no YAML, holds no or more
// than one document, exceeds a bound, or uses aliases or tags.
absl::StatusOr<YamlNode> ParseYaml(absl::string_view text, absl::string_view filename);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_YAML_TREE_H_
