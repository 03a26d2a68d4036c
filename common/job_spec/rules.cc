#include "common/job_spec/rules.h"

#include <charconv>
#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace navit {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

// IfMissing -> IF_MISSING_.
std::string ValuePrefix(const EnumDescriptor& type) {
  std::string prefix;
  for (char c : type.name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(c);
  }
  return prefix + "_";
}

}  // namespace

const v1::FieldRule& RuleOf(const FieldDescriptor& field) {
  return field.options().GetExtension(v1::rule);
}

bool HasRule(const FieldDescriptor& field) { return field.options().HasExtension(v1::rule); }

std::string EnumValueName(const EnumValueDescriptor& value) {
  absl::string_view name = value.name();
  absl::ConsumePrefix(&name, ValuePrefix(*value.type()));
  return absl::AsciiStrToLower(name);
}

const EnumValueDescriptor* FindEnumValue(const EnumDescriptor& type, absl::string_view name) {
  for (int i = 0; i < type.value_count(); ++i) {
    const std::string candidate = EnumValueName(*type.value(i));
    if (candidate == name && candidate != "unspecified") return type.value(i);
  }
  return nullptr;
}

std::string EnumValueList(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    std::string name = EnumValueName(*type.value(i));
    if (name != "unspecified") names.push_back(std::move(name));
  }
  return absl::StrJoin(names, ", ");
}

bool IsWholeNumber(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return true;
    default:
      return false;
  }
}

bool IsNumber(const FieldDescriptor& field) {
  return IsWholeNumber(field) || field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE ||
         field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT;
}

std::string TypeInWords(const FieldDescriptor& field) {
  const bool list = field.is_repeated();
  if (IsWholeNumber(field)) return list ? "list of whole numbers" : "whole number";
  if (IsNumber(field)) return list ? "list of numbers" : "number";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return list ? "list of true or false" : "true or false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrCat(list ? "list of: " : "one of ", EnumValueList(*field.enum_type()));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return list ? "list of groups" : "group";
    default:
      return list ? "list of texts" : "text";
  }
}

std::string BoundsInWords(const FieldDescriptor& field) {
  const v1::FieldRule& rule = RuleOf(field);
  if (rule.has_min() && rule.has_max()) {
    if (rule.min() == rule.max()) return NumberText(rule.min());
    return absl::StrCat("in [", NumberText(rule.min()), ", ", NumberText(rule.max()), "]");
  }
  if (rule.has_min()) return absl::StrCat("at least ", NumberText(rule.min()));
  if (rule.has_max()) return absl::StrCat("at most ", NumberText(rule.max()));
  return "";
}

std::string NumberText(double number) {
  if (number == std::floor(number) && std::abs(number) < 1e16) {
    return absl::StrFormat("%.0f", number == 0 ? 0.0 : number);
  }
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), number);
  return error == std::errc() ? std::string(buffer, end) : absl::StrCat(number);
}

std::string JoinPath(absl::string_view path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

std::string IndexPath(absl::string_view path, int index) {
  return absl::StrCat(path, "[", index, "]");
}

}  // namespace navit
