// Tar archives for tests, in memory, with every way to go wrong.
#ifndef NAVIT_PACKER_TESTING_TAR_WRITER_H_
#define NAVIT_PACKER_TESTING_TAR_WRITER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace navit::testing {

class TarWriter {
 public:
  enum Format { kUstar, kPax, kGnu };
  explicit TarWriter(Format format = kUstar) : format_(format) {}

  // A regular file. Names beyond 100 bytes need kPax (extended header) or kGnu (long name).
  TarWriter& Add(absl::string_view name, absl::string_view data);
  // An entry of another type: '5' folder, '2' symbolic link, 'S' sparse, …
  TarWriter& AddType(char type, absl::string_view name, absl::string_view data = "");
  // Size as base 256, as GNU tar writes it beyond 8 GiB.
  TarWriter& AddBase256(absl::string_view name, absl::string_view data);

  // With the two end blocks.
  std::string Finish() const { return bytes_ + std::string(1024, '\0'); }
  // As it is.
  const std::string& bytes() const { return bytes_; }

 private:
  void Header(absl::string_view name, char type, size_t size, bool base256);
  void Data(absl::string_view data);

  const Format format_;
  std::string bytes_;
};

}  // namespace navit::testing

#endif  // NAVIT_PACKER_TESTING_TAR_WRITER_H_
