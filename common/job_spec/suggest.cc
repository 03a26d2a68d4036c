#include "common/job_spec/suggest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/job_spec/rules.h"
#include "proto/job_spec.pb.h"

namespace navit {
namespace {

using google::protobuf::Descriptor;

// Path of the first field called `name` below `type`, in the order of the file; "" if none.
std::string FindByName(const Descriptor& type, absl::string_view name, const std::string& path) {
  for (int i = 0; i < type.field_count(); ++i) {
    const std::string here = JoinPath(path, type.field(i)->name());
    if (type.field(i)->name() == name) return here;
  }
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->message_type() == nullptr) continue;
    std::string found =
        FindByName(*type.field(i)->message_type(), name, JoinPath(path, type.field(i)->name()));
    if (!found.empty()) return found;
  }
  return "";
}

}  // namespace

int EditDistance(absl::string_view a, absl::string_view b) {
  // Rows of the table for the prefixes of `a` of length i - 2, i - 1 and i.
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string NearestName(absl::string_view name, const std::vector<std::string>& candidates) {
  // Longer names are not names that somebody mistyped.
  if (name.size() > 64) return "";
  std::string nearest;
  int nearest_distance = 1 + std::max<int>(1, static_cast<int>(name.size()) / 3);
  for (const std::string& candidate : candidates) {
    const int distance = EditDistance(name, candidate);
    if (distance < nearest_distance) {
      nearest_distance = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string SuggestField(absl::string_view name, const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  std::string meant = NearestName(name, names);
  if (meant.empty()) meant = FindByName(*v1::JobSpec::descriptor(), name, "");
  return meant.empty() ? "" : absl::StrCat("; did you mean ", meant, "?");
}

}  // namespace navit
