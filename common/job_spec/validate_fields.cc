#include "common/job_spec/validate_fields.h"

#include <cmath>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/job_spec/rules.h"
#include "common/job_spec/scalar.h"
#include "google/protobuf/unknown_field_set.h"

namespace navit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kLongestText = 4096;

class FieldChecker {
 public:
  FieldChecker(size_t limit, std::vector<FieldViolation>* violations)
      : limit_(limit), violations_(*violations) {}

  void CheckMessage(const Message& message, const std::string& path) {
    const Reflection& reflection = *message.GetReflection();
    const google::protobuf::UnknownFieldSet& unknown = reflection.GetUnknownFields(message);
    if (!unknown.empty()) {
      Add(path.empty() ? "spec" : path,
          absl::StrCat("has a field of number ", unknown.field(0).number(),
                       " that this version does not know"));
    }
    const google::protobuf::Descriptor& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count() && !Full(); ++i) {
      CheckField(message, *type.field(i), JoinPath(path, type.field(i)->name()));
    }
  }

 private:
  bool Full() const { return violations_.size() >= limit_; }

  void Add(std::string path, std::string message) {
    if (!Full()) violations_.push_back({std::move(path), std::move(message)});
  }

  void CheckField(const Message& message, const FieldDescriptor& field, const std::string& path) {
    const Reflection& reflection = *message.GetReflection();
    const bool group = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (field.is_repeated()) {
      const int size = reflection.FieldSize(message, &field);
      if (size == 0 && RuleOf(field).required()) Add(path, "is required");
      for (int i = 0; i < size && !Full(); ++i) {
        const std::string element = IndexPath(path, i);
        if (group) {
          CheckMessage(reflection.GetRepeatedMessage(message, &field, i), element);
        } else {
          CheckScalar(message, field, i, element);
        }
      }
      return;
    }
    if (!reflection.HasField(message, &field)) {
      if (RuleOf(field).required()) Add(path, "is required");
      return;
    }
    if (group) {
      CheckMessage(reflection.GetMessage(message, &field), path);
    } else {
      CheckScalar(message, field, 0, path);
    }
  }

  void CheckScalar(const Message& message, const FieldDescriptor& field, int index,
                   const std::string& path) {
    if (IsNumber(field)) {
      CheckNumber(Number(message, field, index), ScalarText(message, field, index), field, path);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      const Reflection& reflection = *message.GetReflection();
      const int number = field.is_repeated()
                             ? reflection.GetRepeatedEnumValue(message, &field, index)
                             : reflection.GetEnumValue(message, &field);
      if (field.enum_type()->FindValueByNumber(number) == nullptr) {
        Add(path, absl::StrCat("must be one of ", EnumValueList(*field.enum_type()),
                               "; is the unknown number ", number));
      }
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      CheckText(ScalarText(message, field, index), path);
    }
  }

  void CheckNumber(double number, const std::string& text, const FieldDescriptor& field,
                   const std::string& path) {
    const v1::FieldRule& rule = RuleOf(field);
    if (!std::isfinite(number)) {
      Add(path, absl::StrCat("must be a finite number, is ", text));
    } else if ((rule.has_min() && number < rule.min()) || (rule.has_max() && number > rule.max())) {
      Add(path, absl::StrCat("must be ", BoundsInWords(field), ", is ", text));
    }
  }

  void CheckText(const std::string& text, const std::string& path) {
    if (text.size() > kLongestText) {
      Add(path, absl::StrCat("must be at most ", kLongestText, " bytes, is ", text.size()));
      return;
    }
    for (char c : text) {
      if (absl::ascii_iscntrl(c)) {
        Add(path, absl::StrCat("must not hold control characters, is ", Quoted(text)));
        return;
      }
    }
  }

  static double Number(const Message& message, const FieldDescriptor& field, int index) {
    const Reflection& reflection = *message.GetReflection();
    const bool list = field.is_repeated();
    switch (field.cpp_type()) {
#define NAVIT_NUMBER(NAME, Method)                                                           \
  case FieldDescriptor::CPPTYPE_##NAME:                                                      \
    return static_cast<double>(list ? reflection.GetRepeated##Method(message, &field, index) \
                                    : reflection.Get##Method(message, &field));
      NAVIT_NUMBER(INT32, Int32)
      NAVIT_NUMBER(INT64, Int64)
      NAVIT_NUMBER(UINT32, UInt32)
      NAVIT_NUMBER(UINT64, UInt64)
      NAVIT_NUMBER(DOUBLE, Double)
      NAVIT_NUMBER(FLOAT, Float)
#undef NAVIT_NUMBER
      default:
        return 0;
    }
  }

  const size_t limit_;
  std::vector<FieldViolation>& violations_;
};

}  // namespace

void ValidateFields(const Message& message, size_t limit, std::vector<FieldViolation>* violations) {
  FieldChecker(limit, violations).CheckMessage(message, "");
}

}  // namespace navit
