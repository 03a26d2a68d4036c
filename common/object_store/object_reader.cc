#include "common/object_store/object_reader.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"

namespace navit {

absl::StatusOr<std::unique_ptr<ObjectReader>> ObjectReader::Open(ObjectStore* store,
                                                                 const std::string& name) {
  NAVIT_ASSIGN_OR_RETURN(ObjectInfo info, store->Stat(name));
  return std::unique_ptr<ObjectReader>(new ObjectReader(store, name, std::move(info)));
}

ObjectReader::ObjectReader(ObjectStore* store, std::string name, ObjectInfo info)
    : store_(store), name_(std::move(name)), info_(std::move(info)) {}

absl::StatusOr<std::string> ObjectReader::Fetch(uint64_t offset) const {
  std::string bytes;
  NAVIT_RETURN_IF_ERROR(store_
                            ->Read(name_, offset, std::min(kPieceBytes, info_.bytes - offset),
                                   info_.validator, &bytes)
                            .status());
  return bytes;
}

void ObjectReader::StartNext() {
  if (next_offset_ >= info_.bytes) return;
  coming_ = std::async(std::launch::async, [this, at = next_offset_] { return Fetch(at); });
  next_offset_ += std::min(kPieceBytes, info_.bytes - next_offset_);
}

absl::StatusOr<absl::string_view> ObjectReader::Next() {
  if (next_offset_ == 0 && info_.bytes > 0) {
    NAVIT_ASSIGN_OR_RETURN(piece_, Fetch(0));
    next_offset_ = piece_.size();
  } else if (coming_.valid()) {
    NAVIT_ASSIGN_OR_RETURN(piece_, coming_.get());
  } else {
    piece_.clear();
    return piece_;
  }
  StartNext();
  return piece_;
}

}  // namespace navit
