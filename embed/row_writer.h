// Where embeddings go: a numpy file, or a line of JSON each.
#ifndef NAVIT_EMBED_ROW_WRITER_H_
#define NAVIT_EMBED_ROW_WRITER_H_

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace navit {

class RowWriter {
 public:
  virtual ~RowWriter() = default;
  // What was made of `input` (a file's name, or a caption).
  virtual absl::Status Add(absl::string_view input, absl::Span<const float> row) = 0;
  // `input` could not be used; rows and inputs stay in step.
  virtual absl::Status AddFailure(absl::string_view input, absl::string_view why) = 0;
  // Once, at the end.
  virtual absl::Status Finish() = 0;
};

// {"input": "a.jpg", "embedding": [0.25, ...]}, or {"input": "a.jpg", "error": "..."}, with as many
// digits as float32 needs. `out` must outlive it.
std::unique_ptr<RowWriter> MakeJsonLinesWriter(std::ostream* out);

// A .npy file (version 1.0, little-endian float32 [inputs, dim]) at `path`, which gets its name
// when it is whole; a row of NaN for a failure.
absl::StatusOr<std::unique_ptr<RowWriter>> MakeNpyWriter(const std::string& path, int64_t dim);

}  // namespace navit

#endif  // NAVIT_EMBED_ROW_WRITER_H_
