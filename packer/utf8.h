// Names from archives are bytes; keys in messages and logs are UTF-8.
#ifndef NAVIT_PACKER_UTF8_H_
#define NAVIT_PACKER_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace navit {

// Length of the well-formed UTF-8 character (Unicode, table 3-7) at the start of `text`; 0: none.
size_t Utf8CharacterLength(absl::string_view text);

bool IsValidUtf8(absl::string_view text);

// `text` with each byte that is no part of a well-formed character written as \xHH.
std::string EscapeInvalidUtf8(absl::string_view text);

}  // namespace navit

#endif  // NAVIT_PACKER_UTF8_H_
