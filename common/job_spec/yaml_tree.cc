#include "common/job_spec/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace navit {
namespace {

// Builds the tree from the parser's events. Refuses by throwing what the parser itself throws.
class TreeBuilder : public YAML::EventHandler {
 public:
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    Place(NewNode(YamlNode::kNull, mark));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw YAML::ParserException(mark, "aliases are not allowed; write the value out");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    RefuseTag(mark, tag);
    YamlNode node = NewNode(YamlNode::kScalar, mark);
    node.text = value;
    Place(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    RefuseTag(mark, tag);
    Open(NewNode(YamlNode::kList, mark), mark);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    RefuseTag(mark, tag);
    Open(NewNode(YamlNode::kMap, mark), mark);
  }
  void OnMapEnd() override { Close(); }

 private:
  YamlNode NewNode(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > kYamlMostNodes) {
      throw YAML::ParserException(mark, absl::StrCat("more than ", kYamlMostNodes, " values"));
    }
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  // "?" and "!" are how the parser says: no tag, plain or quoted.
  static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw YAML::ParserException(mark, "tags are not allowed; the field decides the type");
    }
  }

  void Open(YamlNode node, const YAML::Mark& mark) {
    if (open_.size() >= kYamlDeepest) {
      throw YAML::ParserException(mark, absl::StrCat("nested deeper than ", kYamlDeepest));
    }
    open_.push_back(std::move(node));
  }

  void Close() {
    YamlNode node = std::move(open_.back());
    open_.pop_back();
    Place(std::move(node));
  }

  void Place(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    YamlNode& parent = open_.back();
    const bool is_key =
        parent.kind == YamlNode::kMap && parent.keys.size() == parent.children.size();
    (is_key ? parent.keys : parent.children).push_back(std::move(node));
  }

  YamlNode root_;
  std::vector<YamlNode> open_;
  int nodes_ = 0;
};

absl::Status ErrorAt(absl::string_view filename, const YAML::Mark& mark,
                     absl::string_view message) {
  if (mark.is_null()) return absl::InvalidArgumentError(absl::StrCat(filename, ": ", message));
  return absl::InvalidArgumentError(
      absl::StrCat(filename, ":", mark.line + 1, ":", mark.column + 1, ": ", message));
}

}  // namespace

absl::StatusOr<YamlNode> ParseYaml(absl::string_view text, absl::string_view filename) {
  if (text.size() > kYamlLongestText) {
    return absl::InvalidArgumentError(
        absl::StrCat(filename, ": longer than ", kYamlLongestText, " bytes"));
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder;
    if (!parser.HandleNextDocument(builder)) {
      return absl::InvalidArgumentError(absl::StrCat(filename, ": is empty"));
    }
    YamlNode root = builder.TakeRoot();
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) {
      return absl::InvalidArgumentError(
          absl::StrCat(filename, ": holds more than one YAML document"));
    }
    return root;
  } catch (const YAML::Exception& error) {
    return ErrorAt(filename, error.mark, error.msg);
  }
}

}  // namespace navit
