// What a sample may be. Beyond these limits it becomes a hole (HOLE_REASON_TOO_LARGE); nothing is
// decoded to find that out.
#ifndef NAVIT_PACKER_LIMITS_H_
#define NAVIT_PACKER_LIMITS_H_

#include <cstdint>

namespace navit {

// Compressed bytes of an image.
inline constexpr uint64_t kMaxImageBytes = uint64_t{64} << 20;
// Pixels that a header states: 8192 x 8192, 192 MiB as RGB.
inline constexpr uint64_t kMaxImagePixels = uint64_t{1} << 26;
// Bytes of a txt, json or cls member; a larger one counts as no caption.
inline constexpr uint64_t kMaxTextBytes = uint64_t{4} << 20;
// Captions of a sample; what comes behind them is passed over.
inline constexpr uint32_t kMaxCaptions = 1024;
// Scans of a progressive JPEG; each costs a pass over the whole image.
inline constexpr int kMaxJpegScans = 200;

}  // namespace navit

#endif  // NAVIT_PACKER_LIMITS_H_
