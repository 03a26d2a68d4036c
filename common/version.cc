#include "common/version.h"

namespace navit {

#ifndef NAVIT_REVISION
#define NAVIT_REVISION "unknown"
#endif

const char* Revision() { return NAVIT_REVISION; }

}  // namespace navit
