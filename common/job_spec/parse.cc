#include "common/job_spec/parse.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/job_spec/message_reader.h"
#include "common/job_spec/rules.h"
#include "common/job_spec/scalar.h"
#include "common/job_spec/suggest.h"
#include "common/job_spec/yaml_tree.h"
#include "common/status_macros.h"

namespace navit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMostFaults = 50;

std::string FaultText(absl::string_view filename, const MessageReader::Fault& fault) {
  return absl::StrCat(filename, ":", fault.place.line, ":", fault.place.column, ": ",
                      fault.path.empty() ? "" : absl::StrCat(fault.path, ": "), fault.message);
}

absl::Status Fault(absl::string_view path, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", message));
}

// A step of the way from the spec to a field: the message that holds it, and the path so far.
struct Position {
  Message* message;
  std::string path;
};

// Element `index` of a list of groups; one past the end makes it.
absl::StatusOr<Position> EnterElement(Position at, const FieldDescriptor& field,
                                      absl::string_view index_text) {
  const google::protobuf::Reflection& reflection = *at.message->GetReflection();
  const int size = reflection.FieldSize(*at.message, &field);
  int index = 0;
  if (!absl::SimpleAtoi(index_text, &index) || index < 0 || index > size) {
    return Fault(at.path, absl::StrCat("must be followed by the index of an entry, 0 to ", size,
                                       ", not by ", Quoted(index_text)));
  }
  Message* element = index == size ? reflection.AddMessage(at.message, &field)
                                   : reflection.MutableRepeatedMessage(at.message, &field, index);
  return Position{element, IndexPath(at.path, index)};
}

absl::Status StoreValue(absl::string_view value, const std::string& path,
                        const FieldDescriptor& field, Message* message) {
  message->GetReflection()->ClearField(message, &field);
  if (value.empty()) return absl::OkStatus();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field.is_repeated()) {
    return StoreScalar(value, field, message);
  }
  absl::StatusOr<YamlNode> node = ParseYaml(value, path);
  NAVIT_RETURN_IF_ERROR(node.status());
  MessageReader reader(1, nullptr);
  reader.ReadField(*node, path, field, message);
  if (reader.faults().empty()) return absl::OkStatus();
  return Fault(reader.faults()[0].path, reader.faults()[0].message);
}

}  // namespace

void SourceLocations::Add(absl::string_view path, Place place) { places_[path] = place; }

std::optional<SourceLocations::Place> SourceLocations::Find(absl::string_view path) const {
  while (true) {
    const auto found = places_.find(path);
    if (found != places_.end()) return found->second;
    if (path.empty()) return std::nullopt;
    const size_t cut = path.find_last_of(".[");
    path = cut == absl::string_view::npos ? absl::string_view() : path.substr(0, cut);
  }
}

absl::StatusOr<v1::JobSpec> ParseJobFile(absl::string_view text, absl::string_view filename,
                                         SourceLocations* locations) {
  NAVIT_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, filename));
  v1::JobSpec spec;
  MessageReader reader(kMostFaults, locations);
  reader.ReadMessage(root, "", &spec);
  if (reader.faults().empty()) return spec;
  std::vector<std::string> lines;
  for (const MessageReader::Fault& fault : reader.faults()) {
    lines.push_back(FaultText(filename, fault));
  }
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

absl::Status SetField(absl::string_view assignment, v1::JobSpec* spec) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(assignment, absl::MaxSplits('=', 1));
  if (assignment.find('=') == absl::string_view::npos) {
    return Fault(assignment, "must be written FIELD=VALUE");
  }
  // a[0].b is another way to write a.0.b.
  const std::string dotted = absl::StrReplaceAll(parts.first, {{"[", "."}, {"]", ""}});
  const std::vector<std::string> names = absl::StrSplit(dotted, '.');
  Position at{spec, ""};
  for (size_t i = 0; i < names.size(); ++i) {
    const google::protobuf::Descriptor& type = *at.message->GetDescriptor();
    const FieldDescriptor* field = type.FindFieldByName(names[i]);
    if (field == nullptr) {
      return Fault(JoinPath(at.path, names[i]),
                   absl::StrCat("is no field", SuggestField(names[i], type)));
    }
    at.path = JoinPath(at.path, names[i]);
    if (i + 1 == names.size()) return StoreValue(parts.second, at.path, *field, at.message);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      return Fault(at.path, absl::StrCat("has no field ", Quoted(names[i + 1])));
    }
    if (!field->is_repeated()) {
      at.message = at.message->GetReflection()->MutableMessage(at.message, field);
      continue;
    }
    NAVIT_ASSIGN_OR_RETURN(at, EnterElement(at, *field, names[++i]));
    if (i + 1 == names.size()) return Fault(at.path, "is a group; name one of its fields");
  }
  return absl::OkStatus();
}

std::string ViolationText(absl::string_view filename, const SourceLocations& locations,
                          const FieldViolation& violation) {
  const std::optional<SourceLocations::Place> place = locations.Find(violation.path);
  return absl::StrCat(filename, ":",
                      place.has_value() ? absl::StrCat(place->line, ":", place->column, ":") : "",
                      " ", violation.path, ": ", violation.message);
}

}  // namespace navit
