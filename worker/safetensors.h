// The safetensors file format, for float32 tensors and 64-bit counters.
//
//   8 bytes   length H of the header, little-endian
//   H bytes   JSON: {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
//             "__metadata__": {"key": "text", ...}}, padded with spaces to a multiple of 64 bytes
//   data      the tensors without gaps, in the order of the header; little-endian
#ifndef NAVIT_WORKER_SAFETENSORS_H_
#define NAVIT_WORKER_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace navit {

struct TensorView {
  std::string name;
  std::vector<int64_t> shape;
  // Product of shape elements.
  absl::Span<const float> values;
};

struct WrittenFile {
  uint64_t bytes = 0;
  // xxh3 (128 bits, hex) of the whole file.
  std::string hash;
};

// Writes `path` atomically and durably (see common/files.h for errors). Metadata keys and values
// are UTF-8.
absl::StatusOr<WrittenFile> WriteSafetensors(const std::string& path,
                                             absl::Span<const TensorView> tensors,
                                             const std::map<std::string, std::string>& metadata);

// A file in memory.
class Safetensors {
 public:
  // Checks size and hash of the whole file before anything is believed. DataLoss: the file is
  // missing, cut, does not match, or is no safetensors file with F32 tensors; names the file.
  static absl::StatusOr<Safetensors> Read(const std::string& path, const WrittenFile& expected);

  // A file of any origin, named `path` in errors. InvalidArgument: it is no safetensors file with
  // F32 tensors.
  static absl::StatusOr<Safetensors> FromBytes(std::string path, std::string bytes);

  const std::string& path() const { return path_; }
  bool Has(const std::string& name) const { return tensors_.count(name) > 0; }
  // Sorted.
  std::vector<std::string> names() const;
  // NotFound, or InvalidArgument when the shape is another; names tensor and file. The span lives
  // as long as this object.
  absl::StatusOr<absl::Span<const float>> Find(const std::string& name,
                                               absl::Span<const int64_t> shape) const;
  size_t size() const { return tensors_.size(); }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Tensor {
    std::vector<int64_t> shape;
    size_t offset = 0;
    size_t elements = 0;
  };

  absl::Status Parse();

  std::string path_;
  std::string bytes_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

// xxh3 (128 bits, hex) of some bytes.
std::string HashHex(absl::string_view bytes);

}  // namespace navit

#endif  // NAVIT_WORKER_SAFETENSORS_H_
