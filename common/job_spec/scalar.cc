#include "common/job_spec/scalar.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/job_spec/rules.h"

namespace navit {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool LooksLikeNumber(absl::string_view text) {
  if (text.empty()) return false;
  for (char c : text) {
    if (!absl::ascii_isdigit(c) && c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E') {
      return false;
    }
  }
  return true;
}

std::optional<double> ParseDouble(absl::string_view text) {
  double value = 0;
  if (!LooksLikeNumber(text) || !absl::SimpleAtod(text, &value)) return std::nullopt;
  return value;
}

// 010 is eight in YAML 1.1 and ten in YAML 1.2: better refused than guessed.
bool HasLeadingZero(absl::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && absl::ascii_isdigit(text[1]);
}

template <typename T>
absl::Status ParseWhole(absl::string_view text, T* value) {
  const absl::Status out_of_range = absl::InvalidArgumentError(
      absl::StrCat("must be a whole number in [", std::numeric_limits<T>::min(), ", ",
                   std::numeric_limits<T>::max(), "], is ", Quoted(text)));
  const absl::Status not_whole =
      absl::InvalidArgumentError(absl::StrCat("must be a whole number, is ", Quoted(text)));
  if (HasLeadingZero(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be a whole number without leading zeros, is ", Quoted(text)));
  }
  const std::optional<double> real = ParseDouble(text);
  if (!real.has_value()) return not_whole;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  if (error == std::errc() && end == text.data() + text.size()) return absl::OkStatus();
  if (!std::isfinite(*real)) return out_of_range;
  if (*real != std::floor(*real)) return not_whole;
  // 2^53: beyond it a double no longer names every whole number.
  constexpr double kExact = 9007199254740992.0;
  if (std::abs(*real) > kExact || *real < static_cast<double>(std::numeric_limits<T>::min()) ||
      *real > static_cast<double>(std::numeric_limits<T>::max())) {
    return out_of_range;
  }
  *value = static_cast<T>(*real);
  return absl::OkStatus();
}

absl::Status ParseReal(absl::string_view text, double limit, double* value) {
  const std::optional<double> real = ParseDouble(text);
  if (!real.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("must be a number, is ", Quoted(text)));
  }
  if (!(std::abs(*real) <= limit)) {
    return absl::InvalidArgumentError(absl::StrCat("must be a finite number, is ", Quoted(text)));
  }
  *value = *real;
  return absl::OkStatus();
}

template <typename T>
std::string RealText(T value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == std::floor(value) && std::abs(value) < 1e16) {
    return NumberText(static_cast<double>(value));
  }
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return error == std::errc() ? std::string(buffer, end) : absl::StrCat(value);
}

}  // namespace

std::string Quoted(absl::string_view text) {
  constexpr size_t kLongest = 60;
  const bool cut = text.size() > kLongest;
  return absl::StrCat("`", absl::Utf8SafeCHexEscape(text.substr(0, kLongest)), cut ? "…" : "", "`");
}

absl::Status StoreScalar(absl::string_view text, const FieldDescriptor& field, Message* message) {
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  const auto store = [&](auto set, auto add, auto value) {
    field.is_repeated() ? (reflection.*add)(message, &field, value)
                        : (reflection.*set)(message, &field, value);
  };
  using google::protobuf::Reflection;
  switch (field.cpp_type()) {
#define NAVIT_STORE_WHOLE(NAME, type, Method)                                        \
  case FieldDescriptor::CPPTYPE_##NAME: {                                            \
    type value = 0;                                                                  \
    if (absl::Status status = ParseWhole(text, &value); !status.ok()) return status; \
    store(&Reflection::Set##Method, &Reflection::Add##Method, value);                \
    return absl::OkStatus();                                                         \
  }
    NAVIT_STORE_WHOLE(INT32, int32_t, Int32)
    NAVIT_STORE_WHOLE(INT64, int64_t, Int64)
    NAVIT_STORE_WHOLE(UINT32, uint32_t, UInt32)
    NAVIT_STORE_WHOLE(UINT64, uint64_t, UInt64)
#undef NAVIT_STORE_WHOLE
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;
      absl::Status status = ParseReal(text, std::numeric_limits<double>::max(), &value);
      if (!status.ok()) return status;
      store(&Reflection::SetDouble, &Reflection::AddDouble, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_FLOAT: {
      double value = 0;
      absl::Status status = ParseReal(text, std::numeric_limits<float>::max(), &value);
      if (!status.ok()) return status;
      store(&Reflection::SetFloat, &Reflection::AddFloat, static_cast<float>(value));
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") {
        return absl::InvalidArgumentError(absl::StrCat("must be true or false, is ", Quoted(text)));
      }
      store(&Reflection::SetBool, &Reflection::AddBool, text == "true");
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_ENUM: {
      const EnumValueDescriptor* value = FindEnumValue(*field.enum_type(), text);
      if (value == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(
            "must be one of ", EnumValueList(*field.enum_type()), "; is ", Quoted(text)));
      }
      store(&Reflection::SetEnumValue, &Reflection::AddEnumValue, value->number());
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.is_repeated()) {
        reflection.AddString(message, &field, std::string(text));
      } else {
        reflection.SetString(message, &field, std::string(text));
      }
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return absl::InvalidArgumentError("must be a group of fields, is a single value");
}

std::string ScalarText(const Message& message, const FieldDescriptor& field, int index) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const bool list = field.is_repeated();
  switch (field.cpp_type()) {
#define NAVIT_VALUE(Method)                                      \
  (list ? reflection.GetRepeated##Method(message, &field, index) \
        : reflection.Get##Method(message, &field))
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(NAVIT_VALUE(Int32));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(NAVIT_VALUE(Int64));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(NAVIT_VALUE(UInt32));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(NAVIT_VALUE(UInt64));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return RealText(NAVIT_VALUE(Double));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return RealText(NAVIT_VALUE(Float));
    case FieldDescriptor::CPPTYPE_BOOL:
      return NAVIT_VALUE(Bool) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_STRING:
      return NAVIT_VALUE(String);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = NAVIT_VALUE(EnumValue);
      const EnumValueDescriptor* value = field.enum_type()->FindValueByNumber(number);
      return value == nullptr ? absl::StrCat(number) : EnumValueName(*value);
    }
#undef NAVIT_VALUE
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return "";
}

}  // namespace navit
