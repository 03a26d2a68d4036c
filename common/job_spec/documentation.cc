#include "common/job_spec/documentation.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/job_spec/print.h"
#include "common/job_spec/rules.h"
#include "common/job_spec/suggest.h"
#include "proto/job_spec.pb.h"

namespace navit {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// What `init` writes for fields that a person must fill in.
struct Placeholder {
  absl::string_view path;
  absl::string_view value;
};
constexpr Placeholder kPlaceholders[] = {
    {"name", "my-job"},
    {"data.train.shards", "/path/to/shards/train-*.tar"},
    {"checkpoints.directory", "/path/to/checkpoints"},
    {"train_for.epochs", "1"},
};

absl::string_view PlaceholderOf(absl::string_view path) {
  for (const Placeholder& placeholder : kPlaceholders) {
    if (placeholder.path == path) return placeholder.value;
  }
  return "";
}

bool IsGroup(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

// Help and bounds as comment lines of at most 100 columns.
void AppendComment(const FieldDescriptor& field, const std::string& indent, std::string* out) {
  std::string help = RuleOf(field).help();
  if (RuleOf(field).required()) absl::StrAppend(&help, " Required.");
  std::vector<std::string> words = absl::StrSplit(help, ' ', absl::SkipEmpty());
  // One word, so that no line ends between "[16," and "65536]".
  const std::string bounds = BoundsInWords(field);
  if (!bounds.empty()) words.push_back(absl::StrCat("Must be ", bounds, "."));
  std::string line = indent + "#";
  for (const std::string& word : words) {
    if (line.size() + 1 + word.size() > 100) {
      absl::StrAppend(out, line, "\n");
      line = indent + "#";
    }
    absl::StrAppend(&line, " ", word);
  }
  absl::StrAppend(out, line, "\n");
}

// The fields of `type`, each below its comment. The first value of a list entry gets the dash. A
// group whose lines are all comments reads as null, which means absent.
void AppendInit(const Descriptor& type, const std::string& path, const std::string& indent,
                bool list_entry, std::string* out) {
  bool dash = list_entry;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string here = JoinPath(path, field.name());
    if (path.empty() && IsGroup(field)) out->append("\n");
    AppendComment(field, indent, out);
    absl::string_view value = RuleOf(field).default_value();
    if (value.empty()) value = PlaceholderOf(here);
    const bool list = IsGroup(field) && field.is_repeated();
    if (list ? !RuleOf(field).required() : !IsGroup(field) && value.empty()) {
      absl::StrAppend(out, indent, "# ", field.name(), ":\n");
      continue;
    }
    const std::string dashed = dash ? indent.substr(0, indent.size() - 2) + "- " : indent;
    dash = false;
    if (!IsGroup(field)) {
      absl::StrAppend(out, dashed, field.name(), ": ", value, "\n");
    } else {
      absl::StrAppend(out, dashed, field.name(), ":\n");
      AppendInit(*field.message_type(), here, indent + (list ? "    " : "  "), list, out);
    }
  }
}

std::string ChangeInWords(v1::Mutability mutability) {
  switch (mutability) {
    case v1::IDENTITY:
      return "fixed for the job's life: it decides the packs or the model";
    case v1::TRAJECTORY:
      return "may change when a job resumes; alters the course of training";
    case v1::OPERATIONAL:
      return "may change when a job resumes; results stay the same";
    default:
      return "";
  }
}

std::string FirstSentence(const std::string& help) {
  const size_t end = help.find(". ");
  return end == std::string::npos ? help : help.substr(0, end + 1);
}

std::string ExplainGroup(const Descriptor& type) {
  size_t widest = 0;
  for (int i = 0; i < type.field_count(); ++i) {
    widest = std::max(widest, type.field(i)->name().size());
  }
  std::string out = "fields:\n";
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    absl::StrAppend(&out, "  ", field.name(), std::string(widest + 2 - field.name().size(), ' '),
                    FirstSentence(RuleOf(field).help()), "\n");
  }
  return out;
}

void AppendSchema(const Descriptor& type, const std::string& indent, std::string* out);

std::string JsonDefault(const FieldDescriptor& field) {
  const std::string& text = RuleOf(field).default_value();
  const bool is_text = !IsNumber(field) && field.cpp_type() != FieldDescriptor::CPPTYPE_BOOL;
  return is_text ? JsonString(text) : text;
}

// The members that describe one value of the field, list or not.
void AppendValueSchema(const FieldDescriptor& field, const std::string& indent, std::string* out) {
  if (IsGroup(field)) {
    AppendSchema(*field.message_type(), indent, out);
    return;
  }
  const v1::FieldRule& rule = RuleOf(field);
  std::vector<std::string> members;
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    std::vector<std::string> values;
    for (absl::string_view value : absl::StrSplit(EnumValueList(*field.enum_type()), ", ")) {
      values.push_back(JsonString(value));
    }
    members.push_back(absl::StrCat("\"enum\": [", absl::StrJoin(values, ", "), "]"));
  } else {
    const char* name = IsWholeNumber(field)                                ? "integer"
                       : IsNumber(field)                                   ? "number"
                       : field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL ? "boolean"
                                                                           : "string";
    members.push_back(absl::StrCat("\"type\": \"", name, "\""));
  }
  if (rule.has_min()) members.push_back(absl::StrCat("\"minimum\": ", NumberText(rule.min())));
  if (rule.has_max()) members.push_back(absl::StrCat("\"maximum\": ", NumberText(rule.max())));
  absl::StrAppend(out, indent, absl::StrJoin(members, ", "));
}

void AppendFieldSchema(const FieldDescriptor& field, const std::string& indent, std::string* out) {
  const v1::FieldRule& rule = RuleOf(field);
  absl::StrAppend(out, indent, "\"", field.name(), "\": {\n", indent,
                  "  \"description\": ", JsonString(rule.help()), ",\n");
  if (!rule.default_value().empty()) {
    absl::StrAppend(out, indent, "  \"default\": ", JsonDefault(field), ",\n");
  }
  if (!field.is_repeated()) {
    AppendValueSchema(field, indent + "  ", out);
  } else {
    absl::StrAppend(out, indent, "  \"type\": \"array\",\n", indent, "  \"items\": {\n");
    AppendValueSchema(field, indent + "    ", out);
    absl::StrAppend(out, "\n", indent, "  }");
  }
  absl::StrAppend(out, "\n", indent, "}");
}

void AppendSchema(const Descriptor& type, const std::string& indent, std::string* out) {
  std::vector<std::string> required;
  absl::StrAppend(out, indent, "\"type\": \"object\",\n", indent,
                  "\"additionalProperties\": false,\n", indent, "\"properties\": {\n");
  for (int i = 0; i < type.field_count(); ++i) {
    if (RuleOf(*type.field(i)).required()) required.push_back(JsonString(type.field(i)->name()));
    AppendFieldSchema(*type.field(i), indent + "  ", out);
    out->append(i + 1 < type.field_count() ? ",\n" : "\n");
  }
  absl::StrAppend(out, indent, "}");
  if (!required.empty()) {
    absl::StrAppend(out, ",\n", indent, "\"required\": [", absl::StrJoin(required, ", "), "]");
  }
  if (&type == v1::TrainFor::descriptor()) {
    absl::StrAppend(out, ",\n", indent, "\"minProperties\": 1, \"maxProperties\": 1");
  }
}

}  // namespace

std::string InitText() {
  std::string out =
      "# A navit training job. Every field stands here with its default; delete what you do not "
      "need.\n# Fields without a fixed default are commented out. `navitctl explain FIELD` says "
      "more.\n";
  AppendInit(*v1::JobSpec::descriptor(), "", "", false, &out);
  return out;
}

absl::StatusOr<std::string> ExplainField(absl::string_view path) {
  const Descriptor* type = v1::JobSpec::descriptor();
  if (path.empty()) {
    return absl::StrCat("A job file: what to train, on which data, for how long.\n",
                        ExplainGroup(*type));
  }
  const FieldDescriptor* field = nullptr;
  const std::string dotted = absl::StrReplaceAll(path, {{"[", "."}, {"]", ""}});
  for (absl::string_view name : absl::StrSplit(dotted, '.')) {
    const bool is_index = !name.empty() && absl::ascii_isdigit(name[0]);
    if (is_index && field != nullptr && field->is_repeated()) continue;
    if (type == nullptr) return absl::NotFoundError(absl::StrCat(path, ": is no field"));
    field = type->FindFieldByName(std::string(name));
    if (field == nullptr) {
      return absl::NotFoundError(absl::StrCat(path, ": is no field", SuggestField(name, *type)));
    }
    type = field->message_type();
  }
  const v1::FieldRule& rule = RuleOf(*field);
  std::string out = absl::StrCat(path, ": ", rule.help(), "\n\ntype:    ", TypeInWords(*field));
  if (const std::string bounds = BoundsInWords(*field); !bounds.empty()) {
    absl::StrAppend(&out, ", ", bounds);
  }
  absl::StrAppend(&out, "\n");
  if (rule.required()) {
    absl::StrAppend(&out, "default: none, required\n");
  } else if (!rule.default_value().empty()) {
    absl::StrAppend(&out, "default: ", rule.default_value(), "\n");
  }
  absl::StrAppend(&out, "changes: ", ChangeInWords(rule.mutability()), "\n");
  if (type != nullptr) absl::StrAppend(&out, ExplainGroup(*type));
  return out;
}

std::string JsonSchema() {
  std::string out =
      "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
      "  \"title\": \"navit job file\",\n";
  AppendSchema(*v1::JobSpec::descriptor(), "  ", &out);
  out.append("\n}\n");
  return out;
}

}  // namespace navit
