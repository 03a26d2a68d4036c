#include "common/tokenizer_file.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace navit {
namespace {

using google::protobuf::internal::WireFormatLite;

constexpr uint64_t kMaxFileBytes = uint64_t{64} << 20;

// Entries of field 1 of a serialised message; 0: not a message, or none.
uint32_t CountPieces(const std::string& bytes) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  uint32_t pieces = 0;
  while (const uint32_t tag = in.ReadTag()) {
    if (tag == (1 << 3 | WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) ++pieces;
    if (!WireFormatLite::SkipField(&in, tag)) return 0;
  }
  return in.ConsumedEntireMessage() ? pieces : 0;
}

}  // namespace

absl::StatusOr<TokenizerFile> ReadTokenizerFile(ObjectStore* store, const std::string& name) {
  TokenizerFile file;
  NAVIT_ASSIGN_OR_RETURN(file.bytes, ReadObject(store, name, kMaxFileBytes));
  file.pieces = CountPieces(file.bytes);
  if (file.pieces == 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": not a SentencePiece model"));
  }
  if (file.pieces > 65536) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": has ", file.pieces, " pieces, at most 65536 are possible"));
  }
  const XXH128_hash_t hash = XXH3_128bits(file.bytes.data(), file.bytes.size());
  file.hash = absl::StrCat(absl::Hex(hash.high64, absl::kZeroPad16),
                           absl::Hex(hash.low64, absl::kZeroPad16));
  return file;
}

}  // namespace navit
