#include "worker/safetensors.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <xxhash.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files.h"
#include "common/status_macros.h"

namespace navit {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr size_t kHeaderAlignment = 64;
constexpr char kMetadata[] = "__metadata__";

std::string Hex(const XXH128_hash_t& hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(canonical.digest), sizeof(canonical.digest)));
}

// Hashes what it writes.
class HashingWriter {
 public:
  explicit HashingWriter(std::unique_ptr<AtomicFileWriter> file)
      : file_(std::move(file)), state_(XXH3_createState()) {
    XXH3_128bits_reset(state_.get());
  }

  absl::Status Append(absl::string_view bytes) {
    XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
    size_ += bytes.size();
    return file_->Append(bytes);
  }

  absl::StatusOr<WrittenFile> Commit() {
    NAVIT_RETURN_IF_ERROR(file_->Commit());
    return WrittenFile{size_, Hex(XXH3_128bits_digest(state_.get()))};
  }

 private:
  struct FreeState {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<AtomicFileWriter> file_;
  std::unique_ptr<XXH3_state_t, FreeState> state_;
  uint64_t size_ = 0;
};

std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      quoted.push_back('\\');
      quoted.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&quoted, "\\u00", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      quoted.push_back(c);
    }
  }
  quoted.push_back('"');
  return quoted;
}

std::string Header(absl::Span<const TensorView> tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> members;
  if (!metadata.empty()) {
    members.push_back(absl::StrCat(Quoted(kMetadata), ":{",
                                   absl::StrJoin(metadata, ",",
                                                 [](std::string* out, const auto& pair) {
                                                   absl::StrAppend(out, Quoted(pair.first), ":",
                                                                   Quoted(pair.second));
                                                 }),
                                   "}"));
  }
  size_t offset = 0;
  for (const TensorView& tensor : tensors) {
    const size_t end = offset + tensor.values.size() * sizeof(float);
    members.push_back(absl::StrCat(Quoted(tensor.name), R"(:{"dtype":"F32","shape":[)",
                                   absl::StrJoin(tensor.shape, ","), R"(],"data_offsets":[)",
                                   offset, ",", end, "]}"));
    offset = end;
  }
  std::string header = absl::StrCat("{", absl::StrJoin(members, ","), "}");
  while ((header.size() + sizeof(uint64_t)) % kHeaderAlignment != 0) header.push_back(' ');
  return header;
}

// Reads a list of whole numbers; false: it is something else.
bool WholeNumbers(const google::protobuf::Value& value, std::vector<int64_t>* numbers) {
  if (!value.has_list_value()) return false;
  for (const google::protobuf::Value& element : value.list_value().values()) {
    const double number = element.number_value();
    if (!element.has_number_value() || !(number >= 0) || number > 9e15 ||
        number != std::floor(number)) {
      return false;
    }
    numbers->push_back(static_cast<int64_t>(number));
  }
  return true;
}

}  // namespace

std::string HashHex(absl::string_view bytes) {
  return Hex(XXH3_128bits(bytes.data(), bytes.size()));
}

absl::StatusOr<WrittenFile> WriteSafetensors(const std::string& path,
                                             absl::Span<const TensorView> tensors,
                                             const std::map<std::string, std::string>& metadata) {
  NAVIT_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFileWriter> file, AtomicFileWriter::Create(path));
  HashingWriter writer(std::move(file));
  const std::string header = Header(tensors, metadata);
  const uint64_t header_bytes = header.size();
  NAVIT_RETURN_IF_ERROR(writer.Append(
      absl::string_view(reinterpret_cast<const char*>(&header_bytes), sizeof(header_bytes))));
  NAVIT_RETURN_IF_ERROR(writer.Append(header));
  for (const TensorView& tensor : tensors) {
    NAVIT_RETURN_IF_ERROR(
        writer.Append(absl::string_view(reinterpret_cast<const char*>(tensor.values.data()),
                                        tensor.values.size() * sizeof(float))));
  }
  return writer.Commit();
}

absl::StatusOr<Safetensors> Safetensors::Read(const std::string& path,
                                              const WrittenFile& expected) {
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (absl::IsNotFound(bytes.status())) {
    return absl::DataLossError(absl::StrCat(path, ": is missing"));
  }
  NAVIT_RETURN_IF_ERROR(bytes.status());
  if (bytes->size() != expected.bytes) {
    return absl::DataLossError(
        absl::StrCat(path, ": has ", bytes->size(), " bytes, should have ", expected.bytes));
  }
  if (HashHex(*bytes) != expected.hash) {
    return absl::DataLossError(absl::StrCat(path, ": its bytes do not match their hash"));
  }
  Safetensors file;
  file.path_ = path;
  file.bytes_ = *std::move(bytes);
  if (absl::Status status = file.Parse(); !status.ok()) {
    return absl::DataLossError(
        absl::StrCat(path, ": is no file of this service: ", status.message()));
  }
  return file;
}

absl::StatusOr<Safetensors> Safetensors::FromBytes(std::string path, std::string bytes) {
  Safetensors file;
  file.path_ = std::move(path);
  file.bytes_ = std::move(bytes);
  if (absl::Status status = file.Parse(); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path_, ": is no safetensors file of float32: ", status.message()));
  }
  return file;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

absl::Status Safetensors::Parse() {
  uint64_t header_bytes = 0;
  if (bytes_.size() < sizeof(header_bytes)) return absl::DataLossError("too short");
  std::memcpy(&header_bytes, bytes_.data(), sizeof(header_bytes));
  if (header_bytes > bytes_.size() - sizeof(header_bytes)) {
    return absl::DataLossError("header longer than the file");
  }
  google::protobuf::Struct header;
  const std::string json = bytes_.substr(sizeof(header_bytes), header_bytes);
  if (!google::protobuf::util::JsonStringToMessage(json, &header).ok()) {
    return absl::DataLossError("header is not JSON");
  }
  const size_t data = sizeof(header_bytes) + header_bytes;
  for (const auto& [name, value] : header.fields()) {
    if (!value.has_struct_value()) return absl::DataLossError(absl::StrCat(name, " is no group"));
    const auto& fields = value.struct_value().fields();
    if (name == kMetadata) {
      for (const auto& [key, text] : fields) metadata_[key] = text.string_value();
      continue;
    }
    const auto dtype = fields.find("dtype");
    const auto shape = fields.find("shape");
    const auto offsets = fields.find("data_offsets");
    Tensor tensor;
    std::vector<int64_t> range;
    if (dtype == fields.end() || dtype->second.string_value() != "F32" || shape == fields.end() ||
        !WholeNumbers(shape->second, &tensor.shape) || offsets == fields.end() ||
        !WholeNumbers(offsets->second, &range) || range.size() != 2) {
      return absl::DataLossError(
          absl::StrCat("tensor ", name, " is not F32 with shape and offsets"));
    }
    double elements = 1;
    for (int64_t side : tensor.shape) elements *= static_cast<double>(side);
    if (range[0] > range[1] || range[0] % sizeof(float) != 0 ||
        static_cast<uint64_t>(range[1]) > bytes_.size() - data ||
        elements * sizeof(float) != static_cast<double>(range[1] - range[0])) {
      return absl::DataLossError(absl::StrCat("offsets of tensor ", name));
    }
    tensor.offset = data + range[0];
    tensor.elements = (range[1] - range[0]) / sizeof(float);
    if (tensor.offset % sizeof(float) != 0) return absl::DataLossError("header not aligned");
    tensors_[name] = std::move(tensor);
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const float>> Safetensors::Find(const std::string& name,
                                                          absl::Span<const int64_t> shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    return absl::NotFoundError(absl::StrCat(path_, ": has no tensor ", name));
  }
  if (found->second.shape != std::vector<int64_t>(shape.begin(), shape.end())) {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": tensor ", name, " has shape [", absl::StrJoin(found->second.shape, ", "),
        "], the model's is [", absl::StrJoin(shape, ", "), "]"));
  }
  return absl::MakeConstSpan(reinterpret_cast<const float*>(bytes_.data() + found->second.offset),
                             found->second.elements);
}

}  // namespace navit
