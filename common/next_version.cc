// Makes a program that links it a build of the next release.
#include "common/version.h"

namespace navit {

const char* Version() { return "0.2.0"; }
const char* PreviousRelease() { return "0.1"; }

}  // namespace navit
