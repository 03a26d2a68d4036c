#include "worker/pack_check.h"

#include <xxhash.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace navit {

absl::Status CheckPack(const v1::Frame& pack, v1::Split split) {
  const v1::PackHeader& header = pack.header();
  const std::string name = absl::StrCat("pack ", header.index(), " of window ", header.window());
  if (header.split() != split) {
    return absl::DataLossError(absl::StrCat(name, " is of split ", v1::Split_Name(header.split())));
  }
  if (header.payload_bytes() != pack.payload().size()) {
    return absl::DataLossError(absl::StrCat(name, " has ", pack.payload().size(),
                                            " bytes, its header says ", header.payload_bytes()));
  }
  if (XXH3_64bits(pack.payload().data(), pack.payload().size()) != header.content_hash()) {
    return absl::DataLossError(absl::StrCat(name, " does not match its content_hash"));
  }
  return absl::OkStatus();
}

}  // namespace navit
