// A small bitmap font for pictures that explain: the 9x15 and 9x15B faces of X.Org's misc-fixed
// fonts ("Public domain font. Share and enjoy."), printable ASCII.
#ifndef NAVIT_PACKER_PREVIEW_FONT_H_
#define NAVIT_PACKER_PREVIEW_FONT_H_

#include <array>
#include <cstdint>

namespace navit {

inline constexpr uint32_t kGlyphWidth = 9;
inline constexpr uint32_t kGlyphHeight = 15;

// Rows from top to bottom; bit kGlyphWidth - 1 - x of a row is its pixel x.
using Glyph = std::array<uint16_t, kGlyphHeight>;

// Of a character that the font does not have: "?".
Glyph GlyphOf(char c, bool bold);

}  // namespace navit

#endif  // NAVIT_PACKER_PREVIEW_FONT_H_
