// The frame of a sidecar file: eight bytes that name its kind, the xxh3 of the rest (8 bytes,
// little-endian), then a serialised message.
#ifndef NAVIT_PACKER_SIDECAR_FILE_H_
#define NAVIT_PACKER_SIDECAR_FILE_H_

#include <google/protobuf/message_lite.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_store.h"

namespace navit {

// Durably, old or new. `magic` has 8 bytes. The status names the file; ResourceExhausted: no space.
absl::Status WriteSidecar(ObjectStore* store, const google::protobuf::MessageLite& message,
                          absl::string_view magic, const std::string& path);

// NotFound: no such file. InvalidArgument: of another kind ("not a `what`"), or damaged.
absl::Status ReadSidecar(ObjectStore* store, const std::string& path, absl::string_view magic,
                         absl::string_view what, google::protobuf::MessageLite* message);

}  // namespace navit

#endif  // NAVIT_PACKER_SIDECAR_FILE_H_
