// The stores behind MakeObjectStore, one for each kind of name.
#ifndef NAVIT_COMMON_OBJECT_STORE_SCHEMES_H_
#define NAVIT_COMMON_OBJECT_STORE_SCHEMES_H_

#include <memory>

#include "common/object_store/http_client.h"
#include "common/object_store/object_store.h"

namespace navit {

std::unique_ptr<ObjectStore> MakeFileStore(const ObjectStoreOptions& options);
std::unique_ptr<ObjectStore> MakeHttpStore(const ObjectStoreOptions& options);
std::unique_ptr<ObjectStore> MakeS3Store(const ObjectStoreOptions& options);

// What the reply to a ranged GET of [offset, offset + bytes) says of the object, its body moved to
// `out`. OutOfRange: 416. FailedPrecondition: the server ignores ranges. Other errors:
// StatusOfReply.
absl::StatusOr<ObjectInfo> TakeRange(HttpReply reply, absl::string_view name, uint64_t offset,
                                     uint64_t bytes, std::string* out);
// "bytes=OFFSET-LAST", for a header.
std::string RangeHeader(uint64_t offset, uint64_t bytes);
// The strong ETag; empty: none.
std::string StrongTag(const HttpReply& reply);

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_SCHEMES_H_
