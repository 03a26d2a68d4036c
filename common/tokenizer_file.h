// What every process may need to know of a tokenizer's file without using it: a SentencePiece
// model is a protobuf whose field 1 is the list of its pieces.
#ifndef NAVIT_COMMON_TOKENIZER_FILE_H_
#define NAVIT_COMMON_TOKENIZER_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace navit {

// Tokenizer of captions as UTF-8 bytes, which needs no file: the 256 bytes, begin and end.
inline constexpr char kByteTokenizer[] = "bytes";
inline constexpr uint32_t kByteVocabularySize = 258;

struct TokenizerFile {
  std::string bytes;
  // xxh3 (128 bits, hex).
  std::string hash;
  uint32_t pieces = 0;
};

// Reads a model file. The codes of common/files.h; InvalidArgument: not a SentencePiece model, or
// one of more than 65536 pieces (ids of a pack have 16 bits). All name the path.
absl::StatusOr<TokenizerFile> ReadTokenizerFile(const std::string& path);

}  // namespace navit

#endif  // NAVIT_COMMON_TOKENIZER_FILE_H_
