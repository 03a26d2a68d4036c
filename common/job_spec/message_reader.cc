#include "common/job_spec/message_reader.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/job_spec/rules.h"
#include "common/job_spec/scalar.h"
#include "common/job_spec/suggest.h"

namespace navit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string KindInWords(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::kNull:
      return "empty";
    case YamlNode::kScalar:
      return Quoted(node.text);
    case YamlNode::kList:
      return "a list";
    case YamlNode::kMap:
      return "a group of fields";
  }
  return "";
}

}  // namespace

void MessageReader::ReadMessage(const YamlNode& node, const std::string& path, Message* message) {
  Note(node, path);
  if (node.kind != YamlNode::kMap) {
    Add(node, path, absl::StrCat("must be a group of fields, is ", KindInWords(node)));
    return;
  }
  const google::protobuf::Descriptor& type = *message->GetDescriptor();
  absl::flat_hash_map<std::string, int> first_line;
  for (size_t i = 0; i < node.keys.size() && faults_.size() < most_faults_; ++i) {
    const YamlNode& key = node.keys[i];
    if (key.kind != YamlNode::kScalar) {
      Add(key, path, absl::StrCat("must have names of fields as keys, has ", KindInWords(key)));
      continue;
    }
    const std::string here = JoinPath(path, key.text.size() <= 64 ? key.text : Quoted(key.text));
    const FieldDescriptor* field = type.FindFieldByName(key.text);
    if (field == nullptr) {
      Add(key, here, absl::StrCat("is no field", SuggestField(key.text, type)));
      continue;
    }
    const auto [seen, is_new] = first_line.emplace(key.text, key.line);
    if (!is_new) {
      Add(key, here, absl::StrCat("stands twice, first in line ", seen->second));
      continue;
    }
    ReadField(node.children[i], here, *field, message);
  }
}

void MessageReader::ReadField(const YamlNode& node, const std::string& path,
                              const FieldDescriptor& field, Message* message) {
  if (node.kind == YamlNode::kNull) {
    Note(node, path);
    return;
  }
  if (field.is_repeated()) {
    ReadList(node, path, field, message);
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    ReadMessage(node, path, message->GetReflection()->MutableMessage(message, &field));
  } else {
    ReadScalar(node, path, field, message);
  }
}

void MessageReader::ReadList(const YamlNode& node, const std::string& path,
                             const FieldDescriptor& field, Message* message) {
  Note(node, path);
  if (node.kind != YamlNode::kList) {
    Add(node, path, absl::StrCat("must be a ", TypeInWords(field), ", is ", KindInWords(node)));
    return;
  }
  if (node.children.empty() && !RuleOf(field).default_value().empty()) {
    // A list without elements is the same as no list once it is stored, and would become the
    // default: not what somebody means who writes [].
    Add(node, path, "must not be an empty list");
    return;
  }
  for (size_t i = 0; i < node.children.size() && faults_.size() < most_faults_; ++i) {
    const YamlNode& child = node.children[i];
    const std::string here = IndexPath(path, static_cast<int>(i));
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      ReadMessage(child, here, message->GetReflection()->AddMessage(message, &field));
    } else {
      ReadScalar(child, here, field, message);
    }
  }
}

void MessageReader::ReadScalar(const YamlNode& node, const std::string& path,
                               const FieldDescriptor& field, Message* message) {
  Note(node, path);
  if (node.kind != YamlNode::kScalar) {
    Add(node, path, absl::StrCat("must be a single value, is ", KindInWords(node)));
    return;
  }
  const absl::Status status = StoreScalar(node.text, field, message);
  if (!status.ok()) Add(node, path, std::string(status.message()));
}

void MessageReader::Note(const YamlNode& node, const std::string& path) {
  if (locations_ != nullptr) locations_->Add(path, {node.line, node.column});
}

void MessageReader::Add(const YamlNode& node, const std::string& path, std::string message) {
  if (faults_.size() < most_faults_) {
    faults_.push_back({{node.line, node.column}, path, std::move(message)});
  }
}

}  // namespace navit
