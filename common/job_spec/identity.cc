#include "common/job_spec/identity.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job_spec/rules.h"
#include "common/job_spec/scalar.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace navit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

using Leaves = std::vector<std::pair<std::string, std::string>>;

// (path, value) of every present IDENTITY field. A group's own mark does not count: data is
// IDENTITY, data.index is not.
void CollectLeaves(const Message& message, const std::string& path, Leaves* leaves) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string here = JoinPath(path, field.name());
    const bool group = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!group && RuleOf(field).mutability() != v1::IDENTITY) continue;
    if (!field.is_repeated()) {
      if (!reflection.HasField(message, &field)) continue;
      if (group) {
        CollectLeaves(reflection.GetMessage(message, &field), here, leaves);
      } else {
        leaves->emplace_back(here, ScalarText(message, field));
      }
      continue;
    }
    // The entries of a list of groups count only where the list itself does: the captions of
    // data.validation are no part of what is trained.
    if (RuleOf(field).mutability() != v1::IDENTITY) continue;
    for (int j = 0; j < reflection.FieldSize(message, &field); ++j) {
      const std::string element = IndexPath(here, j);
      if (group) {
        CollectLeaves(reflection.GetRepeatedMessage(message, &field, j), element, leaves);
      } else {
        leaves->emplace_back(element, ScalarText(message, field, j));
      }
    }
  }
}

Leaves IdentityLeaves(const v1::JobSpec& spec) {
  Leaves leaves;
  CollectLeaves(spec, "", &leaves);
  return leaves;
}

}  // namespace

uint64_t IdentityHash(const v1::JobSpec& spec) {
  std::string text;
  // A length before each value keeps a value with a line break from looking like two.
  for (const auto& [path, value] : IdentityLeaves(spec)) {
    absl::StrAppend(&text, path, "=", value.size(), ":", value, "\n");
  }
  return XXH3_64bits(text.data(), text.size());
}

std::vector<std::string> IdentityDifference(const v1::JobSpec& a, const v1::JobSpec& b) {
  const Leaves of_a = IdentityLeaves(a);
  const Leaves of_b = IdentityLeaves(b);
  const std::map<std::string, std::string> map_a(of_a.begin(), of_a.end());
  const std::map<std::string, std::string> map_b(of_b.begin(), of_b.end());
  std::vector<std::string> different;
  for (const auto& [path, value] : of_a) {
    const auto other = map_b.find(path);
    if (other == map_b.end() || other->second != value) different.push_back(path);
  }
  for (const auto& [path, value] : of_b) {
    if (!map_a.contains(path)) different.push_back(path);
  }
  return different;
}

}  // namespace navit
