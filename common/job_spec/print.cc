#include "common/job_spec/print.h"

#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/job_spec/rules.h"
#include "common/job_spec/scalar.h"

namespace navit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool IsGroup(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

std::vector<const FieldDescriptor*> PrintedFields(const Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  std::vector<const FieldDescriptor*> fields;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    const bool present = field->is_repeated() ? reflection.FieldSize(message, field) > 0
                                              : reflection.HasField(message, field);
    const bool always = !HasRule(*field) && (field->is_repeated() || !field->has_presence());
    if (present || always) fields.push_back(field);
  }
  return fields;
}

std::string ScalarJson(const Message& message, const FieldDescriptor& field, int index, bool yaml) {
  std::string text = ScalarText(message, field, index);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.type() == FieldDescriptor::TYPE_BYTES) text = absl::Base64Escape(text);
      return yaml ? YamlString(text) : JsonString(text);
    case FieldDescriptor::CPPTYPE_ENUM:
      return yaml ? text : JsonString(text);
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::ascii_isalpha(text.back()) ? "null" : text;
    default:
      return text;
  }
}

std::string InlineList(const Message& message, const FieldDescriptor& field, bool yaml) {
  std::vector<std::string> elements;
  const int size = message.GetReflection()->FieldSize(message, &field);
  for (int i = 0; i < size; ++i) {
    // Inside brackets a comma would end a plain YAML text: quoted ones are safe.
    const bool text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    elements.push_back(ScalarJson(message, field, i, yaml && !text));
  }
  return absl::StrCat("[", absl::StrJoin(elements, ", "), "]");
}

void AppendJson(const Message& message, const std::string& indent, std::string* out) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const std::vector<const FieldDescriptor*> fields = PrintedFields(message);
  if (fields.empty()) {
    out->append("{}");
    return;
  }
  const std::string inner = indent + "  ";
  out->append("{\n");
  for (const FieldDescriptor* field : fields) {
    absl::StrAppend(out, inner, "\"", field->name(), "\": ");
    if (!IsGroup(*field)) {
      out->append(field->is_repeated() ? InlineList(message, *field, false)
                                       : ScalarJson(message, *field, 0, false));
    } else if (!field->is_repeated()) {
      AppendJson(reflection.GetMessage(message, field), inner, out);
    } else {
      const int size = reflection.FieldSize(message, field);
      out->append(size == 0 ? "[" : "[\n");
      for (int i = 0; i < size; ++i) {
        absl::StrAppend(out, inner, "  ");
        AppendJson(reflection.GetRepeatedMessage(message, field, i), inner + "  ", out);
        out->append(i + 1 < size ? ",\n" : "\n" + inner);
      }
      out->append("]");
    }
    out->append(field == fields.back() ? "\n" : ",\n");
  }
  absl::StrAppend(out, indent, "}");
}

// Appends the fields, one a line; the first goes behind what the caller wrote (a list's dash).
void AppendYaml(const Message& message, const std::string& indent, bool first_is_indented,
                std::string* out) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  for (const FieldDescriptor* field : PrintedFields(message)) {
    absl::StrAppend(out, first_is_indented ? "" : indent, field->name(), ":");
    first_is_indented = false;
    if (!IsGroup(*field)) {
      absl::StrAppend(out, " ",
                      field->is_repeated() ? InlineList(message, *field, true)
                                           : ScalarJson(message, *field, 0, true),
                      "\n");
    } else if (!field->is_repeated()) {
      const Message& group = reflection.GetMessage(message, field);
      out->append(PrintedFields(group).empty() ? " {}\n" : "\n");
      AppendYaml(group, indent + "  ", false, out);
    } else {
      const int size = reflection.FieldSize(message, field);
      out->append(size == 0 ? " []\n" : "\n");
      for (int i = 0; i < size; ++i) {
        const Message& group = reflection.GetRepeatedMessage(message, field, i);
        absl::StrAppend(out, indent, "  - ");
        if (PrintedFields(group).empty()) out->append("{}\n");
        AppendYaml(group, indent + "    ", true, out);
      }
    }
  }
}

}  // namespace

std::string ToJson(const Message& message) {
  std::string out;
  AppendJson(message, "", &out);
  out.push_back('\n');
  return out;
}

std::string ToJsonLine(const Message& message) {
  // Line ends are those of the layout: in texts they are escaped.
  std::string line;
  for (absl::string_view part : absl::StrSplit(ToJson(message), '\n', absl::SkipEmpty())) {
    part = absl::StripLeadingAsciiWhitespace(part);
    absl::StrAppend(&line, part, absl::EndsWith(part, ",") ? " " : "");
  }
  return line + "\n";
}

std::string ToYaml(const Message& message) {
  std::string out;
  AppendYaml(message, "", false, &out);
  return out.empty() ? "{}\n" : out;
}

std::string JsonString(absl::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (absl::ascii_iscntrl(c)) {
          out += absl::StrFormat("\\u%04x", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string YamlString(absl::string_view text) {
  const auto plain = [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.' || c == '/' || c == ' ';
  };
  bool safe = !text.empty() && (absl::ascii_isalpha(text.front()) || text.front() == '/') &&
              text.back() != ' ';
  for (char c : text) safe = safe && plain(c);
  const std::string lower = absl::AsciiStrToLower(text);
  for (absl::string_view word :
       {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"}) {
    safe = safe && lower != word;
  }
  return safe ? std::string(text) : JsonString(text);
}

}  // namespace navit
