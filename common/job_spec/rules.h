// What the job file's messages say about their own fields: rules (proto/field_rule.proto), names of
// enum values in the dialect, and types in words. Everything that prints, fills or checks a JobSpec
// walks its descriptor with these.
#ifndef NAVIT_COMMON_JOB_SPEC_RULES_H_
#define NAVIT_COMMON_JOB_SPEC_RULES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "proto/field_rule.pb.h"

namespace navit {

// The field's rule; an empty one for a field without.
const v1::FieldRule& RuleOf(const google::protobuf::FieldDescriptor& field);
bool HasRule(const google::protobuf::FieldDescriptor& field);

// Name of an enum value in the dialect: lower-case, without the enum's own name in front
// (DISTRIBUTION_TRUNCATED_NORMAL -> truncated_normal, SKIP -> skip, JOB_STATE_UNSPECIFIED ->
// unspecified).
std::string EnumValueName(const google::protobuf::EnumValueDescriptor& value);

// The value of that name, or null. "unspecified" (number 0 of every enum with that name) is not
// found: absence says it.
const google::protobuf::EnumValueDescriptor* FindEnumValue(
    const google::protobuf::EnumDescriptor& type, absl::string_view name);

// "none, constant, beta": every value that a file may name.
std::string EnumValueList(const google::protobuf::EnumDescriptor& type);

// True for fields whose value is a whole number.
bool IsWholeNumber(const google::protobuf::FieldDescriptor& field);
// True for fields whose value is a whole or a floating-point number.
bool IsNumber(const google::protobuf::FieldDescriptor& field);

// The field's type for people: "whole number", "number", "text", "true or false", "one of a, b",
// "list of numbers", "group", "list of groups".
std::string TypeInWords(const google::protobuf::FieldDescriptor& field);

// Bounds for people: "in [16, 65536]", "at least 1", "at most 10"; empty when there are none.
std::string BoundsInWords(const google::protobuf::FieldDescriptor& field);

// A number with as few digits as name it exactly; whole ones without exponent or point.
std::string NumberText(double number);

// "path.name", or "name" when path is empty.
std::string JoinPath(absl::string_view path, absl::string_view name);
// "path[index]".
std::string IndexPath(absl::string_view path, int index);

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_RULES_H_
