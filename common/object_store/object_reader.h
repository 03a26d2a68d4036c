// Reads an object from front to back, the next piece on its way while this one is used.
#ifndef NAVIT_COMMON_OBJECT_STORE_OBJECT_READER_H_
#define NAVIT_COMMON_OBJECT_STORE_OBJECT_READER_H_

#include <cstdint>
#include <future>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_store.h"

namespace navit {

// Takes at most twice kPieceBytes of memory. Not thread-safe.
class ObjectReader {
 public:
  static constexpr uint64_t kPieceBytes = uint64_t{8} << 20;

  // Errors here and below are those of ObjectStore; an object that changes while it is read is a
  // FailedPrecondition. `store` must outlive the reader.
  static absl::StatusOr<std::unique_ptr<ObjectReader>> Open(ObjectStore* store,
                                                            const std::string& name);
  // Waits for the piece that is on its way.
  ~ObjectReader() = default;
  ObjectReader(const ObjectReader&) = delete;
  ObjectReader& operator=(const ObjectReader&) = delete;

  const ObjectInfo& info() const { return info_; }
  // The next bytes, which live until the next call; none: the end.
  absl::StatusOr<absl::string_view> Next();

 private:
  ObjectReader(ObjectStore* store, std::string name, ObjectInfo info);
  absl::StatusOr<std::string> Fetch(uint64_t offset) const;
  void StartNext();

  ObjectStore* const store_;
  const std::string name_;
  const ObjectInfo info_;
  // Of the piece that is asked for next.
  uint64_t next_offset_ = 0;
  std::string piece_;
  std::future<absl::StatusOr<std::string>> coming_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_OBJECT_READER_H_
