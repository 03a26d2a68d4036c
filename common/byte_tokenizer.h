// The tokenizer that needs no file.
#ifndef NAVIT_COMMON_BYTE_TOKENIZER_H_
#define NAVIT_COMMON_BYTE_TOKENIZER_H_

#include <cstdint>

namespace navit {

// Captions as UTF-8 bytes: the 256 bytes, begin and end.
inline constexpr char kByteTokenizer[] = "bytes";
inline constexpr uint32_t kByteVocabularySize = 258;

}  // namespace navit

#endif  // NAVIT_COMMON_BYTE_TOKENIZER_H_
