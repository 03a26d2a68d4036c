// What this program is.
#ifndef NAVIT_COMMON_VERSION_H_
#define NAVIT_COMMON_VERSION_H_

namespace navit {

inline constexpr char kVersion[] = "0.1.0";

// Source revision that the program was built from; "unknown" when the build was not stamped.
const char* Revision();

}  // namespace navit

#endif  // NAVIT_COMMON_VERSION_H_
