#include "server/store/record_check.h"

// Streaming state on the stack.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

namespace navit {

uint64_t RecordCheck(uint64_t number, absl::string_view name, absl::string_view body) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  const uint64_t head[2] = {number, name.size()};
  XXH3_64bits_update(&state, head, sizeof(head));
  XXH3_64bits_update(&state, name.data(), name.size());
  XXH3_64bits_update(&state, body.data(), body.size());
  return XXH3_64bits_digest(&state);
}

}  // namespace navit
