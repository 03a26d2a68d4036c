// A strict, streaming reader of tar archives that knows where the bytes of each member lie.
#ifndef NAVIT_PACKER_TAR_READER_H_
#define NAVIT_PACKER_TAR_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_reader.h"

namespace navit {

struct TarMember {
  // As in the archive (pax and GNU long names resolved); only ever a name, never a path to open.
  std::string path;
  // Of the header, and of the data.
  uint64_t header_offset = 0;
  uint64_t data_offset = 0;
  uint64_t bytes = 0;
  // A hard or symbolic link: it has no bytes here, wherever it points.
  bool link = false;
};

// Reads an object once from front to back. Formats: v7, ustar, pax, GNU. Regular files and links
// are members; folders and devices are passed over.
//
// Every error names the file, and InvalidArgument the offset too: not a tar archive, bad header
// checksum, truncated, no end-of-archive block, data behind it, sparse or multi-volume members,
// names or pax records beyond 1 MiB. Not thread-safe.
class TarReader {
 public:
  // Errors of ObjectStore here and while reading. `store` must outlive the reader.
  static absl::StatusOr<std::unique_ptr<TarReader>> Open(ObjectStore* store,
                                                         const std::string& name);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  // The next member into `member`; false after the last one, when the whole file has been read and
  // hashed. Data that was not read is passed over (and hashed).
  absl::StatusOr<bool> Next(TarMember* member);
  // The data of the current member, piece by piece. Call at most once a member.
  absl::Status ReadData(const std::function<void(absl::string_view)>& piece);

  // Bytes read so far; the size of the file after the end.
  uint64_t bytes_read() const { return offset_; }
  const ObjectInfo& info() const { return file_->info(); }
  // xxh3 (64 bits) of the bytes read so far; of the whole file after the end.
  uint64_t hash() const;

 private:
  struct Hash;
  TarReader(std::string name, std::unique_ptr<ObjectReader> file);

  // Exactly `size` bytes handed out in pieces; at the end of the file: truncated.
  absl::Status Take(uint64_t size, const std::function<void(absl::string_view)>& piece);
  absl::Status Refill();
  absl::Status SkipRest();
  absl::StatusOr<bool> ReadHeader(std::string* block);
  absl::StatusOr<std::string> ReadExtension(uint64_t size);
  absl::Status FinishArchive();
  absl::Status Invalid(uint64_t offset, absl::string_view what) const;

  const std::string name_;
  const std::unique_ptr<ObjectReader> file_;
  // What was read and not handed out yet.
  absl::string_view buffer_;
  // Of the next byte to hand out.
  uint64_t offset_ = 0;
  // Of the current member: data not yet handed out, and padding behind it.
  uint64_t data_left_ = 0;
  uint64_t padding_ = 0;
  bool end_ = false;
  std::unique_ptr<Hash> hash_;
};

}  // namespace navit

#endif  // NAVIT_PACKER_TAR_READER_H_
