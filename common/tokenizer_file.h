// What every process may need to know of a tokenizer's file without using it: a SentencePiece
// model is a protobuf whose field 1 is the list of its pieces.
#ifndef NAVIT_COMMON_TOKENIZER_FILE_H_
#define NAVIT_COMMON_TOKENIZER_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/object_store/object_store.h"

namespace navit {

struct TokenizerFile {
  std::string bytes;
  // xxh3 (128 bits, hex).
  std::string hash;
  uint32_t pieces = 0;
};

// Reads a model file, wherever it is. The codes of ObjectStore; FailedPrecondition also: it is
// larger than 64 MiB. InvalidArgument: not a SentencePiece model, or one of more than 65536 pieces
// (ids of a pack have 16 bits). All name the file.
absl::StatusOr<TokenizerFile> ReadTokenizerFile(ObjectStore* store, const std::string& name);

}  // namespace navit

#endif  // NAVIT_COMMON_TOKENIZER_FILE_H_
