// A YAML tree -> a message, by the message's descriptor.
#ifndef NAVIT_COMMON_JOB_SPEC_MESSAGE_READER_H_
#define NAVIT_COMMON_JOB_SPEC_MESSAGE_READER_H_

#include <string>
#include <vector>

#include "common/job_spec/parse.h"
#include "common/job_spec/yaml_tree.h"
#include "google/protobuf/message.h"

namespace navit {

class MessageReader {
 public:
  struct Fault {
    SourceLocations::Place place;
    // Empty: the whole file.
    std::string path;
    std::string message;
  };

  // `locations` may be null; must outlive the reader.
  MessageReader(size_t most_faults, SourceLocations* locations)
      : most_faults_(most_faults), locations_(locations) {}

  // Stores the node, which must be a map, in `message`, whose place in the file is `path`. Goes on
  // after a fault, up to the limit.
  void ReadMessage(const YamlNode& node, const std::string& path,
                   google::protobuf::Message* message);
  // Stores the node in one field of `message`.
  void ReadField(const YamlNode& node, const std::string& path,
                 const google::protobuf::FieldDescriptor& field,
                 google::protobuf::Message* message);

  const std::vector<Fault>& faults() const { return faults_; }

 private:
  void ReadList(const YamlNode& node, const std::string& path,
                const google::protobuf::FieldDescriptor& field, google::protobuf::Message* message);
  void ReadScalar(const YamlNode& node, const std::string& path,
                  const google::protobuf::FieldDescriptor& field,
                  google::protobuf::Message* message);
  void Note(const YamlNode& node, const std::string& path);
  void Add(const YamlNode& node, const std::string& path, std::string message);

  const size_t most_faults_;
  SourceLocations* const locations_;
  std::vector<Fault> faults_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_JOB_SPEC_MESSAGE_READER_H_
