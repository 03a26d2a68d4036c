// Early return on a failed absl::Status or absl::StatusOr.
#ifndef NAVIT_COMMON_STATUS_MACROS_H_
#define NAVIT_COMMON_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define NAVIT_RETURN_IF_ERROR(expression)                              \
  do {                                                                 \
    if (absl::Status navit_status = (expression); !navit_status.ok()) { \
      return navit_status;                                             \
    }                                                                  \
  } while (false)

#define NAVIT_MACRO_CONCAT_INNER(a, b) a##b
#define NAVIT_MACRO_CONCAT(a, b) NAVIT_MACRO_CONCAT_INNER(a, b)

// NAVIT_ASSIGN_OR_RETURN(auto x, F()): x = *F(), or return F()'s status.
#define NAVIT_ASSIGN_OR_RETURN(left, expression) \
  NAVIT_ASSIGN_OR_RETURN_IMPL(NAVIT_MACRO_CONCAT(navit_statusor_, __LINE__), left, expression)
#define NAVIT_ASSIGN_OR_RETURN_IMPL(statusor, left, expression) \
  auto statusor = (expression);                                 \
  if (!statusor.ok()) return statusor.status();                 \
  left = *std::move(statusor)

#endif  // NAVIT_COMMON_STATUS_MACROS_H_
