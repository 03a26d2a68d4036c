#include "packer/sidecar_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// What protobuf can parse.
constexpr uint64_t kMaxSidecarBytes = (uint64_t{1} << 31) - 1;

}  // namespace

absl::Status WriteSidecar(ObjectStore* store, const google::protobuf::MessageLite& message,
                          absl::string_view magic, const std::string& path) {
  std::string payload;
  if (!message.SerializeToString(&payload)) {
    return absl::InternalError(absl::StrCat(path, ": the index cannot be serialised"));
  }
  const uint64_t hash = XXH3_64bits(payload.data(), payload.size());
  std::string file(magic);
  for (int byte = 0; byte < 8; ++byte) file.push_back(static_cast<char>(hash >> (8 * byte)));
  file += payload;
  return store->Write(path, file);
}

absl::Status ReadSidecar(ObjectStore* store, const std::string& path, absl::string_view magic,
                         absl::string_view what, google::protobuf::MessageLite* message) {
  NAVIT_ASSIGN_OR_RETURN(const std::string file, ReadObject(store, path, kMaxSidecarBytes));
  if (file.size() < 16 || absl::string_view(file).substr(0, 8) != magic) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a ", what));
  }
  uint64_t hash = 0;
  for (int byte = 7; byte >= 0; --byte) hash = hash << 8 | static_cast<uint8_t>(file[8 + byte]);
  const absl::string_view payload = absl::string_view(file).substr(16);
  if (XXH3_64bits(payload.data(), payload.size()) != hash ||
      !message->ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": damaged"));
  }
  return absl::OkStatus();
}

}  // namespace navit
